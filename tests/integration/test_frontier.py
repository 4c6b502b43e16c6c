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


async def test_counts_of_an_abandoned_crawl_are_dropped(job: Job) -> None:
    await job.frontier.begin()
    _, old = await beat(job)
    await job.frontier.begin(abandon=True)
    await beat(job, crawl_id=old, pages=5, ok=5)
    facts = await job.facts()
    assert (facts.pages, facts.outcomes) == ({}, {})


async def test_garbage_among_the_workers_does_no_harm(job: Job) -> None:
    await job.frontier.redis.hset("{test}:workers", mapping={"x": "not JSON", "y": "{}", "z": "[]"})
    await beat(job)
    assert set((await job.facts()).workers) == {"slave1:1"}


async def test_a_seed_is_there_once(job: Job) -> None:
    for seed in ("a", "b", "a"):
        await job.push_seed(seed)
    assert await job.frontier.redis.lrange("test:start_urls", 0, -1) == ["b", "a"]
    assert await job.waiting_seeds() == 2


async def test_what_cannot_be_queued_is_a_dead_letter(job: Job) -> None:
    await job.bury("seeds", "\udcff", "not UTF-8")
    (letter,) = (await job.facts()).letters
    assert (letter.endpoint, letter.payload, letter.reason) == ("seeds", r"\udcff", "not UTF-8")
