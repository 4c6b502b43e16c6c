"""The scheduler of scrapy-redis, to compare the frontier with (`scheduler: scrapy_redis`).

It keeps its queue in `<job>:requests` and what was seen in `<job>:dupefilter`, asks Redis once or twice for
every link, and loses what a worker has in hand when that dies. It has no notion of a crawl's end: a worker
closes after some idle seconds. Different from the original are: JSON in place of pickle, requests known by
their target, and rate limits that hold for all workers together, since a comparison has to be polite, too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any, cast

import scrapy_redis.dupefilter
import scrapy_redis.queue
import scrapy_redis.scheduler
from scrapy.exceptions import ScrapyDeprecationWarning

from frontier import Limit, connect_blocking, operations
from frontier.blocking import Frontier
from frontier.connection import ERRORS
from frontier.job import ALIVE_SECONDS, parsed_beats
from tieba.cluster import Cluster
from tieba.codec import identity
from tieba.requests import fresh
from tieba.turns import take_turn

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler

    from tieba.config import Config
    from tieba.spiders.tieba import TiebaSpider

_IDLE_SECONDS = 10
_RETRY_SECONDS = 1.0
_MARKED_SECONDS = 30 * 86_400  # longer than a crawl takes

logger = logging.getLogger(__name__)


def stock_settings(config: Config) -> dict[str, Any]:
    """Give the Scrapy settings of this scheduler."""
    return {
        "SCHEDULER": "tieba.stock.Scheduler",
        "SCHEDULER_PERSIST": True,  # else the first worker that closes wipes the queue of all
        "SCHEDULER_SERIALIZER": "tieba.serializer",
        "SCHEDULER_QUEUE_CLASS": "tieba.stock.Queue",
        "SCHEDULER_QUEUE_KEY": f"{config.job}:requests",
        "SCHEDULER_DUPEFILTER_KEY": f"{config.job}:dupefilter",
        "DUPEFILTER_CLASS": "tieba.stock.DupeFilter",
        "MAX_IDLE_TIME_BEFORE_CLOSE": _IDLE_SECONDS,
        "REDIS_PARAMS": {"socket_timeout": 10, "socket_connect_timeout": 10, "health_check_interval": 30},
    }


class DupeFilter(scrapy_redis.dupefilter.RFPDupeFilter):  # type: ignore[misc]
    """Knows requests by their target, whatever is signed or versioned in their bytes."""

    def request_fingerprint(self, request: Request) -> str:
        """Give a request's identity, as the frontier knows it."""
        return identity(request)


class Queue(scrapy_redis.queue.PriorityQueue):  # type: ignore[misc]
    """The priority queue; an entry that cannot be decoded is skipped and not raised in the engine."""

    def _decode_request(self, encoded_request: bytes) -> Request | None:
        try:
            request: Request = super()._decode_request(encoded_request)
        except Exception as error:  # noqa: BLE001 - anybody may have written the entry
            logger.error("queue entry cannot be decoded: %s: %s", error, encoded_request[:200])
            return None
        return request


