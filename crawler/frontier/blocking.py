"""The frontier without asyncio, for threads and tools.

`frontier.client` documents the operations.

For example, with a redis-server on this machine::

    python -c "
    from frontier import Request, connect_blocking
    from frontier.blocking import Frontier

    frontier = Frontier(connect_blocking('redis://127.0.0.1:6379/0'), 'example')
    frontier.push([Request('pages', 'https://example.com/')])
    for lease in frontier.lease(10, owner='me').leases:
        print(lease.payload)
        frontier.complete('me', [(lease.id, [])])
    frontier.drop_job()
    "
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import NoScriptError

from frontier import operations
from frontier.operations import Operation, Policy
from frontier.scripts import digest, source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from redis import Redis, RedisCluster

    from frontier.model import Delayed, Held, Lease, Leased, Letter, Limit, Request, Stats
    from frontier.operations import Arguments

T = TypeVar("T")
_LETTERS_AT_ONCE = 500


class Frontier:
    """The frontier of one job; as `frontier.client.Frontier`. Threads may share one."""

    def __init__(self, redis: Redis | RedisCluster, job: str, policy: Policy | None = None) -> None:
        self.redis = redis
        self.job = job
        self.policy = policy or Policy()
        self.prefix = operations.prefix(job)
        self._calls = 0
        self._counting = threading.Lock()

    def push(self, requests: Iterable[Request]) -> int:
        """Add the requests that this job has never seen; returns how many that were."""
        return self.run(operations.push(requests))

    def lease(
        self, count: int, owner: str, *, egress: str = "default", limits: Mapping[str, Limit] | None = None
    ) -> Leased:
        """Take up to `count` ready requests."""
        with self._counting:
            self._calls = call = max(self._calls + 1, round(time.time() * 1000))
        return self.run(operations.lease(call, owner, count, egress, limits or {}, self.policy))

    def renew(self, owner: str, ids: Iterable[str]) -> set[str]:
        """Push the deadlines of leases out; returns the ids that are still the owner's."""
        return self.run(operations.renew(owner, ids, self.policy))

    def complete(
        self, owner: str, done: Iterable[tuple[str, Sequence[Request]]], *, counted_as: str = ""
    ) -> set[str]:
        """Mark requests as done and push their follow-ups; returns the ids that were accepted."""
        return self.run(operations.complete(owner, done, counted_as))

    def release(self, owner: str, ids: Iterable[str], *, were_sent: bool = False) -> int:
        """Give requests back unharmed; returns how many were still the owner's."""
        return self.run(operations.release(owner, ids, were_sent=were_sent))

    def fail(
        self, owner: str, id_: str, reason: str, retry_after: float = 0.0, *, is_final: bool = False
    ) -> str:
        """Count a failed attempt; returns `delayed`, `dead` or `refused`."""
        return self.run(operations.fail(owner, id_, reason, retry_after, self.policy, is_final=is_final))

    def reap(self) -> int:
        """Return leases that ran out to the queue."""
        return self.run(operations.reap(self.policy))

    def pause(
        self, slot: str, seconds: float, reason: str, *, longest: float | None = None, least: float = 0.0
    ) -> tuple[float, bool]:
        """Let nobody lease from the slot `endpoint:egress` for some seconds."""
        longest = seconds if longest is None else longest
        return self.run(operations.pause(slot, reason, first=seconds, longest=longest, least=least))

    def resume(self, slot: str) -> bool:
        """End the pause of a slot; tells whether there was one."""
        return self.run(operations.resume(slot, at_once=True))

    def succeeded(self, slot: str) -> None:
        """Let the next pause of a slot be a short one again."""
        self.run(operations.resume(slot, at_once=False))

    def is_finished(self) -> bool:
        """Tell whether nothing is left to be done."""
        return self.run(operations.is_finished())

    def peek(self, count: int = 10) -> tuple[Lease, ...]:
        """Show the next requests of every endpoint."""
        return self.run(operations.peek(count))

    def leases(self, cursor: str = "0", count: int = 200) -> tuple[str, tuple[Held, ...]]:
        """Show about `count` of the requests that workers hold; gives the next cursor, "0" at the end."""
        return self.run(operations.leases(cursor, count))

    def delayed(self, start: int = 0, count: int = 50) -> tuple[Delayed, ...]:
        """Show requests that wait to be tried again, the next first, after the first `start`."""
        return self.run(operations.delayed(start, count))

    def hold(self, reason: str) -> bool:
        """Let nobody lease anything of the running crawl until `let_go`; tells whether one is running."""
        return self.run(operations.hold(reason))

    def let_go(self) -> bool:
        """Let a crawl go on that is held; tells whether it was."""
        return self.run(operations.let_go())

    def reprioritize(self, endpoint: str, old: int, new: int, count: int = 1000) -> int:
        """Move the first `count` requests of a queue to the end of another; returns how many there were."""
        return self.run(operations.reprioritize(endpoint, old, new, count))

    def stats(self) -> Stats:
        """Count what there is."""
        return self.run(operations.stats())

    def dead(self) -> Iterator[Letter]:
        """Give the dead letters, oldest first."""
        last = "-inf"
        key = f"{self.prefix}dead"
        while found := self.redis.zrangebyscore(key, last, "+inf", 0, _LETTERS_AT_ONCE, withscores=True):
            for letter in operations.letters(found):
                yield letter
            last = f"({letter.id}"

    def retry_dead(self, wanted: Callable[[Letter], bool] | None = None) -> int:
        """Queue dead letters again, all or those `wanted`; returns how many."""
        ids = [letter.id for letter in self.dead() if wanted is None or wanted(letter)]
        batches = (ids[start : start + _LETTERS_AT_ONCE] for start in range(0, len(ids), _LETTERS_AT_ONCE))
        return sum(self.run(operations.retry(batch)) for batch in batches)

    def known(self, *fingerprints: int) -> set[int]:
        """Tell which of these were seen."""
        return self.run(operations.known(fingerprints))

    def see(self, *fingerprints: int) -> int:
        """Mark requests as seen without queueing them; returns how many were new."""
        return self.run(operations.see(fingerprints))

    def forget(self, *fingerprints: int) -> int:
        """Let requests be pushed again; returns how many had been seen."""
        return self.run(operations.forget(fingerprints))

    def drop_job(self) -> None:
        """Remove everything that is kept of the job, bit by bit."""
        while self.run(operations.drop()):
            pass

    def begin(self, *, abandon: bool = False) -> bool:
        """Begin a crawl unless one is running that is not to be abandoned; tells whether one began."""
        return self.run(operations.begin(uuid.uuid4().hex, abandon=abandon))

    def set_max_requests(self, max_requests: int | None) -> None:
        """Let the present crawl lease this many requests from its beginning on, None for any number."""
        self.run(operations.set_max_requests(max_requests))

    def empty(self) -> int:
        """Drop what is queued and delayed; returns how many requests are leased."""
        return self.run(operations.empty())

    def finish(self, crawl_id: str) -> bool:
        """Mark the crawl finished if nothing is left of it; tells whether this call did."""
        return self.run(operations.finish(crawl_id))

    def run(self, operation: Operation[T]) -> T:
        """Run one operation."""
        args = encoded(operation.args)
        try:
            reply = self.redis.evalsha(digest(operation.script), 1, self.prefix, *args)
        except NoScriptError:
            reply = self.redis.eval(source(operation.script), 1, self.prefix, *args)
        return operation.read(reply)


def encoded(args: Arguments) -> list[bytes | int | float]:
    """Give what to send: hiredis' encoder refuses texts that stand for bytes that are not UTF-8."""
    return [arg.encode("utf-8", "surrogateescape") if isinstance(arg, str) else arg for arg in args]
