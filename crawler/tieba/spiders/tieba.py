"""The spider that crawls forums, threads and comments."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

from scrapy_redis.spiders import RedisSpider

from tieba.cluster import Cluster
from tieba.pages import Fetch, Outcome, ThreadPage, extents, follow_ups
from tieba.records import Presence, Thread, Visit
from tieba.requests import fetch_of, make_request, source_of
from tieba.seeds import Seed, SeedError, make_seeds, parse_seeds
from tieba.settling import settler_of
from tieba.updating import unchanged_threads, vanished_threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tieba.pages import Answer
    from tieba.records import Record, Storable

_CUT_TITLE = 30  # characters, to which web lists cut the beginning of a text without a title


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
        return [
            make_request(Fetch(seed.target, seed.scope), self.cluster.config, is_seed=True)
            for seed in self.seeds_of(data)
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
        for record in _wanted(fetch, answer):
            yield record
        if answer.outcome is not Outcome.OK:
            return
        for extent in extents(fetch, answer):
            yield extent
        source = source_of(self.cluster.config)
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


def _wanted(fetch: Fetch, answer: Answer) -> Sequence[Record]:
    """Leave out floors and comments that were not written within the scope's time, or are not wanted.

    Titles that a list has cut are left out, too: the thread's own page has the whole.
    """
    scope = fetch.scope
    return dataclasses.replace(
        answer,
        threads=tuple(
            dataclasses.replace(thread, title=None) if _is_cut(thread.title or "") else thread
            for thread in answer.threads
        ),
        posts=tuple(post for post in answer.posts if scope.is_within(post.created_at)),
        comments=tuple(
            comment for comment in answer.comments if scope.comments and scope.is_within(comment.created_at)
        ),
    ).records()


def _is_cut(title: str) -> bool:
    return title.endswith("...") or len(title) == _CUT_TITLE
