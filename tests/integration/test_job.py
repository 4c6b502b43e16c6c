"""The shared state of a crawl on a real Redis."""

import asyncio
import json

from redis.asyncio import Redis

from frontier.job import Job


async def beat(job, worker="slave1:1", crawl_id="", pages=0, outcomes=None, **state):
    state = {"host": "slave1", "leased": 0, "taken": 0, "rate": 0.0, "version": "x", **state}
    return await job.beat(
        worker, state, crawl_id=crawl_id, host="slave1", pages=pages, outcomes=outcomes or {}
    )


async def test_a_crawl_begins_once_and_forgets_the_one_before(redis):
    job = Job(redis, "test")
    assert await job.state() == "none"
    assert await job.begin()
    await redis.sadd("test:dupefilter", "x")
    await redis.zadd("test:requests", {"x": 0})
    assert not await job.begin()
    assert await redis.scard("test:dupefilter") == 1
    assert await job.begin(abandon=True)
    assert not await redis.exists("test:dupefilter", "test:requests")
    assert await job.state() == "running"


async def test_finishing_waits_for_seeds_requests_and_delayed_ones(redis):
    job = Job(redis, "test")
    await job.begin()
    crawl_id = (await beat(job)).crawl_id
    await job.push_seed("聊天")
    assert not await job.finish(crawl_id)
    await job.seed_taken("聊天")
    await job.delay(60, 0, "x")
    assert not await job.finish(crawl_id)
    await redis.delete("test:delayed")
    assert not await job.finish("another crawl")
    assert await job.finish(crawl_id)
    assert not await job.finish(crawl_id)
    assert await job.state() == "finished"


async def test_a_finished_crawl_gives_way_to_a_new_one(redis):
    job = Job(redis, "test")
    await job.begin()
    await job.finish((await beat(job)).crawl_id)
    assert await job.begin()
    assert (await job.facts()).outcomes == {}


async def test_a_seed_stays_until_it_is_taken_and_is_there_once(redis):
    job = Job(redis, "test")
    await job.push_seed("a")
    await job.push_seed("b")
    await job.push_seed("a")
    assert await job.next_seed() == "b"
    await job.seed_taken("b", known_as="B")
    assert await job.next_seed() == "a"
    assert (await job.facts()).seeds == ("B",)


async def test_a_seed_that_is_not_utf8_can_be_removed(redis, redis_url):
    raw = Redis.from_url(redis_url)
    await raw.rpush("test:start_urls", b"\xff\xe9")
    job = Job(redis, "test")
    await job.seed_taken(await job.next_seed())
    assert await raw.llen("test:start_urls") == 0
    await raw.aclose()


async def test_draining_empties_the_queue_and_waits_for_workers(redis):
    job = Job(redis, "test")
    await job.begin()
    await job.push_seed("a")
    await job.delay(60, 0, "x")
    await redis.zadd("test:requests", {"x": 0})
    await beat(job, leased=1, taken=1)

    async def finish_work():
        await asyncio.sleep(1)
        await redis.zadd("test:requests", {"follow-up": 0})
        for _ in range(20):
            await beat(job, leased=0, taken=1)
            await asyncio.sleep(0.3)

    worker = asyncio.create_task(finish_work())
    assert await job.drain()
    assert not await redis.exists("test:start_urls", "test:requests", "test:delayed")
    worker.cancel()


async def test_delayed_requests_come_back_with_their_priority(redis):
    job = Job(redis, "test")
    await job.delay(0, 20, '{"url": "a b"}')
    await job.delay(60, 0, "later")
    seen = await beat(job)
    assert (seen.promoted, seen.queued, seen.delayed) == (1, 1, 1)
    assert await redis.zrange("test:requests", 0, -1, withscores=True) == [('{"url": "a b"}', -20)]


async def test_counts_add_up_over_workers(redis):
    job = Job(redis, "test")
    await job.begin()
    crawl_id = (await beat(job)).crawl_id
    await beat(job, "slave1:1", crawl_id, 2, {"ok": 2}, leased=3)
    await beat(job, "slave1:2", crawl_id, 3, {"ok": 2, "unknown": 1})
    facts = await job.facts()
    assert (facts.pages, facts.outcomes) == ({"slave1": 5}, {"ok": 4, "unknown": 1})
    assert facts.workers["slave1:1"]["leased"] == 3
    await job.leave("slave1:1")
    assert set((await job.facts()).workers) == {"slave1:2"}


async def test_counts_of_an_abandoned_crawl_are_dropped(redis):
    job = Job(redis, "test")
    await job.begin()
    old = (await beat(job)).crawl_id
    await job.begin(abandon=True)
    await beat(job, crawl_id=old, pages=5, outcomes={"ok": 5})
    assert (await job.facts()).pages == {}


async def test_failures_keep_request_and_reason(redis):
    job = Job(redis, "test")
    await job.fail(["thread", 7, 1], "refused: 错误")
    (entry,) = await redis.lrange("test:failed", 0, -1)
    found = json.loads(entry)
    assert (found["request"], found["reason"]) == (["thread", 7, 1], "refused: 错误")
    assert found["at"] > 1_700_000_000


async def test_garbage_among_the_workers_does_no_harm(redis):
    job = Job(redis, "test")
    await redis.hset("test:workers", mapping={"x": "not JSON", "y": "{}", "z": "[]"})
    assert set((await beat(job)).workers) == {"slave1:1"}
