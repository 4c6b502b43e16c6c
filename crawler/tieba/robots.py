"""Obeys robots.txt as RFC 9309 has it, whichever engine fetches it."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from protego import Protego

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FORBIDDEN = "Forbidden by robots.txt"
_GOOD_FOR_SECONDS = 86_400  # section 2.4


class RobotsUnavailable(Exception):  # noqa: N818 - reads as what it is
    """A site's robots.txt cannot be had now, so that nothing of it may be fetched (section 2.3.1.4)."""


class Robots:
    """The rules of sites, read once a day.

    `fetch` gives status and body of an address; whatever it raises means that there is no answer.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[tuple[int, bytes]]]) -> None:
        self._fetch = fetch
        self._readings: dict[str, tuple[asyncio.Task[Protego], float]] = {}

    async def allow(self, url: str, user_agent: str) -> bool:
        """Tell whether an address may be fetched; raises RobotsUnavailable."""
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        reading, since = self._readings.get(site, (None, 0.0))
        is_old = time.monotonic() - since > _GOOD_FOR_SECONDS
        if reading is None or (reading.done() and (is_old or reading.exception() is not None)):
            reading = asyncio.create_task(self._read(f"{site}/robots.txt"))
            self._readings[site] = reading, time.monotonic()
        rules = await asyncio.shield(reading)
        return rules.can_fetch(url, user_agent)

    async def _read(self, url: str) -> Protego:
        try:
            status, body = await self._fetch(url)
        except Exception as error:
            raise RobotsUnavailable(f"{url}: {type(error).__name__}: {error}") from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RobotsUnavailable(f"{url}: HTTP {status}")
        # Without such a file (4xx) everything is allowed, section 2.3.1.3.
        rules = body if status == HTTPStatus.OK else b""
        return Protego.parse(rules.decode("utf-8-sig", errors="ignore"))
