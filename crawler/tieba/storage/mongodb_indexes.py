"""The indexes of a store in MongoDB, and how they come to be in a store that has records already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from tieba.storage import Document

# Of every collection, the fields of its indexes; all end with the key, so that a list has one order.
INDEXES = {
    "threads": (
        ("forum_id", "last_reply_at", "_id"),
        ("forum_id", "created_at", "_id"),
        ("author_id", "created_at", "_id"),
        ("last_reply_at", "_id"),
        ("created_at", "_id"),
        ("first_seen", "_id"),
    ),
    "posts": (("thread_id", "floor", "_id"), ("author_id", "_id"), ("created_at", "_id")),
    "comments": (("thread_id", "post_id", "_id"), ("post_id", "_id")),
    "users": (("first_seen", "_id"),),
}
# Those of earlier versions, whose work the ones above do.
_REPLACED = {
    "threads": ("forum_id_1_last_reply_at_-1",),
    "posts": ("author_id_1",),
    "comments": ("post_id_1",),
}
_LONGEST_BUILD_SECONDS = 24 * 3600
_NOT_FOUND = 27


def models(name: str) -> list[IndexModel]:
    """Give the indexes of a collection as the driver creates them."""
    return [IndexModel([(field, ASCENDING) for field in fields]) for fields in INDEXES.get(name, ())]


async def build(database: AsyncDatabase[Document]) -> None:
    """Create what is missing and then remove what it replaces; others go on reading and writing meanwhile."""
    for name in INDEXES:
        collection = database[name]
        have = await collection.index_information()
        replaced = [index for index in _REPLACED.get(name, ()) if index in have]
        wanted: list[Any] = [model.document["name"] for model in models(name)]
        if not replaced and all(index in have for index in wanted):
            continue
        with pymongo.timeout(_LONGEST_BUILD_SECONDS):
            # Waits also for those that another worker is building.
            await collection.create_indexes(models(name))
        for index in replaced:
            try:
                await collection.drop_index(index)
            except OperationFailure as error:  # noqa: PERF203 - one or two of them
                if error.code != _NOT_FOUND:  # another worker was faster
                    raise
