"""A worker's hand in the frontier: leases fetched ahead of need, results written behind.

What a crawl loop calls never waits for Redis. Tasks of its own lease, renew, reap and write, and wait while
Redis cannot be used. What a worker holds is bounded, and while too much of it is unwritten it gives out
nothing more.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import random
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from frontier import operations
from frontier.client import make_owner
from frontier.connection import ERRORS, Patience, cancel, trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence

    from frontier.client import Frontier
    from frontier.model import Lease, Leased, Limit, Request
    from frontier.operations import Operation

_LONGEST_SLEEP = 0.25  # seconds between two looks for work
_SHORTEST_SLEEP = 0.005
_REAP_SECONDS = 5.0
_GATHER_SECONDS = 0.02  # for which results wait for others, to be written together
_LARGEST_BATCH = 200  # requests, or follow-ups, in one call
_UNWRITTEN_FACTOR = 4  # results that may wait to be written, for each lease that may be held

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """An operation that Redis has not confirmed, and the leases that it settles."""

    operation: Operation[Any]
    ids: Sequence[str]
    pushed: int = 0  # requests that it queues by itself


class Worker:
    """One worker of a job.

    `room` tells how many leases to fetch when so many wait to be taken; `on_change` is called when some have
    come or the crawl's state has changed. `may_finish` tells whether nothing is to come from outside the
    frontier, so that an empty one means the end.

    Limits are kept at the site, not only at Redis: a request that could not be sent on time gives its turn
    up. Up to half of a slot's burst is kept for such delays.
    """

    def __init__(
        self,
        frontier: Frontier,
        *,
        room: Callable[[int], int],
        on_change: Callable[[], None],
        may_finish: Callable[[], Coroutine[Any, Any, bool]],
        egress: str = "default",
        limits: Mapping[str, Limit] | None = None,
        counted_as: str = "",
        most_held: int = 64,
    ) -> None:
        self.frontier = frontier
        self.owner = make_owner()
        self.patience = Patience()
        self.state = "unknown"  # of the crawl, as last heard
        self.crawl_id = ""
        self.is_over = False  # the crawl has ended, or there is none, and nothing is to come
        self._room = room
        self._on_change = on_change
        self._may_finish = may_finish
        self._egress = egress
        self._tolerance = {endpoint: _tolerance(limit) for endpoint, limit in (limits or {}).items()}
        self._limits = {
            endpoint: replace(limit, burst=max(1.0, limit.burst - limit.rate * self._tolerance[endpoint]))
            for endpoint, limit in (limits or {}).items()
        }
        self._counted_as = counted_as
        self._most_unwritten = most_held * _UNWRITTEN_FACTOR
        self._ready: list[tuple[float, int, Lease]] = []  # a heap by the time of each one's turn
        self._order = itertools.count()
        self._valid_until: dict[str, float] = {}  # of every lease that is not settled in Redis
        self._settled: set[str] = set()  # those of them whose result waits to be written
        self._lost: list[str] = []  # may be leased by calls that were not answered
        self._pushes: list[Request] = []
        self._done: dict[str, Sequence[Request]] = {}
        self._others: list[_Unwritten] = []
        self._outbox: list[_Unwritten] = []
        self._wanted, self._news, self._dirty, self._written = (asyncio.Event() for _ in range(4))
        self._written.set()
        self._is_closing = False
        self._filling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # What a crawl loop calls.

    def start(self, first: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        """Begin to work, after `first` has been done."""
        self._tasks = [asyncio.create_task(self._forever(partial(self._run, first)))]

    def take(self) -> Lease | None:
        """Give the next lease whose turn has come, None if there is none now."""
        self._wanted.set()
        if len(self._settled) >= self._most_unwritten:
            return None
        now = time.monotonic()
        while self._ready and self._ready[0][0] <= now:
            turn, _, lease = heapq.heappop(self._ready)
            tolerance = self._tolerance.get(lease.endpoint, self._tolerance.get("*"))
            is_late = tolerance is not None and now - turn > tolerance
            if is_late or now > self._valid_until[lease.id]:
                self._give_back(lease.id, were_sent=False)
            else:
                return lease
        self._wake_later()
        return None

    def push(self, requests: Iterable[Request]) -> None:
        """Queue requests, unless they were seen."""
        self._pushes.extend(requests)
        self.is_over = False
        self._note_unwritten()

    def bury(self, endpoint: str, payload: str, reason: str) -> None:
        """Record what cannot even be queued as a dead letter."""
        self._settle_by(operations.bury(endpoint, payload, reason), [])

    def complete(self, id_: str, follow_ups: Sequence[Request] = ()) -> None:
        """Mark a request as done and queue its follow-ups; its records are stored before."""
        self._settled.add(id_)
        self._done[id_] = follow_ups
        self._note_unwritten()

    def fail(self, id_: str, reason: str, retry_after: float = 0.0, *, is_final: bool = False) -> None:
        """Count a failed attempt."""
        policy = self.frontier.policy
        # Requests that failed together must not come back together.
        policy = replace(policy, retry_delay=policy.retry_delay * random.uniform(0.75, 1.25))  # noqa: S311
        operation = operations.fail(self.owner, id_, reason, retry_after, policy, is_final=is_final)
        self._settle_by(operation, [id_])

    def release(self, *ids: str) -> None:
        """Give back unharmed what was taken; it counts towards the crawl's maximum of requests."""
        self._give_back(*ids, were_sent=True)

    @property
    def unwritten(self) -> int:
        """How many requests wait to be queued."""
        return len(self._pushes) + sum(item.pushed for item in self._outbox)

    async def flush(self) -> None:
        """Wait until everything is written."""
        await self._written.wait()

    async def close(self, patience_seconds: float) -> None:
        """Give back what was not taken or settled, and write what is to be written.

        What Redis does not take in time is repeated by another worker when the leases run out.
        """
        self._is_closing = True
        self._wanted.set()
        self._news.set()
        if self._filling is not None:  # what it is about to lease is given back, too
            await asyncio.wait({self._filling}, timeout=patience_seconds)
        ready = {lease.id for _, _, lease in self._ready}
        self._ready.clear()
        self._give_back(*ready, were_sent=False)
        self._give_back(*self._valid_until.keys() - self._settled, were_sent=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.flush(), patience_seconds)
        if self._timer is not None:
            self._timer.cancel()
        await cancel(*self._tasks)

    # What goes on behind.

    async def _run(self, first: Callable[[], Coroutine[Any, Any, object]] | None) -> None:
        if first is not None:
            await self.patience(first)
        self._filling = asyncio.create_task(self._forever(self._fill))
        self._tasks.append(self._filling)
        for loop in (self._write, self._renew, self._reap):
            self._tasks.append(asyncio.create_task(self._forever(loop)))

    async def _forever(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let a loop go on after an error that nobody expects, e.g. a key of another type in Redis."""
        while not self._is_closing:
            try:
                await loop()
                return
            except Exception as error:  # noqa: BLE001, PERF203 - told, and tried again
                logger.error("The frontier cannot be used: %s: %s", type(error).__name__, error)
                await asyncio.sleep(_REAP_SECONDS)

    async def _fill(self) -> None:
        while not self._is_closing:
            room = self._room(len(self._ready)) if len(self._settled) < self._most_unwritten else 0
            if room < 1:
                await self._wanted.wait()
                self._wanted.clear()
                continue
            self._wanted.clear()
            self._news.clear()
            sent_at = time.monotonic()
            leased = await self.patience(partial(self._lease, room))
            self._take_in(leased, sent_at)
            if leased.is_finished and not self._valid_until and not self._pushes and not self._outbox:
                await self._look_for_end(leased)
            if len(leased.leases) < room:
                wait = _LONGEST_SLEEP if leased.wait is None else min(leased.wait, _LONGEST_SLEEP)
                timer = asyncio.get_running_loop().call_later(max(wait, _SHORTEST_SLEEP), self._news.set)
                await self._news.wait()
                timer.cancel()

    async def _lease(self, room: int) -> Leased:
        if self._lost:
            await self.frontier.release(self.owner, self._lost)
            self._lost.clear()
        try:
            return await self.frontier.lease(room, self.owner, egress=self._egress, limits=self._limits)
        except ERRORS:
            self._lost += self.frontier.lost_ids(room)
            raise

    def _take_in(self, leased: Leased, sent_at: float) -> None:
        is_new_crawl = self.crawl_id not in {"", leased.crawl_id}
        has_changed = (self.state, self.crawl_id) != (leased.state, leased.crawl_id)
        self.state, self.crawl_id = leased.state, leased.crawl_id
        if is_new_crawl:  # what is left of the one before is nobody's
            for _, _, lease in self._ready:
                self._valid_until.pop(lease.id, None)
            self._ready.clear()
        now = time.monotonic()
        for lease in leased.leases:
            turn = now + lease.wait
            self._valid_until[lease.id] = sent_at + self.frontier.policy.lease_seconds
            heapq.heappush(self._ready, (turn, next(self._order), lease))
        if leased.state == "running":
            self.is_over = False
        if leased.leases or has_changed:
            self._on_change()

    async def _look_for_end(self, leased: Leased) -> None:
        if not await self.patience(self._may_finish):
            return
        if leased.state == "running":
            await self.patience(partial(self.frontier.finish, leased.crawl_id))
            self._news.set()  # the next look tells what came of it
        else:
            self.is_over = True
            self._on_change()

    async def _write(self) -> None:
        while True:
            await self._dirty.wait()
            if self._ready:  # there is work meanwhile: one call for many results
                await asyncio.sleep(_GATHER_SECONDS)
            self._dirty.clear()
            await self.patience(self._send)
            if not self._dirty.is_set():
                self._written.set()

    async def _send(self) -> None:
        """Write what there is.

        What Redis refuses for now stays in the outbox, and what comes meanwhile is tried with it.
        """
        self._outbox += self._collect()
        sent = self._outbox
        refused: list[_Unwritten] = []
        failure: Exception | None = None
        results = await self.frontier.run_all([item.operation for item in sent])
        for item, result in zip(sent, results, strict=True):
            # What no lease brings back is tried until it can be written.
            if isinstance(result, ERRORS) and (trouble(result) is not None or not item.ids):
                refused.append(item)
                failure = result
                continue
            if isinstance(result, ERRORS):
                logger.error("Not written, to be repeated when its lease runs out: %s", result)
            for id_ in item.ids:
                self._valid_until.pop(id_, None)
                self._settled.discard(id_)
        self._outbox = refused
        self._news.set()
        self._wanted.set()
        if failure is not None:
            self._dirty.set()  # should nobody repeat this call
            raise failure

    def _collect(self) -> list[_Unwritten]:
        """Make as few operations as possible of what waits to be written."""
        found = [
            _Unwritten(operations.push(batch), (), len(batch))
            for batch in _batches(self._pushes, lambda _: 1)
        ]
        # Those without follow-ups apart: they need no memory, so that a full Redis takes them.
        for group in (
            [done for done in self._done.items() if done[1]],
            [done for done in self._done.items() if not done[1]],
        ):
            for batch in _batches(group, lambda done: 1 + len(done[1])):
                operation = operations.complete(self.owner, batch, self._counted_as)
                found.append(_Unwritten(operation, [id_ for id_, _ in batch]))
        found += self._others
        self._pushes, self._done, self._others = [], {}, []
        return found

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.frontier.policy.lease_seconds / 3)
            ids = list(self._valid_until)
            if not ids:
                continue
            sent_at = time.monotonic()
            kept = await self.patience(partial(self.frontier.renew, self.owner, ids))
            for id_ in ids:
                if id_ in kept and id_ in self._valid_until:
                    self._valid_until[id_] = sent_at + self.frontier.policy.lease_seconds
            if len(kept) < len(ids):
                self._forget_ready(set(ids) - kept)

    def _forget_ready(self, lost: set[str]) -> None:
        """Drop what others have by now. What was taken goes on; its result will be refused."""
        for _, _, lease in self._ready:
            if lease.id in lost:
                del self._valid_until[lease.id]
        self._ready = [item for item in self._ready if item[2].id not in lost]
        heapq.heapify(self._ready)

    async def _reap(self) -> None:
        while True:
            await asyncio.sleep(_REAP_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311
            expired = await self.patience(self.frontier.reap)
            if expired:
                logger.info("%d leases had run out; their requests are queued again", expired)
                self._news.set()

    def _give_back(self, *ids: str, were_sent: bool) -> None:
        if ids:
            self._settle_by(operations.release(self.owner, ids, were_sent=were_sent), ids)

    def _settle_by(self, operation: Operation[Any], ids: Sequence[str]) -> None:
        self._settled.update(ids)
        self._others.append(_Unwritten(operation, ids))
        self._note_unwritten()

    def _note_unwritten(self) -> None:
        self._written.clear()
        self._dirty.set()

    def _wake_later(self) -> None:
        """Have the crawl loop asked again when the next turn comes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ready:
            delay = max(0.0, self._ready[0][0] - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_change)


def _tolerance(limit: Limit) -> float:
    """Give the seconds by which a request may be late: what half of the burst allows for."""
    return max(0.02, min(0.25, (limit.burst - 1) / (2 * limit.rate)))


def _batches(items: Sequence[Any], size: Callable[[Any], int]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    total = 0
    for item in items:
        if batch and total + size(item) > _LARGEST_BATCH:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch
