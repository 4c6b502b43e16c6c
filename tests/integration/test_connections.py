"""Connections to every kind of Redis, and what is said of one that cannot be used."""

import asyncio
import contextlib
import logging
import time
from pathlib import Path

import pytest

from frontier.connection import ERRORS, Patience, connect, connect_blocking, trouble
from tests.conftest import free_port
from tests.integration.conftest import SERVICE, VERSIONS, settled
from tieba.checks import check_servers
from tieba.config import Config
from tieba.errors import Away, Unusable

KEY = "{job}:x"
SCRIPT = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LRANGE', KEYS[1], 0, -1)"
DEADLINE_SECONDS = 20
FULL = ("maxmemory 20mb", "maxmemory-policy noeviction")


async def test_a_client_runs_scripts_and_pipelines(any_redis_url):
    client = connect(any_redis_url)
    digest = await client.script_load(SCRIPT)
    assert await client.evalsha(digest, 1, KEY, "贴吧") == ["贴吧"]
    assert await client.eval(SCRIPT, 1, KEY, "\udcff") == ["贴吧", "\udcff"]
    pipeline = client.pipeline(transaction=False)
    pipeline.llen(KEY)
    pipeline.execute_command("EVALSHA", digest, 1, KEY, "3")
    pipeline.hset("{job}:h", mapping={"a": "1"})
    pipeline.hgetall("{job}:h")
    assert await pipeline.execute() == [2, ["贴吧", "\udcff", "3"], 1, {"a": "1"}]
    assert await client.lrange("job:start_urls", 0, -1) == []
    await client.aclose()


def test_a_blocking_client_runs_scripts_and_pipelines(any_redis_url):
    client = connect_blocking(any_redis_url)
    digest = client.script_load(SCRIPT)
    assert client.evalsha(digest, 1, KEY, "贴吧") == ["贴吧"]
    assert client.eval(SCRIPT, 1, KEY, b"\xff") == ["贴吧", "\udcff"]
    pipeline = client.pipeline(transaction=False)
    pipeline.llen(KEY)
    pipeline.execute_command("EVALSHA", digest, 1, KEY, "3")
    pipeline.hset("{job}:h", mapping={"a": "1"})
    pipeline.hgetall("{job}:h")
    assert pipeline.execute() == [2, ["贴吧", "\udcff", "3"], 1, {"a": "1"}]
    assert client.lrange("job:start_urls", 0, -1) == []
    client.close()


async def test_a_client_that_is_closed_leaves_no_connection(any_redis_url):
    open_before = sockets()
    client = connect(any_redis_url)
    await client.ping()
    assert sockets() > open_before
    await client.aclose()
    await until(lambda: sockets() == open_before)
    blocking = connect_blocking(any_redis_url)
    blocking.ping()
    assert sockets() > open_before
    blocking.close()
    assert sockets() == open_before


