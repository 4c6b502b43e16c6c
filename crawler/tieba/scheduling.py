"""Scrapy's scheduler on top of the frontier.

`SCHEDULER = "tieba.scheduling.Scheduler"` is all that a spider needs. What scrapy-redis' users know works on:
the settings REDIS_URL, REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_PARAMS and SCHEDULER_FLUSH_ON_START, and
RedisSpider with its list, set or sorted set of start URLs, which are read while requests run.
SCHEDULER_PERSIST is always on. More settings:

| setting | default | what |
| --- | --- | --- |
| FRONTIER_JOB | the spider's name | name of the job; workers of one job share its requests |
| FRONTIER_EGRESS | default | the outgoing address, which workers behind it share |
| FRONTIER_LIMITS | {} | {endpoint: (requests per second, burst)} of all workers behind one address |
| FRONTIER_AHEAD | 2 * CONCURRENT_REQUESTS | requests leased ahead of need, where no limit holds |
| FRONTIER_LEASE_SECONDS, FRONTIER_MAX_ATTEMPTS, FRONTIER_RETRY_DELAY | 30, 6, 1 | see `frontier.Policy` |

An endpoint is a request's `download_slot`, by default its host; `*` stands for all that are not named.

A request is completed when its callback has ended and its items have passed the pipelines; what the callback
yields is queued in the same step. An error in callback, pipeline or download fails it: it comes back later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from scrapy import Request, signals
from scrapy.core.scheduler import BaseScheduler
from scrapy.exceptions import IgnoreRequest
from scrapy.spidermiddlewares.httperror import HttpError
from scrapy.utils.defer import deferred_from_coro
from scrapy_redis.spiders import RedisMixin
from twisted.python.failure import Failure

from frontier import Frontier, Limit, Policy, connect
from frontier.connection import ERRORS, one_line, trouble
from frontier.job import Job
from frontier.worker import Worker
from tieba.codec import LEASE, Codec
from tieba.ending import tell_end
from tieba.feeding import Feeder, StartUrls
from tieba.settling import PutBack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.settings import BaseSettings
    from twisted.internet.defer import Deferred
    from typing_extensions import Self

    import frontier

_MOST_UNWRITTEN = 2_000  # start requests that wait to be queued
_CLOSE_SECONDS = 10.0  # for what is still to be written; within the units' TimeoutStopSec

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Hand:
    """A request that the engine works on."""

    request: Request
    lease: frontier.Lease
    errback: Callable[[Failure], Any] | None
    follow_ups: list[frontier.Request] = field(default_factory=list)
    error: str | None = None


class Scheduler(BaseScheduler):
    """Gives the engine what is leased to this worker, and tells the frontier what came of it."""

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        assert crawler.spider is not None  # noqa: S101 - made before the scheduler
        self._crawler = crawler
        self._stats = crawler.stats
        self._codec = Codec(crawler)
        job = settings.get("FRONTIER_JOB") or crawler.spider.name
        policy = Policy(
            lease_seconds=settings.getfloat("FRONTIER_LEASE_SECONDS", 30.0),
            max_attempts=settings.getint("FRONTIER_MAX_ATTEMPTS", 6),
            retry_delay=settings.getfloat("FRONTIER_RETRY_DELAY", 1.0),
        )
        limits = limits_of(settings)
        self._is_limited = bool(limits)
        self._retry_codes = {int(code) for code in settings.getlist("RETRY_HTTP_CODES")}
        self._concurrency = settings.getint("CONCURRENT_REQUESTS")
        self._ahead = settings.getint("FRONTIER_AHEAD", 2 * self._concurrency)
        self._redis = connect(redis_url(settings))
        self._frontier = Frontier(self._redis, job, policy)
        self._job = Job(self._frontier)
        self.worker = Worker(
            self._frontier,
            room=self._room,
            on_change=self._wake_engine,
            may_finish=self._may_finish,
            egress=settings.get("FRONTIER_EGRESS", "default"),
            limits=limits,
            counted_as=settings.get("FRONTIER_COUNTED_AS", ""),
            most_held=self._concurrency + self._ahead,
        )
        self._feeder: Feeder | None = None
        self._hands: dict[str, _Hand] = {}
        self._is_unusable = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        """Make it for a crawler; with a mistake in the settings the spider ends at once."""
        try:
            return cls(crawler)
        except (ValueError, TypeError) as error:
            logger.error("The settings of the frontier cannot be used, so the spider ends: %s", error)
            return cast("Self", _NoScheduler())

    # What the engine calls.

    def open(self, spider: Spider) -> Deferred[None]:
        """Begin to lease; feed a RedisSpider."""
        return deferred_from_coro(self._open(spider))

    async def _open(self, spider: Spider) -> None:
        try:
            await self._frontier.is_finished()
        except ERRORS as error:
            if trouble(error) is None:
                logger.error("Redis cannot be used, so the spider ends: %s", one_line(error))
                self._is_unusable = True
                return
        engine = self._crawler.engine
        if engine._start is not None:
            engine._start = self._paced(engine._start)
        # The outermost spider middleware sees what all others have left of a callback's output.
        methods = engine.scraper.spidermw.methods
        methods["process_spider_output"].append(self._process_spider_output)
        methods["process_spider_exception"].append(None)
        self._crawler.signals.connect(self._note_spider_error, signals.spider_error)
        self._crawler.signals.connect(self._note_item_error, signals.item_error)
        self._crawler.signals.connect(self._note_item_dropped, signals.item_dropped)
        if isinstance(spider, RedisMixin):
            self._feeder = Feeder(self._start_urls(spider), self._job, self.worker.patience)
            self._feeder.start()
        abandons = self._crawler.settings.getbool("SCHEDULER_FLUSH_ON_START")
        if abandons or self._feeder is None:  # else the first start URL begins a crawl
            self.worker.start(lambda: self._frontier.begin(abandon=abandons))
        else:
            self.worker.start()

    def _start_urls(self, spider: RedisMixin) -> StartUrls:
        """Give where a spider of scrapy-redis reads, which does not read there itself any more."""
        settings = self._crawler.settings
        is_set = settings.getbool("REDIS_START_URLS_AS_SET")
        is_sorted = not is_set and settings.getbool("REDIS_START_URLS_AS_ZSET")
        # What scrapy-redis would do when the spider is idle: take them out first, and block meanwhile.
        spider.fetch_data = lambda key, count: []
        spider.count_size = lambda key: 0

        def pack(data: bytes) -> list[frontier.Request]:
            made = spider.make_request_from_data(data)
            requests = (made,) if isinstance(made, Request) else made if isinstance(made, Iterable) else ()
            return [self._codec.pack(request) for request in requests]

        return StartUrls(
            spider.redis_key,
            pack,
            getattr(spider, "seeds_of", None),
            "set" if is_set else "zset" if is_sorted else "list",
        )

    def close(self, reason: str) -> Deferred[None]:
        """Give back what is left; nothing that is shared is touched."""
        return deferred_from_coro(self._close())

    def has_pending_requests(self) -> bool:
        """Tell whether this worker may have something to do before the crawl ends."""
        return not self.worker.is_over and not self._is_unusable

    def enqueue_request(self, request: Request) -> bool:
        """Queue a request; one that continues a leased one, such as a redirect, takes its place.

        False if it cannot be queued. Whether it was seen before turns out later.
        """
        hand = self._hand_of(request)
        packed = None if self._is_unusable else self._pack(request, hand)
        if packed is None:
            return False
        if hand is None:
            self.worker.push([packed])
        else:
            hand.follow_ups.append(packed)
        self._count("enqueued")
        return True

    def next_request(self) -> Request | None:
        """Give the next request whose turn has come."""
        self._settle_done()
        while (lease := self.worker.take()) is not None:
            try:
                request = self._codec.unpack(lease)
            except Exception as error:  # noqa: BLE001 - anybody may have written the entry
                reason = f"queue entry cannot be decoded: {type(error).__name__}: {error}"
                logger.error("%a: %a", reason, lease.payload[:200])
                self.worker.fail(lease.id, reason, is_final=True)
                continue
            self._hands[lease.id] = _Hand(request, lease, request.errback)
            request.errback = self._note_failure
            self._count("dequeued")
            return request
        return None

    @property
    def crawl_id(self) -> str:
        """The crawl whose requests are leased."""
        return self.worker.crawl_id

    # What middlewares that know better tell of a request; nothing else is done with it then.

    def retry(self, request: Request, reason: str, retry_after: float = 0.0) -> None:
        """Have a request tried again later, or given up after too many attempts."""
        if hand := self._drop(request):
            self.worker.fail(hand.lease.id, reason, retry_after)

    def give_up(self, request: Request, reason: str) -> None:
        """Put a request to the dead letters."""
        if hand := self._drop(request):
            self.worker.fail(hand.lease.id, reason, is_final=True)

    def put_back(self, request: Request) -> None:
        """Give a request back unharmed."""
        if hand := self._drop(request):
            self.worker.release(hand.lease.id)

    def strikes(self, request: Request) -> int:
        """Tell how often the request's slot was paused since its last success."""
        hand = self._hand_of(request)
        return hand.lease.strikes if hand else 0

    def attempts(self, request: Request) -> int:
        """Tell how often the request has failed before."""
        hand = self._hand_of(request)
        return hand.lease.attempts if hand else 0

    # The way of a request through Scrapy.

    async def _process_spider_output(
        self, response: Response, result: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        hand = self._hand_of(response.request)
        if hand is None:
            async for item in result:
                yield item
            return
        has_items = False
        async for item in result:
            if not isinstance(item, Request):
                has_items = True
                yield item
            elif packed := self._pack(item, hand):
                hand.follow_ups.append(packed)
        if hand.follow_ups:
            self._count("enqueued", len(hand.follow_ups))
        if not has_items and not hand.error:
            self._settle(hand)  # else when the engine has done with it: items are in the pipelines

    def _note_failure(self, failure: Failure) -> Any:
        """Stand in for a request's errback."""
        hand = self._hand_of(failure.request)  # type: ignore[attr-defined]
        if hand is None:
            return failure
        result = failure if hand.errback is None else hand.errback(failure)
        if isinstance(result, Failure) and not self._is_ignored(failure.value):
            hand.error = f"{type(failure.value).__name__}: {failure.value}"
        return result

    def _note_spider_error(self, failure: Failure, response: Any) -> None:
        self._note_error(getattr(response, "request", None), failure, "callback")

    def _note_item_error(self, response: Any, failure: Failure) -> None:
        self._note_error(getattr(response, "request", None), failure, "item pipeline")

    def _note_item_dropped(self, response: Any, exception: BaseException) -> None:
        if isinstance(exception, PutBack) and response is not None:
            self.put_back(response.request)

    def _note_error(self, request: Request | None, failure: Failure, where: str) -> None:
        if hand := self._hand_of(request):
            hand.error = f"{where}: {type(failure.value).__name__}: {failure.value}"

    def _is_ignored(self, error: BaseException | None) -> bool:
        """Tell whether a request is done with, as a 404 or a link to another site is."""
        if isinstance(error, HttpError):
            return error.response.status not in self._retry_codes
        return isinstance(error, IgnoreRequest)

    def _settle_done(self) -> None:
        """Settle those that the engine has done with: their items are through the pipelines."""
        slot = self._crawler.engine._slot
        in_progress = slot.inprogress if slot is not None else set()
        if len(self._hands) > len(in_progress):
            for hand in [hand for hand in self._hands.values() if hand.request not in in_progress]:
                self._settle(hand)

    def _settle(self, hand: _Hand) -> None:
        if self._drop(hand.request) is None:
            return
        if hand.error is None:
            self.worker.complete(hand.lease.id, hand.follow_ups)
        else:
            self.worker.fail(hand.lease.id, hand.error)

    def _hand_of(self, request: Request | None) -> _Hand | None:
        return self._hands.get(request.meta.get(LEASE, "")) if request is not None else None

    def _drop(self, request: Request) -> _Hand | None:
        return self._hands.pop(request.meta.get(LEASE, ""), None)

    def _pack(self, request: Request, hand: _Hand | None) -> frontier.Request | None:
        """Give what the frontier keeps of a request, made from that of `hand` perhaps.

        None for one that cannot be kept: it is a dead letter.
        """
        if hand is not None and request.errback == self._note_failure:
            request = request.replace(errback=hand.errback)
        try:
            return self._codec.pack(request)
        except (ValueError, TypeError) as error:
            reason = f"cannot be written as JSON: {error}"
            logger.error("Gave up %a: %a", request, reason)
            self.worker.bury("-", f"{request.method} {request.url}", reason)
            return None

    # Beginning and end.

    async def _paced(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Keep start requests from piling up here while Redis cannot take them."""
        async for item in start:
            while self.worker.unwritten >= _MOST_UNWRITTEN:
                await self.worker.flush()
            yield item

    async def _may_finish(self) -> bool:
        if self._crawler.engine._start is not None or self._hands:
            return False
        return self._feeder is None or await self._feeder.is_done()

    async def _close(self) -> None:
        if self._feeder is not None:
            await self._feeder.close()
        self._settle_done()
        await self.worker.close(_CLOSE_SECONDS)
        if self.worker.is_over:
            await tell_end(self._job, self.worker.state)
        await self._redis.aclose()

    def _room(self, ready: int) -> int:
        """Tell how many leases to fetch.

        Without limits, a buffer that bridges the way to Redis. With limits, what can be sent at once: a
        request that waits here misses its turn.
        """
        if not self._is_limited:
            room = self._ahead - ready
            return room if room >= self._ahead / 2 else 0  # few calls rather than many small ones
        return self._concurrency - len(self._crawler.engine.downloader.active) - ready

    def _wake_engine(self) -> None:
        engine = self._crawler.engine
        slot = engine._slot if engine is not None else None
        if slot is not None and slot.closing is None:
            slot.nextcall.schedule()

    def _count(self, what: str, count: int = 1) -> None:
        self._stats.inc_value(f"scheduler/{what}", count)
        self._stats.inc_value(f"scheduler/{what}/frontier", count)


class _NoScheduler(BaseScheduler):
    """Lets the spider end at once."""

    def has_pending_requests(self) -> bool:
        return False

    def enqueue_request(self, request: Request) -> bool:
        return False

    def next_request(self) -> None:
        return None


def limits_of(settings: BaseSettings) -> dict[str, Limit]:
    """Give FRONTIER_LIMITS; raises ValueError that names what is wrong."""
    limits = {}
    for endpoint, limit in settings.getdict("FRONTIER_LIMITS").items():
        try:
            rate, burst = map(float, limit)
        except (TypeError, ValueError):
            raise ValueError(f"FRONTIER_LIMITS: {endpoint} must be [rate, burst], not {limit!r}") from None
        if not (rate > 0 and burst >= 1):
            raise ValueError(f"FRONTIER_LIMITS: {endpoint} must have a rate above 0 and a burst of 1 or more")
        limits[endpoint] = Limit(rate, burst)
    return limits


def redis_url(settings: BaseSettings) -> str:
    """Give the address of Redis that scrapy-redis' settings name."""
    params = settings.getdict("REDIS_PARAMS")
    user, password = params.get("username") or "", params.get("password") or ""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
    if url := settings.get("REDIS_URL"):
        scheme, separator, rest = str(url).partition("://")
        return str(url) if "@" in rest else f"{scheme}{separator}{login}{rest}"
    host = settings.get("REDIS_HOST") or params.get("host") or "localhost"
    port = settings.get("REDIS_PORT") or params.get("port") or 6379
    database = settings.get("REDIS_DB") or params.get("db") or 0
    return f"redis://{login}{host}:{port}/{database}"
