"""Feeds start URLs to the frontier while requests run, for any spider of scrapy-redis.

A start URL leaves Redis only after its request is queued, so that a worker that dies meanwhile loses none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scrapy import Request

from frontier.connection import ERRORS, cancel

if TYPE_CHECKING:
    from scrapy_redis.spiders import RedisMixin

    from frontier.connection import Patience
    from frontier.job import Job
    from tieba.codec import Codec

_INTERVAL_SECONDS = 0.5
_TROUBLE_SECONDS = 30.0  # between complaints
_TURN_MS = 10_000  # after which another worker feeds, should this one have died

logger = logging.getLogger(__name__)


class Feeder:
    """Turns the entries of a spider's `redis_key` into requests, by its `make_request_from_data`."""

    def __init__(self, spider: RedisMixin, job: Job, codec: Codec, patience: Patience) -> None:
        self._spider = spider
        self._job = job
        self._codec = codec
        self._patience = patience
        self._turn = f"{job.frontier.prefix}feeding"
        settings = spider.crawler.settings
        is_set = settings.getbool("REDIS_START_URLS_AS_SET")
        is_sorted = not is_set and settings.getbool("REDIS_START_URLS_AS_ZSET")
        self._kind = "set" if is_set else "zset" if is_sorted else "list"
        # What scrapy-redis itself would do when the spider is idle: take them out first, and block meanwhile.
        spider.fetch_data = lambda key, count: []
        spider.count_size = lambda key: 0
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
        return await self._next() is None

    async def _run(self) -> None:
        while True:
            try:
                if await self._patience(self._next) is not None and await self._patience(self._take_turn):
                    while (data := await self._patience(self._next)) is not None:
                        await self._feed(data)
                    await self._patience(self._end_turn)
            except ERRORS as error:  # e.g. the key holds another type: the worker goes on with what is queued
                logger.error("Start URLs cannot be read from %s: %s", self._spider.redis_key, error)
                await asyncio.sleep(_TROUBLE_SECONDS)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _feed(self, data: str) -> None:
        try:
            made = self._spider.make_request_from_data(data.encode("utf-8", "surrogateescape"))
            requests = (
                [made] if isinstance(made, Request) else list(made) if isinstance(made, Iterable) else []
            )
            packed = [self._codec.pack(request) for request in requests]
        except Exception as error:  # noqa: BLE001 - anybody may have written it, and any spider reads it
            reason = str(error) or type(error).__name__
            logger.error("Gave up a seed: %s", reason)
            shown = data.encode(errors="replace").decode()
            await self._patience(lambda: self._job.bury("seed", shown, reason))
            await self._patience(lambda: self._remove(data))
            return
        if await self._patience(self._job.frontier.begin):
            logger.info("A new crawl begins")
        logger.info("Seed %s", data)
        await self._patience(lambda: self._job.frontier.push(packed))
        seed_name = getattr(self._spider, "seed_name", None)
        if seed_name is not None:
            await self._patience(lambda: self._job.note_seed(seed_name(data)))
        await self._patience(lambda: self._remove(data))

    async def _take_turn(self) -> bool:
        """Have one worker feed at a time: start URLs that are not deduplicated would come twice."""
        return bool(await self._job.frontier.redis.set(self._turn, "1", nx=True, px=_TURN_MS))

    async def _end_turn(self) -> None:
        await self._job.frontier.redis.delete(self._turn)

    async def _next(self) -> str | None:
        redis, key = self._job.frontier.redis, self._spider.redis_key
        found: Any
        if self._kind == "set":
            found = await redis.srandmember(key)
        elif self._kind == "zset":
            found = next(iter(await redis.zrevrange(key, 0, 0)), None)
        else:
            found = await redis.lindex(key, 0)
        return None if found is None else str(found)

    async def _remove(self, data: str) -> None:
        redis, key = self._job.frontier.redis, self._spider.redis_key
        if self._kind == "set":
            await redis.srem(key, data)
        elif self._kind == "zset":
            await redis.zrem(key, data)
        else:
            await redis.lrem(key, 1, data)
