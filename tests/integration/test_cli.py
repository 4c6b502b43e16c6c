"""The command `tieba` with a real Redis and MongoDB."""

import json
import subprocess

import pytest

from tests.conftest import program


@pytest.fixture
def tieba(environment):
    def run(*arguments, **environ):
        return subprocess.run(
            [program("tieba"), *arguments],
            env=environment | environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def seeds(redis_server):
    command = ["redis-cli", "-p", str(redis_server), "lrange", "tieba:start_urls", "0", "-1"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_seed_begins_a_crawl_or_joins_it(tieba, redis_server):
    assert "A new crawl begins" in tieba("seed", "--forum", "聊天", "--pages", "20").stdout
    assert "goes on" in tieba("seed", "--forum", "聊天", "--pages", "20").stdout
    assert seeds(redis_server) == ['{"forum": "聊天", "pages": 20}']
    assert "A new crawl begins" in tieba("seed", "--forum", "显卡", "--new").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seed", "--forum", "", "--pages", "1"], "--forum must be the name of a forum"),
        (
            ["seed", "--forum", "x", "--pages", "0"],
            "--pages must be a number from 1 to 100000, e.g. 20, or a range like 3-7, not '0'",
        ),
        (
            ["seed", "--forum", "x", "--pages", "text"],
            "not 'text'",
        ),
        (["seed"], "say what to crawl: --forum NAME or --thread NUMBER"),
        (["seed", "--forum", "x", "--max-requests", "0"], "--max-requests must be an integer from 1"),
        (["seed", "--thread", "7", "--good"], "--good is for forums"),
        (["seed", "--again", "--forum", "x"], "--again takes the seeds of the last crawl"),
        (["seed", "--seed", "{"], "seed is not valid JSON"),
        (["status", "--json", "--watch"], "exclude each other"),
        (["parse", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["parse", "--header", "x", "/dev/null"], "--header must be 'Name: value', not 'x'"),
        (["explode"], "invalid choice: 'explode'"),
    ],
)
def test_mistakes_are_one_line_with_status_2(tieba, arguments, told):
    run = tieba(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert told in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_status_without_a_crawl(tieba):
    run = tieba("status")
    assert run.returncode == 0
    assert "tieba seed" in run.stdout
    found = json.loads(tieba("status", "--json").stdout)
    assert found["crawl"]["state"] == "none"
    assert found["stored"] == {"forums": 0, "threads": 0, "posts": 0, "comments": 0, "users": 0}


def test_report_without_a_crawl(tieba):
    run = tieba("report")
    assert run.returncode == 1
    assert "no crawl to report on" in run.stderr


def test_wrong_password_is_one_line_without_the_password(tieba, redis_server):
    run = tieba("status", TIEBA_REDIS_URL=f"redis://crawler:secret@127.0.0.1:{redis_server}/0")
    assert run.returncode == 1
    assert "refuses user and password" in run.stderr
    assert "secret" not in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_parse_reads_standard_input(environment):
    run = subprocess.run(
        [program("tieba"), "parse", "--status", "429", "-"],
        env=environment, input=b"", capture_output=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0
    assert json.loads(run.stdout)["outcome"] == "rate_limited"


@pytest.mark.parametrize("command", [[], ["seed"], ["worker"], ["status"], ["report"], ["parse"]])
def test_help_has_an_example(tieba, command):
    run = tieba(*command, "--help")
    assert run.returncode == 0
    assert "example: tieba" in run.stdout


def test_an_update_of_files_is_refused_before_anything_is_queued(environment):
    environment["TIEBA_STORAGE"] = "jsonl"
    for command in (["tieba", "seed", "--forum=x"], ["scrapy", "crawl", "tieba", "-a", "forum=x"]):
        update = ["--update"] if command[0] == "tieba" else ["-a", "update=true"]
        run = subprocess.run(
            [program(command[0]), *command[1:], *update],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 2
        assert "update needs a store that can look records up" in run.stderr
        assert "Traceback" not in run.stderr
