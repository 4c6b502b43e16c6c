"""The frontier for asyncio.

The set of requests of one job, shared by all its workers. A request is queued once, leased by one worker at
a time, and done only when that worker says so, in the same step that queues what follows from it. A worker
that dies loses nothing: its leases run out.

For example, with a redis-server on this machine::

    python -c "
    import asyncio
    from frontier import Frontier, Request, connect, fingerprint

    async def main():
        frontier = Frontier(connect('redis://127.0.0.1:6379/0'), 'example')
        await frontier.push([Request('pages', 'https://example.com/', fingerprint=fingerprint('/'))])
        leased = await frontier.lease(10, owner='me')
        for lease in leased.leases:
            print(lease.payload)
            follow_up = Request('pages', 'https://example.com/a', fingerprint=fingerprint('/a'))
            await frontier.complete('me', [(lease.id, [follow_up])])
        print(await frontier.stats())
        await frontier.drop_job()

    asyncio.run(main())
    "

`frontier.blocking` has the same operations without asyncio.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import NoScriptError

from frontier import operations
from frontier.operations import Operation, Policy
from frontier.scripts import digest, source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from redis.asyncio import Redis, RedisCluster

    from frontier.model import Delayed, Held, Lease, Leased, Letter, Limit, Request, Stats, Turn

T = TypeVar("T")
_LETTERS_AT_ONCE = 500
_MEASURED_SHARDS = 20


class Frontier:
    """The frontier of one job; every operation is one atomic script.

    `owner` names the worker that holds a lease. It must be unique among all workers that ever were
    (`make_owner`), and its calls of `lease` must go through one Frontier. Raises what redis-py raises;
    `frontier.connection` tells what of it passes.
    """

    def __init__(self, redis: Redis | RedisCluster, job: str, policy: Policy | None = None) -> None:
        self.redis = redis
        self.job = job
        self.policy = policy or Policy()
        self.prefix = operations.prefix(job)
        self._calls = 0

    async def push(self, requests: Iterable[Request]) -> int:
        """Add the requests that this job has never seen; returns how many that were."""
        return await self.run(operations.push(requests))

    async def lease(
        self, count: int, owner: str, *, egress: str = "default", limits: Mapping[str, Limit] | None = None
    ) -> Leased:
        """Take up to `count` ready requests, 1,000 at most, to be settled or renewed before they run out.

        Highest priority first, first in first out among equals, spread over the slots (endpoint, `egress`),
        only as many as their budgets in `limits` allow; `*` is the limit of all others, none means no limit.
        Should the reply be lost, the leases run out; `release` of `lost_ids` is quicker.
        """
        # The time, so that a lease's id tells since when it is held; one more where that would not grow.
        self._calls = max(self._calls + 1, round(time.time() * 1000))
        return await self.run(operations.lease(self._calls, owner, count, egress, limits or {}, self.policy))

    def lost_ids(self, count: int) -> list[str]:
        """Give the ids that the last call of `lease` for `count` requests may have leased."""
        return [f"{self._calls}.{number}" for number in range(1, count + 1)]

    async def renew(self, owner: str, ids: Iterable[str]) -> set[str]:
        """Push the deadlines of leases out; returns the ids that are still the owner's."""
        return await self.run(operations.renew(owner, ids, self.policy))

    async def complete(
        self, owner: str, done: Iterable[tuple[str, Sequence[Request]]], *, counted_as: str = ""
    ) -> set[str]:
        """Mark requests as done and push their follow-ups, all at once; returns the ids that were accepted.

        Refused, with its follow-ups, is a lease that ran out: another worker has that request.
        """
        return await self.run(operations.complete(owner, done, counted_as))

    async def release(self, owner: str, ids: Iterable[str], *, were_sent: bool = False) -> int:
        """Give requests back unharmed; returns how many were still the owner's.

        Those that were not sent do not count towards the crawl's maximum.
        """
        return await self.run(operations.release(owner, ids, were_sent=were_sent))

    async def fail(
        self, owner: str, id_: str, reason: str, retry_after: float = 0.0, *, is_final: bool = False
    ) -> str:
        """Count a failed attempt; returns `delayed`, `dead` or `refused`.

        The request comes back after a delay that grows with its attempts, at least `retry_after` seconds;
        after the policy's last attempt, or where `is_final`, it goes to the dead letters with the reason.
        """
        return await self.run(
            operations.fail(owner, id_, reason, retry_after, self.policy, is_final=is_final)
        )

    async def reap(self) -> int:
        """Return leases that ran out to the queue; any worker does so now and then."""
        return await self.run(operations.reap(self.policy))

    async def pause(
        self, slot: str, seconds: float, reason: str, *, longest: float | None = None, least: float = 0.0
    ) -> tuple[float, bool]:
        """Let nobody lease from the slot `endpoint:egress` for some seconds.

        The seconds double with every pause since the last success, up to `longest`; `least` is what the site
        asks for. Returns the seconds until the pause ends, and whether this call began or prolonged it.
        """
        longest = seconds if longest is None else longest
        return await self.run(operations.pause(slot, reason, first=seconds, longest=longest, least=least))

    async def resume(self, slot: str) -> bool:
        """End the pause of a slot; tells whether there was one."""
        return await self.run(operations.resume(slot, at_once=True))

    async def succeeded(self, slot: str) -> None:
        """Let the next pause of a slot be a short one again."""
        await self.run(operations.resume(slot, at_once=False))

    async def turn(self, slot: str, limit: Limit) -> Turn:
        """Take a turn of a slot for a request that is not leased."""
        return await self.run(operations.turn(slot, limit, self.policy))

    async def is_finished(self) -> bool:
        """Tell whether nothing is leased, and nothing queued or delayed or the crawl's maximum reached."""
        return await self.run(operations.is_finished())

    async def peek(self, count: int = 10) -> tuple[Lease, ...]:
        """Show the next requests of every endpoint; they are not leased and have no ids."""
        return await self.run(operations.peek(count))

    async def queue(self, endpoint: str, priority: int, start: int = 0, count: int = 50) -> tuple[Lease, ...]:
        """Show `count` requests of one queue after the first `start`; they are not leased and have no ids."""
        key = f"{self.prefix}queue:{endpoint}:{priority}"
        return tuple(
            operations.shown(str(entry)) for entry in await self.redis.lrange(key, start, start + count - 1)
        )

    async def leases(self, cursor: str = "0", count: int = 200) -> tuple[str, tuple[Held, ...]]:
        """Show about `count` of the requests that workers hold; gives the next cursor, "0" at the end.

        What is leased all the while comes at least once.
        """
        return await self.run(operations.leases(cursor, count))

    async def delayed(self, start: int = 0, count: int = 50) -> tuple[Delayed, ...]:
        """Show requests that wait to be tried again, the next first, after the first `start`."""
        return await self.run(operations.delayed(start, count))

    async def hold(self, reason: str) -> bool:
        """Let nobody lease anything of the running crawl until `let_go`; tells whether one is running.

        What is leased goes on. A crawl that ends meanwhile, or the next one, is not held.
        """
        return await self.run(operations.hold(reason))

    async def let_go(self) -> bool:
        """Let a crawl go on that is held; tells whether it was."""
        return await self.run(operations.let_go())

    async def reprioritize(self, endpoint: str, old: int, new: int, count: int = 1000) -> int:
        """Move the first `count` requests of a queue, in their order, to the end of that of another priority.

        Returns how many were taken out, 0 when the queue is empty. Entries that are none of the frontier's
        become dead letters. Raises ValueError for priorities that cannot be.
        """
        return await self.run(operations.reprioritize(endpoint, old, new, count))

    async def stats(self) -> Stats:
        """Count what there is."""
        return await self.run(operations.stats())

    async def dead(self, *, newest: int | None = None) -> AsyncIterator[Letter]:
        """Give the dead letters, oldest first, or the `newest` so many, newest first."""
        key = f"{self.prefix}dead"
        if newest is not None:
            found = await self.redis.zrevrange(key, 0, newest - 1, withscores=True) if newest else ()
            for letter in operations.letters(found):
                yield letter
            return
        last = "-inf"
        while found := await self.redis.zrangebyscore(
            key, last, "+inf", start=0, num=_LETTERS_AT_ONCE, withscores=True
        ):
            for letter in operations.letters(found):
                yield letter
            last = f"({letter.id}"

    async def dead_page(self, before_id: str | None = None, count: int = 50) -> tuple[Letter, ...]:
        """Give `count` dead letters, newest first: the newest, or those before the one with this id.

        Raises ValueError for what is no id.
        """
        if before_id is not None and not _is_id(before_id):
            raise ValueError(f"the id of a dead letter is a number, not {before_id!r}")
        highest = "+inf" if before_id is None else f"({before_id}"
        key = f"{self.prefix}dead"
        found = await self.redis.zrevrangebyscore(key, highest, "-inf", 0, count, withscores=True)
        return operations.letters(found)

    async def letter(self, id_: str) -> Letter | None:
        """Give one dead letter."""
        if not _is_id(id_):
            return None
        found = await self.redis.zrangebyscore(f"{self.prefix}dead", id_, id_, 0, 1, withscores=True)
        return next(iter(operations.letters(found)), None)

    async def bytes_per_seen(self) -> float | None:
        """Measure what a fingerprint takes of Redis' memory, in some shards; None where there are none."""
        state = await self.redis.hgetall(f"{self.prefix}seen")
        generation, shards = int(state.get("generation", 0)), int(state.get("shards", 0))
        measured = range(0, shards, 1 + shards // _MEASURED_SHARDS)
        keys = [f"{self.prefix}seen:{generation}:{number}" for number in measured]
        count = sum([await self.redis.scard(key) for key in keys])
        size = sum([await self.redis.memory_usage(key) or 0 for key in keys])
        return size / count if count else None

    async def retry_dead(self, wanted: Callable[[Letter], bool] | None = None) -> int:
        """Queue dead letters again, all or those `wanted`, as if they had never failed; returns how many."""
        ids = [letter.id async for letter in self.dead() if wanted is None or wanted(letter)]
        retried = 0
        for start in range(0, len(ids), _LETTERS_AT_ONCE):
            retried += await self.retry(ids[start : start + _LETTERS_AT_ONCE])
        return retried

    async def retry(self, ids: Iterable[str]) -> int:
        """Queue dead letters again, as if they had never failed; returns how many there were."""
        return await self.run(operations.retry(ids))

    async def known(self, *fingerprints: int) -> set[int]:
        """Tell which of these were seen."""
        return await self.run(operations.known(fingerprints))

    async def see(self, *fingerprints: int) -> int:
        """Mark requests as seen without queueing them; returns how many were new."""
        return await self.run(operations.see(fingerprints))

    async def forget(self, *fingerprints: int) -> int:
        """Let requests be pushed again; returns how many had been seen."""
        return await self.run(operations.forget(fingerprints))

    async def drop_job(self) -> None:
        """Remove everything that is kept of the job, bit by bit."""
        while await self.run(operations.drop()):
            pass

    async def begin(self, *, abandon: bool = False) -> bool:
        """Begin a crawl unless one is running, or, to `abandon` that, in any case; tells whether one began.

        All that the crawl before has queued, seen, failed and counted is forgotten.
        """
        return await self.run(operations.begin(uuid.uuid4().hex, abandon=abandon))

    async def set_max_requests(self, max_requests: int | None) -> None:
        """Let the present crawl lease this many requests from its beginning on, None for any number.

        A crawl that has reached its maximum ends when nothing is leased, whatever is queued or delayed.
        """
        await self.run(operations.set_max_requests(max_requests))

    async def empty(self) -> int:
        """Drop what is queued and delayed; returns how many requests are leased, which can be completed."""
        return await self.run(operations.empty())

    async def finish(self, crawl_id: str) -> bool:
        """Mark the crawl finished if nothing is left of it; tells whether this call did."""
        return await self.run(operations.finish(crawl_id))

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation."""
        try:
            reply = await self.redis.evalsha(digest(operation.script), 1, self.prefix, *operation.args)
        except NoScriptError:
            reply = await self.redis.eval(source(operation.script), 1, self.prefix, *operation.args)
        return operation.read(reply)

    async def run_all(self, batch: Sequence[Operation[Any]]) -> list[Any]:
        """Run operations in one round trip, each for itself; gives the result of each, or its error."""
        pipeline = self.redis.pipeline(transaction=False)
        for operation in batch:
            # Not evalsha: the client of a cluster refuses it, though all of a job is on one node.
            args = (digest(operation.script), 1, self.prefix, *operation.args)
            pipeline.execute_command("EVALSHA", *args)
        results: list[Any] = []
        for operation, reply in zip(batch, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(reply, NoScriptError):
                results += await asyncio.gather(self.run(operation), return_exceptions=True)
            else:
                results.append(reply if isinstance(reply, Exception) else operation.read(reply))
        return results


def _is_id(text: str) -> bool:
    """Tell whether it is a score; those of letters that others wrote are not whole numbers alone."""
    return re.fullmatch(r"-?([0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|inf)", text) is not None


def make_owner() -> str:
    """Name a worker: machine, a number that no other worker has."""
    return f"{socket.gethostname()}:{random.getrandbits(48):012x}"
