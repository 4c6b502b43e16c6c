"""Scrapy's extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy import signals

from tieba.cluster import Cluster
from tieba.ending import note_end
from tieba.heartbeat import Pulse

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class Heartbeat:
    """Says what this worker is doing, and notes the end of a crawl."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        self._cluster.counts.held = lambda: (
            len(crawler.engine._slot.inprogress) if crawler.engine._slot else 0
        )
        self._pulse = Pulse(self._cluster)
        crawler.signals.connect(self._pulse.start, signals.spider_opened)
        crawler.signals.connect(self._close, signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Heartbeat:
        """Make it for a crawler."""
        return cls(crawler)

    async def _close(self, reason: str) -> None:
        if reason == "finished":
            await note_end(self._cluster)
        await self._pulse.stop()
        await self._cluster.close()
