"""Keeps records in MongoDB: one collection per record type, `_id` is the record's key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, AsyncMongoClient, IndexModel, UpdateOne
from pymongo import errors as mongo_errors

from tieba.records import RECORD_TYPES, Presence
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.batches import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.database import AsyncDatabase

    from tieba.records import Record, Storable

    Document = dict[str, Any]

INDEXES: dict[str, list[IndexModel]] = {
    "threads": [IndexModel([("forum_id", ASCENDING), ("last_reply_at", DESCENDING)])],
    "posts": [
        IndexModel([("thread_id", ASCENDING), ("floor", ASCENDING)]),
        IndexModel([("author_id", ASCENDING)]),
    ],
    "comments": [
        IndexModel([("post_id", ASCENDING)]),
        IndexModel([("thread_id", ASCENDING)]),
    ],
}
_DUPLICATE_KEY = 11000  # two workers inserted the same record at once; the second try finds it
_DUPLICATE_KEY_TRIES = 5
_AUTHENTICATION_CODES = {13, 18}
_SERVER_SELECTION_MS = 5_000
_SOCKET_TIMEOUT_MS = 30_000

_UNAVAILABLE = (mongo_errors.ConnectionFailure, mongo_errors.WTimeoutError, mongo_errors.ExecutionTimeout)


class MongoStore:
    """A `Store` in the database that the path of `url` names."""

    def __init__(self, url: str) -> None:
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                url,
                tz_aware=True,
                serverSelectionTimeoutMS=_SERVER_SELECTION_MS,
                socketTimeoutMS=_SOCKET_TIMEOUT_MS,
                # Follow-ups are queued once the records are stored: these must outlive a crash of the server.
                journal=True,
                connect=False,
            )
            self.database: AsyncDatabase[Document] = self._client.get_default_database()
        except (mongo_errors.PyMongoError, ValueError) as error:
            raise StoreError(f"mongodb_url cannot be used: {_one_line(error)}") from None
        self._commits = GroupCommit(self._write)
        self._clock_offset = timedelta()

    async def open(self) -> None:
        """Connect and create the indexes; again changes nothing."""
        try:
            await self.database.command("ping")  # connects, so that the next answer comes at once
            self._clock_offset = await self._measure_clock_offset()
            for name, indexes in INDEXES.items():
                await self.database[name].create_indexes(indexes)
        except mongo_errors.PyMongoError as error:
            raise _translated(error) from error

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert records, together with those that other tasks save meanwhile."""
        await self._commits.save(records)

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection, from its metadata."""
        try:
            return {
                kind.collection: await self.database[kind.collection].estimated_document_count()
                for kind in RECORD_TYPES
            }
        except mongo_errors.PyMongoError as error:
            raise _translated(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _measure_clock_offset(self) -> timedelta:
        """Tell how far the server's clock is ahead of ours.

        With it the times of all workers can be compared.
        """
        before = datetime.now(timezone.utc)
        hello = await self.database.command("hello")
        after = datetime.now(timezone.utc)
        server: datetime = hello["localTime"].replace(tzinfo=timezone.utc)
        return server - (before + (after - before) / 2)

    async def _write(self, records: Sequence[Storable]) -> None:
        now = datetime.now(timezone.utc) + self._clock_offset
        # BSON keeps milliseconds.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        updates = _updates(records, now)
        await asyncio.gather(*(self._write_to(name, batch) for name, batch in updates.items()))

    async def _write_to(self, name: str, updates: list[UpdateOne]) -> None:
        collection = self.database[name]
        for tries_left in reversed(range(_DUPLICATE_KEY_TRIES)):
            try:
                await collection.bulk_write(updates, ordered=False)
            except mongo_errors.BulkWriteError as error:  # noqa: PERF203 - a retry loop
                failed = (error.details or {}).get("writeErrors", [])
                if not tries_left or not failed or any(item["code"] != _DUPLICATE_KEY for item in failed):
                    raise _translated(error) from error
                updates = [updates[item["index"]] for item in failed]
            except mongo_errors.PyMongoError as error:
                raise _translated(error) from error
            else:
                return


def _updates(records: Sequence[Storable], now: datetime) -> dict[str, list[UpdateOne]]:
    """Give one upsert per record, by collection.

    Records that occur more than once are merged, the last one wins.
    """
    known: dict[str, dict[int | str, Document]] = defaultdict(dict)
    deleted_at: dict[str, dict[int, bool]] = defaultdict(dict)
    for record in records:
        if isinstance(record, Presence):
            deleted_at[record.collection][record.key] = record.gone
            known[record.collection].setdefault(record.key, {})[record.key_field] = record.key
        else:
            fields = known[record.collection].setdefault(record.key, {})
            fields.update(_known_fields(record))
    updates: dict[str, list[UpdateOne]] = {}
    for name, documents in known.items():
        batch = updates[name] = []
        for key, fields in documents.items():
            gone = deleted_at[name].get(key) if isinstance(key, int) else None
            insert: Document = {"first_seen": now}
            if gone is False:
                fields["deleted_at"] = None
            elif gone is None:
                insert["deleted_at"] = None
            batch.append(
                UpdateOne(
                    {"_id": key}, {"$set": {**fields, "last_seen": now}, "$setOnInsert": insert}, upsert=True
                )
            )
            if gone:
                # The time of the first mark stays.
                batch.append(UpdateOne({"_id": key, "deleted_at": None}, {"$set": {"deleted_at": now}}))
    return updates


def _known_fields(record: Record) -> Document:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in record.fields().items()
        if value is not None
    }


def _translated(error: mongo_errors.PyMongoError) -> StoreError:
    if isinstance(error, _UNAVAILABLE):
        return StoreUnavailable(f"MongoDB does not answer: {_one_line(error)}")
    if isinstance(error, mongo_errors.OperationFailure):
        if error.code in _AUTHENTICATION_CODES:
            return StoreError(f"MongoDB refuses the user of mongodb_url: {_one_line(error)}")
        if error.has_error_label("RetryableWriteError"):
            return StoreUnavailable(f"MongoDB is being failed over: {_one_line(error)}")
    return StoreError(f"MongoDB refuses to store: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    """Give the essence of a driver's message, which goes on about topology for lines."""
    text = str(error)
    for end in (", Timeout:", ", full error:", " (configured timeouts:"):
        text = text.partition(end)[0]
    return " ".join(text.split())[:200]
