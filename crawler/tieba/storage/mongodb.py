"""Keeps records in MongoDB: one collection per record type, `_id` is the record's key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

from bson.errors import BSONError
from pymongo import ASCENDING, UpdateMany, UpdateOne
from pymongo import errors as mongo_errors

from tieba.records import RECORD_TYPES, STORED_TYPES, Visit
from tieba.storage import ORDER, SEEN, ForumTotals, StoreError
from tieba.storage.batches import GroupCommit
from tieba.storage.indexing import IndexBuild
from tieba.storage.merging import merge
from tieba.storage.mongodb_indexes import build
from tieba.storage.mongodb_server import MongoServer, one_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from pymongo.asynchronous.cursor import AsyncCursor

    from tieba.records import Storable
    from tieba.storage import Document, Query
    from tieba.storage.merging import Merged

    Update = UpdateOne | UpdateMany

_FIELDS = {kind.collection: (*(field.name for field in fields(kind)), *SEEN) for kind in STORED_TYPES}
_DUPLICATE_KEY = 11000  # two workers inserted the same record at once; the second try finds it
_DUPLICATE_KEY_TRIES = 5
_THREADS_A_READ = 500  # of which posts or comments are asked for at once


class MongoStore:
    """A `Store` in the database that the path of `url` names."""

    def __init__(self, url: str) -> None:
        # Follow-ups are queued once the records are stored: these must outlive a crash of the server.
        self._server = MongoServer(url, journal=True)
        self.database = self._server.database
        self._translated = self._server.translated
        self._commits = GroupCommit(self._write)
        self._indexes = IndexBuild(self._build_indexes)
        self._clock_offset = timedelta()

    async def connect(self) -> None:
        """Connect alone, to read."""
        try:
            await self.database.command("ping")  # connects, so that the next answer comes at once
            self._clock_offset = await self._measure_clock_offset()
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error
        self._server.was_accepted = True

    async def open(self) -> None:
        """Connect and create the indexes; again changes nothing."""
        await self.connect()
        await self._indexes.start()

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
            raise self._translated(error) from error

    async def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records that fit, ordered; see `Store`."""
        condition = _condition(query)
        fields = _FIELDS[query.collection]
        try:
            if query.forum_id is None or query.collection not in ORDER:
                async for document in self._find(query.collection, condition):
                    yield {name: document.get(name) for name in fields}
                return
            async for thread_ids in self._threads_of(query.forum_id, query.thread_id):
                threads = {**condition, "thread_id": {"$in": thread_ids}}
                async for document in self._find(query.collection, threads):
                    yield {name: document.get(name) for name in fields}
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Give the last visit of each of these threads that has one."""
        found = self.database["threads"].find(
            {"_id": {"$in": list(thread_ids)}, "fetched_in": {"$gt": ""}},
            ["fetched_in", "fetched_scope", "fetched_reply_count", "fetched_last_reply_at"],
        )
        try:
            return {
                document["_id"]: Visit(
                    thread_id=document["_id"],
                    crawl_id=document["fetched_in"],
                    scope=document["fetched_scope"],
                    reply_count=document["fetched_reply_count"],
                    last_reply_at=document["fetched_last_reply_at"],
                )
                async for document in found
            }
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error

    async def finished_crawls(self, crawl_ids: Collection[str]) -> set[str]:
        """Tell which of these crawls have `finished_at`."""
        condition = {"_id": {"$in": list(crawl_ids)}, "finished_at": {"$ne": None}}
        return await self._keys("crawls", condition)

    async def unseen_threads(
        self, forum_id: int, since: datetime, *, replied_from: datetime | None = None
    ) -> set[int]:
        """Give the threads of a forum that were not seen since; see `Store`."""
        condition: Document = {"forum_id": forum_id, "deleted_at": None, "last_seen": {"$lt": since}}
        if replied_from is not None:
            condition["$or"] = [{"is_pinned": True}, {"last_reply_at": {"$gte": replied_from}}]
        return await self._keys("threads", condition)

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum."""
        is_seen = {"$gte": ["$last_seen", since]}
        is_gone = {"$gt": ["$deleted_at", None]}
        was_fetched = {"$gt": ["$fetched_at", None]}
        counted = {
            name: {"$sum": {"$cond": [condition, 1, 0]}}
            for name, condition in {
                "listed": is_seen,
                "fetched": {"$and": [{"$not": is_gone}, {"$gte": ["$fetched_at", since]}]},
                "unchanged": {
                    "$and": [{"$not": is_gone}, is_seen, was_fetched, {"$lt": ["$fetched_at", since]}]
                },
                "not_fetched": {"$and": [{"$not": is_gone}, is_seen, {"$not": was_fetched}]},
                "gone": {"$and": [is_gone, {"$or": [is_seen, {"$gte": ["$deleted_at", since]}]}]},
            }.items()
        }
        stages: list[Mapping[str, Any]] = [
            {"$match": {"forum_id": {"$ne": None}}},
            {"$group": {"_id": "$forum_id", **counted}},
            {"$sort": {"_id": 1}},
        ]
        try:
            groups = await self.database["threads"].aggregate(stages)
            return [ForumTotals(group.pop("_id"), **group) async for group in groups]
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._indexes.stop()
        await self._server.close()

    def _find(self, name: str, condition: Document) -> AsyncCursor[Document]:
        order = [(field, ASCENDING) for field in (*ORDER.get(name, ()), "_id")]
        return self.database[name].find(condition, sort=order, allow_disk_use=True)

    async def _threads_of(self, forum_id: int, thread_id: int | None) -> AsyncIterator[list[int]]:
        condition: Document = {"forum_id": forum_id, **({} if thread_id is None else {"_id": thread_id})}
        batch: list[int] = []
        async for document in self.database["threads"].find(condition, ["_id"]).sort("_id"):
            batch.append(document["_id"])
            if len(batch) == _THREADS_A_READ:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _keys(self, name: str, condition: Document) -> set[Any]:
        try:
            return {document["_id"] async for document in self.database[name].find(condition, ["_id"])}
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error

    async def _measure_clock_offset(self) -> timedelta:
        """Tell how far the server's clock is ahead of ours.

        With it the times of all workers can be compared.
        """
        before = datetime.now(timezone.utc)
        hello = await self.database.command("hello")
        after = datetime.now(timezone.utc)
        server: datetime = hello["localTime"].replace(tzinfo=timezone.utc)
        return server - (before + (after - before) / 2)

    async def _build_indexes(self) -> bool:
        try:
            await build(self.database)
        except mongo_errors.PyMongoError as error:
            raise self._translated(error) from error
        return True

    async def _write(self, records: Sequence[Storable]) -> None:
        now = datetime.now(timezone.utc) + self._clock_offset
        # BSON keeps milliseconds.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        merged = merge(records)
        for updates in (_updates(merged, now), _extents(merged, now)):
            await asyncio.gather(*(self._write_to(name, batch) for name, batch in updates.items()))

    async def _write_to(self, name: str, updates: list[Update]) -> None:
        collection = self.database[name]
        for tries_left in reversed(range(_DUPLICATE_KEY_TRIES)):
            try:
                await collection.bulk_write(updates, ordered=False)
            except mongo_errors.BulkWriteError as error:  # noqa: PERF203 - a retry loop
                failed = (error.details or {}).get("writeErrors", [])
                if not tries_left or not failed or any(item["code"] != _DUPLICATE_KEY for item in failed):
                    raise self._translated(error) from error
                updates = [updates[item["index"]] for item in failed]
            except mongo_errors.PyMongoError as error:
                raise self._translated(error) from error
            except (BSONError, ValueError, OverflowError) as error:
                raise StoreError(f"MongoDB cannot hold it: {one_line(error)}") from error
            else:
                return


