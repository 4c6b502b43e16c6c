"""Redis on the master: reachable from other machines, and of use only to those with a password."""

import pytest

testinfra_hosts = ["ansible://master"]

CONF = "/etc/redis/redis.conf"
FORBIDDEN = [
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "CONFIG GET *",
    "SHUTDOWN",
    "ACL LIST",
    "MONITOR",
    "REPLICAOF NO ONE",
    "SAVE",
    "DEBUG SLEEP 0",
    "GET other:key",
]
ALLOWED = ["LPUSH tieba:start_urls x", "ZADD tieba:requests 0 x", "SADD tieba:dupefilter x", "PING", "TIME"]


@pytest.fixture
def redis(host, secret):
    """Run a command as Redis' administrator."""
    password = secret("redis_admin")

    def run(command):
        return host.check_output(f"REDISCLI_AUTH={password} redis-cli --user admin {command}")

    return run


def test_reachable_from_other_machines_as_the_tutorial_has_it(host):
    with host.sudo():
        lines = host.file(CONF).content_string.splitlines()
    assert "protected-mode no" in lines
    assert [line for line in lines if line.startswith("bind ")] == []
    assert host.socket("tcp://0.0.0.0:6379").is_listening


def test_nobody_gets_in_without_a_password(host):
    assert "NOAUTH" in host.run("redis-cli PING").stdout
    assert "WRONGPASS" in host.run("redis-cli --user crawler --pass guess PING").stderr


@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_crawlers_user_may_not(redis, command):
    assert "has no permissions" in redis(f"ACL DRYRUN crawler {command}")


@pytest.mark.parametrize("command", ALLOWED)
def test_the_crawlers_user_may(redis, command):
    assert redis(f"ACL DRYRUN crawler {command}") == "OK"


def test_the_queue_survives_a_restart_and_is_never_evicted(redis):
    assert redis("CONFIG GET appendonly").split() == ["appendonly", "yes"]
    assert redis("CONFIG GET maxmemory-policy").split() == ["maxmemory-policy", "noeviction"]


def test_a_transaction_survives_a_restart(host, redis, secret):
    """Redis replays its append-only file as the default user, which must be allowed what the others wrote."""
    # Two writes: Redis 7 logs a transaction of a single one without its MULTI.
    commands = r"MULTI\nSET test:persistence x\nAPPEND test:persistence y\nEXEC\n"
    host.check_output(f"printf '{commands}' | REDISCLI_AUTH={secret('redis_admin')} redis-cli --user admin")
    try:
        with host.sudo():
            host.check_output("systemctl restart redis-server")
        host.check_output(
            "for i in $(seq 60); do redis-cli PING | grep -q NOAUTH && exit; sleep 1; done; exit 1"
        )
        assert redis("GET test:persistence") == "xy"
        test_nobody_gets_in_without_a_password(host)
    finally:
        redis("DEL test:persistence")


def test_passwords_are_not_readable(host):
    with host.sudo():
        users = host.file("/etc/redis/users.acl")
        assert users.mode & 0o007 == 0
        assert " >" not in users.content_string  # a clear-text password in an ACL file follows ">"
