"""The shared state of one crawl: begun, worked on, finished; its seeds, workers, counts and failures.

All keys start with the job's name and a colon. The queue and the set of seen requests are written by the
scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frontier.scripts import script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

ALIVE_SECONDS = 10.0  # a worker that was silent for longer is not counted as working
_QUIET_SECONDS = 2.0
_DRAIN_SECONDS = 60.0  # more than a download takes at most
_DRAIN_INTERVAL_SECONDS = 0.5


class Keys:
    """The names of a job's keys."""

    def __init__(self, job: str) -> None:
        self.crawl = f"{job}:crawl"
        self.start_urls = f"{job}:start_urls"
        self.requests = f"{job}:requests"
        self.dupefilter = f"{job}:dupefilter"
        self.last_taken = f"{job}:last_taken"
        self.delayed = f"{job}:delayed"
        self.failed = f"{job}:failed"
        self.seeds = f"{job}:seeds"
        self.workers = f"{job}:workers"
        self.outcomes = f"{job}:outcomes"
        self.pages = f"{job}:pages"

    def of_one_crawl(self) -> list[str]:
        """Name what a new crawl starts without."""
        return [
            self.requests,
            self.dupefilter,
            self.last_taken,
            self.delayed,
            self.failed,
            self.seeds,
            self.outcomes,
            self.pages,
        ]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker sees of the crawl at one moment, `now` in Unix seconds of Redis' clock."""

    now: float
    state: str
    crawl_id: str
    seeds: int
    queued: int
    delayed: int
    promoted: int
    workers: Mapping[str, Mapping[str, Any]]

    @property
    def waiting(self) -> int:
        """Everything that nobody has taken."""
        return self.seeds + self.queued + self.delayed

    def alive(self) -> dict[str, Mapping[str, Any]]:
        """Give the workers that were heard of lately."""
        return {name: beat for name, beat in self.workers.items() if self.now - beat["at"] < ALIVE_SECONDS}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be told of a crawl at one moment."""

    now: float
    crawl: Mapping[str, str]
    seeds: tuple[str, ...]
    waiting_seeds: int
    queued: int
    delayed: int
    failed: int
    failures: tuple[Mapping[str, Any], ...]
    outcomes: Mapping[str, int]
    pages: Mapping[str, int]
    workers: Mapping[str, Mapping[str, Any]]


class Job:
    """One job in Redis; every operation that touches several keys is atomic."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.name = name
        self.keys = Keys(name)
        self._redis = redis
        self._begin = script(redis, "begin")
        self._finish = script(redis, "finish")
        self._delay = script(redis, "delay")
        self._beat = script(redis, "beat")

    async def begin(self, *, abandon: bool = False) -> bool:
        """Begin a crawl unless one is running, or, to `abandon` that, in any case; tells whether one began.

        Queue, seen requests, failures and counts of the crawl before are forgotten.
        """
        keys = [self.keys.crawl, *self.keys.of_one_crawl()]
        return bool(await self._begin(keys, [uuid.uuid4().hex, int(abandon)]))

    async def drain(self) -> bool:
        """Empty the queue and wait until no worker has a request of it in hand.

        Returns False if some still have after a minute.
        """
        detector = FinishDetector()
        keys = self.keys
        for _ in range(round(_DRAIN_SECONDS / _DRAIN_INTERVAL_SECONDS)):
            await self._redis.unlink(keys.start_urls, keys.requests, keys.delayed)
            facts = await self.facts()
            waiting = (facts.waiting_seeds, facts.queued, facts.delayed)
            if detector.is_over(Surroundings(facts.now, "running", "", *waiting, 0, facts.workers)):
                return True
            await asyncio.sleep(_DRAIN_INTERVAL_SECONDS)
        return False

    async def state(self) -> str:
        """Tell the crawl's state: none, running or finished."""
        return str(await self._redis.hget(self.keys.crawl, "state") or "none")

    async def push_seed(self, seed: str) -> None:
        """Add a seed for any worker to take; the same seed twice is one."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.lrem(self.keys.start_urls, 0, seed)
        pipeline.rpush(self.keys.start_urls, seed)
        await pipeline.execute()

    async def next_seed(self) -> str | None:
        """Look at the first seed.

        It stays until `seed_taken`, so a worker that dies meanwhile loses nothing.
        """
        seed = await self._redis.lindex(self.keys.start_urls, 0)
        return None if seed is None else str(seed)

    async def seed_taken(self, seed: str, *, known_as: str | None = None) -> None:
        """Remove a seed that is queued (`known_as`: how to show it) or recorded as failed."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.lrem(self.keys.start_urls, 1, seed)
        if known_as is not None:
            pipeline.sadd(self.keys.seeds, known_as)
        await pipeline.execute()

    async def delay(self, seconds: float, priority: int, payload: str) -> None:
        """Put a serialized request aside; it comes back to the queue after `seconds`."""
        await self._delay([self.keys.delayed], [round(seconds * 1000), -priority, payload])

    async def fail(self, request: object, reason: str) -> None:
        """Record a request that is given up, with the reason."""
        seconds, _ = await self._redis.time()
        entry = {"request": request, "reason": reason, "at": seconds}
        await self._redis.rpush(self.keys.failed, json.dumps(entry, ensure_ascii=False))

    async def beat(
        self,
        worker: str,
        state: Mapping[str, Any],
        *,
        crawl_id: str,
        host: str,
        pages: int,
        outcomes: Mapping[str, int],
    ) -> Surroundings:
        """Publish a worker's state and counts since its last beat.

        Queue what was delayed and is due; look around.

        Counts of another crawl than the present one are dropped.
        """
        keys = self.keys
        flat = [item for pair in outcomes.items() for item in pair]
        reply = await self._beat(
            [
                keys.crawl,
                keys.workers,
                keys.outcomes,
                keys.pages,
                keys.start_urls,
                keys.requests,
                keys.delayed,
            ],
            [worker, json.dumps(state, ensure_ascii=False)[1:], crawl_id, host, pages, *flat],
        )
        now, crawl_state, now_id, seeds, queued, delayed, promoted, workers = reply
        pairs = dict(zip(workers[::2], workers[1::2], strict=True))
        return Surroundings(
            float(now), crawl_state, now_id, seeds, queued, delayed, promoted, _parsed_workers(pairs)
        )

    async def leave(self, worker: str) -> None:
        """Remove a worker that ends."""
        await self._redis.hdel(self.keys.workers, worker)

    async def finish(self, crawl_id: str) -> bool:
        """Mark the crawl finished if nothing waits in it; tells whether this call did."""
        keys = self.keys
        return bool(
            await self._finish([keys.crawl, keys.start_urls, keys.requests, keys.delayed], [crawl_id])
        )

    async def facts(self, last_failures: int = 5) -> Facts:
        """Everything that is to be told of the crawl, as of one moment."""
        keys = self.keys
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.time()
        pipeline.hgetall(keys.crawl)
        pipeline.smembers(keys.seeds)
        pipeline.llen(keys.start_urls)
        pipeline.zcard(keys.requests)
        pipeline.zcard(keys.delayed)
        pipeline.llen(keys.failed)
        pipeline.lrange(keys.failed, -last_failures, -1)
        pipeline.hgetall(keys.outcomes)
        pipeline.hgetall(keys.pages)
        pipeline.hgetall(keys.workers)
        reply = await pipeline.execute()
        time, crawl, seeds, waiting, queued, delayed, failed, failures, outcomes, pages, workers = reply
        return Facts(
            now=time[0] + time[1] / 1e6,
            crawl=crawl,
            seeds=tuple(sorted(seeds)),
            waiting_seeds=waiting,
            queued=queued,
            delayed=delayed,
            failed=failed,
            failures=tuple(_parsed(entry) for entry in failures),
            outcomes={name: int(count) for name, count in outcomes.items()},
            pages={name: int(count) for name, count in pages.items()},
            workers=_parsed_workers(workers),
        )


