"""Feeds start URLs to the frontier while requests run.

A start URL leaves Redis only after its request is queued, so that a worker that dies meanwhile loses none.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from frontier import make_owner
from frontier.connection import ERRORS, cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from frontier import Request
    from frontier.connection import Patience
    from frontier.job import Job
    from tieba.seeds import Seed

_INTERVAL_SECONDS = 0.5
_TROUBLE_SECONDS = 30.0  # between complaints
_TURN_MS = 10_000  # after which another worker feeds, should this one have died
_BATCH = 100  # start URLs that are queued at once

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StartUrls:
    """Where start URLs are, and what becomes of one.

    `kind` is that of the key: list, set or zset. `pack` gives the requests of a start URL; whatever it raises
    buries that. `seeds_of` gives the seeds in one, where there are such.
    """

    key: str
    pack: Callable[[bytes], Iterable[Request]]
    seeds_of: Callable[[str], Iterable[Seed]] | None = None
    kind: str = "list"


class Feeder:
    """Turns start URLs into requests of a job."""

    def __init__(self, start_urls: StartUrls, job: Job, patience: Patience) -> None:
        self._start_urls = start_urls
        self._job = job
        self._redis: Any = job.frontier.redis
        self._patience = patience
        self._turn = f"{job.frontier.prefix}feeding"
        self._name = make_owner()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to feed."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Feed no more."""
        if self._task is not None:
            await cancel(self._task)

    async def is_done(self) -> bool:
        """Tell whether no start URL waits."""
        return not await self._next(1)

    async def _run(self) -> None:
        while True:
            try:
                while batch := await self._patience(partial(self._next, _BATCH)):
                    if not await self._patience(self._has_turn):
                        break
                    await self._feed(batch)
            except ERRORS as error:  # e.g. the key holds another type: the worker goes on with what is queued
                logger.error("Start URLs cannot be read from %s: %s", self._start_urls.key, error)
                await asyncio.sleep(_TROUBLE_SECONDS)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _has_turn(self) -> bool:
        """Have one worker feed at a time: start URLs that are not deduplicated would come twice."""
        if await self._redis.set(self._turn, self._name, nx=True, px=_TURN_MS):
            return True
        return bool(await self._redis.get(self._turn) == self._name) and bool(
            await self._redis.pexpire(self._turn, _TURN_MS)
        )

    async def _feed(self, batch: Sequence[str]) -> None:
        if await self._patience(self._job.frontier.begin):
            logger.info("A new crawl begins")
        packed: list[Request] = []
        for data in batch:
            try:
                packed += self._start_urls.pack(data.encode("utf-8", "surrogateescape"))
                await self._note(data)
            except ERRORS:  # noqa: PERF203 - each start URL has its own trouble
                raise
            except Exception as error:  # noqa: BLE001 - anybody may have written it, and any spider reads it
                reason = str(error) or type(error).__name__
                logger.error("Gave up a seed: %s", reason.encode(errors="replace").decode())
                await self._patience(partial(self._job.bury, "seed", data, reason))
        await self._patience(partial(self._job.frontier.push, packed))
        await self._patience(partial(self._remove, batch))

    async def _note(self, data: str) -> None:
        """Tell the seeds in an entry, where there are such."""
        if self._start_urls.seeds_of is None:
            return
        logger.info("Seed %s", data)
        for seed in self._start_urls.seeds_of(data):
            if seed.max_requests is not None:
                await self._patience(partial(self._job.frontier.set_max_requests, seed.max_requests))
            await self._patience(partial(self._job.note_seed, str(seed)))

    async def _next(self, count: int) -> list[str]:
        key = self._start_urls.key
        found: list[str]
        if self._start_urls.kind == "set":
            found = await self._redis.srandmember(key, count)
        elif self._start_urls.kind == "zset":
            found = await self._redis.zrevrange(key, 0, count - 1)
        else:
            found = await self._redis.lrange(key, 0, count - 1)
        return found

    async def _remove(self, batch: Sequence[str]) -> None:
        key = self._start_urls.key
        if self._start_urls.kind == "set":
            await self._redis.srem(key, *batch)
        elif self._start_urls.kind == "zset":
            await self._redis.zrem(key, *batch)
        else:
            pipeline = self._redis.pipeline(transaction=False)
            for data in batch:
                pipeline.lrem(key, 1, data)
            await pipeline.execute()
