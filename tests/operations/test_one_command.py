"""Other engines, schedulers and stores are one command each, from nothing; in a cluster of their own."""

import json

import pytest

from control.engine import docker
from control.project import CLUSTER
from tests.end_to_end.commands import COMPLETE, make

OTHER = f"{CLUSTER}-other"


@pytest.mark.parametrize(
    ("choice", "engine", "scheduler"),
    [
        ({"ENGINE": "urllib"}, "urllib", "frontier"),
        ({"SCHEDULER": "scrapy_redis"}, "scrapy", "scrapy_redis"),
    ],
)
def test_up_with_mysql_crawls_everything(choice, engine, scheduler):
    try:
        done = make("up", CLUSTER=OTHER, PAGES=1, SLAVES=1, STORAGE="mysql", **choice)
        assert done.returncode == 0, done.stdout + done.stderr
        assert COMPLETE in done.stdout
        settings = json.loads(docker("exec", f"{OTHER}-slave1", "cat", "/etc/tieba/crawler.json"))
        assert (settings["scheduler"], settings["storage"]) == (scheduler, ["mysql"])
        status = json.loads(docker("exec", f"{OTHER}-slave1", "tieba", "status", "--json"))
        assert [slave["engines"] for slave in status["slaves"]] == [[engine]]
    finally:
        make("down", CLUSTER=OTHER)
