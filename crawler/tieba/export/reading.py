"""The records to be exported, from any store."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tieba.errors import UsageError
from tieba.storage import Query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tieba.storage import Document, Store

_BATCH = 5_000
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is asked for. `forum_id` has been found by the forum's name."""

    forum_id: int | None = None
    thread_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    with_deleted: bool = True

    def query(self, collection: str, *, whole_threads: bool = False) -> Query:
        """Give what to ask a store for; with `whole_threads` times are left to the caller."""
        if collection == "users":
            return Query(collection=collection)
        if collection == "forums":
            return Query(collection=collection, forum_id=self.forum_id)
        query = Query(collection=collection, forum_id=self.forum_id, thread_id=self.thread_id)
        return query if whole_threads else replace(query, created_since=self.since, created_until=self.until)


async def find_forum(store: Store, name: str) -> int:
    """Give the id of a forum; raises UsageError that names those like it."""
    known: dict[str, int] = {}
    async for forum in store.scan(Query(collection="forums")):
        if forum.get("name"):
            known[forum["name"]] = forum["forum_id"]
    if name in known:
        return known[name]
    if not known:
        raise UsageError(f"--forum {name}: no forum is stored yet")
    like = difflib.get_close_matches(name, known, _MOST_NAMES, 0.4)
    names = [other for other in like or sorted(known)[:_MOST_NAMES] if other.isprintable()]
    more = "" if like or len(names) == len(known) else f" and {len(known) - len(names)} more"
    raise UsageError(
        f"--forum {name}: not stored; {'did you mean' if like else 'there are'} {', '.join(names)}{more}"
    )


async def batches(store: Store, collection: str, selection: Selection) -> AsyncIterator[list[Document]]:
    """Give the records of a collection in their order, some thousands at a time."""
    batch: list[Document] = []
    async for document in documents(store, collection, selection):
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def documents(
    store: Store, collection: str, selection: Selection, *, whole_threads: bool = False
) -> AsyncIterator[Document]:
    """Give the records of a collection in their order; those that are gone only if they are asked for."""
    gone = None if selection.with_deleted else await _find_gone(store, collection, selection)
    async for document in store.scan(selection.query(collection, whole_threads=whole_threads)):
        if gone is None or not gone.has(document):
            yield document


@dataclass(frozen=True, slots=True)
class _Gone:
    """Threads and posts that are marked as deleted, and with them what is in them."""

    thread_ids: frozenset[int]
    post_ids: frozenset[int]

    def has(self, document: Document) -> bool:
        """Tell whether a record, its post or its thread is marked."""
        return (
            document.get("deleted_at") is not None
            or document.get("thread_id") in self.thread_ids
            or document.get("post_id") in self.post_ids
        )


async def _find_gone(store: Store, collection: str, selection: Selection) -> _Gone:
    """Look for marks on what the records of a collection are in."""
    threads = posts = frozenset[int]()
    if collection in {"posts", "comments"}:
        threads = await _marked(store, selection.query("threads", whole_threads=True), "thread_id")
    if collection == "comments":
        posts = await _marked(store, selection.query("posts", whole_threads=True), "post_id")
    return _Gone(threads, posts)


async def _marked(store: Store, query: Query, key: str) -> frozenset[int]:
    return frozenset(
        [document[key] async for document in store.scan(query) if document.get("deleted_at") is not None]
    )
