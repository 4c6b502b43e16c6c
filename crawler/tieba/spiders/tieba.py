"""The spider that crawls forums, threads and comments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from scrapy_redis.spiders import RedisSpider

from tieba.cluster import Cluster
from tieba.harvest import harvest
from tieba.pages import Fetch
from tieba.requests import fetch_of, make_request
from tieba.seeds import Seed, SeedError, check_seeds, make_seeds, parse_seeds
from tieba.settling import settler_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Answer
    from tieba.records import Storable


class TiebaSpider(RedisSpider):  # type: ignore[misc]
    """Works on the crawl that all workers share, until it is finished.

    Its arguments, e.g. `-a forum=聊天 -a pages=20`, are the keys of seeds (`tieba.seeds`); they add seeds to
    those in `<job>:start_urls`.
    """

    name = "tieba"

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.seeds: list[Seed] = make_seeds(arguments) if arguments else []

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
        if self.cluster.config.scheduler == "scrapy_redis":
            super().setup_redis(crawler)
        else:
            self.redis_key = self.cluster.job.start_urls

    def make_request_from_data(self, data: bytes | str) -> list[Request]:
        """Turn an entry of start_urls into its first requests; raises SeedError."""
        seeds = self.seeds_of(data)
        check_seeds(seeds, self.cluster.config.storage)
        return [
            make_request(Fetch(seed.target, seed.scope), self.cluster.config, is_seed=True) for seed in seeds
        ]

    @staticmethod
    def seeds_of(data: bytes | str) -> list[Seed]:
        """Understand an entry of start_urls; raises SeedError."""
        try:
            return parse_seeds(data.decode() if isinstance(data, bytes) else data)
        except UnicodeDecodeError:
            raise SeedError("seed is not UTF-8") from None

    async def start(self) -> AsyncIterator[Request]:
        """Add the seeds of the spider's arguments to those of all workers."""
        for seed in self.seeds:
            await self.cluster.patience(partial(self.cluster.job.push_seed, str(seed)))
        return
        yield  # an asynchronous generator is what Scrapy wants

    async def parse(self, response: Response, **kwargs: Any) -> AsyncIterator[Storable | Request]:
        """Yield what an answer tells, then the requests that follow from it."""
        request = response.request
        fetch = fetch_of(request) if request else None
        if request is None or fetch is None:
            raise ValueError(f"{response.url} was not requested for a target")
        answer: Answer = request.meta.pop("answer")
        found = await harvest(self.cluster, fetch, answer, settler_of(self.crawler).crawl_id)
        for record in found.records:
            yield record
        for next_fetch in found.following:
            yield make_request(next_fetch, self.cluster.config)
