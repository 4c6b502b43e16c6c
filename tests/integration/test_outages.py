"""A crawl whose Redis and MongoDB go away and come back."""

import contextlib
import json
import subprocess
import time

import pytest

from tests.conftest import free_port, get_json, mongod_command, program, redis_command, running
from tests.integration.commands import worker_command

FORUMS = [{"name": "聊天", "pages": 2, "floors_per_thread": 4}]
DEADLINE_SECONDS = 60
LONG_ENOUGH_SECONDS = 7  # longer than the driver itself waits for a server


def start(command, port, log):
    stack = contextlib.ExitStack()
    stack.enter_context(running(command, port, log))
    return stack


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.usefixtures("engine")
def test_servers_that_go_away_and_come_back_lose_nothing(environment, serve_replica, tmp_path):
    site = serve_replica(forums=FORUMS)
    redis_port, mongodb_port = free_port(), free_port()
    redis = [*redis_command(redis_port, tmp_path), "--appendonly", "yes", "--appendfsync", "always"]
    mongod = mongod_command(mongodb_port, tmp_path)
    environment |= {
        "TIEBA_API_URL": site,
        "TIEBA_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "TIEBA_MONGODB_URL": f"mongodb://127.0.0.1:{mongodb_port}/x",
        "TIEBA_POSTS_RATE": "6",
        "TIEBA_COMMENTS_RATE": "10",
    }

    def threads():
        return get_json(f"{site}/replica/stats")["by_kind"]["thread"]

    servers = contextlib.ExitStack()
    with servers, (tmp_path / "worker.log").open("w") as log:
        redis_server = servers.enter_context(start(redis, redis_port, tmp_path / "redis.log"))
        mongodb_server = servers.enter_context(start(mongod, mongodb_port, tmp_path / "mongod.log"))
        command = worker_command(environment, "-a", "forum=聊天", "-a", "pages=2")
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

        wait_until(lambda: threads() >= 15)
        mongodb_server.close()
        time.sleep(LONG_ENOUGH_SECONDS)
        servers.enter_context(start(mongod, mongodb_port, tmp_path / "mongod.log"))

        before = threads()
        wait_until(lambda: threads() >= before + 10)
        subprocess.run(["redis-cli", "-p", str(redis_port), "shutdown"], check=True, timeout=10)
        redis_server.close()
        time.sleep(2)
        servers.enter_context(start(redis, redis_port, tmp_path / "redis.log"))

        assert worker.wait(timeout=DEADLINE_SECONDS) == 0
        report = subprocess.run(
            [program("tieba"), "report", "--json", "--truth", site],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    output = (tmp_path / "worker.log").read_text()
    assert "MongoDB does not answer" in output
    assert "The store answers again" in output
    assert "Redis does not answer" in output
    assert "Traceback" not in output
    assert report.returncode == 0, report.stdout
    assert json.loads(report.stdout)["truth"]["threads"]["true"] > 30
    assert len(output) < 50_000  # no flood of messages


@pytest.fixture
def crawl(environment, serve_replica, tmp_path):
    """Give a function that starts a slow crawl with a Redis, and one that waits for its end and checks it."""
    site = serve_replica(forums=FORUMS)
    environment |= {"TIEBA_API_URL": site, "TIEBA_POSTS_RATE": "12", "TIEBA_LEASE_SECONDS": "5"}
    log = tmp_path / "worker.log"

    def threads():
        return get_json(f"{site}/replica/stats")["by_kind"]["thread"]

    def start(redis_url):
        environment["TIEBA_REDIS_URL"] = redis_url
        command = [program("scrapy"), "crawl", "tieba", "-a", "forum=聊天", "-a", "pages=1"]
        with log.open("w") as output:
            worker = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        wait_until(lambda: threads() >= 10)
        return worker

    def end(worker):
        assert worker.wait(timeout=DEADLINE_SECONDS) == 0
        report = subprocess.run(
            [program("tieba"), "report", "--json", "--truth", site],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert report.returncode == 0, report.stdout
        output = log.read_text()
        assert "Traceback" not in output
        assert len(output) < 50_000  # no flood of messages
        return output, json.loads(report.stdout)["site"]["repeats"]

    return start, end


def test_full_redis_is_waited_for(crawl, start_redis):
    start, end = crawl
    server = start_redis("redis-7.0")
    worker = start(server.url)
    with server.client() as client:
        client.config_set("maxmemory", 1)
        time.sleep(LONG_ENOUGH_SECONDS)
        assert worker.poll() is None
        client.config_set("maxmemory", 0)
    output, repeats = end(worker)
    assert "Redis is full: raise maxmemory" in output
    assert "Redis can be used again" in output
    assert repeats == 0


def test_redis_that_becomes_read_only_is_waited_for(crawl, start_redis):
    start, end = crawl
    server = start_redis("redis-7.0", "replica-read-only yes")
    worker = start(server.url)
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)  # where nobody is: it keeps its data, and takes no more
        time.sleep(LONG_ENOUGH_SECONDS)
        assert worker.poll() is None
        client.replicaof("NO", "ONE")
    output, repeats = end(worker)
    assert "Redis is read-only" in output
    assert repeats == 0


def test_redis_that_is_away_for_longer_than_leases_last_repeats_little(crawl, start_redis):
    start, end = crawl
    server = start_redis("redis-7.0", "appendonly yes", "appendfsync everysec")
    worker = start(server.url)
    server.kill()
    time.sleep(15)  # three times as long as the leases of this crawl
    assert worker.poll() is None
    server.start()
    output, repeats = end(worker)
    assert "Redis does not answer" in output
    assert repeats <= 2


def test_master_that_dies_under_sentinel(crawl, sentinel):
    start, end = crawl
    worker = start(sentinel.url)
    sentinel.master().kill()
    output, repeats = end(worker)
    assert "waiting for it" in output
    assert repeats <= 16  # what the old master had confirmed, and the new one had not heard of


def test_whole_crawl_in_a_redis_cluster(crawl, cluster):
    start, end = crawl
    worker = start(cluster.url)
    owner = cluster.owner("{tieba}:")
    with owner.client() as client:
        assert client.exists("{tieba}:leases", "{tieba}:seen") >= 1
    _, repeats = end(worker)
    assert repeats == 0
