"""The frontier's operations: which script each one is, its arguments, and what its reply means.

Both clients, `frontier.client` for asyncio and `frontier.blocking`, send the same operations.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from frontier.model import Delayed, Held, Lease, Leased, Letter, Queued, Slot, Stats, Turn, check_priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from frontier.model import Limit, Request

    Arguments = Sequence[str | int | float]

T = TypeVar("T")
UNREADABLE = "unreadable"  # the reason of a dead letter that is none; it is not queued again
_LATEST = 1e11  # Unix time that a calendar still has
_LONGEST_REASON = 2_000  # characters
_GRANTED = "granted "  # before a slot, in the counts
_FIRST_TIME_CALL = 10**12  # calls with a higher number have that of their time, in ms
_SWEEP = 500  # leases and shards in one call: some milliseconds of Redis' time


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of a script; `read` makes its result of the reply."""

    script: str
    args: Arguments
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long leases last, how failures are repeated, how far ahead turns are given; in seconds.

    Leases have to be renewed whenever a third of `lease_seconds` is over.
    """

    lease_seconds: float = 30.0
    max_attempts: int = 6
    retry_delay: float = 1.0
    longest_retry_delay: float = 300.0
    horizon: float = 0.5


def prefix(job: str) -> str:
    """Give what the names of a job's keys start with."""
    return f"{{{job}}}:"


def push(requests: Iterable[Request]) -> Operation[int]:
    """Queue requests; gives how many were new."""
    return Operation("push", [_dumps([_fields(request) for request in requests])], int)


def lease(
    call: int, owner: str, count: int, egress: str, limits: Mapping[str, Limit], policy: Policy
) -> Operation[Leased]:
    """Lease up to `count` requests in the owner's call number `call`."""
    rates = {endpoint: (limit.rate, limit.burst) for endpoint, limit in limits.items()}
    args: Arguments = [
        owner,
        call,
        count,
        _ms(policy.lease_seconds),
        egress,
        _dumps(rates),
        _ms(policy.horizon),
    ]

    def read(reply: Any) -> Leased:
        state, crawl_id, wait, is_finished, flat = reply
        leases = (
            Lease(f"{call}.{number}", *_parts(entry), own_wait / 1000, strikes)
            for number, own_wait, strikes, entry in _tuples(flat, 4)
        )
        return Leased(tuple(leases), state, crawl_id, None if wait < 0 else wait / 1000, bool(is_finished))

    return Operation("lease", args, read)


def renew(owner: str, ids: Iterable[str], policy: Policy) -> Operation[set[str]]:
    """Push deadlines out; gives the ids that are still the owner's."""
    return Operation("renew", [owner, _ms(policy.lease_seconds), *ids], set)


def complete(
    owner: str, done: Iterable[tuple[str, Sequence[Request]]], counted_as: str
) -> Operation[set[str]]:
    """Mark requests as done and queue their follow-ups; gives the ids that were accepted."""
    batch = [(id_, [_fields(request) for request in follow_ups]) for id_, follow_ups in done]
    return Operation("complete", [owner, counted_as, _dumps(batch)], set)


def release(owner: str, ids: Iterable[str], *, were_sent: bool) -> Operation[int]:
    """Give requests back unharmed; gives how many were still the owner's."""
    return Operation("release", [owner, int(were_sent), *ids], int)


def fail(
    owner: str, id_: str, reason: str, retry_after: float, policy: Policy, *, is_final: bool
) -> Operation[str]:
    """Count a failed attempt; gives delayed, dead or refused."""
    attempts = 1 if is_final else policy.max_attempts
    delays = [_ms(retry_after), _ms(policy.retry_delay), _ms(policy.longest_retry_delay)]
    return Operation("fail", [owner, id_, _told(reason), *delays, attempts], str)


def reap(policy: Policy) -> Operation[int]:
    """Return expired leases to the queue; gives how many there were."""
    return Operation("reap", [_ms(policy.lease_seconds), policy.max_attempts, _SWEEP], int)


def pause(
    slot: str, reason: str, *, first: float, longest: float, least: float
) -> Operation[tuple[float, bool]]:
    """Pause a slot; gives the seconds until its pause ends and whether this call began or prolonged it."""
    args: Arguments = [slot, _ms(first), _ms(longest), _ms(least), _told(reason)]
    return Operation("pause", args, lambda reply: (reply[0] / 1000, bool(reply[1])))


