"""Keeps to the cluster-wide rate limits, and decides what happens to requests without a proper answer.

Nothing is lost: a request ends with an answer, in the list of failures with a reason, or back in the queue.
"""

from __future__ import annotations

import asyncio
import logging
import random
from http import HTTPStatus
from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest

from tieba.cluster import Cluster
from tieba.pages import ForumPage, Outcome, Target, api
from tieba.requests import fresh, target_of

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Answer

_LONGEST_WAIT_IN_HAND = 2.0  # seconds; for a longer wait a request goes back to Redis and frees its place
_HEADERS = (b"Location", b"Retry-After")

logger = logging.getLogger(__name__)


class Settled(IgnoreRequest):
    """The request was put back or given up: Scrapy has nothing more to do with it."""


class PolitenessMiddleware:
    """A downloader middleware for requests that carry a target; others pass untouched."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        config = self._cluster.config
        self._rates = {
            "threads": config.threads_rate,
            "posts": config.posts_rate,
            "comments": config.comments_rate,
        }
        settings = crawler.settings
        self._retry_times = settings.getint("TIEBA_RETRY_TIMES")
        self._retry_delay = settings.getfloat("TIEBA_RETRY_DELAY")
        self._first_pause = settings.getfloat("TIEBA_FIRST_PAUSE")
        self._longest_pause = settings.getfloat("TIEBA_LONGEST_PAUSE")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PolitenessMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> Request | None:
        """Wait for the request's turn; give it back to the queue when the worker stops meanwhile."""
        if "endpoint" not in request.meta:
            return None
        endpoint = request.meta["endpoint"]
        slot = self._slot(request)
        while True:
            if not self._crawler.engine.running:
                return fresh(request, self._cluster.config)
            turn = await self._cluster.patience(
                lambda: self._cluster.slots.take(slot, self._rates[endpoint], self._cluster.config.burst)
            )
            if turn.granted:
                if turn.wait:
                    await asyncio.sleep(turn.wait)
                request.meta["strikes"] = turn.strikes
                return None
            if turn.paused and turn.wait > _LONGEST_WAIT_IN_HAND:
                await self._cluster.put_back(fresh(request, self._cluster.config), turn.wait)
                raise Settled(f"{slot} is paused")
            await asyncio.sleep(min(turn.wait, _LONGEST_WAIT_IN_HAND))

    async def process_response(self, request: Request, response: Response) -> Response:
        """Read the answer; pass it on if it is one, otherwise settle the request."""
        target = target_of(request)
        if target is None:
            return response
        answer = api.read(
            response.body,
            target=target,
            status=response.status,
            url=response.url,
            headers={
                name.decode().lower(): value.decode("latin-1")
                for name in _HEADERS
                if (value := response.headers.get(name)) is not None
            },
        )
        outcome = answer.outcome
        if outcome in {Outcome.OK, Outcome.DELETED}:
            if request.meta.get("strikes"):
                await self._cluster.patience(lambda: self._cluster.slots.succeeded(self._slot(request)))
            request.meta["answer"] = answer
            self._cluster.counts.count(outcome.value, final=True)
            return response
        if outcome in {Outcome.RATE_LIMITED, Outcome.VERIFICATION}:
            self._cluster.counts.count(outcome.value, final=False)
            await self._back_off(request, answer)
        elif outcome is Outcome.UNKNOWN:
            kind = outcome.value if response.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
            await self._retry(request, kind, answer.error or "not recognised", answer.retry_after)
        else:
            self._cluster.counts.count(outcome.value, final=True)
            await self._cluster.give_up(request, _refusal(target, answer))
        raise Settled(outcome.value)

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """Retry after network errors; record what robots.txt forbids."""
        if isinstance(exception, Settled) or target_of(request) is None:
            return
        if isinstance(exception, IgnoreRequest):
            self._cluster.counts.count("forbidden", final=True)
            reason = f"{exception} (obey_robots is on; it can be set to false)"
            await self._cluster.give_up(request, reason)
        else:
            await self._retry(request, "network_error", f"{type(exception).__name__}: {exception}")
        raise Settled(str(exception))

    def _slot(self, request: Request) -> str:
        return f"{request.meta['endpoint']}:{self._cluster.config.egress}"

    async def _back_off(self, request: Request, answer: Answer) -> None:
        slot = self._slot(request)
        reason = f"{answer.outcome}: {answer.error}"
        seconds, began = await self._cluster.patience(
            lambda: self._cluster.slots.back_off(
                slot,
                reason,
                first=self._first_pause,
                longest=self._longest_pause,
                least=answer.retry_after or 0.0,
            )
        )
        if began:
            logger.warning("Paused %s for all workers for %.0f s: %s", slot, seconds, reason)
        await self._cluster.put_back(fresh(request, self._cluster.config), seconds)

    async def _retry(self, request: Request, outcome: str, reason: str, least: float | None = None) -> None:
        attempts = request.meta.get("attempts", 0) + 1
        if attempts > self._retry_times:
            self._cluster.counts.count(outcome, final=True)
            await self._cluster.give_up(request, f"{outcome}: {reason} (attempt {attempts} of {attempts})")
            return
        self._cluster.counts.count(outcome, final=False)
        # Requests that failed together must not come back together.
        delay = self._retry_delay * 2 ** (attempts - 1) * random.uniform(0.75, 1.25)  # noqa: S311
        again = fresh(request, self._cluster.config, attempts=attempts)
        logger.info("Retry %s in %.1f s: %s", request.meta["target"], max(delay, least or 0.0), reason)
        await self._cluster.put_back(again, max(delay, least or 0.0))


def _refusal(target: Target, answer: Answer) -> str:
    says = f"{answer.outcome}, {answer.error}"
    if isinstance(target, ForumPage) and answer.outcome is Outcome.REFUSED:
        return f"forum {target.forum!r} does not exist on this site: {says}"
    return f"{target}: {says}"