class Scheduler(scrapy_redis.scheduler.Scheduler):  # type: ignore[misc]
    """The scheduler of scrapy-redis, with what the middlewares ask of a scheduler."""

    def open(self, spider: TiebaSpider) -> None:
        """Connect the scheduler to its spider, and begin a crawl with the first start URL."""
        with warnings.catch_warnings():
            # The original logs with Spider.log(), which Scrapy has deprecated.
            warnings.simplefilter("ignore", ScrapyDeprecationWarning)
            super().open(spider)
        self.stats = None  # which the original uses in a way that Scrapy has deprecated
        self._note_work()
        config = Cluster.of(spider.crawler).config
        self._config = config
        self._frontier = Frontier(connect_blocking(config.redis_url), config.job)
        self._retries: dict[asyncio.Task[None], Request] = {}
        self._make = spider.make_request_from_data
        spider.make_request_from_data = self._make_request  # type: ignore[method-assign,assignment]

    def close(self, reason: str) -> None:
        """Queue what waits to be tried again; mark the crawl finished where nothing was left to do."""
        for task, request in list(self._retries.items()):
            task.cancel()
            self.enqueue_request(request)
        if reason == "finished":
            redis = self._frontier.redis
            crawl_id = redis.hget(f"{self._frontier.prefix}crawl", "id")
            is_over = crawl_id and not redis.exists(self.queue.key) and not self._others_are_busy()
            if is_over:
                self._frontier.finish(str(crawl_id))
        self._frontier.redis.close()
        super().close(reason)

    def next_request(self) -> Request | None:
        """Give the next request."""
        request: Request | None = super().next_request()
        if request is not None:
            self._note_work()
        return request

    def _note_work(self) -> None:
        """Begin to count the idle seconds anew: the original counts those since its import."""
        self.spider.spider_idle_start_time = int(time.time())

    def _others_are_busy(self) -> bool:
        """Tell whether other workers have requests in hand, which may lead to more."""
        redis = self._frontier.redis
        seconds, _ = redis.time()
        beats = parsed_beats(cast("dict[str, str]", redis.hgetall(f"{self._frontier.prefix}workers")))
        beats.pop(Cluster.of(self.spider.crawler).worker, None)
        return any(beat.get("leased") and seconds - beat["at"] < ALIVE_SECONDS for beat in beats.values())

    def has_pending_requests(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._retries) or bool(super().has_pending_requests())

    @property
    def crawl_id(self) -> str:
        """The running crawl."""
        return str(self._frontier.redis.hget(f"{self._frontier.prefix}crawl", "id") or "")

    def retry(self, request: Request, reason: str, retry_after: float = 0.0) -> None:
        """Queue a request again after a while, up to max_attempts times."""
        attempts = self.attempts(request) + 1
        if attempts >= self._config.max_attempts:
            self.give_up(request, reason)
            return
        delay = max(_RETRY_SECONDS * 2 ** (attempts - 1), retry_after)
        again = fresh(request, self._config, attempts=attempts)

        async def queue_later() -> None:
            await asyncio.sleep(delay)
            self.enqueue_request(again)

        task = asyncio.create_task(queue_later())
        self._retries[task] = again
        task.add_done_callback(self._retries.pop)

    def give_up(self, request: Request, reason: str) -> None:
        """Put a request to the dead letters."""
        self._bury(json.dumps(request.meta.get("fetch") or request.url, ensure_ascii=False), reason)

    def put_back(self, request: Request) -> None:
        """Queue a request again at once."""
        self.enqueue_request(fresh(request, self._config))

    def strikes(self, request: Request) -> int:
        """Tell how often the request's slot was paused since its last success."""
        return int(request.meta.get("strikes", 0))

    def attempts(self, request: Request) -> int:
        """Tell how often the request has failed before."""
        return int(request.meta.get("attempts", 0))

    def _make_request(self, data: bytes) -> Any:
        spider = self.spider
        try:
            requests = self._make(data)
            seeds = spider.seeds_of(data)
        except ValueError as error:
            logger.error("Gave up a seed: %s", error)
            self._bury(data.decode(errors="replace"), str(error))
            return []
        self._frontier.begin()
        # What a crawl before has left goes with the first seed, whoever has begun the crawl.
        mark = f"{self._frontier.prefix}stock:{self.crawl_id}"
        if self._frontier.redis.set(mark, "cleared", nx=True, ex=_MARKED_SECONDS):
            self.server.unlink(self.queue.key, self.df.key)
        self._frontier.redis.sadd(f"{self._frontier.prefix}seeds", *map(str, seeds))
        return requests

    def _bury(self, payload: str, reason: str) -> None:
        try:
            self._frontier.run(operations.bury("-", payload, reason))
        except ERRORS as error:
            logger.error("Not recorded that %s was given up (%s): %s", payload, reason, error)


class TurnMiddleware:
    """A downloader middleware that has each request wait for its turn in its slot."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._limits = {
            endpoint: Limit(*limit) for endpoint, limit in crawler.settings.getdict("FRONTIER_LIMITS").items()
        }

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> TurnMiddleware:
        """Make it for a crawler."""
        return cls(crawler)

    async def process_request(self, request: Request) -> None:
        """Wait for the request's turn."""
        endpoint = request.meta.get("endpoint")
        if endpoint is not None and (
            turn := await take_turn(self._crawler, endpoint, self._limits[endpoint])
        ):
            request.meta["strikes"] = turn.strikes
