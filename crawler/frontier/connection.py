"""The asyncio connection to Redis, and patience while Redis is away."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# Redis is gone, starting, full or being failed over: all of them pass.
TRANSIENT: tuple[type[Exception], ...] = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
)
# Subclasses of ConnectionError that do not pass.
PERMANENT: tuple[type[Exception], ...] = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
)
_TIMEOUT_SECONDS = 10.0
_LONGEST_WAIT_SECONDS = 5.0

logger = logging.getLogger(__name__)


def connect(url: str) -> Redis:
    """Make a client that gives texts; nothing is sent before the first command."""
    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors="surrogateescape",  # bytes that are not UTF-8 come back as they were
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        health_check_interval=30,
    )
    return client


class Patience:
    """Repeats operations while Redis is away; says so once, and once when it is back."""

    def __init__(self) -> None:
        self._away_since: float | None = None

    async def __call__(self, operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `operation` until Redis has answered it; other errors are raised."""
        wait = 0.1
        while True:
            try:
                result = await operation()
            except TRANSIENT as error:  # noqa: PERF203 - a retry loop
                if isinstance(error, PERMANENT):
                    raise
                self.away(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
            else:
                self.back()
                return result

    def away(self, error: Exception) -> None:
        """Note that Redis did not answer."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            logger.warning("Redis does not answer (%s); waiting for it", error)

    def back(self) -> None:
        """Note that Redis answered."""
        if self._away_since is not None:
            logger.info("Redis answers again after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None
