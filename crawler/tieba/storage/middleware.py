"""Stores the records of an answer before its follow-ups are queued.

A crash between the two means that the answer is fetched again, which is harmless; the other order would
lose records.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from scrapy import Request, signals
from scrapy.exceptions import CloseSpider

from tieba.cluster import Cluster
from tieba.records import RECORD_TYPES, Presence
from tieba.settling import settler_of
from tieba.storage import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.records import Storable

_STORABLE = (*RECORD_TYPES, Presence)
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class StorageMiddleware:
    """A spider middleware: one batch per answer; while the store is away it waits, and the crawl with it."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        self._store = self._cluster.store
        self._wants_items = bool(
            crawler.settings.getdict("ITEM_PIPELINES") or crawler.settings.getdict("FEEDS")
        )
        self._away_since: float | None = None
        crawler.signals.connect(self._open, signals.spider_opened)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> StorageMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def _open(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                await self._store.open()
            except StoreUnavailable as error:  # noqa: PERF203 - a retry loop
                wait = await self._wait(wait, error)
            except StoreError as error:
                logger.error("%s", error)
                raise CloseSpider("store") from None
            else:
                self._note_back()
                return

    async def process_spider_output(
        self, response: Response, result: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        """Store the records among `result`, then pass on the rest, and the records where items are wanted."""
        records: list[Storable] = []
        rest: list[Any] = []
        async for item in result:
            (records if isinstance(item, _STORABLE) else rest).append(item)
        if records and not await self._save(records, response.request):
            return
        for item in rest:
            yield item
        if self._wants_items:
            for record in records:
                if not isinstance(record, Presence):
                    yield record

    async def _save(self, records: list[Storable], request: Request | None) -> bool:
        """Store until it succeeds; False where the store refuses the records for good."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                await self._store.save(records)
            except StoreUnavailable as error:  # noqa: PERF203 - a retry loop
                if request is not None and not self._crawler.engine.running:
                    # The worker stops: another one, or this one after its restart, does the request again.
                    settler_of(self._crawler).put_back(request)
                    return False
                wait = await self._wait(wait, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the request is recorded as failed
                reason = f"not stored: {type(error).__name__}: {error}"
                logger.error("%s: %s", request, reason)
                if request is not None:
                    settler_of(self._crawler).retry(request, reason)
                return False
            else:
                self._note_back()
                return True

    async def _wait(self, seconds: float, error: StoreUnavailable) -> float:
        """Wait for the store, and say so once; returns the seconds to wait the next time."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("%s; waiting for it", error)
        await asyncio.sleep(seconds)
        return min(seconds * 2, _LONGEST_WAIT_SECONDS)

    def _note_back(self) -> None:
        if self._away_since is not None:
            logger.info("The store answers again after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None
