"""What is told of a finished crawl: once, when its workers have told what they did until its end."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from frontier import Frontier, connect
from frontier.job import Job
from tieba.ending import sum_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WAIT_SECONDS = 0.5  # in which a line would have been told


class Crawl:
    """A crawl that has ended, and a worker that has told of two requests until then."""

    def __init__(self, job: Job, caplog: pytest.LogCaptureFixture) -> None:
        self.job, self._caplog = job, caplog
        self.id = ""

    async def beat(self, ok: int, **state: Any) -> None:
        told = {"host": "slave1", **state}
        _, self.id = await self.job.beat(
            "slave1:1", told, crawl_id=self.id, counted_as="slave1", outcomes={"ok": ok}
        )

    async def end(self, **state: Any) -> None:
        await self.job.frontier.begin()
        await self.beat(0)
        await self.beat(2, **state)
        await asyncio.sleep(1.1)  # a crawl that has just begun does not end
        assert await self.job.frontier.finish(self.id)

    def told(self) -> list[str]:
        messages = self._caplog.messages
        return [text.split(" in ")[0] for text in messages if text.startswith("Crawl finished: ")]


@pytest.fixture
async def crawl(redis_url: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Crawl]:
    caplog.set_level(logging.INFO)
    async with connect(redis_url) as redis:
        yield Crawl(Job(Frontier(redis, "test")), caplog)


ALL = ["Crawl finished: 0 pages with 5 requests (5 ok), 0 posts, 0 comments, 0 bytes"]


@pytest.mark.parametrize("other", ["", "the crawl before"])
async def test_the_line_waits_for_what_was_counted_when_the_end_was_known(crawl: Crawl, other: str) -> None:
    await crawl.end(ended=other)
    telling = asyncio.create_task(sum_up(crawl.job))
    await crawl.beat(1, ended=other)  # that was on its way
    await asyncio.sleep(WAIT_SECONDS)
    assert crawl.told() == []
    await crawl.beat(2, ended=crawl.id)
    await telling
    assert crawl.told() == ALL


async def test_of_a_worker_of_an_older_release_a_beat_a_second_later_will_do(
    crawl: Crawl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tieba.ending._LAST_BEATS_SECONDS", 60.0
    )  # for which one that is silent is waited for
    await crawl.end()
    started = time.monotonic()
    telling = asyncio.create_task(sum_up(crawl.job))
    await crawl.beat(1)
    await asyncio.sleep(WAIT_SECONDS)
    assert crawl.told() == []
    await asyncio.sleep(1.0 - WAIT_SECONDS + 0.1)
    await crawl.beat(2)
    await telling
    assert crawl.told() == ALL
    assert time.monotonic() - started < 40