def sockets():
    """Give the number of sockets that this process has open."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            found += str(descriptor.readlink()).startswith("socket:")
    return found


async def test_every_kind_of_redis_passes_the_check(any_redis_url, mongodb_url):
    await check_servers(Config(redis_url=any_redis_url, mongodb_url=mongodb_url))


# Failures that pass


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_full_redis_is_waited_for(start_redis, version, caplog):
    server = start_redis(version, *FULL)
    caplog.set_level(logging.INFO)
    client, patience = connect(server.url), Patience()
    with server.client() as admin:
        while trouble_of(lambda: admin.append(KEY, "x" * 1_000_000)) is None:
            pass
    writes = [asyncio.create_task(patience(lambda: client.eval(SCRIPT, 1, "{job}:l", "x"))) for _ in range(3)]
    await until(lambda: caplog.messages)
    for _ in range(5):  # a read that succeeds does not say that Redis is back
        assert await patience(lambda: client.strlen(KEY))
    assert [m for m in caplog.messages if "is full: raise maxmemory" in m] == caplog.messages
    await client.delete(KEY)
    assert sorted(len(reply) for reply in await asyncio.gather(*writes)) == [1, 2, 3]
    assert len(caplog.messages) == 2
    assert "can be used again" in caplog.messages[-1]
    await client.aclose()


async def until(condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def trouble_of(operation):
    try:
        operation()
    except ERRORS as error:
        return trouble(error)
    return None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_redis_that_is_read_only_for_a_while_is_waited_for(start_redis, version, caplog):
    master, replica = start_redis(version), start_redis(version)
    with replica.client() as admin:
        admin.replicaof("127.0.0.1", master.port)
        client = connect(replica.url)
        write = asyncio.create_task(Patience()(lambda: client.eval(SCRIPT, 1, KEY, "x")))
        await until(lambda: caplog.messages)
        assert "Redis is read-only" in caplog.text
        admin.replicaof("NO", "ONE")
    assert await write == ["x"]
    assert caplog.text.count("waiting for it") == 1
    await client.aclose()


async def test_a_failover_is_waited_for(sentinel, caplog):
    caplog.set_level(logging.INFO)
    client, patience = connect(sentinel.url), Patience()
    blocking = connect_blocking(sentinel.url)
    await client.set(KEY, "kept")
    await client.wait(1, 1000)  # until the replica has it
    old = sentinel.master()
    old.kill()
    assert await patience(lambda: client.get(KEY)) == "kept"
    assert await patience(lambda: client.eval(SCRIPT, 1, "{job}:l", "x")) == ["x"]
    assert sentinel.master() is not old
    assert blocking.get(KEY) == "kept"
    blocking.close()
    assert len(caplog.messages) == 2
    assert "waiting for it" in caplog.messages[0]
    assert "can be used again" in caplog.messages[1]
    await client.aclose()


async def test_a_mistake_is_no_failure_that_passes(cluster):
    client = connect(cluster.url)
    with pytest.raises(ERRORS) as caught:
        await Patience()(lambda: client.pipeline(transaction=False).evalsha("0" * 40, 1, KEY))
    assert trouble(caught.value) is None
    with pytest.raises(ERRORS) as caught:
        await Patience()(lambda: client.eval("return 1", 2, "a", "b"))
    assert trouble(caught.value) is None
    await client.aclose()


@pytest.mark.parametrize(("is_owner", "message"), [(True, "does not answer"), (False, "misses nodes")])
async def test_a_cluster_without_one_of_its_nodes_is_waited_for(cluster, caplog, is_owner, message):
    client, patience = connect(cluster.url), Patience()
    blocking = connect_blocking(cluster.url)
    await client.set(KEY, "1")
    killed = next(node for node in cluster.servers if (node is cluster.owner(KEY)) is is_owner)
    killed.kill()
    await until(lambda: message in str(trouble_of(lambda: blocking.set(KEY, "2"))))
    write = asyncio.create_task(patience(lambda: client.set(KEY, "3")))
    await until(lambda: message in caplog.text)
    killed.start()
    assert await write
    assert blocking.get(KEY) == "3"
    blocking.close()
    await client.aclose()


async def test_a_redis_that_is_away_is_waited_for_and_told_once(start_redis, caplog):
    server = start_redis()
    caplog.set_level(logging.INFO)
    client, patience = connect(server.url), Patience()
    for _ in range(3):  # what comes and goes is not told every time
        server.kill()
        waiting = [asyncio.create_task(patience(client.ping)) for _ in range(5)]
        await asyncio.sleep(0.3)
        server.start()
        assert await asyncio.gather(*waiting) == [True] * 5
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("Redis does not answer")
    assert caplog.messages[1].startswith("Redis can be used again")
    await client.aclose()


def test_too_few_replicas_pass(start_redis):
    with start_redis("redis-7.0", "min-replicas-to-write 1").client() as client:
        assert "has too few replicas" in trouble_of(lambda: client.set(KEY, "x"))


def test_a_disk_that_cannot_be_written_passes(start_redis):
    with start_redis("redis-7.0", "enable-protected-configs yes").client() as client:
        client.config_set("save", "3600 1")
        client.config_set("dir", "/proc")
        client.bgsave()
        settled(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert "cannot save to its disk" in trouble_of(lambda: client.set(KEY, "x"))


# Failures that do not pass, and those at the start


async def told(url, kind=Unusable):
    with pytest.raises(Unusable) as caught:
        await check_servers(Config(redis_url=url))
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message
    assert "secret" not in message
    return message


async def test_a_redis_that_is_away():
    port = free_port()
    for kind in ("", "+cluster"):
        message = await told(f"redis{kind}://user:secret@127.0.0.1:{port}", Away)
        assert message.startswith(f"Redis at 127.0.0.1:{port} does not answer")
    message = await told(f"redis+sentinel://user:secret@127.0.0.1:{port}/{SERVICE}", Away)
    assert message.startswith(f"sentinel at 127.0.0.1:{port} does not answer")


async def test_a_wrong_password(tls_url, start_redis):
    assert "refuses user and password" in await told(tls_url.replace("crawler:", "crawler:secret"))
    assert "refuses user and password" in await told(start_redis("redis-6.0", "requirepass x").url)
    with pytest.raises(ERRORS) as caught:
        await Patience()(connect(tls_url.replace("crawler:", "nobody:")).ping)
    assert trouble(caught.value) is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_user_without_permissions(start_redis, version):
    server = start_redis(version, "user guest on >secret ~* +@connection")
    assert "does not permit" in await told(server.url.replace("//", "//guest:secret@"))
    server = start_redis(
        version, "user guest on >secret ~* +@connection +eval"
    )  # but nothing that scripts do
    assert "does not permit" in await told(server.url.replace("//", "//guest:secret@"))


@pytest.mark.parametrize("login", ["", ":secret@", "crawler:secret@"])
async def test_a_redis_that_is_too_old(start_redis, login):
    options = ["requirepass secret"] if login else []
    server = start_redis("redis-5.0", *options)
    assert "too old: install Redis 6.0" in await told(server.url.replace("//", f"//{login}"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_replica(start_redis, version):
    master = start_redis(version)
    replica = start_redis(version, f"replicaof 127.0.0.1 {master.port}")
    assert "is a replica: name its master" in await told(replica.url)


async def test_the_wrong_kind_of_address(sentinel, cluster, start_redis):
    plain = start_redis("redis-6.0")
    node = cluster.servers[0]
    watcher = sentinel.sentinels[0]
    login = "//:of-the-sentinels@"
    assert "with redis+cluster://" in await told(node.url)
    assert "is a sentinel: write redis_url as redis+sentinel://" in await told(
        watcher.url.replace("//", login)
    )
    assert "without +cluster" in await told(plain.url.replace("redis:", "redis+cluster:"))
    assert "is none" in await told(plain.url.replace("redis:", "redis+sentinel:") + "/service")


async def test_sentinels_that_do_not_help(sentinel):
    assert "knows no master named 'other'" in await told(sentinel.url.replace(SERVICE, "other"))
    assert "refuses sentinel_password" in await told(sentinel.url.partition("?")[0])
    assert "refuses user and password" in await told(
        sentinel.url.replace("redis+sentinel://:", "redis+sentinel://:x")
    )


async def test_tls_that_fails(tls_url, start_redis, tmp_path):
    address = tls_url.partition("?")[0]
    assert "cannot be used with TLS" in await told(address)
    plain = start_redis().url.replace("redis:", "rediss:")
    assert "running there, with TLS?" in await told(f"{plain}?socket_connect_timeout=0.2", Away)
    missing = tmp_path / "none.pem"
    assert await told(f"{address}?ssl_ca_certs={missing}") == f"redis_url: {missing}: no such file"
    await told(address.replace("rediss:", "redis:"), Away)
