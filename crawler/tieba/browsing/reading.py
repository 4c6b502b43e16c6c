"""What a browser asks of a store: pieces of its indexes, single records, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tieba.storage import Document

    Key = int | str  # a record's key: its id, or the portrait of a user without one


class IndexMissing(StoreUnavailable):
    """The index that a page is read from is not there; without it the store would read everything."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the index for {what} is not there yet: workers of this version build it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Some records in the order of an index: those with a value in one field, by another one, then by key.

    Records without the field `by` come first, or last in a descending order; with bounds they are left out.
    """

    collection: str
    equal: tuple[str, int] | None = None  # a field and its value
    by: str | None = None  # None: by key alone
    descending: bool = False
    since: datetime | None = None  # of `by`, from it on
    until: datetime | None = None  # of `by`, before it
    after: tuple[Any, Key] | None = None  # `by` and the key of the record before the first one
    limit: int

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the index before the key."""
        return tuple(field for field in (self.equal and self.equal[0], self.by) if field)


class Reader(Protocol):
    """Reads a store without changing anything. Methods raise StoreError, StoreUnavailable or IndexMissing."""

    place: str  # the kind, the address and the database of the store

    async def walk(self, walk: Walk) -> list[Document]:
        """Give the records of a walk; no more are read than are given, and some."""

    async def firsts(self, collection: str, field: str, values: Sequence[int], limit: int) -> list[Document]:
        """Give the first records, by key, that have each of these values in an indexed field."""

    async def get(self, collection: str, keys: Sequence[Key]) -> list[Document]:
        """Give the records with these keys that are there, in any order."""

    async def now(self) -> datetime:
        """Give the time of the store's clock, by which records are stamped."""

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection, maybe from metadata."""

    async def threads_by_forum(self) -> dict[int, int]:
        """Count the threads of every forum, which reads an index from one end to the other."""

    async def posts_by_hour(self, since: datetime, until: datetime) -> dict[int, int]:
        """Count the posts of every hour after `since`, by their created_at, which reads as many entries."""

    async def close(self) -> None:
        """Give up the connections."""
