"""Where the requests for a forum, a thread or an address are: seen, queued, leased, delayed, given up.

Queues are looked through piece by piece, so that neither Redis nor who asks waits long for any of them.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from frontier import fingerprint
from tieba.fetches import identity
from tieba.pages import Fetch, ForumPage, Scope, target_from_list, target_to_list
from tieba.phrases import Phrase
from tieba.seeds import SeedError, parse_seeds
from tieba.wording import shown_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable

    from frontier import Delayed, Held, Lease, Letter
    from frontier.job import Job
    from tieba.pages import Target
    from tieba.seeds import Seed

    Entries = AsyncIterator[tuple[int, Held | Delayed | Letter | Lease]]

    Found = dict[str, Any]

_LOOKED_AT = 10_000  # of each kind: what Redis and we do with so many takes some hundredths of a second
_AT_ONCE = 2_000
_LEASES_AT_ONCE = 250  # each is several commands for Redis
_MATCHES = 20  # of each kind
_PLACE = re.compile(r"(.{0,200}):(-?[0-9]{1,15}):([0-9]{1,15}):([0-9]{1,15})")
_LEFT_MEANWHILE = 500  # how many requests workers can have leased since the last look


async def find(job: Job, target: Target, after: str | None = None) -> Found:
    """Tell where the requests for a forum's list, or anything of a thread, are.

    `seen` tells of the target itself, exactly. `leased`, `delayed`, `dead` and `queued` have the first
    matches; `is_cut` tells whether one of the first three has more requests that were not looked at. If
    `next` is not None there are more in the queues: with it as `after` only these are looked through, from
    there on. `looked_at` and `of` count requests.
    """
    seeds = [seed for name in await job.seeds() for seed in parse_seeds(name)]
    known = fingerprints(target, scopes_of(seeds))
    known |= {
        fingerprint(identity(Fetch(seed.target, seed.scope), is_seed=True))
        for seed in seeds
        if seed.target == target
    }
    # Most entries are of others: reading them all would take ten times as long.
    if isinstance(target, ForumPage):
        hint = re.compile(re.escape(json.dumps(target.forum, ensure_ascii=False)) + r"|\\u")
    else:
        hint = re.compile(rf'",\s*{target.thread_id}\s*,')

    def is_wanted(payload: str) -> bool:
        return hint.search(payload) is not None and is_of(payload, target)

    return {"target": target_to_list(target), **await _find(job, known, is_wanted, after)}


async def find_all(search: Callable[[str | None], Awaitable[Found]]) -> Found:
    """Search on, with one of the above, until there is nothing more or there are enough matches."""
    found = await search(None)
    while found["next"] is not None and len(found["queued"]) < _MATCHES:
        more = await search(found["next"])
        found["queued"] += more["queued"]
        found["looked_at"] += more["looked_at"]
        found["next"] = more["next"]
    return found


async def find_url(job: Job, url: str, after: str | None = None) -> Found:
    """Tell where the request for an address is, or those of the forum or thread that has it.

    Raises ValueError for what is no address.
    """
    try:
        return await find(job, parse_seeds(json.dumps({"url": url}))[0].target, after)
    except SeedError:
        try:
            known = {fingerprint_of_url(url)}
        except ValueError:
            text = Phrase("an address must be one like https://example.com/1, not %(given)r", given=url)
            raise ValueError(text) from None
    return {"target": url, **await _find(job, known, lambda payload: shown_request(payload) == url, after)}


def fingerprint_of_url(url: str) -> int:
    """Give that of the GET request for an address, as any Scrapy spider makes it; raises ValueError."""
    from scrapy import Request  # which takes a second to import

    from tieba.codec import identity as identity_of_request

    return fingerprint(identity_of_request(Request(url)))


def is_of(payload: str, of: Target) -> bool:
    """Tell whether a request is for a list page of a forum, or for anything in a thread."""
    try:
        target = target_from_list(shown_request(payload))
    except ValueError:
        return False
    if isinstance(target, ForumPage) or isinstance(of, ForumPage):
        return isinstance(target, ForumPage) and isinstance(of, ForumPage) and target.forum == of.forum
    return target.thread_id == of.thread_id


def scopes_of(seeds: Iterable[Seed]) -> set[Scope]:
    """Give the scopes that a crawl with such seeds has requests of."""
    return {Scope()} | {scope for seed in seeds for scope in (seed.scope, seed.scope.of_thread())}


def fingerprints(target: Target, scopes: Collection[Scope]) -> set[int]:
    """Give those that a target has in a crawl with seeds of such scopes."""
    return {fingerprint(identity(Fetch(target, scope))) for scope in scopes}


async def _find(
    job: Job, known: Collection[int], is_wanted: Callable[[str], bool], after: str | None
) -> Found:
    stats = await job.frontier.stats()
    found: Found = {
        "seen": bool(await job.frontier.known(*known)),
        "is_cut": False,
        "looked_at": 0,
        "of": stats.leased + stats.delayed + stats.dead + stats.queued,
    }
    kinds = {"leased": _leased, "delayed": _delayed, "dead": _dead}
    for kind, entries in kinds.items():
        matches: list[Found] = []
        found[kind] = matches
        looked_at = 0
        async for position, entry in entries(job) if after is None else _nothing():
            if looked_at == _LOOKED_AT or len(matches) == _MATCHES:
                found["is_cut"] = True
                break
            looked_at += 1
            if is_wanted(entry.payload):
                matches.append(_told(entry, position))
        found["looked_at"] += looked_at
    queues = sorted((queue.endpoint, queue.priority) for queue in stats.queues)
    found["queued"], looked_at, place = await _search(job, queues, is_wanted, _Place.parse(after))
    found["looked_at"] += looked_at
    found["next"] = None if place is None else str(place)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Up to where the queues were looked through: a queue, how many of it, and the last one's mark."""

    endpoint: str
    priority: int
    position: int = 0
    last: int = 0

    def __str__(self) -> str:
        return f"{self.endpoint}:{self.priority}:{self.position}:{self.last}"

    @classmethod
    def parse(cls, text: str | None) -> _Place:
        """Undo str(); None is the beginning. Raises ValueError."""
        if text is None:
            return cls("", 0)
        parts = _PLACE.fullmatch(text)
        if parts is None:
            raise ValueError(Phrase("no place in the queue is called %(given)r", given=text))
        return cls(parts[1], *map(int, parts.groups()[1:]))


