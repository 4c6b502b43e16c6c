"""Obeys robots.txt as RFC 9309 has it.

Scrapy's own middleware allows everything, for as long as the worker lives, once it could not read the file.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.http.request import NO_CALLBACK
from scrapy.utils.misc import build_from_crawler

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.robotstxt import RobotParser

_GOOD_FOR_SECONDS = 86_400  # section 2.4


class RobotsUnavailable(Exception):  # noqa: N818 - reads as what it is
    """A site's robots.txt cannot be had now, so that nothing of it may be fetched (section 2.3.1.4)."""


class RobotsMiddleware(RobotsTxtMiddleware):
    """Reads a site's rules once a day; a request for a site without them fails, and comes back later."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._readings: dict[str, tuple[asyncio.Task[RobotParser], float]] = {}

    async def robot_parser(self, request: Request) -> RobotParser:
        """Give the rules of a request's site; raises RobotsUnavailable."""
        parts = urlsplit(request.url)
        site = f"{parts.scheme}://{parts.netloc}"
        reading, since = self._readings.get(site, (None, 0.0))
        is_old = time.monotonic() - since > _GOOD_FOR_SECONDS
        if reading is None or (reading.done() and (is_old or reading.exception() is not None)):
            reading = asyncio.create_task(self._read(f"{site}/robots.txt"))
            self._readings[site] = reading, time.monotonic()
        return await asyncio.shield(reading)

    async def _read(self, url: str) -> RobotParser:
        request = Request(url, meta={"dont_obey_robotstxt": True}, callback=NO_CALLBACK)
        try:
            response = await self.crawler.engine.download_async(request)
        except Exception as error:
            raise RobotsUnavailable(f"{url}: {type(error).__name__}: {error}") from error
        if (
            response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or response.status == HTTPStatus.TOO_MANY_REQUESTS
        ):
            raise RobotsUnavailable(f"{url}: HTTP {response.status}")
        # Without such a file (4xx) everything is allowed, section 2.3.1.3.
        rules = response.body if response.status == HTTPStatus.OK else b""
        parser: RobotParser = build_from_crawler(self._parserimpl, self.crawler, rules)
        return parser
