"""Says once a second what this worker is doing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

from frontier.connection import cancel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tieba.cluster import Cluster

_INTERVAL_SECONDS = 1.0
_LAST_BEAT_SECONDS = 5.0
_VERSION = version("tieba")

logger = logging.getLogger(__name__)


class Pulse:
    """The heartbeats of one worker process."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._outcomes: Counter[str] = Counter()
        self._unreported_pages = 0
        self._unreported: Counter[str] = Counter()
        self._crawl_id = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Beat for the last time, and leave."""
        if self._task:
            await cancel(self._task)
        # Redis can be away; a worker that stops does not wait for it.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._cluster.patience(self._beat), _LAST_BEAT_SECONDS)
            await asyncio.wait_for(self._cluster.job.leave(self._cluster.worker), _LAST_BEAT_SECONDS)

    async def _run(self) -> None:
        job, host = self._cluster.job, self._cluster.host
        # Workers of this machine that died have been replaced: nobody shall miss them.
        await self._attempt(lambda: job.forget_silent(host))
        while True:
            await self._attempt(self._beat)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def _attempt(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await self._cluster.patience(call)
        except Exception as error:  # noqa: BLE001 - a crawl goes on without heartbeats
            logger.error("Heartbeat failed; the next one follows: %s: %s", type(error).__name__, error)

    async def _beat(self) -> None:
        cluster = self._cluster
        pages, outcomes = cluster.counts.take_unreported()
        self._unreported_pages += pages
        self._unreported.update(outcomes)
        self._outcomes.update(outcomes)
        state = {
            "host": cluster.host,
            "engine": cluster.engine,
            "version": _VERSION,
            "scheduler": cluster.config.scheduler,
            "done": cluster.counts.done,
            "rate": cluster.counts.rate(),
            "leased": cluster.counts.held(),
            "outcomes": dict(self._outcomes),
        }
        # Where the frontier leases, it counts the pages itself, in the step that marks them done.
        counts_pages = cluster.config.scheduler != "frontier"
        _, crawl_id = await cluster.job.beat(
            cluster.worker,
            state,
            crawl_id=self._crawl_id,
            counted_as=cluster.host,
            outcomes=self._unreported,
            pages=self._unreported_pages if counts_pages else 0,
        )
        # Counts since the last beat that come with the id of an earlier crawl were dropped; they belong to
        # the one that began meanwhile, and go with the next beat.
        if self._crawl_id == crawl_id:
            self._unreported_pages = 0
            self._unreported.clear()
        self._crawl_id = crawl_id
