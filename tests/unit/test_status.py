"""How the status is put together and shown."""

import re
from dataclasses import replace

from rich.console import Console

from dashboard.facts import alarms
from dashboard.facts import shown as shown_on_page
from dashboard.live import Snapshot
from frontier import Letter, Slot, Stats
from frontier.job import Facts
from frontier.model import Queued
from tieba.config import Config
from tieba.lately import Lately
from tieba.status import summarize as summarize_all
from tieba.status_drawing import draw, line
from tieba.wording import duration, time_of_day

REPEATS = {"retried": 3, "expired": 0, "max": None}
PAUSE = Slot("posts:x", 4.2, "rate_limited: HTTP 429", strikes=1, granted=7)
SERVER = {
    "used_memory": 10 * 2**20,
    "maxmemory": 100 * 2**20,
    "redis_version": "7.0.15",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
}


def summarize(facts, stored, **changes):
    return summarize_all(facts, Config(**changes), SERVER, stored)


def stats(*slots, **changes):
    values = {"leased": 4, "delayed": 2, "dead": 1, "slots": slots, "retried": 3, "granted": 50}
    return Stats((Queued("posts", 10, 10),), **{**values, **changes})


def facts(**changes):
    beat = {"host": "slave1", "at": 1059.0, "leased": 3, "rate": 2.0, "version": "0.1.0"}
    values = {
        "now": 1060.0,
        "crawl": {"state": "running", "id": "a", "started_at": "1000.0"},
        "seeds": ('{"forum": "聊天", "pages": 2}',),
        "waiting_seeds": 1,
        "requests": stats(),
        "letters": (Letter("1", "posts", 10, 6, '{"target":["thread",7,1]}', "unknown: HTTP 500", 1.0),),
        "outcomes": {"ok": 40, "deleted": 1},
        "pages": {"slave1": 30, "slave2": 11},
        "workers": {
            "slave1:1": beat,
            "slave1:2": {**beat, "leased": 1},
            "slave2:1": {**beat, "host": "slave2", "at": 1000.0},
        },
        "totals": {"posts": 60, "comments": 3, "bytes": 5_000_000},
        "history": ([1010.0, 11, 10, 0], [1050.0, 31, 50, 1]),
        "machines": {
            "master": {"host": "master", "at": 1055.0, "disk_free_mb": 900, "disk_path": "/var/lib/tieba"}
        },
        "crawls": (),
    }
    return Facts(**{**values, **changes})


def shown(status):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(draw(status))
    return capture.get()


def test_numbers_add_up():
    status = summarize(facts(requests=stats(PAUSE)), {"posts": 5})
    counts = {"made": 46, "done": 41, "queued": 11, "leased": 4, "failed": 1, "delayed": 2}
    assert status["requests"] == counts | REPEATS | {"left": 17, "total": 58}
    assert status["rate"] == 4.0
    assert status["eta_seconds"] == round(17 / 4, 1)
    assert status["crawl"] == {
        "id": "a",
        "state": "running",
        "started_at": 1000.0,
        "seconds": 60.0,
        "seeds": [{"forum": "聊天", "pages": 2}],
        "paused": None,
        "stored_at": None,
        "resumed_at": None,
    }
    assert [(slave["host"], slave["processes"], slave["done"]) for slave in status["slaves"]] == [
        ("slave1", 2, 30),
        ("slave2", 0, 11),
    ]
    assert status["slaves"][1]["last_seen_seconds"] == 60.0


def test_finished_crawl_has_its_average_rate_and_no_time_left():
    crawl = {"state": "finished", "started_at": "1000.0", "finished_at": "1020.5"}
    status = summarize(facts(crawl=crawl), {})
    assert (status["rate"], status["eta_seconds"], status["crawl"]["seconds"]) == (2.0, None, 20.5)


def test_finished_crawl_tells_what_its_maximum_left():
    crawl = {"state": "finished", "started_at": "1000.0", "finished_at": "1020.5"}
    status = summarize(facts(crawl=crawl, requests=stats(leased=0, max_requests=50)), {})
    assert status["maximum"] == {"requests": 50, "left": 12}
    assert "ended at its maximum of 50 requests; 12 are left" in line(status)
    running = summarize(facts(requests=stats(max_requests=50)), {})
    assert running["maximum"] is None


