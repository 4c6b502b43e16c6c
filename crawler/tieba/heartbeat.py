"""Says once a second what this worker is doing, and notices when the crawl is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from scrapy import signals

from frontier.job import FinishDetector, Surroundings
from tieba.cluster import Cluster

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_INTERVAL_SECONDS = 1.0
_LAST_BEAT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Heartbeat:
    """A Scrapy extension."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        self._detector = FinishDetector()
        self._version = version("tieba")
        self._outcomes: Counter[str] = Counter()
        self._unreported_pages = 0
        self._unreported: Counter[str] = Counter()
        self._crawl_id = ""
        self._task: asyncio.Task[None] | None = None
        crawler.signals.connect(self._open, signals.spider_opened)
        crawler.signals.connect(self._close, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Heartbeat:
        """Make it for a crawler."""
        return cls(crawler)

    def _open(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _close(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        # Redis can be away; a worker that stops does not wait for it.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._cluster.patience(self._beat), _LAST_BEAT_SECONDS)
            await asyncio.wait_for(self._cluster.job.leave(self._cluster.worker), _LAST_BEAT_SECONDS)
        await self._cluster.close()

    async def _run(self) -> None:
        while True:
            try:
                seen = await self._cluster.patience(self._beat)
                if self._detector.is_over(seen) and await self._cluster.job.finish(seen.crawl_id):
                    logger.info("The crawl is finished: nothing is queued, delayed or in work anywhere")
                if seen.queued:
                    self._wake_engine()
            except Exception:
                logger.exception("Heartbeat failed; the next one follows")
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _beat(self) -> Surroundings:
        cluster = self._cluster
        pages, outcomes = cluster.counts.take_unreported()
        self._unreported_pages += pages
        self._unreported.update(outcomes)
        self._outcomes.update(outcomes)
        seen = await cluster.job.beat(
            cluster.worker,
            self._state(),
            crawl_id=self._crawl_id,
            host=cluster.host,
            pages=self._unreported_pages,
            outcomes=self._unreported,
        )
        # Counts since the last beat that come with the id of an earlier crawl were dropped; they belong to
        # the one that began meanwhile, and go with the next beat.
        if self._crawl_id == seen.crawl_id:
            self._unreported_pages = 0
            self._unreported.clear()
        self._crawl_id = seen.crawl_id
        return seen

    def _state(self) -> dict[str, Any]:
        engine = self._crawler.engine
        scheduler: Any = engine.scheduler
        return {
            "host": self._cluster.host,
            "pid": int(self._cluster.worker.rpartition(":")[2]),
            "version": self._version,
            "done": self._cluster.counts.done,
            "rate": self._cluster.counts.rate(),
            # From the moment a request is taken to that when its records are stored and its follow-ups
            # queued.
            "leased": len(engine._slot.inprogress) if engine._slot else 0,
            "taken": scheduler.taken if scheduler is not None else 0,
            "outcomes": dict(self._outcomes),
        }

    def _wake_engine(self) -> None:
        """Have the engine look into the queue, where others write; by itself it looks every five seconds."""
        slot = self._crawler.engine._slot
        if slot is not None and slot.closing is None:
            slot.nextcall.schedule()
