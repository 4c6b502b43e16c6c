"""What the parts of one worker share: configuration, the job in Redis, the store, the worker's counts."""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from frontier import Frontier, connect
from frontier.connection import Patience
from frontier.job import Job
from tieba.records import RECORD_TYPES, Post
from tieba.storage.patience import StorePatience
from tieba.storage.stores import make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrapy.crawler import Crawler

    from tieba.config import Config
    from tieba.records import Storable
    from tieba.storage import Store

RATE_SECONDS = 10.0  # over which a worker's rates are measured
BYTES = "bytes"  # what the bodies of answers are counted under, next to records by their collection


class Counts:
    """What a worker did: for good since its start, and not yet reported."""

    def __init__(self) -> None:
        self.done = 0
        self.pages = 0
        self.outcomes: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()  # what the crawl brought
        self.has_stored = False
        self.held: Callable[[], int] = lambda: 0  # requests that the worker is busy with
        self._done = _Recent()
        self._posts = _Recent()

    def count(self, outcome: str, *, final: bool) -> None:
        """Count one answer; `final` when nothing more is to be done for its request."""
        self.outcomes[outcome] += 1
        if final:
            self.done += 1
            self.pages += 1
            self._done.add(1)

    def count_body(self, size: int) -> None:
        """Count the bytes of an answer's body."""
        self.totals[BYTES] += size

    def count_stored(self, records: Sequence[Storable]) -> None:
        """Count records that were stored, whether they are new or were seen before."""
        for record in records:
            if isinstance(record, RECORD_TYPES):
                self.totals[record.collection] += 1
                self.has_stored = True
        self._posts.add(sum(isinstance(record, Post) for record in records))

    def rate(self) -> float:
        """Give the requests done per second, over the last seconds."""
        return self._done.rate()

    def posts_rate(self) -> float:
        """Give the posts stored per second, over the last seconds."""
        return self._posts.rate()

    def take_unreported(self) -> Unreported:
        """Give what was counted since the last call."""
        unreported = Unreported(self.pages, self.outcomes, self.totals, self.has_stored)
        self.pages, self.outcomes, self.totals, self.has_stored = 0, Counter(), Counter(), False
        return unreported


@dataclass(slots=True)
class Unreported:
    """What a worker has counted and not told yet."""

    pages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)
    has_stored: bool = False

    def add(self, other: Unreported) -> None:
        """Add what was counted since."""
        self.pages += other.pages
        self.outcomes.update(other.outcomes)
        self.totals.update(other.totals)
        self.has_stored |= other.has_stored


class _Recent:
    """Counts of the last seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def add(self, count: int) -> None:
        if count:
            self._counts.append((monotonic(), count))

    def rate(self) -> float:
        """Give how many there were a second."""
        start = monotonic() - RATE_SECONDS
        while self._counts and self._counts[0][0] < start:
            self._counts.popleft()
        return sum(count for _, count in self._counts) / RATE_SECONDS


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
