"""Reads a store in MongoDB; every query names its index, so that none can read everything."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pymongo
from bson import MaxKey, MinKey
from pymongo import errors as mongo_errors

from tieba.browsing.reading import IndexMissing
from tieba.records import RECORD_TYPES
from tieba.storage.mongodb_server import MongoServer
from tieba.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tieba.browsing.reading import Key, Walk
    from tieba.storage import Document

_ABOVE_NULL = 0  # a number sorts after null, and before every time
_COUNT_SECONDS = 600
_NO_SUCH_INDEX = {2, 17007, 51173, 51174}  # of hint, min and max
_HOUR_MS = 3_600_000


class MongoReader:
    """A `Reader` of the database that the path of `url` names."""

    def __init__(self, url: str) -> None:
        self._server = MongoServer(url)
        self.place = f"mongodb {self._server.place}"
        self._database = self._server.database

    async def walk(self, walk: Walk) -> list[Document]:
        """Give the records of a walk."""
        low, high = _bounds(walk)
        order = -1 if walk.descending else 1
        fields = (*walk.fields, "_id")
        found = self._database[walk.collection].find(
            # An ascending walk begins with the record after which it goes on.
            limit=walk.limit + (walk.after is not None and not walk.descending),
            min=dict(zip(fields, low, strict=True)),
            max=dict(zip(fields, high, strict=True)),
            hint=[(field, 1) for field in fields],
            sort=[(field, order) for field in fields],
        )
        async with self._asked(" and ".join(fields)):
            documents = await found.to_list()
        if walk.after is not None:
            documents = [document for document in documents if document["_id"] != walk.after[1]]
        return [_document(walk.collection, document) for document in documents[: walk.limit]]

    async def firsts(self, collection: str, field: str, values: Sequence[int], limit: int) -> list[Document]:
        """Give the first records, by key, that have each of these values, in one question."""
        pieces: list[list[Mapping[str, Any]]] = [
            [{"$match": {field: value}}, {"$sort": {field: 1, "_id": 1}}, {"$limit": limit}]
            for value in values
        ]
        union = [{"$unionWith": {"coll": collection, "pipeline": piece}} for piece in pieces[1:]]
        async with self._asked(field):
            found = await self._database[collection].aggregate([*pieces[0], *union])
            return [_document(collection, document) async for document in found]

    async def get(self, collection: str, keys: Sequence[Key]) -> list[Document]:
        """Give the records with these keys that are there."""
        async with self._asked("_id"):
            found = await self._database[collection].find({"_id": {"$in": list(keys)}}).to_list()
        return [_document(collection, document) for document in found]

    async def now(self) -> datetime:
        """Give the time of the server's clock."""
        async with self._asked("the time"):
            hello = await self._database.command("hello")
        now: datetime = hello["localTime"]
        return now if now.tzinfo else now.replace(tzinfo=timezone.utc)

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection, from its metadata."""
        async with self._asked("counts"):
            return {
                kind.collection: await self._database[kind.collection].estimated_document_count()
                for kind in RECORD_TYPES
            }

    async def threads_by_forum(self) -> dict[int, int]:
        """Count the threads of every forum."""
        stages: list[Mapping[str, Any]] = [
            {"$sort": {"forum_id": 1}},
            {"$project": {"_id": 0, "forum_id": 1}},
            {"$group": {"_id": "$forum_id", "count": {"$sum": 1}}},
        ]
        index = [("forum_id", 1), ("created_at", 1), ("_id", 1)]
        return await self._count("threads", stages, index)

    async def posts_by_hour(self, since: datetime, until: datetime) -> dict[int, int]:
        """Count the posts of every hour."""
        passed = {"$subtract": ["$created_at", since]}
        stages: list[Mapping[str, Any]] = [
            {"$match": {"created_at": {"$gte": since, "$lt": until}}},
            {"$project": {"_id": 0, "created_at": 1}},
            {"$group": {"_id": {"$floor": {"$divide": [passed, _HOUR_MS]}}, "count": {"$sum": 1}}},
        ]
        return await self._count("posts", stages, [("created_at", 1), ("_id", 1)])

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _count(
        self, collection: str, stages: list[Mapping[str, Any]], index: list[tuple[str, int]]
    ) -> dict[int, int]:
        await self.now()  # fails soon where the server is away
        async with self._asked(index[0][0]):
            with pymongo.timeout(_COUNT_SECONDS):
                groups = await self._database[collection].aggregate(stages, hint=dict(index))
                return {
                    int(group["_id"]): group["count"] async for group in groups if group["_id"] is not None
                }

    @contextlib.asynccontextmanager
    async def _asked(self, what: str) -> AsyncIterator[None]:
        """Translate what the server says to a question; `what` names its index."""
        try:
            yield
        except mongo_errors.OperationFailure as error:
            if error.code in _NO_SUCH_INDEX and "hint" in str(error):
                raise IndexMissing(what) from error
            raise self._server.translated(error) from error
        except mongo_errors.PyMongoError as error:
            raise self._server.translated(error) from error


def _bounds(walk: Walk) -> tuple[list[Any], list[Any]]:
    """Give the first entry of the index, and the one that ends the walk, in the index' own order."""
    equal: list[Any] = [walk.equal[1]] if walk.equal else []
    start, end = [*equal], [*equal]
    if walk.by:
        start.append(walk.since or (_ABOVE_NULL if walk.until else MinKey()))
        end.append(walk.until or MaxKey())
    start.append(MinKey())
    end.append(MinKey() if walk.until else MaxKey())
    if walk.after is not None:
        value, key = walk.after
        last = [*equal, *([value] if walk.by else []), key]
        if walk.descending:
            end = last
        else:
            start = last
    return start, end


def _document(collection: str, document: Mapping[str, Any]) -> Document:
    return {name: document.get(name) for name in TABLES[collection].selected}