def resume(slot: str, *, at_once: bool) -> Operation[bool]:
    """End a slot's pause, or only let its next one be short again; tells whether anything changed."""
    return Operation("resume", [slot, int(at_once)], bool)


def turn(slot: str, limit: Limit, policy: Policy) -> Operation[Turn]:
    """Take a turn of a slot for a request that is not leased."""
    args: Arguments = [slot, limit.rate, limit.burst, _ms(policy.horizon)]
    return Operation("turn", args, lambda reply: Turn(bool(reply[0]), reply[1] / 1000, reply[2]))


def is_finished() -> Operation[bool]:
    """Tell whether nothing is left to be done."""
    return Operation("is_finished", [], bool)


def peek(count: int) -> Operation[tuple[Lease, ...]]:
    """Show the next requests of every endpoint."""
    return Operation("peek", [count], lambda reply: tuple(shown(entry) for entry in reply))


def stats() -> Operation[Stats]:
    """Count what there is."""

    def read(reply: Any) -> Stats:
        queues, leased, delayed, dead, owners, slots, seen, shards, flat_counts, max_requests = reply
        counts = dict(_tuples(flat_counts, 2))
        states = {slot: (ms / 1000, reason, strikes) for slot, ms, reason, strikes in _tuples(slots, 4)}
        granted = {
            name.removeprefix(_GRANTED): int(count)
            for name, count in counts.items()
            if name.startswith(_GRANTED)
        }
        return Stats(
            queues=tuple(Queued(name, int(priority), count) for name, priority, count in _tuples(queues, 3)),
            leased=leased,
            delayed=delayed,
            dead=dead,
            owners=dict(_tuples(owners, 2)),
            slots=tuple(
                Slot(slot, *states.get(slot, (0.0, "", 0)), granted.get(slot, 0))
                for slot in sorted(states.keys() | granted.keys())
            ),
            seen=seen,
            shards=shards,
            retried=int(counts.get("retried", 0)),
            expired=int(counts.get("expired", 0)),
            granted=int(counts.get("granted", 0)),
            max_requests=None if max_requests is None else int(max_requests),
        )

    return Operation("stats", [], read)


def leases(cursor: str, count: int) -> Operation[tuple[str, tuple[Held, ...]]]:
    """Show about `count` of the requests that are leased; gives the next cursor, "0" at the end."""

    def read(reply: Any) -> tuple[str, tuple[Held, ...]]:
        cursor, flat = reply
        held = (
            Held(owner, id_, _leased_at(id_), ms / 1000, *_shown_parts(entry))
            for owner, id_, ms, entry in _tuples(flat, 4)
        )
        return cursor, tuple(held)

    return Operation("leases", [cursor, count], read)


def delayed(start: int, count: int) -> Operation[tuple[Delayed, ...]]:
    """Show requests that wait to be tried again, the next first."""

    def read(reply: Any) -> tuple[Delayed, ...]:
        return tuple(
            Delayed(ms / 1000, *_shown_parts(numbered.partition(" ")[2]))
            for ms, numbered in _tuples(reply, 2)
        )

    return Operation("delayed", [start, count], read)


def hold(reason: str) -> Operation[bool]:
    """Hold the running crawl; tells whether there is one."""
    return Operation("hold", [_told(reason)], bool)


def let_go() -> Operation[bool]:
    """Let a crawl go on that is held; tells whether it was."""
    return Operation("let_go", [], bool)


def reprioritize(endpoint: str, old: int, new: int, count: int) -> Operation[int]:
    """Move the first requests of a queue to the end of another; gives how many were taken out."""
    if old == new:
        raise ValueError(f"the new priority is the old one, {old}")
    check_priority(new)
    return Operation("reprioritize", [endpoint, old, new, count], int)


def known(fingerprints: Iterable[int]) -> Operation[set[int]]:
    """Tell which requests were seen."""
    return Operation("known", [str(value) for value in fingerprints], lambda reply: set(map(int, reply)))


def retry(ids: Iterable[str]) -> Operation[int]:
    """Queue dead letters again; gives how many there were."""
    return Operation("retry", list(ids), int)


def see(fingerprints: Iterable[int]) -> Operation[int]:
    """Mark requests as seen; gives how many were new."""
    return Operation("see", [str(value) for value in fingerprints], int)


