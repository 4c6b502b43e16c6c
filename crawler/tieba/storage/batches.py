"""Unites concurrent batches of records into one write: while a write is under way, the next batch gathers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tieba.records import Storable

_LARGEST_WRITE = 5_000  # records


class GroupCommit:
    """Calls `write` with the records of all who wait.

    Each caller returns when its own records are written.
    """

    def __init__(self, write: Callable[[Sequence[Storable]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Sequence[Storable], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def save(self, records: Sequence[Storable]) -> None:
        """Write records, together with others; raises what `write` raises for them."""
        if not records:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._drain())
        await done

    async def finish(self) -> None:
        """Wait for the writes that are under way."""
        if self._writer is not None:
            await asyncio.wait({self._writer})

    async def _drain(self) -> None:
        while self._waiting:
            group = []
            size = 0
            while self._waiting and size < _LARGEST_WRITE:
                group.append(self._waiting.pop(0))
                size += len(group[-1][0])
            try:
                await self._write([record for records, _ in group for record in records])
            except StoreUnavailable as error:
                _fail(group, error)
            except Exception:  # noqa: BLE001 - one bad record must not fail the others of the group
                for records, done in group:
                    try:
                        await self._write(records)
                    except Exception as own:  # noqa: BLE001, PERF203 - handed to the caller
                        _fail([(records, done)], own)
                    else:
                        _succeed([(records, done)])
            else:
                _succeed(group)
        self._writer = None


def _succeed(group: list[tuple[Sequence[Storable], asyncio.Future[None]]]) -> None:
    for _, done in group:
        if not done.done():
            done.set_result(None)


def _fail(group: list[tuple[Sequence[Storable], asyncio.Future[None]]], error: Exception) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(error)
