"""`tieba status` that goes on while Redis and MongoDB go away and come back."""

import contextlib
import os
import pty
import select
import subprocess
import time

import pytest

from tests.conftest import free_port, mongod_command, program, redis_command, running

DEADLINE_SECONDS = 60


def start(command, port, log):
    stack = contextlib.ExitStack()
    stack.enter_context(running(command, port, log))
    return stack


@pytest.fixture
def servers(environment, tmp_path):
    """Give functions that start Redis and MongoDB of their own, and the environment that names them."""
    redis_port, mongodb_port = free_port(), free_port()
    redis = [*redis_command(redis_port, tmp_path), "--appendonly", "yes", "--appendfsync", "always"]
    mongod = mongod_command(mongodb_port, tmp_path)
    environment = environment | {
        "TIEBA_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "TIEBA_MONGODB_URL": f"mongodb://127.0.0.1:{mongodb_port}/x",
    }
    with contextlib.ExitStack() as stack:

        def start_redis():
            return stack.enter_context(start(redis, redis_port, tmp_path / "redis.log"))

        def start_mongodb():
            return stack.enter_context(start(mongod, mongodb_port, tmp_path / "mongod.log"))

        yield start_redis, start_mongodb, environment, redis_port


def redis_cli(port, *arguments):
    subprocess.run(["redis-cli", "-p", str(port), *arguments], check=True, capture_output=True)


def wait_for(path, text, count=1):
    """Wait until a file holds `text` so often."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while path.read_text().count(text) < count:
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.1)


def read_until(terminal, text):
    """Read from a terminal until `text` has come; gives all that was read."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    read = b""
    while text.encode() not in read:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, read.decode()
        read += os.read(terminal, 65536)
    return read.decode(errors="replace")


def test_following_outlives_servers_that_go_away(servers, tmp_path):
    start_redis, start_mongodb, environment, port = servers
    redis = start_redis()
    mongodb = start_mongodb()
    redis_cli(port, "hset", "{tieba}:crawl", "state", "running", "id", "a", "started_at", str(time.time()))
    told, complaints = tmp_path / "stdout", tmp_path / "stderr"
    with told.open("w") as stdout, complaints.open("w") as stderr:
        follower = subprocess.Popen(
            [program("tieba"), "status", "--until-finished"], env=environment, stdout=stdout, stderr=stderr
        )
        try:
            wait_for(told, "running")
            redis.close()
            wait_for(complaints, "Redis at 127.0.0.1")
            time.sleep(2)
            before = told.read_text().count("running")
            start_redis()
            wait_for(told, "running", before + 1)

            mongodb.close()
            wait_for(complaints, "MongoDB does not answer: 127.0.0.1")
            before = told.read_text().count("running")
            start_mongodb()
            wait_for(told, "running", before + 1)

            redis_cli(port, "hset", "{tieba}:crawl", "state", "finished", "finished_at", str(time.time()))
            assert follower.wait(timeout=DEADLINE_SECONDS) == 0
        finally:
            follower.kill()
    assert told.read_text().splitlines()[-1].startswith("finished")
    lines = complaints.read_text().splitlines()
    assert len(lines) == 2, lines  # each absence is said once
    assert all(line.startswith("tieba status: ") and line.endswith("; waiting for it") for line in lines)


def test_following_on_a_terminal_keeps_the_drawing(servers):
    start_redis, start_mongodb, environment, port = servers
    redis = start_redis()
    start_mongodb()
    redis_cli(port, "hset", "{tieba}:crawl", "state", "running", "id", "a", "started_at", str(time.time()))
    terminal, inside = pty.openpty()
    follower = subprocess.Popen(
        [program("tieba"), "status", "--until-finished"],
        env=environment | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    try:
        before = read_until(terminal, "requests")
        assert "waiting for it" not in before
        redis.close()
        # The last facts are drawn again, above the complaint.
        assert "requests" in read_until(terminal, "waiting for it").partition("does not answer")[0]
        start_redis()
        redis_cli(port, "hset", "{tieba}:crawl", "state", "finished", "finished_at", str(time.time()))
        read_until(terminal, "finished")
        assert follower.wait(timeout=DEADLINE_SECONDS) == 0
    finally:
        follower.kill()
        os.close(terminal)


@pytest.mark.parametrize("arguments", [["--watch"], ["--until-finished"], ["--until-finished", "--json"]])
def test_following_ends_where_the_password_is_wrong(environment, redis_server, arguments):
    environment |= {"TIEBA_REDIS_URL": f"redis://crawler:secret@127.0.0.1:{redis_server}/0"}
    run = subprocess.run(
        [program("tieba"), "status", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert "refuses user and password" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_following_ends_where_a_permission_is_missing(environment, redis_server, redis_url):
    redis_cli(redis_server, "acl", "setuser", "guest", "on", ">secret", "~tieba:*", "+@all", "-hgetall")
    try:
        environment |= {"TIEBA_REDIS_URL": f"redis://guest:secret@127.0.0.1:{redis_server}/0"}
        run = subprocess.run(
            [program("tieba"), "status", "--watch"],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        redis_cli(redis_server, "acl", "deluser", "guest")
    assert (run.returncode, len(run.stderr.splitlines())) == (1, 1), run.stderr
    assert "permission" in run.stderr
