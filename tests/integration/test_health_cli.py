"""`tieba health` with a real Redis and MongoDB."""

import json
import socket
import time

import pytest
from redis import Redis

from frontier import Policy, Request, connect_blocking
from frontier.blocking import Frontier
from tests.conftest import free_port
from tieba.cli import main

HERE = socket.gethostname()


@pytest.fixture
def health(environment, monkeypatch, capsys):
    """Run `tieba health` in this process, which takes a tenth of the time; gives status and checks."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, **environ):
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            status = main(["health", "--json", *arguments])
        told = json.loads(capsys.readouterr().out)
        assert told["is_well"] == (status == 0)
        return status, told

    return run


@pytest.fixture
def server(redis_url):
    """Give a client of Redis; what a test sets is set back."""
    with Redis.from_url(redis_url, decode_responses=True) as client:
        client.config_set("appendonly", "yes")
        settle(client)
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("appendonly", "no")


def settle(client):
    while client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.05)


def faults(told):
    return {check["name"]: check["text"] for check in told["checks"] if check["state"] == "FAULT"}


def beat(server, host, age=0.0, **more):
    state = {"at": time.time() - age, "host": host, "rate": 0, "leased": 0, "version": "1", **more}
    server.hset("{tieba}:workers", f"{host}:{age}", json.dumps(state))


def test_what_is_well_has_no_fault(health, server):
    beat(server, HERE)
    beat(server, HERE, age=3600)  # of a worker that was killed
    beat(server, "other")
    status, told = health()
    assert (status, faults(told)) == (0, {})
    assert told["workers_here"] == 1
    names = {check["name"] for check in told["checks"]}
    assert names == {"redis", "clock", "memory", "aof", "workers", "dead letters", "store"}


def test_for_people_there_is_one_line_for_each_check(health, server, capsys, monkeypatch):
    assert main(["health"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.split()[0] in {"ok", "note"}


def test_a_redis_that_is_away_is_a_fault_and_the_store_is_checked_all_the_same(health):
    status, told = health(TIEBA_REDIS_URL=f"redis://:secret@127.0.0.1:{free_port()}/0")
    assert status == 1
    assert "does not answer" in faults(told)["redis"]
    assert told["workers_here"] is None
    assert "secret" not in json.dumps(told)
    assert [check["state"] for check in told["checks"] if check["name"] == "store"] == ["ok"]


def test_a_store_that_is_away_is_a_fault(health, server):
    status, told = health(TIEBA_MONGODB_URL=f"mongodb://127.0.0.1:{free_port()}/x")
    assert status == 1
    assert set(faults(told)) == {"store"}


def test_a_redis_that_is_nearly_full_is_a_fault(health, server):
    used = server.info("memory")["used_memory"]
    server.config_set("maxmemory", int(used * 1.1))
    _, told = health()
    assert "raise redis_maxmemory_mb" in faults(told)["memory"]


def test_a_redis_without_an_append_only_file_is_a_fault(health, server):
    server.config_set("appendonly", "no")
    _, told = health()
    assert set(faults(told)) == {"aof"}


def test_workers_that_fell_silent_are_a_fault_until_their_machine_counts_as_gone(health, server):
    beat(server, "dead", age=60)
    beat(server, "taken-away", age=100_000)
    _, told = health()
    assert list(faults(told)) == ["workers"]
    assert faults(told)["workers"].startswith("dead: none was heard of for 6")


def test_dead_letters_are_a_fault_from_a_number_on(health, server, redis_url):
    frontier = Frontier(connect_blocking(redis_url), "tieba", Policy(max_attempts=1))
    frontier.push([Request("posts", str(number)) for number in range(2)])
    for lease in frontier.lease(2, "me").leases:
        frontier.fail("me", lease.id, "HTTP 500")
    _, told = health()
    assert faults(told)["dead letters"].startswith("2 requests were given up")
    assert health("--dead-letters=2")[0] == 0
    assert health("--dead-letters=1")[0] == 1


def test_pauses_are_a_note(health, server, redis_url):
    Frontier(connect_blocking(redis_url), "tieba").pause("posts:home", 60, "verification")
    status, told = health()
    assert status == 0
    (note,) = [check["text"] for check in told["checks"] if check["name"] == "pauses"]
    assert note.startswith("posts:home pauses for ")
    assert note.endswith("s: verification")


def test_an_address_that_the_site_blocks_is_a_note(health, server, redis_url):
    frontier = Frontier(connect_blocking(redis_url), "tieba")
    frontier.begin()
    frontier.push([Request("posts", "x")])
    assert frontier.lease(1, "me", egress="home").leases
    for _ in range(3):
        frontier.pause("posts:home", 0.001, "verification")
        time.sleep(0.01)
    frontier.hold("")
    beat(server, HERE, egress="home")
    status, told = health()
    assert status == 0
    (held,) = [check["text"] for check in told["checks"] if check["name"] == "held"]
    assert held.endswith(": tieba queue go-on")
    (note,) = [check["text"] for check in told["checks"] if check["name"] == "alarm"]
    assert note == "posts:home was paused 3 times without a success between them"


def test_a_clock_that_is_wrong_is_a_fault(health, server, monkeypatch):
    real = time.time
    monkeypatch.setattr("tieba.health.time.time", lambda: real() + 60)
    _, told = health()
    assert faults(told)["clock"].startswith("60.0 s ahead of Redis' clock")


def test_workers_are_waited_for(server, environment, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    beat(server, HERE)
    assert main(["health", "--workers=1"]) == 0
    monkeypatch.setattr("tieba.health._WORKERS_SECONDS", 1.0)
    assert main(["health", "--workers=2"]) == 1
    assert f"{HERE}: 1 of 2 workers are heard of after 1 s" in capsys.readouterr().err
