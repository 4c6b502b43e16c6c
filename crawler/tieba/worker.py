"""The crawl without Scrapy: the frontier, downloads of the standard library, the same pages and stores.

What an answer means and what is done with it is where Scrapy has it, too: `tieba.politeness`, `tieba.robots`,
`tieba.harvest`, `tieba.feeding`, `tieba.heartbeat`, `tieba.ending`. Workers of both engines share a crawl.

An event loop does what waits for Redis and the store, threads download.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from frontier import Frontier, Limit, Policy
from frontier.connection import cancel
from frontier.worker import Worker
from tieba import fetches
from tieba.checks import check_servers, redis_problem, store_problem
from tieba.cluster import Cluster
from tieba.config import LOG_LINES, ConfigError
from tieba.downloading import FAILURES, Download, Downloader
from tieba.ending import note_end, tell_end
from tieba.feeding import Feeder, StartUrls
from tieba.harvest import harvest
from tieba.heartbeat import Pulse
from tieba.pages import Fetch
from tieba.politeness import Politeness, store
from tieba.robots import FORBIDDEN, Robots, RobotsUnavailable
from tieba.seeds import check_seeds, parse_seeds
from tieba.storage import StoreError
from tieba.waiting import LOOK_SECONDS, work_is_there

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    import frontier
    from frontier import Lease
    from tieba.config import Config
    from tieba.pages import Call, Received, Target
    from tieba.seeds import Seed

ENGINE = "urllib"
_MOST_WAITING_BYTES = 1_000_000  # of answers that wait for the store before downloads wait, too
_SETTLE_SECONDS = 5.0  # for an answer to be stored, where the process shall end
_CLOSE_SECONDS = 10.0  # for what is still to be written; within the units' TimeoutStopSec
_SWITCH_SECONDS = 0.001  # for which a thread keeps the others waiting; Python's 5 ms are long for downloads

logger = logging.getLogger(__name__)


def work(config: Config, seeds: Sequence[Seed] = (), *, is_service: bool = False) -> None:
    """Work on the crawl that all workers share, with seeds of one's own, until it is finished.

    A service waits for the next crawl then. SIGTERM and Ctrl-C end it: running requests end, the others are
    given back; a second one gives back those, too. Raises ConfigError, SeedError, Unusable, and
    KeyboardInterrupt after Ctrl-C.
    """
    refuse(config)
    check_seeds(seeds, config.storage)
    asyncio.run(check_servers(config))
    logging.basicConfig(level=config.log_level, format=LOG_LINES)
    sys.setswitchinterval(_SWITCH_SECONDS)
    asyncio.run(_work(config, seeds, is_service=is_service))


def refuse(config: Config) -> None:
    """Raise ConfigError for what this engine cannot do."""
    if config.pictures:
        raise ConfigError("pictures is true: the urllib engine fetches none; use scrapy crawl tieba")
    if config.scheduler != "frontier":
        raise ConfigError(f"scheduler is {config.scheduler}: the urllib engine works with the frontier alone")


async def _work(config: Config, seeds: Sequence[Seed], *, is_service: bool) -> None:
    stop = _Stop()
    stop.listen()
    while not stop.is_asked:
        try:
            if is_service:
                await stop.unless(work_is_there(config, ENGINE))
            if not stop.is_asked:
                await Crawl(config, stop).run(seeds)
        except StoreError as error:
            if not is_service:
                raise store_problem(error) from None
            logger.error("%s", error)
        except RedisError as error:
            raise redis_problem(error, config) from None
        if not is_service:
            break
        # A crawl that cannot be worked on must not keep us busy.
        await stop.unless(asyncio.sleep(LOOK_SECONDS))
    if stop.by == signal.SIGINT:
        raise KeyboardInterrupt


class _Stop:
    """Whether the process was asked to end, and how urgently."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    @property
    def is_asked(self) -> bool:
        return self.by is not None

    def listen(self) -> None:
        """Take SIGTERM and Ctrl-C as such questions."""
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, self._note, name)

    def _note(self, name: signal.Signals) -> None:
        if self.is_asked:
            logger.info("Received %s again: giving back what is under way", name.name)
            self.hurried.set()
            return
        logger.info("Received %s: ending what is under way, giving back the rest", name.name)
        self.by = name
        self.asked.set()

    async def unless(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait, unless the process is asked to end meanwhile."""
        tasks = [asyncio.create_task(waiting), asyncio.create_task(self.asked.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await cancel(*tasks)
        if not tasks[0].cancelled():
            tasks[0].result()


@dataclass(eq=False, slots=True)
class _Hand:
    """A leased request, as `tieba.politeness.Hand`."""

    worker: Worker
    lease: Lease
    fetch: Fetch
    call: Call

    def __str__(self) -> str:
        return str(self.fetch.target)

    @property
    def target(self) -> Target:
        return self.fetch.target

    @property
    def endpoint(self) -> str:
        return self.lease.endpoint

    @property
    def attempts(self) -> int:
        return self.lease.attempts

    @property
    def strikes(self) -> int:
        return self.lease.strikes

    def retry(self, reason: str, retry_after: float = 0.0) -> None:
        self.worker.fail(self.lease.id, reason, retry_after)

    def give_up(self, reason: str) -> None:
        self.worker.fail(self.lease.id, reason, is_final=True)

    def put_back(self) -> None:
        self.worker.release(self.lease.id)


class Crawl:
    """One crawl, from its first lease to its end or that of the process."""

    def __init__(self, config: Config, stop: _Stop) -> None:
        self._config = config
        self._stop = stop
        self._cluster = Cluster(config, ENGINE)
        self._cluster.counts.held = lambda: len(self._hands)
        self._politeness = Politeness(self._cluster, config.max_attempts)
        self._downloader = Downloader(
            config.concurrent_requests + 1,  # one for robots.txt
            config.download_timeout,
            config.user_agent,
            config.bind_address,
        )
        self._robots = Robots(self._fetch_robots) if config.obey_robots else None
        policy = Policy(
            lease_seconds=config.lease_seconds,
            max_attempts=config.max_attempts,
            retry_delay=config.retry_delay,
        )
        self._worker = Worker(
            Frontier(self._cluster.redis, config.job, policy),
            room=self._room,
            on_change=self._take_up,
            may_finish=self._may_finish,
            egress=config.egress,
            limits={endpoint: Limit(*limit) for endpoint, limit in config.limits.items()},
            counted_as=self._cluster.host,
            most_held=3 * config.concurrent_requests,
        )
        start_urls = StartUrls(self._cluster.job.start_urls, self._pack_seeds, parse_seeds)
        self._feeder = Feeder(start_urls, self._cluster.job, self._worker.patience)
        self._hands: dict[asyncio.Task[None], _Hand] = {}
        self._downloading = 0
        self._waiting_bytes = 0  # of answers that are not stored yet
        self._ended = asyncio.Event()

    async def run(self, seeds: Sequence[Seed]) -> None:
        """Work until the crawl is finished, or the process shall end."""
        pulse = Pulse(self._cluster)
        pulse.start()
        try:
            await self._stop.unless(self._cluster.ask_store(self._cluster.store.open))
            await self._stop.unless(self._push(seeds))
            if not self._stop.is_asked:
                self._feeder.start()
                self._worker.start()
                await self._stop.unless(self._ended.wait())
                await self._close()
        finally:
            await pulse.stop()
            self._downloader.close()
            await self._cluster.close()

    async def _push(self, seeds: Sequence[Seed]) -> None:
        for seed in seeds:
            await self._cluster.patience(partial(self._cluster.job.push_seed, str(seed)))

    async def _close(self) -> None:
        """End what is under way, give back the rest; nothing that is shared is touched."""
        await self._feeder.close()
        if self._hands:
            hurried = asyncio.create_task(self._stop.hurried.wait())
            ended = asyncio.create_task(asyncio.wait(set(self._hands)))
            longest = self._config.download_timeout + _SETTLE_SECONDS
            await asyncio.wait({hurried, ended}, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
            await cancel(hurried, ended, *self._hands)
        await self._worker.close(_CLOSE_SECONDS)
        if self._worker.is_over:
            await tell_end(self._cluster.job, self._worker.state)
            await note_end(self._cluster)

    # What the frontier's worker asks.

    def _room(self, ready: int) -> int:
        """Tell how many leases to fetch: what can be sent at once; one that waits here misses its turn."""
        if self._stop.is_asked or self._waiting_bytes > _MOST_WAITING_BYTES:
            return 0
        return self._config.concurrent_requests - self._downloading - ready

    async def _may_finish(self) -> bool:
        return not self._hands and await self._feeder.is_done()

    def _take_up(self) -> None:
        """Begin with the requests whose turn has come, as many as there is room for."""
        while (
            not self._stop.is_asked
            and self._downloading < self._config.concurrent_requests
            and self._waiting_bytes <= _MOST_WAITING_BYTES
            and (lease := self._worker.take()) is not None
        ):
            try:
                fetch, _ = fetches.unpack(json.loads(lease.payload))
                call = fetches.source_of(self._config).build(fetch)
            except Exception as error:  # noqa: BLE001 - anybody may have written the entry
                reason = f"queue entry cannot be decoded: {type(error).__name__}: {error}"
                logger.error("%a: %a", reason, lease.payload[:200])
                self._worker.fail(lease.id, reason, is_final=True)
                continue
            hand = _Hand(self._worker, lease, fetch, call)
            self._downloading += 1
            task = asyncio.create_task(self._handle(hand))
            self._hands[task] = hand
            task.add_done_callback(self._hands.pop)
        if self._worker.is_over and not self._hands:
            self._ended.set()

    # The way of a request.

    async def _handle(self, hand: _Hand) -> None:
        try:
            received = await self._download(hand)
            size = 0 if received is None else len(received.body)
            self._waiting_bytes += size
            try:
                if received is not None:
                    await self._digest(hand, received)
            finally:
                self._waiting_bytes -= size
        except Exception as error:
            logger.error("%s: %s: %s", hand, type(error).__name__, error, exc_info=True)
            hand.retry(f"{type(error).__name__}: {error}")
        self._take_up()

    async def _download(self, hand: _Hand) -> Received | None:
        """Give the answer to a request; None where there is none, and the request is settled."""
        try:
            call = hand.call
            url = fetches.site_of(self._config) + call.path
            if self._robots is not None and not await self._robots.allow(url, self._config.user_agent):
                self._politeness.forbid(hand, FORBIDDEN)
                return None
            return await self._downloader.fetch(Download(url, call.method, call.headers, call.body))
        except (*FAILURES, RobotsUnavailable) as error:
            self._politeness.note_failure(hand, error)
            return None
        finally:
            self._downloading -= 1
            self._take_up()

    async def _digest(self, hand: _Hand, received: Received) -> None:
        """Read an answer, store its records, and then, in one call, mark it done with its follow-ups."""
        answer = await self._politeness.judge(received, hand)
        if answer is None:
            return
        found = await harvest(self._cluster, hand.fetch, answer, self._worker.crawl_id)
        if not await store(self._cluster, found.records, hand, is_over=lambda: self._stop.is_asked):
            return
        follow_ups = [fetches.pack(fetch, self._config) for fetch in found.following]
        self._worker.complete(hand.lease.id, follow_ups)

    async def _fetch_robots(self, url: str) -> tuple[int, bytes]:
        received = await self._downloader.fetch(Download(url))
        return received.status, received.body

    def _pack_seeds(self, data: bytes) -> list[frontier.Request]:
        seeds = parse_seeds(data.decode())
        check_seeds(seeds, self._config.storage)
        return [fetches.pack(Fetch(seed.target, seed.scope), self._config, is_seed=True) for seed in seeds]
