"""How long a page waits for a server, and how many pages ask it at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from tieba.checks import silent_store
from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from tieba.config import Config

T = TypeVar("T")


class BusyError(Exception):
    """So many pages are asked for that this one would come late; no server is to blame."""


class Turns:
    """Lets so many ask a server at once: clients have so many connections, and all together get no answer."""

    def __init__(self, at_once: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._seconds = seconds

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for a turn; raises BusyError if that takes too long."""
        await self._take()
        try:
            yield
        finally:
            self._free.release()

    async def run(
        self, work: Callable[[], Coroutine[object, object, T]], seconds: float, config: Config
    ) -> T:
        """Wait for a turn, then give what a call gives `in_time`; one that is late keeps its turn."""
        await self._take()
        asked = asyncio.ensure_future(work())
        asked.add_done_callback(lambda _: self._free.release())
        return await in_time(asked, seconds, config)

    async def _take(self) -> None:
        try:
            await asyncio.wait_for(self._free.acquire(), self._seconds)
        except asyncio.TimeoutError:
            raise BusyError from None


async def in_time(work: Awaitable[T], seconds: float, config: Config) -> T:
    """Give what a call gives; raises StoreUnavailable if that takes longer.

    It is not cancelled then, which would cost the connection that it uses.
    """
    asked = asyncio.ensure_future(work)
    await asyncio.wait({asked}, timeout=seconds)
    if not asked.done():
        asked.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise StoreUnavailable(silent_store(config, seconds))
    return asked.result()
