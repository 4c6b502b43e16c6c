"""The spider that crawls forums, threads and comments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from scrapy_redis.spiders import RedisSpider

from tieba.cluster import Cluster
from tieba.pages import Fetch, Outcome, ThreadPage, extents, follow_ups, wanted_records
from tieba.records import Presence, Thread, Visit
from tieba.requests import fetch_of, make_request, source_of
from tieba.seeds import Seed, SeedError, check_seeds, make_seeds, parse_seeds
from tieba.settling import settler_of
from tieba.updating import unchanged_threads, vanished_threads

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
        unchanged = await unchanged_threads(self.cluster, fetch, answer)
        if isinstance(fetch.target, ThreadPage):
            for told in self._thread_is_there(fetch, fetch.target, answer):
                yield told
        for record in wanted_records(fetch, answer):
            yield record
        if answer.outcome is not Outcome.OK:
            return
        source = source_of(self.cluster.config)
        for extent in extents(fetch, answer, source):
            yield extent
        following = list(follow_ups(fetch, answer, source, unchanged=unchanged))
        following += await vanished_threads(self.cluster, fetch, answer, source, following)
        for next_fetch in following:
            yield make_request(next_fetch, self.cluster.config)

    def _thread_is_there(
        self, fetch: Fetch, target: ThreadPage, answer: Answer
    ) -> tuple[Presence | Visit, ...]:
        gone = answer.outcome is Outcome.DELETED
        presence = Presence(
            collection=Thread.collection, key_field=Thread.key_field, key=target.thread_id, gone=gone
        )
        if target.page > 1:
            return (presence,)
        listed = fetch.listed
        visit = Visit(
            thread_id=target.thread_id,
            crawl_id=settler_of(self.crawler).crawl_id,
            scope=fetch.scope.left_out,
            reply_count=listed.reply_count if listed else None,
            last_reply_at=listed.last_reply_at if listed else None,
        )
        return presence, visit
