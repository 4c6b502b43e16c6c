"""How the status is put together and shown."""

from rich.console import Console

from frontier import Letter, Pause, Stats
from frontier.job import Facts
from frontier.model import Queued
from tieba.status import Eta, draw, duration, line, summarize

REPEATS = {"retried": 3, "expired": 0}
PAUSE = Pause("posts:x", 4.2, "rate_limited: HTTP 429")


def stats(*pauses, **changes):
    values = {"leased": 4, "delayed": 2, "dead": 1, "pauses": pauses, "retried": 3, "granted": 50}
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
    assert status["requests"] == counts | REPEATS
    assert status["rate"] == 4.0
    assert status["eta_seconds"] == round(17 / 4, 1)
    assert status["crawl"] == {
        "state": "running",
        "started_at": 1000.0,
        "seconds": 60.0,
        "seeds": [{"forum": "聊天", "pages": 2}],
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
    assert "41 done, 11 queued, 4 leased, 2 delayed, 1 failed" in line(status)
    assert "5 posts in the store" in line(status)


def test_no_crawl_says_how_to_begin_one():
    assert "tieba seed" in shown(summarize(facts(crawl={}), {}))


def test_running_without_workers_says_where_to_look():
    assert "systemctl" in line(summarize(facts(workers={}), {}))


def test_durations():
    assert [duration(seconds) for seconds in (0.4, 59, 61, 3725)] == ["0 s", "59 s", "1:01", "1:02:05"]


def _at(seconds, left, state="running"):
    crawl = {"state": state, "seconds": seconds}
    return {"crawl": crawl, "requests": {"queued": left, "leased": 0, "delayed": 0}, "eta_seconds": 1.0}


def test_time_left_follows_how_fast_the_rest_shrinks_not_the_rate():
    eta = Eta()
    assert eta.refine(_at(10, 600))["eta_seconds"] is None  # one look tells nothing
    assert eta.refine(_at(11, 570))["eta_seconds"] == 19.0
    assert eta.refine(_at(12, 540))["eta_seconds"] == 18.0


def test_a_single_look_can_only_tell_the_least_time_left():
    status = summarize(facts(), {})
    assert "at least 4 s left" in shown(status)
    assert "at least" not in shown({**status, **Eta().refine(status), "eta_seconds": 4.0})


def test_no_time_left_is_promised_while_more_is_found_than_done():
    eta = Eta()
    eta.refine(_at(1, 20))
    assert eta.refine(_at(2, 700))["eta_seconds"] is None


def test_a_finished_crawl_has_no_time_left():
    eta = Eta()
    eta.refine(_at(1, 20))
    assert eta.refine(_at(2, 0, "finished"))["eta_seconds"] is None


def test_json_lines_are_not_counted():
    status = summarize(facts(), {})
    assert "in the store" not in line(status)
    assert "in store  not counted: JSON Lines on the slaves" in shown(status)
