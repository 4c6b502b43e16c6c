"""What is told of a crawl besides its requests: seeds, workers, counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frontier import operations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frontier.client import Frontier
    from frontier.model import Letter, Stats

_DRAIN_SECONDS = 60.0  # more than a download takes at most
_DRAIN_INTERVAL_SECONDS = 0.25
ALIVE_SECONDS = 10.0  # a worker that was silent for longer is not counted as working


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be told of a crawl at one moment, `now` in Unix seconds of Redis' clock."""

    now: float
    crawl: Mapping[str, str]
    seeds: tuple[str, ...]
    waiting_seeds: int
    requests: Stats
    letters: tuple[Letter, ...]  # the latest
    outcomes: Mapping[str, int]
    pages: Mapping[str, int]
    workers: Mapping[str, Mapping[str, Any]]


class Job:
    """The crawl of one frontier.

    Its seeds lie in the list `<job>:start_urls`, where anybody may push to. Other keys start with the
    frontier's prefix.
    """

    def __init__(self, frontier: Frontier) -> None:
        self.frontier = frontier
        self.start_urls = f"{frontier.job}:start_urls"
        self._redis = frontier.redis

    async def drain(self) -> bool:
        """Drop what waits, and wait until no worker has a request in hand.

        Returns False if some still have after a minute.
        """
        for _ in range(round(_DRAIN_SECONDS / _DRAIN_INTERVAL_SECONDS)):
            await self._redis.unlink(self.start_urls)
            if not await self.frontier.empty():
                return True
            await asyncio.sleep(_DRAIN_INTERVAL_SECONDS)
        return False

    async def state(self) -> str:
        """Tell the crawl's state: none, running or finished."""
        return str(await self._redis.hget(self._key("crawl"), "state") or "none")

    async def started_at(self) -> float:
        """Give the Unix time at which the crawl began; 0 where there is none."""
        return float(await self._redis.hget(self._key("crawl"), "started_at") or 0)

    async def push_seed(self, seed: str) -> None:
        """Add a seed for any worker to take; the same seed twice is one."""
        await self._redis.lrem(self.start_urls, 0, seed)
        await self.push_seeds([seed])

    async def push_seeds(self, seeds: Sequence[str]) -> None:
        """Add seeds, all at once."""
        await self._redis.rpush(self.start_urls, *seeds)

    async def waiting_seeds(self) -> int:
        """Count the seeds that nobody has taken."""
        return int(await self._redis.llen(self.start_urls))

    async def note_seed(self, name: str) -> None:
        """Remember what the crawl started from."""
        await self._redis.sadd(self._key("seeds"), name)

    async def forget_seed(self, name: str) -> None:
        """Let the crawl start from a seed once more."""
        await self._redis.srem(self._key("seeds"), name)

    async def bury(self, endpoint: str, payload: str, reason: str) -> None:
        """Record what cannot even be queued as a dead letter."""
        await self.frontier.run(operations.bury(endpoint, payload, reason))

    async def beat(
        self,
        worker: str,
        state: Mapping[str, Any],
        *,
        crawl_id: str,
        counted_as: str,
        outcomes: Mapping[str, int],
        pages: int = 0,
    ) -> tuple[str, str]:
        """Publish a worker's state and its counts since the last beat; returns state and id of the crawl.

        Counts of another crawl than the present one are dropped. `pages` are those that were done without a
        lease.
        """
        return await self.frontier.run(operations.beat(worker, state, crawl_id, counted_as, pages, outcomes))

    async def leave(self, worker: str) -> None:
        """Remove a worker that ends."""
        await self._redis.hdel(self._key("workers"), worker)

    async def forget_silent(self, host: str) -> None:
        """Remove the workers of a host that died without leaving; one that is alive after all beats again."""
        now = await self.now()
        silent = [
            name
            for name, beat in (await self.workers()).items()
            if beat.get("host") == host and now - float(beat["at"]) >= ALIVE_SECONDS
        ]
        if silent:
            await self._redis.hdel(self._key("workers"), *silent)

    async def workers(self) -> dict[str, Mapping[str, Any]]:
        """Give the last heartbeat of every worker that has not left."""
        return parsed_workers(await self._hash("workers"))

    async def now(self) -> float:
        """Give the Unix time of Redis' clock, in seconds."""
        seconds, microseconds = await self._redis.time()
        return float(seconds + microseconds / 1e6)

    async def facts(self, last_letters: int = 5) -> Facts:
        """Everything that is to be told of the crawl."""
        pages, outcomes = await self._hash("pages"), await self._hash("outcomes")
        return Facts(
            now=await self.now(),
            crawl=await self._hash("crawl"),
            seeds=tuple(sorted(map(str, await self._redis.smembers(self._key("seeds"))))),
            waiting_seeds=await self.waiting_seeds(),
            requests=await self.frontier.stats(),
            letters=tuple([letter async for letter in self.frontier.dead(newest=last_letters)]),
            outcomes={name: int(count) for name, count in outcomes.items()},
            pages={name: int(count) for name, count in pages.items()},
            workers=await self.workers(),
        )

    async def _hash(self, name: str) -> dict[str, str]:
        found = await self._redis.hgetall(self._key(name))
        return {str(field): str(value) for field, value in found.items()}

    def _key(self, name: str) -> str:
        return f"{self.frontier.prefix}{name}"


def parsed_workers(workers: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Give the heartbeats that can be read; a worker's entry is replaced within a second."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, text in workers.items():
        with contextlib.suppress(ValueError):
            beat = json.loads(text)
            if isinstance(beat, dict) and "at" in beat:
                found[name] = beat
    return found