def test_everything_is_shown():
    status = summarize(facts(requests=stats(PAUSE)), {"posts": 5})
    text = shown(status)
    for part in (
        "running",
        "41/58",
        "11 queued",
        "in store  5 posts",
        "聊天 (2 pages)",
        "slave2",
        "posts:x",
        "thread 7 page 1",
        "HTTP 500",
    ):
        assert part in text
    for part in (
        "10 posts of priority 10",
        "posts/s 1.0 in the last hour, 1.0 since it began",
        "brought   4.8 MiB read, 3 comments, 60 posts",
        "10 of 100 MiB",
        "alarm     master: 900 MiB are free",
    ):
        assert part in text
    assert "41 done, 11 queued, 4 leased, 2 delayed, 1 failed" in line(status)
    assert "master: 900 MiB are free" in line(status)
    assert "5 posts in the store" in line(status)


def test_a_crawl_that_is_held_and_crawls_before_it_are_shown():
    crawl = {"state": "running", "id": "a", "started_at": "1000.0", "paused_at": "1030.0"}
    before = {"id": "b", "finished_at": 900.0, "pages": 12, "posts": 33, "seconds": 30.0, "failed": 0}
    given = facts(crawl={**crawl, "paused_reason": "维护"}, crawls=(before, {**before, "id": "a"}))
    status = summarize(given, {})
    text = shown(status)
    assert "held      30 s ago: 维护; tieba queue go-on" in text
    assert text.count("before  ") == 1
    assert "12 pages, 33 posts in 30 s, 0 failed" in text
    assert text.startswith("paused")
    assert line(status).startswith("paused: 41 done")


def test_no_crawl_says_how_to_begin_one_and_how_the_machines_are():
    status = summarize_all(facts(crawl={}), Config(), SERVER | {"aof_enabled": 0}, {})
    text = shown(status)
    for part in (
        "tieba seed",
        "redis     7.0.15, 10 of 100 MiB",
        "keeps no append-only file",
        "free      master /var/lib/tieba 900 MiB",
        "slave2",
    ):
        assert part in text


def test_a_pause_tells_until_when():
    status = summarize(facts(requests=stats(PAUSE)), {})
    assert status["paused"][0]["until"] == 1064.2
    told = f"posts:x until {time_of_day(1064.2)} (4 s)"
    assert f"paused    {told}: rate_limited: HTTP 429" in shown(status)
    assert f"paused: {told}" in line(status)


def test_running_without_workers_says_where_to_look():
    assert "systemctl" in line(summarize(facts(workers={}), {}))


def test_times_of_day():
    assert re.fullmatch(r"\d\d:\d\d:44", time_of_day(1064.2))


def test_durations():
    told = {0.4: "0 s", 59: "59 s", 61: "1 min 1 s", 300: "5 min", 3599.7: "1 h", 3725: "1 h 2 min"}
    assert {seconds: duration(seconds) for seconds in told} == told


def _at(seconds, left, state="running", granted=0, crawl_id="a", paused=None):
    return {
        "at": 1000.0 + seconds,
        "crawl": {"id": crawl_id, "state": state, "paused": paused},
        "requests": {"left": left},
        "slots": [{"slot": "posts:x", "granted": granted, "used": None}],
        "eta_seconds": 1.0,
        "eta_is_least": True,
    }


def test_time_left_follows_how_fast_the_rest_shrinks_not_the_rate():
    lately = Lately()
    assert lately.refine(_at(10, 600)) == _at(10, 600)  # one look tells nothing more
    assert lately.refine(_at(11, 570))["eta_seconds"] == 19.0
    assert lately.refine(_at(12, 540))["eta_seconds"] == 18.0
    assert lately.refine(_at(26, 540))["eta_seconds"] == 270.0  # the looks of the last 15 s count


def test_what_is_used_of_a_budget_takes_two_looks():
    lately = Lately()
    assert lately.refine(_at(10, 1, granted=5))["slots"][0]["used"] is None
    assert lately.refine(_at(12, 1, granted=8))["slots"][0]["used"] == 1.5
    assert lately.refine(_at(13, 1, granted=0, crawl_id="b"))["slots"][0]["used"] is None


def test_a_single_look_can_only_tell_the_least_time_left():
    status = summarize(facts(), {})
    assert "at least 4 s left" in shown(status)
    assert "at least" not in shown({**status, "eta_is_least": False})


def test_no_time_left_is_promised_while_more_is_found_than_done():
    lately = Lately()
    lately.refine(_at(1, 20))
    assert lately.refine(_at(2, 700))["eta_seconds"] is None


def test_no_time_left_is_promised_while_the_crawl_is_held():
    lately = Lately()
    lately.refine(_at(1, 20))
    assert lately.refine(_at(2, 10, paused={"at": 1001.5, "reason": ""}))["eta_seconds"] is None


