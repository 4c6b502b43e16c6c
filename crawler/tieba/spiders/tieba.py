"""The spider that crawls forums, threads and comments through the client API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from scrapy_redis.spiders import RedisSpider

from tieba.cluster import Cluster
from tieba.pages import Outcome, ThreadPage, follow_ups
from tieba.records import Presence, Thread
from tieba.requests import make_request, scope_of, target_of
from tieba.seeds import Seed, SeedError, parse_seed, spider_seeds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Answer
    from tieba.records import Storable


class TiebaSpider(RedisSpider):  # type: ignore[misc]
    """Works on the crawl that all workers share, until it is finished.

    `-a forum=NAME [-a pages=N]` and `-a threads=ID,ID` add seeds to those in `<job>:start_urls`.
    """

    name = "tieba"

    def __init__(
        self, forum: str | None = None, pages: str | None = None, threads: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.seeds: list[Seed] = spider_seeds(forum, pages, threads)

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> TiebaSpider:
        """Make the spider; raises SeedError for arguments that cannot be used."""
        spider: TiebaSpider = super().from_crawler(crawler, *args, **kwargs)
        return spider

    @property
    def cluster(self) -> Cluster:
        """What all workers share."""
        return Cluster.of(self.crawler)

    def setup_redis(self, crawler: Crawler | None = None) -> None:
        """Leave start URLs to the scheduler, unless it is that of scrapy-redis."""
        if Cluster.of(self.crawler).config.scheduler == "scrapy_redis":
            super().setup_redis(crawler)
        else:
            self.redis_key = Cluster.of(self.crawler).job.start_urls

    def make_request_from_data(self, data: bytes | str) -> Request:
        """Turn an entry of start_urls into its first request; raises SeedError."""
        seed = self._seed(data)
        return make_request(seed.target, seed.scope, self.cluster.config, is_seed=True)

    def seed_name(self, data: bytes | str) -> str:
        """Give an entry of start_urls as it is told to people; raises SeedError."""
        return str(self._seed(data))

    async def start(self) -> AsyncIterator[Request]:
        """Add the seeds of the spider's arguments to those of all workers."""
        for seed in self.seeds:
            await self.cluster.patience(partial(self.cluster.job.push_seed, str(seed)))
        return
        yield  # an asynchronous generator is what Scrapy wants

    def parse(self, response: Response, **kwargs: Any) -> Iterator[Storable | Request]:
        """Yield the records of an answer, then the requests that follow from it."""
        request = response.request
        target = target_of(request) if request else None
        if request is None or target is None:
            raise ValueError(f"{response.url} was not requested for a target")
        answer: Answer = request.meta.pop("answer")
        if isinstance(target, ThreadPage):
            yield Presence(
                collection=Thread.collection,
                key_field=Thread.key_field,
                key=target.thread_id,
                gone=answer.outcome is Outcome.DELETED,
            )
        yield from answer.records()
        if answer.outcome is Outcome.OK:
            scope = scope_of(request)
            for follow_up in follow_ups(target, answer, scope):
                yield make_request(follow_up, scope, self.cluster.config)

    @staticmethod
    def _seed(data: bytes | str) -> Seed:
        try:
            return parse_seed(data.decode() if isinstance(data, bytes) else data)
        except UnicodeDecodeError:
            raise SeedError("seed is not UTF-8") from None
