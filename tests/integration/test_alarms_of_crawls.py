"""Alarms of real crawls: a site that blocks, a worker that dies, and what an operator does about it."""

import json
import time

import pytest

from tests.integration.commands import crawl, tieba, wait_for


@pytest.fixture
def impatient(environment):
    """Give an environment in which everything is alarming after seconds."""
    return environment | {
        "TIEBA_FIRST_PAUSE": "0.2",
        "TIEBA_LONGEST_PAUSE": "0.4",
        "TIEBA_ALARM_NOTHING_STORED_MINUTES": "0.05",
        "TIEBA_ALARM_SILENT_SECONDS": "3",
        "TIEBA_ALARM_DISK_MB": "1",
    }


def status_of(environment):
    return json.loads(tieba(environment, "status", "--json").stdout)


def alarms(environment):
    return {alarm["name"]: alarm for alarm in status_of(environment)["alarms"]}


def wait_until(environment, *names):
    """Wait until there are alarms of these names, and no others; gives them."""
    deadline = time.monotonic() + 90
    while set(found := alarms(environment)) != set(names):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


@pytest.mark.usefixtures("engine")
def test_a_site_that_blocks_and_a_worker_that_dies_are_alarming(impatient, serve_replica):
    site = serve_replica(forums=[{"name": "聊天", "pages": 1}], faults={"posts_rate": 0.001, "burst": 1})
    environment = impatient | {"TIEBA_API_URL": site}
    worker = crawl(environment, "-a", "forum=聊天")
    try:
        found = wait_until(environment, "address_blocked", "nothing_stored")
        assert found["address_blocked"]["subject"] == "posts:test"
        assert "times without a success" in found["address_blocked"]["text"]
        assert found["nothing_stored"]["since"] < time.time() - 3
        assert "alarm     posts:test was paused" in tieba(environment, "status").stdout

        # Who holds a crawl knows why nothing is stored.
        assert tieba(environment, "queue", "hold").returncode == 0
        assert set(alarms(environment)) == {"address_blocked"}
        went_on = time.time()
        assert tieba(environment, "queue", "go-on").returncode == 0
        found = wait_until(environment, "address_blocked", "nothing_stored")
        assert went_on <= found["nothing_stored"]["since"] < time.time() - 3  # not at once
    finally:
        worker.kill()
        worker.communicate()
    found = wait_until(environment, "address_blocked", "nothing_stored", "slave_silent")
    assert found["nothing_stored"]["text"].endswith("no worker is alive")


def test_a_crawl_that_ends_well_and_workers_that_leave_raise_none(impatient, serve_replica):
    site = serve_replica(forums=[{"name": "聊天", "pages": 1}])
    environment = impatient | {"TIEBA_API_URL": site}
    wait_for(crawl(environment, "-a", "forum=聊天"))
    status = status_of(environment | {"TIEBA_ALARM_NOTHING_STORED_MINUTES": "0.001"})
    assert status["alarms"] == []
    assert [slave["last_seen_seconds"] for slave in status["slaves"]] == [None]  # nobody will be missed
