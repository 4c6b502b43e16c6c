"""Says once a second what this worker is doing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from frontier.connection import cancel
from tieba.cluster import Unreported
from tieba.machine import code_id, disk_free_mb, memory_mb
from tieba.records import Post

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from tieba.cluster import Cluster

_INTERVAL_SECONDS = 1.0
_LAST_BEAT_SECONDS = 5.0
_VERSION = version("tieba")
_CODE = code_id()  # now: the process keeps it, whatever is installed later

logger = logging.getLogger(__name__)


class Pulse:
    """The heartbeats of one worker process."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._folder = Path(cluster.config.samples_dir).parent  # where all that a crawler writes lies
        self._outcomes: Counter[str] = Counter()
        self._unreported = Unreported()
        self._crawl_id = ""
        self._ended = ""
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
        unreported = cluster.counts.take_unreported()
        self._unreported.add(unreported)
        self._outcomes.update(unreported.outcomes)
        state = {
            "host": cluster.host,
            "engine": cluster.engine,
            "version": _VERSION,
            "code": _CODE,
            "scheduler": cluster.config.scheduler,
            "done": cluster.counts.done,
            "rate": cluster.counts.rate(),
            "leased": cluster.counts.held(),
            "outcomes": dict(self._outcomes),
            "ended": self._ended,  # the crawl of whose end was known when this was counted
            "egress": cluster.config.egress,
            "posts_rate": cluster.counts.posts_rate(),
            "memory_mb": memory_mb(),
            "disk_free_mb": disk_free_mb(self._folder),
            "disk_path": str(self._folder),
        }
        # Where the frontier leases, it counts the pages itself, in the step that marks them done.
        counts_pages = cluster.config.scheduler != "frontier"
        crawl_state, crawl_id = await cluster.job.beat(
            cluster.worker,
            state,
            crawl_id=self._crawl_id,
            counted_as=cluster.host,
            outcomes=self._unreported.outcomes,
            pages=self._unreported.pages if counts_pages else 0,
            totals=self._unreported.totals,
            has_stored=self._unreported.has_stored,
            followed=Post.collection,
        )
        # Counts since the last beat that come with the id of an earlier crawl were dropped; they belong to
        # the one that began meanwhile, and go with the next beat.
        if self._crawl_id == crawl_id:
            self._unreported = Unreported()
        self._crawl_id = crawl_id
        self._ended = crawl_id if crawl_state == "finished" else ""
