"""Redis on the master: reachable from other machines, and of use only to those with a password."""

import json
from pathlib import Path

import pytest
import yaml

testinfra_hosts = ["ansible://master"]

CONF = "/etc/redis/redis.conf"
ROLE = Path(__file__).resolve().parents[3] / "roles" / "redis"
COMMANDS = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))["__redis_crawler_commands"]
EVERYBODYS = {"auth", "hello", "quit", "reset"}
SINCE_REDIS_8 = {"client|setinfo"}
KEY = "{tieba}:crawl"
FORBIDDEN = [
    "FLUSHALL",
    "KEYS *",
    "CONFIG GET *",
    "SHUTDOWN",
    "ACL LIST",
    "MONITOR",
    "REPLICAOF NO ONE",
    "DEBUG SLEEP 0",
    "SCRIPT FLUSH",
    "FUNCTION LIST",
    "CLIENT LIST",
    "SUBSCRIBE news",
    f"SORT {KEY}",
    f"DUMP {KEY}",
    # Keys of others, and those of another scheduler.
    "HGET {other}:crawl state",
    "LPUSH other:start_urls x",
    "ZADD tieba:requests 0 x",
    "SADD tieba:dupefilter x",
    "EVAL 'return 1' 1 other:key",
]


@pytest.fixture
def redis(host, secret):
    """Run commands as Redis' administrator, one on each line."""
    password = secret("redis_admin")

    def run(commands, options=""):
        login = f"REDISCLI_AUTH={password} redis-cli --user admin {options}"
        return host.check_output(f"{login} <<'END'\n{commands}\nEND")

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


def test_the_crawlers_user_may_what_the_role_lists_and_nothing_else(redis):
    known = json.loads(redis("COMMAND", "--json"))
    known += [subcommand for command in known for subcommand in command[9]]
    dry_runs = {}
    for name, arity, _, first_key, *_ in known:
        words = name.split("|")
        words += ["1"] * (max(abs(arity), first_key + 1) - len(words))
        if first_key:
            words[first_key] = KEY
        if name.startswith("eval"):
            words[1:] = ["return", "1", KEY]
        dry_runs[name] = f"ACL DRYRUN crawler {' '.join(words)}"
    answers = filter(None, redis("\n".join(dry_runs.values())).splitlines())
    granted = {name for name, answer in zip(dry_runs, answers, strict=True) if answer == "OK"}
    assert granted - SINCE_REDIS_8 == {*COMMANDS, *EVERYBODYS}


def test_a_script_has_no_more_rights_than_the_crawlers_user(host, secret):
    for call in ("'FLUSHALL'", "'HGET', 'other:key', 'x'"):
        script = f'EVAL "return redis.call({call})" 0'
        login = f"REDISCLI_AUTH={secret('redis_crawler')} redis-cli --user crawler"
        answer = host.check_output(f"{login} <<'END'\n{script}\nEND")
        assert "The user executing the script can't" in answer


def test_crawls_leave_no_key_outside_their_job(redis):
    keys = set(redis("", "--scan").split()) - {"tieba:start_urls"}
    assert "{tieba}:crawl" in keys, "nothing was crawled before"
    assert [key for key in keys if not key.startswith("{tieba}:")] == []


def test_the_queue_survives_a_restart_and_is_never_evicted(redis):
    assert redis("CONFIG GET appendonly").split() == ["appendonly", "yes"]
    assert redis("CONFIG GET maxmemory-policy").split() == ["maxmemory-policy", "noeviction"]


@pytest.mark.parametrize("end", ["restart", "kill --signal=KILL"])
def test_a_transaction_survives_a_restart_and_a_kill(host, redis, secret, end):
    """Redis replays its append-only file as the default user, which must be allowed what the others wrote."""
    # Two writes: Redis 7 logs a transaction of a single one without its MULTI.
    commands = r"MULTI\nSET test:persistence x\nAPPEND test:persistence y\nEXEC\n"
    host.check_output(f"printf '{commands}' | REDISCLI_AUTH={secret('redis_admin')} redis-cli --user admin")
    try:
        with host.sudo():
            host.check_output(f"systemctl {end} redis-server")
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
