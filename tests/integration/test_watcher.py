"""What gathers the status, asked by several at once and while the store is slow."""

import asyncio
import time

import pytest

from frontier import Limit
from tieba.browsing.counting import Pace
from tieba.config import Config
from tieba.status import Watcher
from tieba.status_drawing import show
from tieba.storage import StoreUnavailable
from tieba.storage.mongodb import MongoStore

LIMIT = Limit(1000.0, 100.0)


@pytest.fixture
async def watcher(redis_url, mongodb_url):
    found = Watcher(Config(redis_url=redis_url, mongodb_url=mongodb_url))
    yield found
    await found.close()


async def test_several_may_ask_at_once(watcher):
    for _ in range(3):
        for status in await asyncio.gather(*(watcher.status() for _ in range(5))):
            assert (status["store_problem"], status["stored"]["posts"]) == (None, 0)


JUNK = {
    "text": "no beat",
    "nested": "[" * 100_000,
    "hostless": '{"at": %d}',
    "host": '{"at": %d, "host": 7}',
    "at": '{"at": "now", "host": "x"}',
    "never": '{"at": NaN, "host": "x"}',
    "rate": '{"at": %d, "host": "x", "rate": "fast"}',
    "leased": '{"at": %d, "host": "x", "leased": null}',
    "memory": '{"at": %d, "host": "x", "memory_mb": []}',
    "egress": '{"at": %d, "host": "x", "egress": {}}',
}


async def test_beats_that_nobody_can_read_are_left_out(watcher):
    job, now = watcher.job, int(time.time())
    for key in ("workers", "machines"):
        junk = {
            name: text.replace("%d", str(now))
            for name, text in JUNK.items()
            if key == "workers" or "rate" in name
        }
        await job.frontier.redis.hset(f"{job.frontier.prefix}{key}", mapping=junk)
    await job.beat("old:1", {"host": "old"}, crawl_id="", counted_as="old", outcomes={})
    status = await watcher.status()
    assert [(slave["host"], slave["processes"], slave["leased"]) for slave in status["slaves"]] == [
        ("old", 1, 0)
    ]
    await job.forget_silent("old")


async def test_a_dead_letter_that_is_none_is_among_the_errors(watcher):
    await watcher.job.frontier.redis.zadd(f"{watcher.job.frontier.prefix}dead", {"no letter": 1})
    assert (await watcher.status())["errors"] == [{"request": "no letter", "reason": "unreadable"}]


@pytest.fixture
def no_patience(monkeypatch):
    """Have a store that is slow to count be away at once."""
    monkeypatch.setattr("tieba.status._COUNT_SECONDS", 0.0)


@pytest.mark.usefixtures("no_patience")
async def test_a_slow_store_holds_nothing_up_and_is_heard_when_it_answers(
    watcher, mongodb_server, monkeypatch
):
    count = MongoStore.counts
    answering = asyncio.Event()

    async def slowly(store):
        await answering.wait()
        return await count(store)

    await watcher.status()  # the first one waits longer: it connects
    monkeypatch.setattr(MongoStore, "counts", slowly)
    monkeypatch.setattr("tieba.status._STORE_SECONDS", 0.2)
    for _ in range(2):
        started = time.monotonic()
        status = await watcher.status()
        assert time.monotonic() - started < 30
        assert status["stored"] == {}
        assert status["store_problem"].startswith(f"MongoDB at 127.0.0.1:{mongodb_server} does not answer")
        assert [alarm["name"] for alarm in status["alarms"]] == ["store_away"]
    answering.set()
    status = await watcher.status(30.0)
    assert (status["store_problem"], status["stored"]["posts"]) == (None, 0)


async def test_a_store_that_is_slow_to_connect_is_waited_for(watcher, monkeypatch):
    connect = MongoStore.connect

    async def slowly(store):
        await asyncio.sleep(0.5)
        await connect(store)

    monkeypatch.setattr(MongoStore, "connect", slowly)
    monkeypatch.setattr("tieba.status._STORE_SECONDS", 0.2)
    assert (await watcher.status())["store_problem"] is None


async def test_what_is_used_of_budgets_is_known_from_the_second_look_on(watcher):
    frontier = watcher.job.frontier
    await frontier.begin()
    await frontier.turn("pictures:x", LIMIT)
    (slot,) = (await watcher.status())["slots"]
    assert (slot["slot"], slot["granted"], slot["used"]) == ("pictures:x", 1, None)
    await asyncio.sleep(0.3)
    for _ in range(5):
        await frontier.turn("pictures:x", LIMIT)
    (slot,) = (await watcher.status())["slots"]
    assert (slot["granted"], slot["rate"]) == (6, 2.0)
    assert 1 < slot["used"] <= 17


async def test_a_store_that_counts_slowly_is_not_asked_each_time_but_at_the_end_of_the_crawl(
    watcher, monkeypatch
):
    asked = 0
    count = MongoStore.counts

    async def slowly(store):
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.2)  # which is not cheap
        return {**await count(store), "posts": asked}

    monkeypatch.setattr(MongoStore, "counts", slowly)
    monkeypatch.setattr("tieba.status._STORE_SECONDS", 30.0)
    monkeypatch.setattr("tieba.browsing.counting._FRESH_SECONDS", 600.0)
    monkeypatch.setattr("tieba.browsing.counting._SHARE", 1_000)
    job = watcher.job
    await job.frontier.begin()
    for _ in range(5):
        stored = (await watcher.status())["stored"]
    assert (asked, stored["posts"]) == (2, 2)
    ended = {"state": "finished", "finished_at": time.time()}
    await job.frontier.redis.hset(f"{job.frontier.prefix}crawl", mapping=ended)
    for _ in range(3):
        assert (await watcher.status())["stored"]["posts"] == 3
    monkeypatch.setattr("tieba.browsing.counting._FRESH_SECONDS", 0.0)
    monkeypatch.setattr("tieba.browsing.counting._SHARE", 0.0)
    assert (await watcher.status())["stored"]["posts"] == 4  # that has rested