async def _search(
    job: Job, queues: list[tuple[str, int]], is_wanted: Callable[[str], bool], place: _Place
) -> tuple[list[Found], int, _Place | None]:
    """Give matches in the queues, how many requests were looked at, and where to go on; None at the end."""
    matches: list[Found] = []
    looked_at = 0
    for queue in queues:
        if queue < (place.endpoint, place.priority):
            continue
        if queue != (place.endpoint, place.priority):
            place = _Place(*queue)
        while True:
            start, entries = await _entries_after(job, place)
            for position, entry in enumerate(entries, start):
                if is_wanted(entry.payload):
                    matches.append(_told(entry, position))
            looked_at += len(entries)
            if not entries:
                break
            place = _Place(*queue, start + len(entries), _mark(entries[-1]))
            if looked_at >= _LOOKED_AT or len(matches) >= _MATCHES:
                return matches, looked_at, place
    return matches, looked_at, None


async def _entries_after(job: Job, place: _Place) -> tuple[int, tuple[Lease, ...]]:
    """Give a position and the entries from it on; what was leased meanwhile has moved them forward."""
    start = max(0, place.position - _LEFT_MEANWHILE)
    entries = await job.frontier.queue(place.endpoint, place.priority, start, _LEFT_MEANWHILE + _AT_ONCE)
    for index in reversed(range(min(place.position - start, len(entries)))):
        if _mark(entries[index]) == place.last:
            return start + index + 1, entries[index + 1 :]
    return start, entries


def _mark(entry: Lease) -> int:
    return zlib.crc32(entry.payload.encode())


async def _nothing() -> Entries:
    return
    yield


def _told(entry: Held | Delayed | Letter | Lease, position: int) -> Found:
    fields = asdict(entry)
    for name in ("payload", "wait", "strikes"):
        fields.pop(name, None)
    return {**fields, "position": position, "request": shown_request(entry.payload)}


async def _leased(job: Job) -> Entries:
    cursor, position = "0", 0
    while True:
        cursor, held = await job.frontier.leases(cursor, _LEASES_AT_ONCE)
        for entry in held:
            yield position, entry
            position += 1
        if cursor == "0":
            return


async def _delayed(job: Job) -> Entries:
    position = 0
    while entries := await job.frontier.delayed(position, _AT_ONCE):
        for entry in entries:
            yield position, entry
            position += 1


async def _dead(job: Job) -> Entries:
    position, last = 0, None
    while letters := await job.frontier.dead_page(last, _AT_ONCE):
        for letter in letters:
            yield position, letter
            position += 1
        last = letters[-1].id
