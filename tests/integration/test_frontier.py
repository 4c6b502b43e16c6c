"""The frontier by example, on real servers; tests/integration/test_frontier_model.py has the rules."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import NoScriptError, ResponseError

import frontier.blocking
import frontier.client
from frontier import Frontier, Limit, Policy, Request, connect, connect_blocking, fingerprint, operations
from frontier.job import Job
from frontier.operations import Operation
from frontier.worker import Worker
from tests.integration.conftest import VERSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from redis import Redis

    from frontier import Leased
    from tests.integration.conftest import Server

pytestmark = pytest.mark.filterwarnings("error")
FULL = "OOM|maxmemory"  # before Redis 7, and since
QUICK = Policy(retry_delay=0.01, longest_retry_delay=0.01, max_attempts=2)


def requests(*names: str, endpoint: str = "pages", priority: int = 0) -> list[Request]:
    return [Request(endpoint, name, priority, fingerprint(name)) for name in names]


def payloads(leased: Leased) -> list[str]:
    return [lease.payload for lease in leased.leases]


@pytest.fixture
async def any_frontier(any_redis_url: str) -> AsyncIterator[Frontier]:
    async with connect(any_redis_url) as redis:
        yield Frontier(redis, "test", QUICK)


@pytest.fixture
def blocking(redis_url: str) -> Iterator[frontier.blocking.Frontier]:
    with connect_blocking(redis_url) as redis:
        yield frontier.blocking.Frontier(redis, "test")


async def test_a_crawl(any_frontier: Frontier) -> None:
    assert await any_frontier.begin()
    assert await any_frontier.push(requests("/", "/", "/a")) == 2
    (root, a) = (await any_frontier.lease(10, "me")).leases
    assert (root.payload, a.payload) == ("/", "/a")

    assert await any_frontier.complete("somebody else", [(root.id, requests("/x"))]) == set()
    assert await any_frontier.complete("me", [(root.id, requests("/a", "/b", "/c"))]) == {root.id}
    assert await any_frontier.complete("me", [(root.id, requests("/y"))]) == set()
    assert await any_frontier.release("me", [a.id, root.id]) == 1
    assert [lease.payload for lease in await any_frontier.peek()] == ["/a", "/b", "/c"]

    (a, b, c) = (await any_frontier.lease(10, "me")).leases
    assert await any_frontier.renew("me", [a.id, root.id]) == {a.id}
    assert await any_frontier.complete("me", [(a.id, []), (b.id, [])]) == {a.id, b.id}
    assert await any_frontier.fail("me", c.id, "HTTP 500") == "delayed"
    assert not await any_frontier.is_finished()
    leased = await any_frontier.lease(10, "me")
    if not leased.leases:
        await asyncio.sleep((leased.wait or 0) + 0.001)
        leased = await any_frontier.lease(10, "me")
    (c,) = leased.leases
    assert c.attempts == 1
    assert await any_frontier.fail("me", c.id, "HTTP 500: 错误") == "dead"
    assert await any_frontier.is_finished()

    (letter,) = [letter async for letter in any_frontier.dead()]
    assert (letter.payload, letter.attempts, letter.reason) == ("/c", 2, "HTTP 500: 错误")
    assert letter.at == pytest.approx(time.time(), abs=60)
    assert await any_frontier.retry_dead(lambda letter: "500" in letter.reason) == 1
    assert await any_frontier.forget(fingerprint("/b"), fingerprint("/x")) == 1
    assert await any_frontier.see(fingerprint("/a"), fingerprint("/d")) == 1
    assert await any_frontier.push(requests("/a", "/b", "/d")) == 1
    assert payloads(await any_frontier.lease(10, "me")) == ["/c", "/b"]
    assert (await any_frontier.stats()).owners == {"me": 2}

    await any_frontier.drop_job()
    assert [key async for key in any_frontier.redis.scan_iter()] == []


async def test_operations_in_one_round_trip_succeed_and_fail_each_for_itself(any_frontier: Frontier) -> None:
    await any_frontier.redis.script_flush()
    for _ in range(2):  # the scripts are unknown to the server, then known
        pushed, error, is_finished = await any_frontier.run_all(
            [
                operations.push([Request("pages", "x")]),
                operations.retry(["not a number"]),
                operations.is_finished(),
            ]
        )
        assert pushed == 1
        assert isinstance(error, ResponseError)
        assert not isinstance(error, NoScriptError)
        assert is_finished is False
    assert (await any_frontier.stats()).queued == 2


def test_blocking_client_on_any_redis(any_redis_url: str) -> None:
    with connect_blocking(any_redis_url) as redis:
        mine = frontier.blocking.Frontier(redis, "test")
        assert mine.push(requests("/", "/a")) == 2
        (root, a) = mine.lease(10, "me").leases
        assert mine.complete("me", [(root.id, requests("/a", "/b"))]) == {root.id}
        assert mine.fail("me", a.id, "no", is_final=True) == "dead"
        assert [letter.payload for letter in mine.dead()] == ["/a"]
        assert payloads(mine.lease(10, "me")) == ["/b"]
        mine.drop_job()
        assert not list(redis.scan_iter())


async def test_both_clients_see_the_same_job(blocking: frontier.blocking.Frontier, redis_url: str) -> None:
    async with connect(redis_url) as redis:
        other = Frontier(redis, "test")
        blocking.push(requests("/"))
        (lease,) = (await other.lease(1, "me")).leases
        assert blocking.renew("me", [lease.id]) == {lease.id}
        assert await other.stats() == blocking.stats()
        assert blocking.complete("me", [(lease.id, [])]) == {lease.id}
        assert await other.is_finished()


async def test_any_bytes_come_out_as_they_went_in(
    blocking: frontier.blocking.Frontier, redis_url: str
) -> None:
    payload = 'not UTF-8: \udcff, NUL: \0, two\nlines, {"é": "\\"}'
    async with connect(redis_url) as redis:
        for number, push in enumerate((blocking.push, Frontier(redis, "test").push)):
            pushed = push([Request("pages", f"{payload}{number}")])
            assert (await pushed if isinstance(pushed, Awaitable) else pushed) == 1
        assert payloads(await Frontier(redis, "test").lease(1, "one")) == [f"{payload}0"]
        assert payloads(blocking.lease(1, "other")) == [f"{payload}1"]


def test_jobs_do_not_mix(blocking: frontier.blocking.Frontier) -> None:
    other = frontier.blocking.Frontier(blocking.redis, "test2")
    blocking.push(requests("/"))
    assert other.push(requests("/")) == 1
    blocking.drop_job()
    assert payloads(other.lease(10, "me")) == ["/"]


def test_a_server_that_forgot_the_scripts_is_sent_them(blocking: frontier.blocking.Frontier) -> None:
    blocking.push(requests("/"))
    blocking.redis.script_flush()
    assert blocking.push(requests("/", "/a")) == 1


def test_what_a_lost_answer_may_have_leased_can_be_given_back(blocking: frontier.blocking.Frontier) -> None:
    blocking.push(requests("/", "/a"))
    operation = operations.lease(7, "me", 5, "x", {}, Policy())
    first = blocking.run(operation)
    assert blocking.run(operation).leases == first.leases
    assert blocking.release("me", [f"7.{number}" for number in range(1, 6)]) == 2
    assert blocking.stats().queued == 2


def test_a_crawl_whose_begin_was_not_answered_begins_once(blocking: frontier.blocking.Frontier) -> None:
    begin = operations.begin("id", abandon=True)
    assert blocking.run(begin)
    blocking.push(requests("/"))
    assert blocking.run(begin)
    assert blocking.stats().queued == 1


@pytest.mark.parametrize("fields", [("", "x"), ("two words", "x"), ("pages", "x", 1.5)])
def test_what_cannot_be_queued_is_refused(
    blocking: frontier.blocking.Frontier, fields: tuple[Any, ...]
) -> None:
    with pytest.raises(ValueError, match=r"white space|float"):
        blocking.push([Request(*fields)])


@pytest.mark.parametrize("client", [frontier.client, frontier.blocking])
def test_docstring_examples_run_as_written(client: object, redis_url: str) -> None:
    text = textwrap.dedent(client.__doc__.partition("::\n")[2].rpartition('"\n')[0] + '"')
    command = text.replace("redis://127.0.0.1:6379/0", redis_url)
    assert command != text
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=True
    )
    assert run.stdout.startswith("https://example.com/\n")
    with connect_blocking(redis_url) as redis:
        assert redis.keys() == []


# Memory


def test_100_000_fingerprints(blocking: frontier.blocking.Frontier) -> None:
    redis, count = blocking.redis, 100_000
    batches = [
        [
            Request("pages", "", fingerprint=fingerprint(f"posts {number}"))
            for number in range(start, start + 1_000)
        ]
        for start in range(0, count, 1_000)
    ]
    assert [blocking.push(batch) for batch in batches] == [1_000] * 100, "falsely known"
    assert sum(blocking.push(batch) for batch in batches) == 0, "known and queued again"
    shards = list(redis.scan_iter("{test}:seen:*", count=1_000))
    assert len(shards) == blocking.stats().shards == count // 200
    assert {redis.object("encoding", shard) for shard in shards} == {"intset"}
    assert sum(redis.scard(shard) for shard in shards) == count
    before = redis.info("memory")["used_memory"]
    redis.delete(*shards)
    assert (before - redis.info("memory")["used_memory"]) / count < 10, "bytes a fingerprint"


def push_many(mine: frontier.blocking.Frontier, count: int) -> None:
    mine.push(requests(*map(str, range(count))))


def test_a_job_is_dropped_step_by_step(blocking: frontier.blocking.Frontier) -> None:
    push_many(blocking, 5_000)
    blocking.lease(5, "me", limits={"*": Limit(1, 5)})
    blocking.pause("pages:default", 5, "x")
    shards = blocking.stats().shards
    left = [shards]
    while left[-1]:
        left.append(blocking.run(Operation("drop", [10], int)))
    assert max(before - after for before, after in pairwise(left)) == 10
    assert not list(blocking.redis.scan_iter())


def test_what_the_crawl_before_has_seen_is_removed_bit_by_bit(blocking: frontier.blocking.Frontier) -> None:
    for _ in range(3):
        blocking.begin(abandon=True)
        push_many(blocking, 2_000)
    blocking.begin(abandon=True)
    assert blocking.push(requests("1", "2")) == 2
    while blocking.redis.exists("{test}:garbage"):
        blocking.run(Operation("reap", [30_000, 6, 4], int))
    assert len(list(blocking.redis.scan_iter("{test}:seen:*"))) == 1
    assert blocking.push(requests("1", "3")) == 1


def contents(redis: Redis) -> dict[str, object]:
    return {key: redis.dump(key) for key in redis.scan_iter() if not key.endswith(":clock")}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_redis_refuses_new_work_and_goes_on_with_what_it_has(
    start_redis: Callable[..., Server], version: str
) -> None:
    server = start_redis(version, "maxmemory-policy noeviction")
    with connect_blocking(server.url) as redis:
        mine = frontier.blocking.Frontier(redis, "test", QUICK)
        mine.begin()
        mine.push(requests(*map(str, range(10))))
        held = mine.lease(6, "me").leases
        redis.config_set("maxmemory", 1)

        before = contents(redis)
        for new in (requests("new"), [Request("pages", "new")], [Request("new", "new")]):
            with pytest.raises(ResponseError, match=FULL):
                mine.push(new)
            with pytest.raises(ResponseError, match=FULL):
                mine.complete("me", [(held[0].id, new), (held[1].id, [])])
        assert contents(redis) == before

        assert mine.complete("me", [(held[1].id, [])]) == {held[1].id}
        assert mine.renew("me", [held[0].id]) == {held[0].id}
        assert mine.release("me", [held[2].id]) == 1
        assert mine.fail("me", held[3].id, "no") == "delayed"
        assert mine.fail("me", held[4].id, "no", is_final=True) == "dead"
        assert mine.reap() == 0
        assert mine.pause("pages:x", 1, "no") == (1, True)
        assert payloads(mine.lease(1, "me")) == ["2"]
        assert mine.retry_dead() == 1
        assert mine.hold("no room")
        assert mine.reprioritize("pages", 0, 7) > 0
        assert payloads(mine.lease(1, "me")) == []
        assert mine.let_go()
        mine.run(operations.beat("me", {"pages": 1}, "", "me", 1, {"ok": 1}))

        # After a request without follow-ups, which makes room, others may have some.
        assert mine.complete("me", [(held[5].id, []), (held[0].id, requests("new"))]) == {
            held[0].id,
            held[5].id,
        }
        redis.config_set("maxmemory", 0)
        assert mine.push(requests("new", "newer")) == 1
        stats = mine.stats()
        assert (stats.queued, stats.leased, stats.delayed, stats.dead) == (7, 1, 1, 0)


# Limits


async def test_a_crawl_ends_at_its_maximum_of_requests(any_frontier: Frontier) -> None:
    await any_frontier.begin()
    await any_frontier.set_max_requests(3)
    await any_frontier.push(requests("/", "/a", "/b", "/c", "/d"))
    (unsent, sent) = (await any_frontier.lease(2, "me")).leases
    await any_frontier.release("me", [unsent.id])
    await any_frontier.release("me", [sent.id], were_sent=True)
    (one, other) = (await any_frontier.lease(5, "me")).leases
    leased = await any_frontier.lease(5, "others")
    assert (leased.leases, leased.wait, leased.is_finished) == ((), None, False)

    await any_frontier.fail("me", one.id, "HTTP 500")
    await any_frontier.complete("me", [(other.id, requests("/e"))])
    assert (await any_frontier.lease(5, "me")).is_finished
    assert await any_frontier.is_finished()
    stats = await any_frontier.stats()
    assert (stats.granted, stats.max_requests, stats.queued + stats.delayed) == (3, 3, 5)

    await any_frontier.set_max_requests(4)
    assert len((await any_frontier.lease(5, "me")).leases) == 1
    await any_frontier.begin(abandon=True)
    stats = await any_frontier.stats()
    assert (stats.granted, stats.max_requests) == (0, None)


async def send(redis_url: str, most: int) -> int:
    """Send what a worker is given until the crawl is over, `most` at most; gives how many that were."""
    sent, news = 0, asyncio.Event()

    async def may_finish() -> bool:
        return True

    async with connect(redis_url) as redis:
        mine = Frontier(redis, "test", QUICK)
        worker = Worker(mine, room=lambda ready: 8 - ready, on_change=news.set, may_finish=may_finish)
        worker.start()
        while not worker.is_over:
            lease = worker.take()
            if lease is None:
                news.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(news.wait(), 0.05)
                continue
            sent += 1
            if sent == most:
                break
            if sent % 3 == 0:
                worker.release(lease.id)
            elif sent % 3 == 1:
                worker.fail(lease.id, "HTTP 500")
            else:
                worker.complete(lease.id, requests(f"{lease.payload}/x"))
        await worker.close(5.0)
    return sent


async def test_workers_together_send_exactly_the_maximum(
    blocking: frontier.blocking.Frontier, redis_url: str
) -> None:
    """Some leave early, with leases that they have not sent, and one that they have sent."""
    blocking.begin()
    blocking.set_max_requests(400)
    blocking.push([Request("pages", str(number)) for number in range(2_000)])
    sent = await asyncio.gather(*(send(redis_url, most) for most in (10, 25, 60, 10**6, 10**6, 10**6)))
    assert sum(sent) == 400
    assert blocking.stats().granted == 400
    assert blocking.redis.hget("{test}:crawl", "state") == "finished"


def test_a_pause_goes_by_while_nobody_leases(redis_url: str) -> None:
    with connect_blocking(redis_url) as redis:
        shared = frontier.blocking.Frontier(redis, "test", Policy(lease_seconds=0.3))
        shared.push(requests("1"))
        shared.lease(0, "w", egress="x")  # from here on the frontier's clock steps by 0.1 s at most
        shared.pause("pages:x", 1, "HTTP 429")
        ends = []
        for _ in range(2):
            (pause,) = shared.stats().pauses
            ends.append(time.monotonic() + pause.seconds)
            time.sleep(0.5)
        assert ends[0] == pytest.approx(ends[1], abs=0.1)
        assert shared.stats().pauses == ()
        assert payloads(shared.lease(1, "w", egress="x")) == ["1"]


def test_a_pause_by_workers_of_an_older_release_counts(blocking: frontier.blocking.Frontier) -> None:
    blocking.lease(0, "w")
    blocking.pause("pages:x", 0.001, "HTTP 429")
    time.sleep(0.01)
    # Nobody leased for a while, in which the frontier's clock fell behind.
    now = float(blocking.redis.hget("{test}:clock", "now") or 0) - 120_000
    blocking.redis.hset("{test}:clock", "now", now)
    blocking.redis.hset("{test}:slots", "pages:x paused_until", now + 60_000)
    (pause,) = blocking.stats().pauses
    assert pause.seconds == pytest.approx(60, abs=5)
    blocking.redis.hdel("{test}:slots", "pages:x paused_until")
    assert blocking.stats().pauses == ()


async def test_pause_holds_for_everybody_and_ends(redis_url: str) -> None:
    async with connect(redis_url) as one, connect(redis_url) as two:
        mine, others = Frontier(one, "test"), Frontier(two, "test")
        await mine.push(requests("/", "/a"))
        assert await mine.pause("pages:x", 0.2, "HTTP 429") == (0.2, True)
        leased = await others.lease(1, "others", egress="x")
        assert (leased.leases, leased.wait) == ((), pytest.approx(0.2, abs=0.1))
        assert payloads(await others.lease(1, "others", egress="y")) == ["/"]
        await asyncio.sleep(leased.wait or 0)
        assert payloads(await others.lease(1, "others", egress="x")) == ["/a"]


async def test_turns_without_leases_share_the_budget_of_the_slot(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        mine, limit = Frontier(redis, "test"), Limit(rate=0.5, burst=2)
        await mine.push(requests("/", "/a", "/b"))
        assert (await mine.turn("pages:x", limit)).is_granted
        assert payloads(await mine.lease(3, "me", egress="x", limits={"pages": limit})) == ["/"]
        turn = await mine.turn("pages:x", limit)
        assert not turn.is_granted
        assert turn.wait == pytest.approx(1.5, abs=0.1)  # a turn half a second ahead is given


async def work(redis_url: str, owner: str, limit: Limit, until: float) -> list[float]:
    """Lease well ahead of the turns, as a worker does; gives the turns' times on Redis' clock."""
    turns = []
    async with connect(redis_url) as redis:
        mine = Frontier(redis, "test")
        while time.monotonic() < until:
            leased = await mine.lease(4, owner, limits={"*": limit})
            ids = [lease.id for lease in leased.leases]
            deadlines = [await redis.zscore("{test}:deadlines", f"{owner}/{id_}") for id_ in ids]
            turns += [deadline / 1000 - mine.policy.lease_seconds for deadline in deadlines]
            await mine.complete(owner, [(id_, []) for id_ in ids])
            waits = [lease.wait - mine.policy.horizon / 2 for lease in leased.leases] or [leased.wait or 0]
            await asyncio.sleep(max(0.001, *waits))
    return turns


@pytest.mark.parametrize("workers", [1, 4, 16])
async def test_workers_together_keep_the_rate(
    blocking: frontier.blocking.Frontier, redis_url: str, workers: int
) -> None:
    limit, seconds = Limit(rate=100, burst=5), 1.8
    blocking.push([Request("pages", str(number)) for number in range(500)])
    until = time.monotonic() + seconds
    each = await asyncio.gather(*(work(redis_url, str(n), limit, until) for n in range(workers)))
    turns = sorted(turn for some in each for turn in some)
    assert (len(turns) - limit.burst) / (turns[-1] - turns[0]) == pytest.approx(limit.rate, rel=0.02)
    for first, last in combinations(range(len(turns)), 2):
        most = limit.burst + limit.rate * (turns[last] - turns[first] + 0.001)  # turns are whole milliseconds
        assert last - first + 1 <= most + 1e-6


def test_a_slot_with_a_thousandth_of_the_requests_is_served_in_time(
    blocking: frontier.blocking.Frontier,
) -> None:
    blocking.push([Request("many", str(number), 10) for number in range(1_000)])
    blocking.lease(1, "me")
    blocking.push([Request("few", "x")])
    pushed = time.monotonic()
    while blocking.lease(1, "me").leases[0].endpoint == "many":
        time.sleep(0.005)
    assert time.monotonic() - pushed < 2


# What is told of a crawl


@pytest.fixture
async def job(redis_url: str) -> AsyncIterator[Job]:
    async with connect(redis_url) as redis:
        yield Job(Frontier(redis, "test"))


async def beat(job: Job, worker: str = "slave1:1", crawl_id: str = "", **counts: int) -> tuple[str, str]:
    pages = counts.pop("pages", 0)
    return await job.beat(
        worker, {"host": "slave1"}, crawl_id=crawl_id, counted_as="slave1", outcomes=counts, pages=pages
    )


async def test_counts_add_up_over_workers(job: Job) -> None:
    await job.frontier.begin()
    state, crawl_id = await beat(job)
    assert state == "running"
    await job.frontier.push(requests("/"))
    (lease,) = (await job.frontier.lease(1, "slave1:1")).leases
    await job.frontier.complete("slave1:1", [(lease.id, [])], counted_as="slave1")
    await beat(job, "slave1:1", crawl_id, pages=2, ok=2)
    await beat(job, "slave1:2", crawl_id, ok=2, unknown=1)
    facts = await job.facts()
    assert (facts.pages, facts.outcomes) == ({"slave1": 3}, {"ok": 4, "unknown": 1})
    await job.leave("slave1:1")
    assert set((await job.facts()).workers) == {"slave1:2"}


async def test_the_disk_of_a_worker_that_left_is_told_by_nobody_any_more(job: Job) -> None:
    disk = {"host": "slave1", "disk_free_mb": 900, "disk_path": "/srv"}
    await job.beat("slave1:1", disk, crawl_id="", counted_as="slave1", outcomes={})
    await job.frontier.redis.config_set("maxmemory", 1)  # full
    try:
        await job.leave("slave1:1")
    finally:
        await job.frontier.redis.config_set("maxmemory", 0)
    facts = await job.facts()
    assert not facts.workers
    (left,) = facts.machines.values()
    assert left == {**disk, "at": pytest.approx(time.time(), abs=5), "has_left": True}
    await job.leave("slave1:1")
    for text in ("not JSON", "[]", "7", "null", '{"host": "x"}', '{"host": {}, "disk_path": []}'):
        await job.frontier.redis.hset("{test}:workers", "garbage", text)
        await job.leave("garbage")
    facts = await job.facts()
    assert (not facts.workers, len(facts.machines)) == (True, 1)


async def test_workers_that_died_are_forgotten_by_those_that_replace_them(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    await job.frontier.begin()
    await beat(job, "slave1:1")
    await job.beat("slave2:1", {"host": "slave2"}, crawl_id="", counted_as="slave2", outcomes={})
    await job.forget_silent("slave1")
    assert set(await job.workers()) == {"slave1:1", "slave2:1"}
    monkeypatch.setattr("frontier.job.ALIVE_SECONDS", 0.0)
    await job.forget_silent("slave1")
    assert set(await job.workers()) == {"slave2:1"}


async def test_seeds_are_gathered_only_when_there_are_others(job: Job) -> None:
    async def gathered() -> int:
        info = await job.frontier.redis.info("commandstats")
        return int(info.get("cmdstat_smembers", {"calls": 0})["calls"])

    await job.frontier.begin()
    for name in ("a", "b"):
        await job.note_seed(name)
        assert name in (await job.facts()).seeds
    before = await gathered()
    assert {(await job.facts()).seeds for _ in range(3)} == {("a", "b")}
    assert await gathered() == before
    await job.frontier.begin(abandon=True)
    await job.note_seed("c")
    await job.note_seed("d")
    assert (await job.facts()).seeds == ("c", "d")


async def test_counts_of_an_abandoned_crawl_are_dropped(job: Job) -> None:
    await job.frontier.begin()
    _, old = await beat(job)
    await job.frontier.begin(abandon=True)
    await beat(job, crawl_id=old, pages=5, ok=5)
    facts = await job.facts()
    assert (facts.pages, facts.outcomes) == ({}, {})


async def test_what_a_crawl_brought_adds_up_and_its_history_is_kept(job: Job) -> None:
    await job.frontier.begin()
    _, crawl_id = await beat(job)
    redis = job.frontier.redis
    assert len((await job.facts()).history) == 1
    assert "stored_at" not in (await job.facts()).crawl

    async def bring(posts: int) -> None:
        await job.beat(
            "slave1:1",
            {"host": "slave1"},
            crawl_id=crawl_id,
            counted_as="slave1",
            outcomes={},
            pages=posts and 1,
            totals={"posts": posts, "bytes": 10**12},
            has_stored=posts > 0,
            followed="posts",
        )

    await bring(0)
    await bring(7)
    facts = await job.facts()
    assert facts.totals == {"posts": 7, "bytes": 2 * 10**12}
    assert float(facts.crawl["stored_at"]) == pytest.approx(facts.now, abs=1)
    assert len(facts.history) == 1  # one in ten seconds
    old = [f"[{facts.now - seconds:.3f},0,0,0]" for seconds in range(4_000, 400, -10)]
    await redis.delete("{test}:history")
    await redis.rpush("{test}:history", *old)
    await bring(5)
    history = (await job.facts()).history
    assert len(history) == 360
    at, *counts = history[-1]
    assert at == pytest.approx(facts.now, abs=1)
    assert counts == [2, 12, 0]

    await job.frontier.begin(abandon=True)
    facts = await job.facts()
    assert (facts.totals, facts.history, "stored_at" in facts.crawl) == ({}, (), False)
    await bring(5)  # of the crawl before
    facts = await job.facts()
    assert (facts.totals, facts.history[-1][1:]) == ({}, [0, 0, 0])


async def test_a_crawl_that_is_held_gives_nothing_until_it_is_let_go(any_frontier: Frontier) -> None:
    job = Job(any_frontier)
    assert not await any_frontier.hold("none runs")
    await any_frontier.begin()
    await any_frontier.push(requests("/", "/a"))
    (root,) = (await any_frontier.lease(1, "me")).leases
    assert await any_frontier.hold("first")
    paused_at = (await job.facts()).crawl["paused_at"]
    assert await any_frontier.hold("维护")
    crawl = (await job.facts()).crawl
    assert (crawl["paused_reason"], crawl["paused_at"]) == ("维护", paused_at)
    leased = await any_frontier.lease(5, "me")
    assert (leased.leases, leased.wait, leased.state) == ((), 1.0, "running")
    assert await any_frontier.complete("me", [(root.id, requests("/b"))]) == {root.id}
    assert await any_frontier.let_go()
    assert not await any_frontier.let_go()
    assert payloads(await any_frontier.lease(5, "me")) == ["/a", "/b"]
    crawl = (await job.facts()).crawl
    assert "paused_at" not in crawl
    assert float(crawl["resumed_at"]) >= float(paused_at)

    assert await any_frontier.hold("again")
    await any_frontier.begin(abandon=True)
    assert "paused_at" not in (await job.facts()).crawl


async def test_a_crawl_that_ends_is_not_held_any_more(any_frontier: Frontier) -> None:
    await any_frontier.begin()
    await any_frontier.hold("for ever")
    (_, crawl_id) = await beat(Job(any_frontier))
    await asyncio.sleep(1.05)  # it is not young any more
    assert await any_frontier.finish(crawl_id)
    assert not await any_frontier.finish(crawl_id)
    assert "paused_at" not in (await Job(any_frontier).facts()).crawl


async def test_workers_wait_while_a_crawl_is_held(redis_url: str) -> None:
    async with connect(redis_url) as redis:
        mine = Frontier(redis, "test", QUICK)
        await mine.begin()
        await mine.push(requests(*map(str, range(5))))
        await mine.hold("wait")
        worker = Worker(
            mine, room=lambda ready: 5 - ready, on_change=lambda: None, may_finish=asyncio.Event().wait
        )
        worker.start()
        await asyncio.sleep(0.5)
        assert worker.take() is None
        await mine.let_go()
        await asyncio.sleep(0.5)
        assert worker.take() is not None
        await worker.close(5)


async def test_views_of_the_queue_are_pages(any_frontier: Frontier) -> None:
    before = time.time()
    await any_frontier.begin()
    await any_frontier.push(requests(*map(str, range(700)), priority=3))
    leases = (await any_frontier.lease(650, "host/1")).leases
    assert [lease.payload for lease in await any_frontier.queue("pages", 3, 10, 2)] == ["660", "661"]
    assert await any_frontier.queue("pages", 3, 50) == ()
    assert await any_frontier.queue("pages", 4) == ()

    held = {}
    cursor, found = await any_frontier.leases("0", 100)
    assert 0 < len(found) < 650
    held |= {one.id: one for one in found}
    while cursor != "0":
        cursor, found = await any_frontier.leases(cursor, 100)
        held |= {one.id: one for one in found}
    assert held.keys() == {lease.id for lease in leases}
    for one in held.values():
        assert (one.owner, one.endpoint, one.priority, one.attempts) == ("host/1", "pages", 3, 0)
        assert one.since == pytest.approx((before + time.time()) / 2, abs=5)
        assert 0 < one.seconds_left <= QUICK.lease_seconds

    for lease in leases[:3]:
        assert await any_frontier.fail("host/1", lease.id, "no", 60.0) == "delayed"
    first, second = await any_frontier.delayed(0, 2)
    assert (first.payload, first.attempts, second.payload) == ("0", 1, "1")
    assert 0 < first.due <= second.due <= 60
    assert len(await any_frontier.delayed(2)) == 1

    for lease in leases[3:8]:
        await any_frontier.fail("host/1", lease.id, "no", is_final=True)
    page = await any_frontier.dead_page(count=2)
    assert [letter.payload for letter in page] == ["7", "6"]
    page = await any_frontier.dead_page(page[-1].id, 2)
    assert [letter.payload for letter in page] == ["5", "4"]
    assert await any_frontier.letter(page[0].id) == page[0]
    assert await any_frontier.letter("999999") is None
    assert await any_frontier.letter("+inf") is None
    with pytest.raises(ValueError, match="is a number"):
        await any_frontier.dead_page("x")
    assert await any_frontier.retry([page[0].id, "999999"]) == 1
    assert await any_frontier.known(fingerprint("5"), fingerprint("x")) == {fingerprint("5")}


async def test_other_priorities_keep_the_order(any_frontier: Frontier) -> None:
    await any_frontier.push(requests("a", "b", "c", priority=1) + requests("x", priority=9))
    assert await any_frontier.reprioritize("pages", 1, 9, 2) == 2
    assert [q.count for q in (await any_frontier.stats()).queues] == [3, 1]
    assert await any_frontier.reprioritize("pages", 1, 9) == 1
    assert await any_frontier.reprioritize("pages", 1, 9) == 0
    assert [q.priority for q in (await any_frontier.stats()).queues] == [9]
    assert payloads(await any_frontier.lease(9, "me")) == ["x", "a", "b", "c"]
    for old, new in ((1, 1), (1, 10**12)):
        with pytest.raises(ValueError, match="priority"):
            await any_frontier.reprioritize("pages", old, new)


async def test_of_a_queue_with_strangers_alone_nothing_is_left(any_frontier: Frontier) -> None:
    await any_frontier.push(requests("a"))
    await any_frontier.redis.rpush("{test}:queue:pages:0", "a stranger's")
    (lease,) = (await any_frontier.lease(1, "me")).leases
    assert await any_frontier.reprioritize("pages", 0, 9) == 1
    assert [letter.payload for letter in await any_frontier.dead_page()] == ["a stranger's"]
    assert await any_frontier.complete("me", [(lease.id, [])]) == {lease.id}
    assert await any_frontier.is_finished()


async def test_samples_and_crawls_are_kept_up_to_a_number(job: Job) -> None:
    for number in range(60):
        await job.keep_sample(f"{number:03}.http", {"body": f"<错误 {number}>"})
        ended = {"id": f"crawl {number}", "finished_at": 1000.0 - number, "pages": number}
        assert await job.note_crawl(ended)
    redis = job.frontier.redis
    assert sorted(await redis.hkeys("{test}:samples")) == [f"{number:03}.http" for number in range(10, 60)]
    assert await job.sample("059.http") == {"body": "<错误 59>"}
    assert await job.sample("000.http") is None
    again = {"id": "crawl 3", "finished_at": 2000.0, "pages": 1}  # it had been opened again
    assert await job.note_crawl(again)
    assert not await job.note_crawl(again)
    crawls = (await job.facts()).crawls
    assert [crawl["id"] for crawl in crawls] == ["crawl 3", *(f"crawl {n}" for n in range(20) if n != 3)]
    await job.frontier.drop_job()
    assert await redis.keys("*") == []


async def test_machines_without_workers_tell_of_their_disks(job: Job) -> None:
    await job.tell_machine("master", 5_000, "/var/lib/tieba")
    (machine,) = (await job.facts()).machines.values()
    assert machine == {
        "at": pytest.approx(time.time(), abs=5),
        "host": "master",
        "disk_free_mb": 5000,
        "disk_path": "/var/lib/tieba",
    }


async def test_garbage_among_the_workers_does_no_harm(job: Job) -> None:
    await job.frontier.redis.hset("{test}:workers", mapping={"x": "not JSON", "y": "{}", "z": "[]"})
    await beat(job)
    assert set((await job.facts()).workers) == {"slave1:1"}


async def test_a_seed_is_there_once(job: Job) -> None:
    for seed in ("a", "b", "a"):
        await job.push_seed(seed)
    assert await job.frontier.redis.lrange("test:start_urls", 0, -1) == ["b", "a"]
    assert await job.waiting_seeds() == 2


JUNK = (
    "no letter",
    "[1]",
    "[" * 100_000,
    '{"id": "1"}',
    '{"endpoint":null,"priority":0,"attempts":0,"payload":"x","reason":"x","at":0}',
    '{"endpoint":"pages","priority":0,"attempts":0,"payload":"x","reason":"x","at":1e999}',
)


async def test_what_others_put_among_the_dead_letters_is_shown_and_left_there(
    any_frontier: Frontier,
) -> None:
    await any_frontier.begin()
    await any_frontier.run(operations.bury("pages", "/a", "no"))
    await any_frontier.redis.zadd(
        f"{any_frontier.prefix}dead", {text: 1 + number / 2 for number, text in enumerate(JUNK[:-1])}
    )
    await any_frontier.redis.zadd(f"{any_frontier.prefix}dead", {JUNK[-1]: float("inf")})
    assert [letter.id async for letter in any_frontier.dead()][-3:] == ["2.5", "3", "inf"]
    found = {letter.payload: letter async for letter in any_frontier.dead()}
    assert set(found) == {"/a", *JUNK}
    assert {found[text].reason for text in JUNK} == {operations.UNREADABLE}
    page = await any_frontier.dead_page(count=3)
    assert [letter.id for letter in page] == ["inf", "3", "2.5"]
    assert [letter.id for letter in await any_frontier.dead_page("2.5", 2)] == ["2", "1.5"]
    assert await any_frontier.letter("2.5") == page[2]
    assert await any_frontier.retry_dead() == 1
    assert payloads(await any_frontier.lease(10, "me")) == ["/a"]
    assert (await any_frontier.stats()).dead == len(JUNK)


def test_the_blocking_client_shows_them_too(blocking: frontier.blocking.Frontier) -> None:
    blocking.redis.zadd("{test}:dead", {text: number for number, text in enumerate(JUNK)})
    assert [letter.payload for letter in blocking.dead()] == list(JUNK)
    assert blocking.retry_dead() == 0


async def test_what_cannot_be_queued_is_a_dead_letter(job: Job) -> None:
    await job.bury("seeds", "\udcff", "not UTF-8")
    (letter,) = (await job.facts()).letters
    assert (letter.endpoint, letter.payload, letter.reason) == ("seeds", r"\udcff", "not UTF-8")