def test_what_the_maximum_of_requests_keeps_out_is_not_left():
    given = facts(requests=stats(max_requests=56))  # of which 46 were sent, and 4 are leased
    status = summarize(given, {})
    assert (status["requests"]["left"], status["requests"]["total"]) == (10, 51)
    assert "41/51" in shown(status)
    assert "at least" not in shown(status)
    lately = Lately()
    lately.refine(status)
    later = lately.refine(summarize(replace(given, now=1061.0), {}))
    assert (later["eta_seconds"], later["eta_is_least"]) == (2.5, False)
    lowered = summarize(facts(requests=stats(max_requests=20)), {})
    assert lowered["requests"]["left"] == 4  # what is leased is sent all the same
    assert summarize(facts(requests=stats(max_requests=500)), {})["requests"]["left"] == 17


def test_a_finished_crawl_has_no_time_left():
    lately = Lately()
    lately.refine(_at(1, 20))
    assert lately.refine(_at(2, 0, "finished"))["eta_seconds"] is None


def test_json_lines_are_not_counted():
    status = summarize(facts(), {})
    assert "in the store" not in line(status)
    assert "in store  not counted: JSON Lines on the slaves" in shown(status)


def test_what_is_known_of_slaves_their_machines_and_addresses():
    beat = {
        "host": "slave1",
        "at": 1059.0,
        "leased": 3,
        "rate": 2.0,
        "version": "0.1.0",
        "egress": "10.0.0.1",
        "posts_rate": 30.0,
        "memory_mb": 80,
        "disk_free_mb": 7000,
        "disk_path": "/var/lib/tieba",
    }
    dead = {**beat, "host": "slave2", "at": 990.0}
    workers = {"slave1:1": beat, "slave1:2": {**beat, "at": 1058.0}, "slave2:1": dead}
    status = summarize(facts(workers=workers, requests=stats(PAUSE)), {})
    one, two = status["slaves"]
    assert (one["memory_mb"], one["disk_free_mb"], one["posts_rate"]) == (160, 7000, 60.0)
    assert (one["egress"], one["is_silent"]) == (["10.0.0.1"], False)
    assert (two["is_silent"], two["processes"]) == (True, 0)
    assert [(machine["host"], machine["disk_free_mb"]) for machine in status["machines"]] == [
        ("master", 900),
        ("slave1", 7000),
        ("slave2", 7000),
    ]
    slots = {slot["slot"]: slot for slot in status["slots"]}
    assert set(slots) == {"comments:10.0.0.1", "posts:10.0.0.1", "threads:10.0.0.1", "posts:x"}
    assert slots["posts:10.0.0.1"] == {
        "slot": "posts:10.0.0.1",
        "endpoint": "posts",
        "egress": "10.0.0.1",
        "rate": 2.0,
        "burst": 10,
        "used": None,
        "granted": 0,
        "strikes": 0,
        "paused_seconds": None,
        "until": None,
        "reason": None,
        "workers": 2,
    }
    assert (slots["posts:x"]["until"], slots["posts:x"]["granted"]) == (1064.2, 7)
    assert slots["posts:x"]["workers"] == 0
    assert {alarm["name"] for alarm in status["alarms"]} == {"slave_silent", "disk_low"}


def test_what_was_silent_for_a_day_is_not_watched_any_more():
    beat = {**facts().workers["slave1:1"], "disk_free_mb": 7, "disk_path": "/srv"}
    for age, is_watched in ((86_300.0, True), (86_500.0, False)):
        status = summarize(facts(workers={"slave1:1": {**beat, "at": 1060.0 - age}}, machines={}), {})
        keys = [("slave_silent", "slave1"), ("disk_low", "slave1:/srv")]
        for name, expected in (("alarms", is_watched), ("unwatched", not is_watched)):
            assert [(alarm["name"], alarm["subject"]) for alarm in status[name]] == (keys if expected else [])
        assert len(status["machines"]) == is_watched
        page = shown_on_page(Snapshot(status))
        assert len(page["alarms"]) == 2 * is_watched
        for problem in (None, "Redis does not answer"):  # which is one more
            marks = [alarm.get("is_watched", True) for alarm in alarms(Snapshot(status, problem=problem))]
            assert marks[-2:] == [is_watched] * 2


def test_nobody_watches_the_disk_of_a_slave_whose_workers_have_left():
    """What was told of it is not over, for all that is known."""
    beat = {**facts().workers["slave1:1"], "disk_free_mb": 7, "disk_path": "/srv"}
    left = {"slave1:/srv": {**beat, "at": 1058.0, "has_left": True}}
    status = summarize(facts(workers={}, machines=left), {})
    assert (status["machines"], status["alarms"]) == ([], [])
    (unwatched,) = status["unwatched"]
    assert (unwatched["name"], unwatched["subject"]) == ("disk_low", "slave1:/srv")
    assert unwatched["text"] == "slave1's disk at /srv is not watched any more: its workers have left"
    for at, is_back in ((1059.0, True), (1057.0, False)):  # another worker tells of it, or told before
        status = summarize(facts(workers={"slave1:2": {**beat, "at": at}}, machines=left), {})
        assert [alarm["subject"] for alarm in status["alarms"]] == ["slave1:/srv"] * is_back
        assert len(status["unwatched"]) == (not is_back)


