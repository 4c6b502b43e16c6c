"""Where records are kept. A store upserts batches of records; which one is chosen by its URL's scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.records import Storable


class StoreError(Exception):
    """The store refused what was asked of it, for good; the message is one line."""


class StoreUnavailable(StoreError):  # noqa: N818 - reads as what it is
    """The store does not answer now; the same call can succeed later."""


class Store(Protocol):
    """Upserts records.

    The same records twice change nothing but `last_seen`. A field that is None keeps its stored value.
    Every record has `first_seen`, `last_seen` and `deleted_at`, which `Presence` sets and clears.
    """

    async def open(self) -> None:
        """Connect and create what is missing.

        Raises StoreError or StoreUnavailable, as the other methods do.
        """

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert one batch; returns once it is stored."""

    async def counts(self) -> dict[str, int]:
        """Give the number of stored records of every collection."""

    async def close(self) -> None:
        """Give up the connections."""
