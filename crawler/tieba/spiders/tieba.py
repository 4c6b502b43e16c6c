"""The spider that crawls forums, threads and comments through the client API."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
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

_SEED_INTERVAL_SECONDS = 1.0
_SEED_TROUBLE_SECONDS = 30.0  # between complaints


class TiebaSpider(RedisSpider):  # type: ignore[misc]
    """Works on the crawl that all workers share.

    Without arguments it waits for seeds in `<job>:start_urls` for ever. With `-a forum=NAME [-a pages=N]` or
    `-a threads=ID,ID` it adds these seeds, works along, and ends when the whole crawl is finished.
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
        spider.cluster = Cluster.of(crawler)
        return spider

    cluster: Cluster

    def spider_idle(self) -> None:
        """Do nothing, in place of scrapy-redis' way to read seeds: `start` reads them while requests run."""

    def make_request_from_data(self, data: bytes | str) -> Request:
        """Turn an entry of start_urls into its first request; raises SeedError."""
        try:
            seed = parse_seed(data.decode() if isinstance(data, bytes) else data)
        except UnicodeDecodeError:
            raise SeedError("seed is not UTF-8") from None
        return self._first_request(seed)

    async def start(self) -> AsyncIterator[Request]:
        """Feed seeds to the scheduler until the crawl that this worker was asked for is finished."""
        job = self.cluster.job
        patience = self.cluster.patience
        if self.seeds:
            await patience(job.begin)
            for seed in self.seeds:
                await patience(partial(job.push_seed, str(seed)))
        while True:
            try:
                while (text := await patience(job.next_seed)) is not None:
                    async for request in self._take_seed(text):
                        yield request
                if self.seeds and await patience(job.state) != "running":
                    return
            except RedisError as error:
                # E.g. the key holds another type: a service goes on with what is queued.
                self.logger.error("Seeds cannot be read from %s: %s", job.keys.start_urls, error)
                await asyncio.sleep(_SEED_TROUBLE_SECONDS)
            await asyncio.sleep(_SEED_INTERVAL_SECONDS)

    async def _take_seed(self, text: str) -> AsyncIterator[Request]:
        job = self.cluster.job
        try:
            seed = parse_seed(text)
        except SeedError as error:
            reason = str(error)
            self.logger.error("Gave up a seed: %s", reason)
            shown = text.encode(errors="replace").decode()
            await self.cluster.patience(lambda: job.fail({"seed": shown}, reason))
            await self.cluster.patience(lambda: job.seed_taken(text))
            return
        if await self.cluster.patience(job.begin):
            self.logger.info("A new crawl begins")
        self.logger.info("Seed %s", seed)
        # The engine queues the request before it asks for more, so the seed leaves the list after that.
        # Should two workers take it at once, the dupefilter drops one of the requests.
        yield self._first_request(seed)
        await self.cluster.patience(lambda: job.seed_taken(text, known_as=str(seed)))

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

    def _first_request(self, seed: Seed) -> Request:
        return make_request(seed.target, seed.scope, self.cluster.config, is_seed=True)
