"""The metrics: a text that others' programs read, whose names are kept."""

import re
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dashboard.metrics import render
from tests.statuses import NOW, full_status

PAGE = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"


def samples(text):
    """Give name -> labels -> value, as a program reads it that is not ours."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.fixture
def told():
    return samples(render(full_status(), None))


def test_every_metric_is_documented_with_its_labels(told):
    text = render(full_status(), None).decode()
    labels = {name: [] for name in told}
    shown = re.findall(r"^(\w+)\{(.*)\} ", text, re.MULTILINE)
    labels |= {name: re.findall(r'(\w+)="', words) for name, words in shown}
    rows = re.findall(r"^\| `(tieba_\w+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: re.findall(r"`(\w+)`", shown) for name, shown in rows}
    assert {name: sorted(of) for name, of in documented.items()} == {
        name: sorted(of) for name, of in labels.items()
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("tieba_up", (), 1),
        ("tieba_status_timestamp_seconds", (), NOW),
        ("tieba_crawl_state", ("running",), 1),
        ("tieba_crawl_state", ("paused",), 0),
        ("tieba_requests", ("queued",), 13),
        ("tieba_requests", ("dead",), 1),
        ("tieba_pages_total", ("slave2",), 11),
        ("tieba_saved_records_total", ("posts",), 60),
        ("tieba_stored_records", ("posts",), 77),
        ("tieba_downloaded_bytes_total", (), 5_000_000),
        ("tieba_slave_memory_bytes", ("slave1",), 80 * 2**20),
        ("tieba_slave_seen_timestamp_seconds", ("slave2",), NOW - 900),
        ("tieba_slot_paused_seconds", ("default", "posts"), 4.2),
        ("tieba_slot_paused_seconds", ("default", "threads"), 0),
        ("tieba_disk_free_bytes", ("master", "/var/lib/tieba-dashboard"), 900 * 2**20),
        ("tieba_alarm", ("slave_silent", "slave2"), 1),
    ],
)
def test_numbers_are_those_of_the_status(told, name, labels, value):
    assert told[name][labels] == value


def test_what_is_not_known_is_not_told(told):
    assert ("slave2",) not in told["tieba_slave_memory_bytes"]
    status = full_status()
    status |= {"eta_seconds": None, "crawls": [], "store_problem": "MongoDB is away", "stored": {}}
    some = samples(render(status, None))
    assert some["tieba_store_up"] == {(): 0}
    assert not {"tieba_crawl_left_seconds", "tieba_last_crawl_finished_timestamp_seconds"} & set(some)
    assert "tieba_stored_records" not in some


def test_a_held_crawl_is_paused():
    status = full_status()
    status["crawl"]["paused"] = {"at": NOW, "reason": "by hand"}
    states = samples(render(status, None))["tieba_crawl_state"]
    assert [state for state, value in states.items() if value] == [("paused",)]


def test_old_numbers_are_not_told_as_new_ones(told):
    blind = {"tieba_up": {(): 0}}
    assert samples(render(None, "Redis is away")) == samples(render(None, None)) == blind
    # Alarms that nobody has seen end go on: Alertmanager would tell that they are resolved.
    assert samples(render(full_status(), "Redis is away")) == blind | {"tieba_alarm": told["tieba_alarm"]}


def test_labels_hold_any_text():
    status = full_status()
    status["alarms"] = [{"name": "x", "subject": 'a"b\\c\nd\u202e聊', "text": "", "since": None}]
    assert samples(render(status, None))["tieba_alarm"] == {("x", 'a"b\\c\nd\u202e聊'): 1}
