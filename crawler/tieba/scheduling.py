"""Scrapy's scheduler: that of scrapy-redis, with JSON in place of pickle.

All that depends on scrapy-redis is here.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
import warnings
from typing import TYPE_CHECKING, Any

import scrapy_redis.dupefilter
import scrapy_redis.queue
import scrapy_redis.scheduler
from scrapy.exceptions import ScrapyDeprecationWarning

from frontier.connection import PERMANENT, TRANSIENT
from frontier.job import Keys
from frontier.scripts import source

if TYPE_CHECKING:
    from redis import Redis
    from scrapy import Request, Spider

    from tieba.config import Config

logger = logging.getLogger(__name__)


def scheduler_settings(config: Config) -> dict[str, Any]:
    """Give the Scrapy settings of this scheduler."""
    keys = Keys(config.job)
    return {
        "SCHEDULER": "tieba.scheduling.Scheduler",
        "SCHEDULER_PERSIST": True,  # else the first worker that closes wipes the queue of all
        "SCHEDULER_SERIALIZER": "tieba.serializer",
        "SCHEDULER_QUEUE_CLASS": "tieba.scheduling.Queue",
        "SCHEDULER_QUEUE_KEY": keys.requests,
        "SCHEDULER_DUPEFILTER_KEY": keys.dupefilter,
        "DUPEFILTER_CLASS": "tieba.scheduling.DupeFilter",
        "REDIS_START_URLS_KEY": keys.start_urls,
        "REDIS_URL": config.redis_url,
        "REDIS_PARAMS": {"socket_timeout": 10, "socket_connect_timeout": 10, "health_check_interval": 30},
    }


class DupeFilter(scrapy_redis.dupefilter.RFPDupeFilter):  # type: ignore[misc]
    """Knows requests by their target, whatever is signed or versioned in their bytes."""

    def request_fingerprint(self, request: Request) -> str:
        """Give a request's identity; seeds of one forum that reach differently far are different."""
        target = request.meta.get("target")
        if target is None:
            return str(super().request_fingerprint(request))
        if request.meta.get("is_seed") and target[0] == "forum":
            target = [*target, "pages", request.meta.get("pages")]
        return json.dumps(target, ensure_ascii=False, separators=(",", ":"))


class Queue(scrapy_redis.queue.PriorityQueue):  # type: ignore[misc]
    """The priority queue.

    An entry that cannot be decoded is recorded as failed and not raised in the engine. A request whose
    reply is lost, as when Redis is restarted, is given again.
    """

    def __init__(self, server: Redis, spider: Spider, key: str, serializer: Any = None) -> None:
        super().__init__(server, spider, key, serializer)
        self._keys = Keys(self.key.rpartition(":")[0])
        self._take = server.register_script(source("pop"))
        self._owner = uuid.uuid4().hex
        self._received = 0

    def pop(self, timeout: int = 0) -> Request | None:
        """Take the most urgent request, None where there is none; `timeout` is not used here."""
        entry = self._take(keys=[self.key, self._keys.last_taken], args=[self._owner, self._received])
        if entry is None:
            return None
        self._received += 1
        return self._decode_request(entry)

    def _decode_request(self, encoded_request: bytes) -> Request | None:
        try:
            request: Request = super()._decode_request(encoded_request)
        except Exception as error:  # noqa: BLE001 - anybody may have written the entry, so anything can be wrong in it
            reason = f"queue entry cannot be decoded: {type(error).__name__}: {error}"
            logger.error("%s", reason)
            shown = encoded_request[:500].decode(errors="replace")
            entry = {"request": shown, "reason": reason, "at": int(time.time())}
            self.server.rpush(self._keys.failed, json.dumps(entry, ensure_ascii=False))
            return None
        return request


class Scheduler(scrapy_redis.scheduler.Scheduler):  # type: ignore[misc]
    """The scheduler; it waits for Redis where the original raises, and counts what it gave out.

    `taken` is the number of requests given out since the start, for `frontier.job.FinishDetector`. The
    methods do not call the original ones, which use Scrapy's statistics in a deprecated way.
    """

    def __init__(self, server: Redis, **kwargs: Any) -> None:
        super().__init__(server, **kwargs)
        self.taken = 0
        self._push = server.register_script(source("push"))
        self._away = False

    def open(self, spider: Spider) -> None:
        """Connect the scheduler to its spider."""
        with warnings.catch_warnings():
            # The original logs with Spider.log() that requests are waiting, which Scrapy has deprecated.
            warnings.simplefilter("ignore", ScrapyDeprecationWarning)
            super().open(spider)

    def enqueue_request(self, request: Request) -> bool:
        """Queue a request unless it was seen; False if it was.

        The records of the answer that led to the request are already stored, so it must not be lost. While
        Redis is away this blocks: without Redis there is nothing else to do.
        """
        if request.dont_filter:
            self._with_patience(lambda: self.queue.push(request))
            return True
        keys = [self.df.key, self.queue.key]
        payload = self.queue._encode_request(request)
        args = [self.df.request_fingerprint(request), -request.priority, payload]
        return bool(self._with_patience(lambda: self._push(keys=keys, args=args)))

    def next_request(self) -> Request | None:
        """Take the most urgent request; None where there is none or Redis is away."""
        try:
            request: Request | None = self.queue.pop()
        except TRANSIENT as error:
            if isinstance(error, PERMANENT):
                raise
            self._note_away(error)
            return None
        self._away = False
        if request is not None:
            self.taken += 1
        return request

    def _with_patience(self, operation: Any) -> Any:
        while True:
            try:
                result = operation()
            except TRANSIENT as error:  # noqa: PERF203 - a retry loop
                if isinstance(error, PERMANENT):
                    raise
                self._note_away(error)
                time.sleep(1)
            else:
                self._away = False
                return result

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            logger.warning("Redis does not answer the scheduler (%s); waiting for it", error)
            self._away = True
