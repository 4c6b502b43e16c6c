"""The store that the configuration asks for: one, or several at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tieba.storage import StoreUnavailable
from tieba.storage.jsonl import JsonlStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from tieba.config import Config
    from tieba.records import Storable, Visit
    from tieba.storage import Document, ForumTotals, Query, Store


def make_store(config: Config) -> Store:
    """Make the store of a configuration, not yet open; raises StoreError."""
    stores = _make(config)
    return stores[0] if len(stores) == 1 else StoreGroup(stores)


async def open_reader(config: Config) -> Store:
    """Give the store of a configuration that is best to read; nothing is created. Raises StoreError."""
    store = _make(config)[0]
    try:
        await store.connect()
    except BaseException:
        await store.close()
        raise
    return store


def _make(config: Config) -> list[Store]:
    """Make central stores first, whatever the order in the configuration.

    Drivers are imported by those who use them: PyMongo takes a third of a second.
    """
    stores: list[Store] = []
    if "mongodb" in config.storage:
        from tieba.storage.mongodb import MongoStore

        stores.append(MongoStore(config.mongodb_url))
    if "mysql" in config.storage:
        from tieba.storage.mysql import MysqlStore

        stores.append(MysqlStore(config.mysql_url))
    if "jsonl" in config.storage:
        stores.append(JsonlStore(config.jsonl_dir))
    return stores


class StoreGroup:
    """Saves to all of its stores, and reads from the first."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        self._first = stores[0]

    async def connect(self) -> None:
        """Connect to the first store, from which is read."""
        await self._first.connect()

    async def open(self) -> None:
        """Open all stores."""
        await _all(store.open() for store in self._stores)

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert one batch into all stores; returns once all have it.

        Files come last: what is tried again while a server is away does not repeat lines there.
        """
        await _all(store.save(records) for store in self._stores if not isinstance(store, JsonlStore))
        await _all(store.save(records) for store in self._stores if isinstance(store, JsonlStore))

    async def counts(self) -> dict[str, int]:
        """Give the counts of the first store."""
        return await self._first.counts()

    def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records of the first store."""
        return self._first.scan(query)

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Ask the first store."""
        return await self._first.visits(thread_ids)

    async def finished_crawls(self, crawl_ids: Collection[str]) -> set[str]:
        """Ask the first store."""
        return await self._first.finished_crawls(crawl_ids)

    async def unseen_threads(
        self, forum_id: int, since: datetime, *, replied_from: datetime | None = None
    ) -> set[int]:
        """Ask the first store."""
        return await self._first.unseen_threads(forum_id, since, replied_from=replied_from)

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Ask the first store."""
        return await self._first.totals(since)

    async def close(self) -> None:
        """Close all stores."""
        await asyncio.gather(*(store.close() for store in self._stores))


async def _all(calls: Iterable[Awaitable[None]]) -> None:
    """Wait for all; raises what one refuses for good rather than what can pass."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if not isinstance(error, StoreUnavailable):
            raise error
    if errors:
        raise errors[0]
