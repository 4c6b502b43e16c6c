"""What of a status raises an alarm, and what does not."""

import dataclasses
import re

import pytest
import yaml

from tests.roles import ROLES, evaluate
from tieba.alarms import alarms, redis_away, unwatched
from tieba.config import Config, parse

NOW = 100_000.0
SLAVE = {
    "host": "slave1",
    "processes": 2,
    "posts_rate": 1.0,
    "last_seen_seconds": 0.5,
    "is_silent": False,
    "is_gone": False,
} | {"egress": ["x"]}
SLOT = {"slot": "posts:x", "egress": "x", "strikes": 0, "paused_seconds": None, "reason": None, "workers": 2}


def status(**changes):
    crawl = {
        "state": "running",
        "paused": None,
        "started_at": NOW - 7_200,
        "stored_at": NOW - 1,
        "resumed_at": None,
    }
    return {
        "at": NOW,
        "crawl": crawl | changes.pop("crawl", {}),
        "requests": {"failed": 30},
        "history": [[NOW - 3_600, 10, 10, 25], [NOW - 10, 20, 20, 30]],
        "slots": [SLOT],
        "slaves": [SLAVE],
        "machines": [{"host": "slave1", "disk_free_mb": 5_000, "disk_path": "/var/lib/tieba"}],
        "redis": {"used_bytes": 79, "max_bytes": 100},
        "store_problem": None,
        **changes,
    }


def found(given, **config):
    return [(alarm["name"], alarm["subject"], alarm["since"]) for alarm in alarms(given, Config(**config))]


def unwatched_of(given):
    return unwatched(given, [], Config())


def test_a_crawl_that_goes_well_raises_none():
    assert found(status()) == []


@pytest.mark.parametrize(
    ("crawl", "since"),
    [
        ({"stored_at": NOW - 601}, NOW - 601),
        ({"stored_at": NOW - 599}, None),
        ({"stored_at": None}, NOW - 7_200),  # never
        ({"stored_at": None, "started_at": NOW - 599}, None),  # young
        ({"stored_at": NOW - 3_600, "paused": {"at": NOW - 3_599, "reason": ""}}, None),  # held
        ({"stored_at": NOW - 3_600, "resumed_at": NOW - 599}, None),  # held until lately, or ended till then
        ({"stored_at": NOW - 3_600, "resumed_at": NOW - 700}, NOW - 700),
        ({"stored_at": NOW - 3_600, "state": "finished"}, None),
        ({"stored_at": None, "started_at": None, "state": "none"}, None),
    ],
)
def test_nothing_stored_for_some_minutes_of_work(crawl, since):
    assert found(status(crawl=crawl)) == ([] if since is None else [("nothing_stored", "", since)])


def test_where_no_worker_is_alive_the_alarm_says_so():
    (alarm,) = alarms(status(crawl={"stored_at": NOW - 605}), Config())
    assert alarm["text"] == "nothing was stored for 10 min 5 s"
    (alarm,) = alarms(status(crawl={"stored_at": NOW - 605}, slaves=[]), Config())
    assert alarm["text"] == "nothing was stored for 10 min 5 s: no worker is alive"


def test_workers_of_an_older_release_do_not_tell_what_they_store():
    old = {**SLAVE, "posts_rate": None}
    assert found(status(crawl={"stored_at": None}, slaves=[SLAVE, old])) == []
    gone = {**old, "processes": 0}
    assert len(found(status(crawl={"stored_at": None}, slaves=[SLAVE, gone]))) == 1


def test_an_address_that_was_paused_several_times_without_success():
    paused = {**SLOT, "strikes": 3, "paused_seconds": 40.0, "reason": "verification: 百度安全验证"}
    (alarm,) = alarms(status(slots=[{**SLOT, "strikes": 2}, paused]), Config())
    assert (alarm["name"], alarm["subject"]) == ("address_blocked", "posts:x")
    assert "3 times" in alarm["text"]
    assert "for 40 s more: verification: 百度安全验证" in alarm["text"]
    assert found(status(slots=[{**SLOT, "strikes": 3}])) == [("address_blocked", "posts:x", None)]
    assert found(status(slots=[paused], crawl={"state": "finished"})) == []