def test_a_machine_that_is_master_and_slave_has_two_disks():
    disks = [("/var/lib/tieba", 9_000, 1059.0), ("/srv", 300, 1058.0)]
    beats = [
        {**facts().workers["slave1:1"], "host": "m", "at": at, "disk_free_mb": free, "disk_path": path}
        for path, free, at in disks
    ]
    status = summarize(facts(workers={f"m:{beat['at']}": beat for beat in beats}, machines={}), {})
    assert [(disk["disk_path"], disk["disk_free_mb"]) for disk in status["machines"]] == [
        ("/srv", 300),
        ("/var/lib/tieba", 9_000),
    ]


def test_a_slave_that_runs_another_release_than_most_is_marked():
    beat = {**facts().workers["slave1:1"], "code": "3fa2c1d4e5f6"}
    old = {**beat, "code": "0123456789ab"}
    gone = {**old, "at": 1000.0}
    workers = {f"s{number}:1": {**beat, "host": f"s{number}"} for number in range(2)}
    workers |= {"s2:1": {**old, "host": "s2"}, "s3:1": {**gone, "host": "s3"}}
    status = summarize(facts(workers=workers, pages={}), {})
    assert [slave["differs"] for slave in status["slaves"]] == [False, False, True, False]
    assert status["slaves"][2]["code"] == "0123456789ab"
    assert "0.1.0 · 012345, differs from others" in shown(status)
    workers.pop("s0:1")  # now nobody is like most
    assert [s["differs"] for s in summarize(facts(workers=workers, pages={}), {})["slaves"]] == [
        True, True, False,
    ]  # fmt: skip
    assert not any(slave["differs"] for slave in summarize(facts(), {})["slaves"])


def test_a_slave_that_left_is_not_missed():
    status = summarize(facts(workers={}), {})
    assert [(slave["host"], slave["is_silent"]) for slave in status["slaves"]] == [
        ("slave1", False),
        ("slave2", False),
    ]


def test_rates_are_told_of_now_the_last_hour_and_the_whole_run():
    status = summarize(facts(), {})
    assert status["rates"] == {
        "pages": {"live": 4.0, "hour": 0.6, "run": 0.68},
        "posts": {"live": None, "hour": 1.0, "run": 1.0},  # these workers do not tell theirs
    }
    assert status["history"] == [[1010.0, 11, 10, 0], [1050.0, 31, 50, 1]]
    old = facts(history=([900.0, 500, 500, 9], [1050.0, 31, 50, 1]))  # of the crawl before
    assert summarize(old, {})["history"] == [[1050.0, 31, 50, 1]]
    assert summarize(facts(history=()), {})["rates"]["pages"]["hour"] is None
    crawl = {"state": "finished", "started_at": "1000.0", "finished_at": "1020.5"}
    assert summarize(facts(crawl=crawl), {})["rates"]["pages"] == {"live": 0.0, "hour": None, "run": 2.0}


def test_a_crawl_that_is_held_says_since_when_and_promises_no_end():
    crawl = {"state": "running", "id": "a", "started_at": "1000.0", "paused_at": "1030.5"}
    status = summarize(facts(crawl={**crawl, "paused_reason": "later"}), {})
    assert status["crawl"]["paused"] == {"at": 1030.5, "reason": "later"}
    assert status["eta_seconds"] is None
    ended = {**crawl, "state": "finished", "finished_at": "1040.0"}  # by workers of an older release
    assert summarize(facts(crawl=ended), {})["crawl"]["paused"] is None


def test_a_store_that_is_away_hides_nothing_else():
    status = summarize_all(facts(), Config(), SERVER, {}, store_problem="MongoDB does not answer")
    assert (status["store_problem"], status["requests"]["done"]) == ("MongoDB does not answer", 41)
    assert "MongoDB does not answer" in shown(status)


def test_redis_tells_its_memory_and_whether_it_writes_its_file():
    assert summarize(facts(), {})["redis"] == {
        "used_bytes": 10 * 2**20,
        "max_bytes": 100 * 2**20,
        "version": "7.0.15",
        "aof_ok": True,
    }
    for broken in ({"aof_enabled": 0}, {"aof_last_write_status": "err"}):
        status = summarize_all(facts(), Config(), SERVER | broken, {})
        assert status["redis"]["aof_ok"] is False