@pytest.fixture
async def counts(watcher, monkeypatch, no_patience):
    """Counts of a running crawl's store, each of which takes until it is given what there are of posts."""
    waiting: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
    count = MongoStore.counts

    async def when_told(store):
        counted = await count(store)
        future = asyncio.get_running_loop().create_future()
        waiting.put_nowait(future)
        return {**counted, "posts": await future}

    await watcher.job.frontier.begin()
    await watcher.status()  # connects
    monkeypatch.setattr(MongoStore, "counts", when_told)
    monkeypatch.setattr("tieba.status._STORE_SECONDS", 0.2)
    monkeypatch.setattr(Pace, "rest", 15.0)
    return waiting


async def end_crawl(watcher):
    ended = {"state": "finished", "finished_at": time.time()}
    await watcher.job.frontier.redis.hset(f"{watcher.job.frontier.prefix}crawl", mapping=ended)


async def begin_to_count(watcher, monkeypatch):
    """Have a count begin that takes longer than a look."""
    monkeypatch.setattr(Pace, "rest", 0.0)
    assert (await watcher.status())["stored"] == {}
    monkeypatch.setattr(Pace, "rest", 15.0)


async def test_a_store_that_is_slow_to_count_is_not_away(watcher, counts, monkeypatch):
    monkeypatch.setattr("tieba.status._COUNT_SECONDS", 600.0)
    monkeypatch.setattr(Pace, "rest", 0.0)
    for number in (0, 7):
        status = await watcher.status()
        assert (status["store_problem"], status["stored"]["posts"], status["alarms"]) == (None, number, [])
        (await asyncio.wait_for(counts.get(), 10)).set_result(7)
        await asyncio.sleep(0.2)
    monkeypatch.setattr("tieba.status._COUNT_SECONDS", 0.0)
    assert (await watcher.status())["store_problem"]


async def test_a_count_that_ended_between_two_looks_is_none_of_the_crawls_end(watcher, counts, monkeypatch):
    await begin_to_count(watcher, monkeypatch)
    (await asyncio.wait_for(counts.get(), 10)).set_result(1)
    await asyncio.sleep(0.2)
    for _ in range(2):
        assert (await watcher.status())["stored"]["posts"] == 1
    await end_crawl(watcher)
    assert (await watcher.status())["stored"] == {}
    (await asyncio.wait_for(counts.get(), 10)).set_result(2)
    await asyncio.sleep(0.2)
    assert (await watcher.status())["stored"]["posts"] == 2
    assert counts.empty()


async def test_a_count_from_before_the_crawls_end_is_waited_for_and_made_anew(watcher, counts, monkeypatch):
    await begin_to_count(watcher, monkeypatch)
    before = await asyncio.wait_for(counts.get(), 10)
    await end_crawl(watcher)
    assert (await watcher.status())["stored"] == {}
    looks = [asyncio.create_task(watcher.status(10.0)) for _ in range(3)]
    await asyncio.sleep(0.2)
    assert counts.empty()  # never two at once
    before.set_result(1)
    (await asyncio.wait_for(counts.get(), 10)).set_result(2)
    assert [(await look)["stored"]["posts"] for look in looks] == [2, 2, 2]
    assert counts.empty()


async def test_a_count_that_fails_between_two_looks_is_made_anew(watcher, counts, monkeypatch):
    await begin_to_count(watcher, monkeypatch)
    (await asyncio.wait_for(counts.get(), 10)).set_exception(StoreUnavailable("gone"))
    await asyncio.sleep(0.2)
    look = asyncio.create_task(watcher.status(30.0))
    (await asyncio.wait_for(counts.get(), 10)).set_result(2)
    assert ((await look)["store_problem"], (await look)["stored"]["posts"]) == (None, 2)


async def test_who_waits_for_the_end_of_a_crawl_gets_what_a_slow_store_counts_then(
    redis_url, mongodb_url, watcher, monkeypatch, capsys
):
    count = MongoStore.counts

    async def slowly(store):
        await asyncio.sleep(0.5)
        return {**await count(store), "posts": 7}

    monkeypatch.setattr(MongoStore, "counts", slowly)
    monkeypatch.setattr("tieba.status._STORE_SECONDS", 0.2)
    monkeypatch.setattr("tieba.status._CONNECT_SECONDS", 0.2)
    await watcher.job.frontier.begin()
    await end_crawl(watcher)
    config = Config(redis_url=redis_url, mongodb_url=mongodb_url)
    await show(config, as_json=False, watch=False, until_finished=True)
    printed = capsys.readouterr()
    assert "7 posts in the store" in printed.out
    assert printed.err == ""


def test_the_rest_of_a_store_grows_with_what_a_count_costs_and_has_an_end():
    rests = []
    for seconds in (0.001, 0.02, 2.0, 4.0):
        pace = Pace()
        pace.note(5.0)  # the first one connects
        assert pace.rest == 0.0
        pace.note(seconds)
        rests.append(pace.rest)
    assert rests == pytest.approx([0.0, 0.4, 15.0, 15.0])
