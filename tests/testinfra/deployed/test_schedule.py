"""The timer of crawler_schedule: on the master, and what it starts is an update of the last crawl."""

import json
import time

import pytest

testinfra_hosts = ["ansible://master"]

SERVICE, TIMER = "tieba-schedule.service", "tieba-schedule.timer"
SECONDS = 180


def test_the_timer_waits_for_its_time(host):
    assert host.service(TIMER).is_enabled
    assert host.service(TIMER).is_running
    assert "04:00:00" in host.check_output("systemctl show --property=NextElapseUSecRealtime %s", TIMER)


def test_the_sandbox_is_tight(exposure):
    assert exposure(SERVICE) <= 2.5


def test_it_begins_an_update_of_the_last_crawl(host):
    with host.sudo():
        host.check_output("systemctl start %s", SERVICE)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        crawl = json.loads(host.check_output("tieba status --json"))["crawl"]
        if crawl["state"] == "finished" and all(seed.get("update") for seed in crawl["seeds"]):
            return
        time.sleep(1)
    pytest.fail(f"not so after {SECONDS} s: {crawl}")
