"""Where records are kept: MongoDB, MySQL, JSON Lines, or several of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tieba.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from datetime import datetime

    from tieba.records import Storable, Visit

    Document = dict[str, Any]  # a record's fields, and SEEN; times are aware, in UTC

SEEN = ("first_seen", "last_seen", "deleted_at")  # times of the store, in every document
# The fields, before its key, by which a record follows another one when it is read.
ORDER = {"posts": ("thread_id", "floor"), "comments": ("thread_id", "post_id")}


class StoreError(Exception):
    """The store refused what was asked of it, for good; the message is one line."""


class StoreUnavailable(StoreError):  # noqa: N818 - reads as what it is
    """The store does not answer now; the same call can succeed later."""


def silence(name: str, place: str, seconds: float) -> Phrase:
    """Say that a store gives no answer in some time, whoever waited for it."""
    return Phrase(
        "%(name)s at %(place)s does not answer within %(seconds).0f s",
        name=name, place=place, seconds=seconds,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which records of a collection; every condition that is not None has to hold.

    Posts and comments are of a forum if their thread is.
    """

    collection: str
    forum_id: int | None = None
    thread_id: int | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None  # before it
    seen_since: datetime | None = None  # last_seen, from it on


@dataclass(frozen=True, slots=True)
class ForumTotals:
    """What a crawl did with the threads of a forum.

    It saw some in lists, or by their own pages. Those that are there it fetched, left alone as unchanged
    since an earlier crawl fetched them, or did not fetch; others are gone, some of which no list shows any
    more.
    """

    forum_id: int
    listed: int
    fetched: int
    unchanged: int
    not_fetched: int
    gone: int


class Store(Protocol):
    """Upserts records, and gives them back.

    The same records twice change nothing but `last_seen`. A field that is None keeps its stored value.
    Every record has the times SEEN. `Presence` and `Extent` set `deleted_at` (the first mark stays) and are
    no sightings then; `Presence` clears it, and so does every sighting of a post or comment. `Visit` touches
    a thread's fetched_* fields alone. Methods raise StoreError or StoreUnavailable.
    """

    async def connect(self) -> None:
        """Connect alone, to read; rights to read are enough."""

    async def open(self) -> None:
        """Connect and create what is missing; again changes nothing.

        Indexes that a large store of an earlier version lacks are built in the background.
        """

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert one batch; returns once it is stored for good.

        An `Extent` takes effect after the records of its batch, a `Visit` does not create a thread.
        """

    async def counts(self) -> dict[str, int]:
        """Give the number of stored records of every collection of RECORD_TYPES, maybe from metadata."""

    def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records that fit, by the fields of ORDER, then by key."""

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Give the last visit of each of these threads that has one."""

    async def finished_crawls(self, crawl_ids: Collection[str]) -> set[str]:
        """Tell which of these crawls have `finished_at`."""

    async def unseen_threads(
        self, forum_id: int, since: datetime, *, replied_from: datetime | None = None
    ) -> set[int]:
        """Give the threads of a forum that are not marked deleted, with last_seen < `since`.

        With `replied_from`, only pinned ones and those with last_reply_at >= `replied_from`.
        """

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum; others may be there, too."""

    async def close(self) -> None:
        """Give up the connections."""
