"""Builds the indexes that a store lacks beside its use: a large store takes minutes, and no crawl waits."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

_PATIENCE_SECONDS = 5.0  # how long whoever opens a store waits for them
_RETRY_SECONDS = 300.0  # a failed build can have been as much work as one that succeeds

logger = logging.getLogger(__name__)


class IndexBuild:
    """Calls `build`, which tells whether nothing is left to do, until it does."""

    def __init__(self, build: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        self._build = build
        self._task: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Build; what takes longer than seconds goes on in the background. Raises StoreError."""
        if self._task is not None and not self._task.done():
            return
        first = self._task = asyncio.create_task(self._build())
        await asyncio.wait({first}, timeout=_PATIENCE_SECONDS)
        if first.done() and not isinstance(first.exception(), StoreUnavailable) and first.result():
            return
        self._task = asyncio.create_task(self._go_on(first))
        self._task.add_done_callback(_tell)

    async def stop(self) -> None:
        """Give it up; the next who opens the store begins again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _go_on(self, attempt: Awaitable[bool]) -> None:
        told = ""
        while True:
            try:
                if await attempt:
                    return
            except StoreUnavailable as error:
                if str(error) != told:
                    told = str(error)
                    logger.info("Indexes are built later: %s", told)
            await asyncio.sleep(_RETRY_SECONDS)
            attempt = self._build()


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("Indexes are not built: %s", error)
