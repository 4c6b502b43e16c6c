"""Decides what happens to requests without a proper answer.

Nothing is lost: a request ends with an answer, in the dead letters with a reason that begins with its
outcome, or back in the queue.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest

from tieba.bodies import BodyError, decompressed
from tieba.cluster import Cluster
from tieba.pages import ForumPage, Outcome, Received, Target
from tieba.pages.web import keep_freed_memory
from tieba.requests import source_of, target_of
from tieba.samples import Sample, Samples
from tieba.settling import settler_of

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Answer

logger = logging.getLogger(__name__)


class Settled(IgnoreRequest):
    """The request was put back or given up: Scrapy has nothing more to do with it."""


class PolitenessMiddleware:
    """A downloader middleware for requests that carry a target; others pass untouched."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._cluster = Cluster.of(crawler)
        settings = crawler.settings
        self._source = source_of(self._cluster.config)
        if self._cluster.config.source == "web":
            keep_freed_memory()
        self._samples = Samples(self._cluster.config.samples_dir)
        self._max_attempts = settings.getint("FRONTIER_MAX_ATTEMPTS")
        self._first_pause = settings.getfloat("TIEBA_FIRST_PAUSE")
        self._longest_pause = settings.getfloat("TIEBA_LONGEST_PAUSE")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> PolitenessMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Read the answer; pass it on if it is one, otherwise settle the request."""
        target = target_of(request)
        if target is None:
            return response
        try:
            # Scrapy's own decompression comes later, and takes a body that is too large for no failure.
            received = _received(response)
        except BodyError as error:
            self._retry(request, "network_error", f"{type(error).__name__}: {error}")
            raise Settled(str(error)) from None
        answer = self._source.read(received, target)
        outcome = answer.outcome
        if outcome in {Outcome.OK, Outcome.DELETED}:
            if settler_of(self._crawler).strikes(request):
                await self._cluster.patience(lambda: self._cluster.frontier.succeeded(self._slot(request)))
            request.meta["answer"] = answer
            is_empty = outcome is Outcome.OK and not answer.has_content
            self._cluster.counts.count("empty" if is_empty else outcome.value, final=True)
            if received.body is not response.body:
                del response.headers["Content-Encoding"]
                response = response.replace(body=received.body)
            return response
        if outcome in {Outcome.RATE_LIMITED, Outcome.VERIFICATION}:
            self._cluster.counts.count(outcome.value, final=False)
            await self._back_off(request, answer)
        elif outcome is Outcome.UNKNOWN:
            reason = answer.error or "not recognised"
            if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._retry(request, "server_error", reason, answer.retry_after)
            else:
                sample = Sample(received, self._cluster.config.source, target)
                saved = self._samples.save(sample, reason)
                told = f"{reason}; {saved}" if saved else reason
                self._retry(request, outcome.value, told, answer.retry_after)
        else:
            self._cluster.counts.count(outcome.value, final=True)
            self._give_up(request, outcome.value, _refusal(target, answer))
        raise Settled(outcome.value)

    async def process_exception(self, request: Request, exception: Exception) -> None:
        """Retry after network errors; record what robots.txt forbids."""
        if isinstance(exception, Settled) or target_of(request) is None:
            return
        if isinstance(exception, IgnoreRequest):
            self._cluster.counts.count("forbidden", final=True)
            reason = f"{exception} (obey_robots is on; it can be set to false)"
            self._give_up(request, "forbidden", reason)
        else:
            self._retry(request, "network_error", f"{type(exception).__name__}: {exception}")
        raise Settled(str(exception))

    def _slot(self, request: Request) -> str:
        return f"{request.meta['endpoint']}:{self._cluster.config.egress}"

    async def _back_off(self, request: Request, answer: Answer) -> None:
        slot = self._slot(request)
        reason = f"{answer.outcome}: {answer.error}"
        seconds, began = await self._cluster.patience(
            lambda: self._cluster.frontier.pause(
                slot,
                self._first_pause,
                reason,
                longest=self._longest_pause,
                least=answer.retry_after or 0.0,
            )
        )
        if began:
            logger.warning("Paused %s for all workers for %.0f s: %s", slot, seconds, reason)
        settler_of(self._crawler).put_back(request)

    def _retry(self, request: Request, outcome: str, reason: str, retry_after: float | None = None) -> None:
        attempt = settler_of(self._crawler).attempts(request) + 1
        is_last = attempt >= self._max_attempts
        self._cluster.counts.count(outcome, final=is_last)
        told = f"{outcome}: {reason} (attempt {attempt} of {self._max_attempts})"
        logger.log(
            logging.ERROR if is_last else logging.INFO,
            "%s %s: %s", "Gave up" if is_last else "Retry", target_of(request), told,
        )  # fmt: skip
        settler_of(self._crawler).retry(request, told, retry_after or 0.0)

    def _give_up(self, request: Request, outcome: str, reason: str) -> None:
        told = f"{outcome}: {reason}"
        logger.error("Gave up %s: %s", target_of(request), told)
        settler_of(self._crawler).give_up(request, told)


def _received(response: Response) -> Received:
    """Give an answer as pages are read; raises BodyError."""
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in response.headers.items()
    }
    body = decompressed(response.body, headers.get("content-encoding", ""))
    return Received(body, response.status, response.url, headers, datetime.now(timezone.utc))


def _refusal(target: Target, answer: Answer) -> str:
    if isinstance(target, ForumPage) and answer.outcome is Outcome.REFUSED:
        return f"forum {target.forum!r} may not exist on this site: {answer.error}"
    return str(answer.error)
