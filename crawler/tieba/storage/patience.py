"""Waits for a store that is away, and the crawl with it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0

_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)


class StorePatience:
    """Asks until the store answers; says once that it is away, and when it is back."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    async def __call__(
        self, ask: Callable[[], Awaitable[_Result]], *, is_over: Callable[[], bool] = lambda: False
    ) -> _Result:
        """Give what `ask` gives; raises StoreUnavailable only once `is_over`, other errors at once."""
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                result = await ask()
            except StoreUnavailable as error:  # noqa: PERF203 - a retry loop
                if is_over():
                    raise
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    logger.warning("%s; waiting for it", error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            else:
                if self._away_since is not None:
                    logger.info("The store answers again after %.0f s", time.monotonic() - self._away_since)
                    self._away_since = None
                return result
