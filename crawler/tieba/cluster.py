"""What the parts of one worker share: configuration, the job in Redis, the store, the worker's counts."""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from time import monotonic
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from frontier import Frontier, connect
from frontier.connection import Patience
from frontier.job import Job
from tieba.storage.patience import StorePatience
from tieba.storage.stores import make_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.crawler import Crawler

    from tieba.config import Config
    from tieba.storage import Store

RATE_SECONDS = 10.0  # over which a worker's rate is measured


class Counts:
    """What a worker did: for good since its start, and not yet reported."""

    def __init__(self) -> None:
        self.done = 0
        self.pages = 0
        self.outcomes: Counter[str] = Counter()
        self.held: Callable[[], int] = lambda: 0  # requests that the worker is busy with
        self._recent: deque[float] = deque()

    def count(self, outcome: str, *, final: bool) -> None:
        """Count one answer; `final` when nothing more is to be done for its request."""
        self.outcomes[outcome] += 1
        if final:
            self.done += 1
            self.pages += 1
            self._recent.append(monotonic())

    def rate(self) -> float:
        """Give the requests done per second, over the last seconds."""
        start = monotonic() - RATE_SECONDS
        while self._recent and self._recent[0] < start:
            self._recent.popleft()
        return len(self._recent) / RATE_SECONDS

    def take_unreported(self) -> tuple[int, dict[str, int]]:
        """Give pages and outcomes since the last call."""
        pages, outcomes = self.pages, dict(self.outcomes)
        self.pages = 0
        self.outcomes.clear()
        return pages, outcomes


class Cluster:
    """The connections of one worker to what it shares with the others."""

    _of_crawlers: ClassVar[WeakKeyDictionary[Crawler, Cluster]] = WeakKeyDictionary()

    def __init__(self, config: Config, engine: str = "scrapy") -> None:
        self.config = config
        self.engine = engine
        self.host = socket.gethostname()
        self.worker = f"{self.host}:{os.getpid()}"
        self.redis = connect(config.redis_url)
        self.patience = Patience()
        self.frontier = Frontier(self.redis, config.job)
        self.job = Job(self.frontier)
        self.store: Store = make_store(config)
        self.ask_store = StorePatience()
        self.counts = Counts()

    @classmethod
    def of(cls, crawler: Crawler) -> Cluster:
        """Give the one of a crawler."""
        if crawler not in cls._of_crawlers:
            cls._of_crawlers[crawler] = cls(crawler.settings["TIEBA_CONFIG"])
        return cls._of_crawlers[crawler]

    async def close(self) -> None:
        """Give up the connections."""
        await self.store.close()
        await self.redis.aclose()