def _updates(merged: Merged, now: datetime) -> dict[str, list[Update]]:
    """Give the upserts by collection; in whatever order they are made, the effect is the same."""
    updates: dict[str, list[Update]] = defaultdict(list)
    visits = dict(merged.visits)
    for name, documents in merged.seen.items():
        there = merged.there[name]
        for key, known in documents.items():
            values = {
                field: list(value) if isinstance(value, tuple) else value for field, value in known.items()
            }
            values["last_seen"] = now
            insert: Document = {"first_seen": now}
            if key in there:
                values["deleted_at"] = None
            elif key not in merged.gone[name]:
                insert["deleted_at"] = None
            if name == "threads" and (visit := visits.pop(cast("int", key), None)):
                values.update(_visited(visit, now))
            updates[name].append(
                UpdateOne({"_id": key}, {"$set": values, "$setOnInsert": insert}, upsert=True)
            )
    for name, keys in merged.gone.items():
        for key, key_field in keys.items():
            # A pipeline, since the values depend on those before: the first mark stays.
            first = {field: {"$ifNull": [f"${field}", now]} for field in SEEN}
            updates[name].append(
                UpdateOne({"_id": key}, [{"$set": {key_field: {"$literal": key}, **first}}], upsert=True)
            )
    for visit in visits.values():
        updates["threads"].append(UpdateOne({"_id": visit.thread_id}, {"$set": _visited(visit, now)}))
    return updates


def _visited(visit: Visit, now: datetime) -> Document:
    is_complete = visit.crawl_id is not None
    return {
        "fetched_at": now if is_complete else None,
        "fetched_in": visit.crawl_id,
        "fetched_scope": visit.scope if is_complete else None,
        "fetched_reply_count": visit.reply_count if is_complete else None,
        "fetched_last_reply_at": visit.last_reply_at if is_complete else None,
    }


def _extents(merged: Merged, now: datetime) -> dict[str, list[Update]]:
    updates: dict[str, list[Update]] = defaultdict(list)
    for extent, present in merged.extents:
        keys: Document = {"$gt": extent.after, "$nin": list(present)}
        if extent.upto is not None:
            keys["$lte"] = extent.upto
        condition = {extent.parent_field: extent.parent, "_id": keys, "deleted_at": None}
        updates[extent.collection].append(UpdateMany(condition, {"$set": {"deleted_at": now}}))
    return updates


def _condition(query: Query) -> Document:
    condition: Document = {}
    if query.forum_id is not None and query.collection not in ORDER:
        condition["forum_id"] = query.forum_id
    if query.thread_id is not None:
        condition["thread_id"] = query.thread_id
    for field, operator, bound in (
        ("created_at", "$gte", query.created_since),
        ("created_at", "$lt", query.created_until),
        ("last_seen", "$gte", query.seen_since),
    ):
        if bound is not None:
            condition.setdefault(field, {})[operator] = bound
    return condition