def forget(fingerprints: Iterable[int]) -> Operation[int]:
    """Let requests be queued again; gives how many had been seen."""
    return Operation("forget", [str(value) for value in fingerprints], int)


def drop() -> Operation[int]:
    """Remove a part of the job; gives how many parts are left."""
    return Operation("drop", [_SWEEP], int)


def begin(crawl_id: str, *, abandon: bool) -> Operation[bool]:
    """Begin a crawl, unless one is running that is not to be abandoned; tells whether one began."""
    return Operation("begin", [crawl_id, int(abandon)], bool)


def set_max_requests(max_requests: int | None) -> Operation[bool]:
    """Set how many requests the crawl may grant."""
    return Operation("set_max_requests", ["" if max_requests is None else max_requests], bool)


def empty() -> Operation[int]:
    """Drop what is queued and delayed; gives how many requests are leased."""
    return Operation("empty", [], int)


def finish(crawl_id: str) -> Operation[bool]:
    """Mark the crawl finished if nothing is left of it; tells whether this call did."""
    return Operation("finish", [crawl_id], bool)


def bury(endpoint: str, payload: str, reason: str) -> Operation[bool]:
    """Record a request that cannot even be queued as a dead letter."""
    return Operation("bury", [endpoint, _told(payload), _told(reason)], bool)


def beat(
    worker: str,
    state: Mapping[str, object],
    crawl_id: str,
    counted_as: str,
    pages: int,
    outcomes: Mapping[str, int],
    totals: Mapping[str, int] | None = None,
    followed: str = "",
    *,
    has_stored: bool = False,
) -> Operation[tuple[str, str]]:
    """Publish a worker's state and counts; gives state and id of the crawl."""
    args: Arguments = [
        worker,
        _dumps(state)[1:],
        crawl_id,
        counted_as,
        pages,
        _dumps(outcomes),
        _dumps(totals or {}),
        int(has_stored),
        followed,
    ]
    return Operation("beat", args, tuple)


def leave(worker: str) -> Operation[bool]:
    """Remove a worker that ends; gives whether it was there."""
    return Operation("leave", [worker], bool)


def letters(found: Iterable[Any]) -> tuple[Letter, ...]:
    """Read dead letters, given with their scores."""
    return tuple(_letter(str(text), float(score)) for text, score in found)


def _letter(text: str, score: float) -> Letter:
    """Read a dead letter, whose id is its score.

    What is none, which anybody may have written, is all payload, with the reason UNREADABLE.
    """
    id_ = f"{score:.0f}" if score.is_integer() else repr(score)
    try:
        fields = json.loads(text)
        endpoint, payload, reason = (fields[name] for name in ("endpoint", "payload", "reason"))
        priority, attempts, at = int(fields["priority"]), int(fields["attempts"]), float(fields["at"])
        if all(isinstance(told, str) for told in (endpoint, payload, reason)) and 0 <= at < _LATEST:
            return Letter(id_, endpoint, priority, attempts, payload, reason, at)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass
    return Letter(id_, "", 0, 0, text, UNREADABLE, 0.0)


def _fields(request: Request) -> tuple[str, str, str, str]:
    fingerprint = "" if request.fingerprint is None else f"{request.fingerprint:d}"
    return request.endpoint, f"{request.priority:d}", fingerprint, request.payload


def _told(text: str) -> str:
    """Give a text for people, which may come from anywhere, as Redis and JSON can hold it."""
    return text[:_LONGEST_REASON].encode(errors="backslashreplace").decode()


def _parts(entry: str) -> tuple[str, int, int, str]:
    endpoint, priority, attempts, payload = entry.split(" ", 3)
    return endpoint, int(priority), int(attempts), payload


def shown(entry: str) -> Lease:
    """Read a queue's entry for people; what is none, which anybody may have written, is all payload."""
    return Lease("", *_shown_parts(entry))


def _shown_parts(entry: str) -> tuple[str, int, int, str]:
    try:
        return _parts(entry)
    except ValueError:
        return "", 0, 0, entry


def _leased_at(id_: str) -> float | None:
    """Give the Unix time at which a lease was asked for, by its worker's clock."""
    call = id_.partition(".")[0]
    return int(call) / 1000 if call.isdecimal() and int(call) >= _FIRST_TIME_CALL else None


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tuples(flat: Sequence[Any], size: int) -> Iterator[tuple[Any, ...]]:
    return zip(*(flat[start::size] for start in range(size)), strict=True)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
