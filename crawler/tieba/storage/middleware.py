"""Stores the records of an answer before its follow-ups are queued.

A crash between the two means that the answer is fetched again, which is harmless; the other order would
lose records.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scrapy import signals
from scrapy.exceptions import CloseSpider

from tieba.cluster import Cluster
from tieba.middlewares import RequestInHand
from tieba.politeness import store
from tieba.records import RECORD_TYPES, Extent, Presence, Visit
from tieba.requests import target_of
from tieba.settling import settler_of
from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.records import Storable

_STORABLE = (*RECORD_TYPES, Presence, Extent, Visit)

logger = logging.getLogger(__name__)


class StorageMiddleware:
    """A spider middleware: one batch per answer; while the store is away it waits, and the crawl with it."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        self._wants_items = bool(
            crawler.settings.getdict("ITEM_PIPELINES") or crawler.settings.getdict("FEEDS")
        )
        crawler.signals.connect(self._open, signals.spider_opened)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StorageMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def _open(self) -> None:
        try:
            await self._cluster.ask_store(self._cluster.store.open)
        except StoreError as error:
            logger.error("%s", error)
            raise CloseSpider("store") from None

    async def process_spider_output(
        self, response: Response, result: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        """Store the records among `result`, then pass on the rest, and the records where items are wanted."""
        records: list[Storable] = []
        rest: list[Any] = []
        async for item in result:
            (records if isinstance(item, _STORABLE) else rest).append(item)
        assert response.request is not None  # noqa: S101 - it was downloaded
        if records and not await self._save(records, response.request):
            return
        for item in rest:
            yield item
        if self._wants_items:
            for record in records:
                if isinstance(record, RECORD_TYPES):
                    yield record

    async def _save(self, records: list[Storable], request: Request) -> bool:
        """Store until it succeeds; False where the request is settled without it."""
        hand = RequestInHand(request, settler_of(self._crawler), target_of(request))
        return await store(self._cluster, records, hand, is_over=lambda: not self._crawler.engine.running)