class FinishDetector:
    """Tells when a crawl is over whose queue has no leases.

    What a worker took is only known from its heartbeats.

    A heartbeat holds `leased`, the requests a worker has in hand, and `taken`, all it ever took. The crawl
    is over if, at some moment, nothing waits, and every live worker's heartbeats before and after that
    moment show that it held nothing and took nothing in between.
    """

    def __init__(self) -> None:
        self._since: Surroundings | None = None

    def is_over(self, seen: Surroundings) -> bool:
        """Look at the crawl once more; true when it was over at an earlier look and is so still."""
        idle = all(beat["leased"] == 0 for beat in seen.alive().values())
        if seen.state != "running" or seen.waiting or not idle:
            self._since = None
            return False
        since = self._since
        if since is None or since.crawl_id != seen.crawl_id or self._taken(since) != self._taken(seen):
            self._since = seen
            return False
        heard_of_all = all(beat["at"] > since.now for beat in seen.alive().values())
        return heard_of_all and seen.now - since.now >= _QUIET_SECONDS

    @staticmethod
    def _taken(seen: Surroundings) -> dict[str, int]:
        return {name: beat["taken"] for name, beat in seen.alive().items()}


def _parsed_workers(workers: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Give the heartbeats that can be read; a worker's entry is replaced within a second."""
    found = {name: _parsed(text) for name, text in workers.items()}
    wanted = {"at", "leased", "taken"}
    return {name: beat for name, beat in found.items() if wanted <= beat.keys()}


def _parsed(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return {"reason": text}