def test_an_address_that_was_taken_away_is_not_blocked_for_ever():
    blocked = {**SLOT, "strikes": 3, "workers": 0}
    left = {**SLAVE, "egress": ["y"]}
    given = status(slots=[blocked], slaves=[left])
    assert found(given) == []
    (unwatched,) = unwatched_of(given)  # nor does anybody know that it is not any more
    assert (unwatched["name"], unwatched["subject"]) == ("address_blocked", "posts:x")
    assert unwatched["text"] == "posts:x is not watched any more: nobody uses it"
    paused = {**blocked, "paused_seconds": 40.0}
    given = status(slots=[paused], slaves=[left])
    assert found(given) == [("address_blocked", "posts:x", None)]
    assert unwatched_of(given) == []


def test_dead_letters_that_are_new_within_the_hour():
    assert found(status(requests={"failed": 35})) == []  # ten more
    assert found(status(requests={"failed": 36})) == [("dead_letters", "", NOW - 3_600)]
    assert found(status(requests={"failed": 36}), alarm_dead_letters=11) == []
    assert found(status(requests={"failed": 0})) == []  # all queued again
    assert found(status(requests={"failed": 99}, history=[])) == []  # nobody knows since when


def test_dead_letters_that_were_queued_again_do_not_hide_new_ones():
    history = [[NOW - 3_600, 10, 10, 1_000], [NOW - 1_800, 15, 15, 0], [NOW - 10, 20, 20, 4]]
    assert found(status(requests={"failed": 10}, history=history)) == []
    (alarm,) = alarms(status(requests={"failed": 900}, history=history), Config())
    assert alarm["text"] == "900 requests were given up within 1 h"


def test_a_slave_that_is_silent():
    silent = {**SLAVE, "processes": 0, "last_seen_seconds": 90.0, "is_silent": True}
    assert found(status(slaves=[SLAVE, silent])) == [("slave_silent", "slave1", NOW - 90)]


def test_redis_near_its_limit():
    assert found(status(redis={"used_bytes": 80, "max_bytes": 100})) == [("redis_memory", "", None)]
    assert found(status(redis={"used_bytes": 80, "max_bytes": 0})) == []  # no limit
    assert found(status(redis={"used_bytes": 80, "max_bytes": 100}), alarm_redis_percent=90) == []


def test_a_disk_with_little_room():
    machine = {"host": "master", "disk_free_mb": 2_047, "disk_path": "/var/lib"}
    (alarm,) = alarms(status(machines=[machine]), Config())
    assert (alarm["name"], alarm["subject"]) == ("disk_low", "master:/var/lib")
    assert alarm["text"] == "master: 2047 MiB are free at /var/lib"


def test_servers_that_are_away():
    (alarm,) = alarms(status(store_problem="MongoDB does not answer"), Config())
    assert (alarm["name"], alarm["text"]) == ("store_away", "MongoDB does not answer")
    (alarm,) = redis_away("Redis at x does not answer")
    assert (alarm["name"], alarm["subject"]) == ("redis_away", "")


LIMITS = {name: value for name, value in dataclasses.asdict(Config()).items() if name.startswith("alarm_")}


def test_the_documents_name_every_limit_with_its_default():
    text = (ROLES.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {name: float(default) for name, default in re.findall(r"`crawler_(alarm_\w+)` \(([\d.]+)\)", text)}
    assert told == LIMITS


def test_every_limit_is_a_variable_with_that_default():
    defaults = yaml.safe_load((ROLES / "crawler" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert {name: defaults[f"crawler_{name}"] for name in LIMITS} == LIMITS
    for name, value in LIMITS.items():
        given = {f"crawler_{name}": str(value + 1)}  # as with -e
        written = {name: evaluate("crawler", f"{{{{ __crawler_config.{name} }}}}", **given)}
        assert getattr(parse(written, "crawler.json"), name) == value + 1
