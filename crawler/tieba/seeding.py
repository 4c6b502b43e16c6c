"""What `tieba seed` does: gives the crawl that all workers share something to start from."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import TYPE_CHECKING

from tieba.errors import Unusable
from tieba.queue import opened
from tieba.seeds import check_seeds, parse_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frontier.job import Job
    from tieba.config import Config
    from tieba.seeds import Seed

_APART_SECONDS = 1.5  # between two crawls, so that the times of their records tell them apart


async def seed(config: Config, seeds: Sequence[Seed], *, abandon: bool) -> list[str]:
    """Begin a crawl or add to the running one; says what became of each seed.

    Raises SeedError and Unusable.
    """
    check_seeds(seeds, config.storage)
    async with opened(config) as job:
        if abandon and await job.state() == "running":
            print("tieba seed: abandoning the running crawl; waiting for requests in work", file=sys.stderr)
            if not await job.drain():
                raise Unusable("workers still have requests of the abandoned crawl in work; see tieba status")
            await asyncio.sleep(_APART_SECONDS)
        is_new = await job.frontier.begin(abandon=abandon)
        return [await _push(job, seed, is_new=is_new and not number) for number, seed in enumerate(seeds)]


async def seed_again(config: Config) -> str:
    """Crawl the seeds of the last crawl again, as updates, unless a crawl is running.

    Raises SeedError and Unusable.
    """
    async with opened(config) as job:
        facts = await job.facts(0)
        if facts.crawl.get("state") == "running" or facts.waiting_seeds:
            return "A crawl is running; nothing is added to it"
        seeds = [
            dataclasses.replace(seed, scope=dataclasses.replace(seed.scope, update=True))
            for name in facts.seeds
            for seed in parse_seeds(name)
        ]
        if not seeds:
            raise Unusable("there has been no crawl to repeat; begin one, e.g.: tieba seed --forum 聊天")
        check_seeds(seeds, config.storage)
        # The worker that takes them begins the crawl: were it begun here, a stop in between would lose them.
        await job.push_seeds([str(seed) for seed in seeds])
        return f"A new crawl begins with {', '.join(map(str, seeds))}"


async def _push(job: Job, seed: Seed, *, is_new: bool) -> str:
    if str(seed) in await job.seeds():
        return f"The running crawl has {seed} already"
    await job.push_seed(str(seed))
    return f"A new crawl begins with {seed}" if is_new else f"The running crawl goes on with {seed}"
