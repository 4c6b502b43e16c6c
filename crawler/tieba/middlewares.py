"""Scrapy's downloader middlewares: what `tieba.robots` and `tieba.politeness` decide, done in Scrapy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from scrapy import Request
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http.request import NO_CALLBACK

from tieba.bodies import BodyError, decompressed
from tieba.cluster import Cluster
from tieba.pages import Received
from tieba.politeness import Politeness
from tieba.requests import target_of
from tieba.robots import FORBIDDEN, Robots
from tieba.settling import settler_of

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Target
    from tieba.settling import Settler


class Settled(IgnoreRequest):
    """The request was put back or given up: Scrapy has nothing more to do with it."""


class RobotsMiddleware:
    """Lets requests pass that robots.txt allows; one for a site without rules fails, and comes back later.

    Scrapy's own allows everything, for as long as the worker lives, once it could not read the file.
    """

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("ROBOTSTXT_OBEY"):
            raise NotConfigured
        self._crawler = crawler
        self._user_agent: str = settings["ROBOTSTXT_USER_AGENT"] or settings["USER_AGENT"]
        self._robots = Robots(self._fetch)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> RobotsMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Raise IgnoreRequest or RobotsUnavailable for what may not be fetched, or not now."""
        if request.meta.get("dont_obey_robotstxt") or request.url.startswith(("data:", "file:")):
            return
        if not await self._robots.allow(request.url, self._user_agent):
            raise IgnoreRequest(FORBIDDEN)

    async def _fetch(self, url: str) -> tuple[int, bytes]:
        request = Request(url, meta={"dont_obey_robotstxt": True}, callback=NO_CALLBACK)
        assert self._crawler.engine is not None  # noqa: S101 - there is a request
        response = await self._crawler.engine.download_async(request)
        return response.status, response.body


class PolitenessMiddleware:
    """Takes the requests with a target; others pass untouched."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._politeness = Politeness(Cluster.of(crawler), crawler.settings.getint("FRONTIER_MAX_ATTEMPTS"))

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PolitenessMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Read the answer; pass it on if it is one, otherwise settle the request."""
        target = target_of(request)
        if target is None:
            return response
        hand = RequestInHand(request, settler_of(self._crawler), target)
        try:
            # Scrapy's own decompression comes later, and takes a body that is too large for no failure.
            received = _received(response)
        except BodyError as error:
            self._politeness.note_failure(hand, error)
            raise Settled(str(error)) from None
        answer = await self._politeness.judge(received, hand)
        if answer is None:
            raise Settled(str(target))
        request.meta["answer"] = answer
        if received.body is not response.body:
            del response.headers["Content-Encoding"]
            response = response.replace(body=received.body)
        return response

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """Retry after network errors; record what robots.txt forbids."""
        target = target_of(request)
        if isinstance(exception, Settled) or target is None:
            return
        hand = RequestInHand(request, settler_of(self._crawler), target)
        if isinstance(exception, IgnoreRequest):
            self._politeness.forbid(hand, str(exception))
        else:
            self._politeness.note_failure(hand, exception)
        raise Settled(str(exception))


@dataclass(frozen=True, slots=True)
class RequestInHand:
    """A Scrapy request, as `tieba.politeness.Hand`."""

    request: Request
    settler: Settler
    target: Target | None

    def __str__(self) -> str:
        return str(self.target or self.request)

    @property
    def endpoint(self) -> str:
        """The name of its rate limit."""
        return str(self.request.meta["endpoint"])

    @property
    def attempts(self) -> int:
        """How often it has failed before."""
        return self.settler.attempts(self.request)

    @property
    def strikes(self) -> int:
        """How often its slot was paused since its last success."""
        return self.settler.strikes(self.request)

    def retry(self, reason: str, retry_after: float = 0.0) -> None:
        """Have it tried again after some seconds, or given up after too many attempts."""
        self.settler.retry(self.request, reason, retry_after)

    def give_up(self, reason: str) -> None:
        """Put it to the dead letters."""
        self.settler.give_up(self.request, reason)

    def put_back(self) -> None:
        """Give it back unharmed."""
        self.settler.put_back(self.request)


def _received(response: Response) -> Received:
    """Give an answer as pages are read; raises BodyError."""
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in response.headers.items()
    }
    body = decompressed(response.body, headers.get("content-encoding", ""))
    return Received(body, response.status, response.url, headers, datetime.now(timezone.utc))
