"""What is told of a crawl besides its requests: seeds, workers, counts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frontier import operations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from frontier.client import Frontier
    from frontier.model import Letter, Stats

_DRAIN_SECONDS = 60.0  # more than a download takes at most
_DRAIN_INTERVAL_SECONDS = 0.25
_MOST_SAMPLES = 50
_MOST_CRAWLS = 20
# What is read of a beat, as far as it is there.
_NUMBERS = ("rate", "leased")
_PERHAPS_NUMBERS = ("posts_rate", "memory_mb", "disk_free_mb")  # or null
_TEXTS = ("host", "engine", "version", "code", "egress", "disk_path")
_LARGEST_NUMBER = 1e15  # also keeps out what is no number, and infinite ones
ALIVE_SECONDS = 10.0  # a worker that was silent for longer is not counted as working


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be told of a crawl at one moment, `now` in Unix seconds of Redis' clock."""

    now: float
    crawl: Mapping[str, str]
    seeds: tuple[str, ...]
    waiting_seeds: int
    requests: Stats
    letters: tuple[Letter, ...]  # the latest
    outcomes: Mapping[str, int]
    pages: Mapping[str, int]
    workers: Mapping[str, Mapping[str, Any]]
    totals: Mapping[str, int]  # what the crawl's workers say that it brought
    history: tuple[Sequence[float], ...]  # time, pages done, the total that is followed, dead letters
    machines: Mapping[str, Mapping[str, Any]]  # others than the workers', and those that workers have left
    crawls: tuple[Mapping[str, Any], ...]  # the last finished ones, newest first


class Job:
    """The crawl of one frontier.

    Its seeds lie in the list `<job>:start_urls`, where anybody may push to. Other keys start with the
    frontier's prefix.
    """

    def __init__(self, frontier: Frontier) -> None:
        self.frontier = frontier
        self.start_urls = f"{frontier.job}:start_urls"
        self._redis = frontier.redis
        self._last_seeds: tuple[str | None, tuple[str, ...]] = (None, ())  # of which crawl

    async def drain(self) -> bool:
        """Drop what waits, and wait until no worker has a request in hand.

        Returns False if some still have after a minute.
        """
        for _ in range(round(_DRAIN_SECONDS / _DRAIN_INTERVAL_SECONDS)):
            await self._redis.unlink(self.start_urls)
            if not await self.frontier.empty():
                return True
            await asyncio.sleep(_DRAIN_INTERVAL_SECONDS)
        return False

    async def state(self) -> str:
        """Tell the crawl's state: none, running or finished."""
        return str(await self._redis.hget(self._key("crawl"), "state") or "none")

    async def started_at(self) -> float:
        """Give the Unix time at which the crawl began; 0 where there is none."""
        return float(await self._redis.hget(self._key("crawl"), "started_at") or 0)

    async def push_seed(self, seed: str) -> None:
        """Add a seed for any worker to take; the same seed twice is one."""
        await self._redis.lrem(self.start_urls, 0, seed)
        await self.push_seeds([seed])

    async def push_seeds(self, seeds: Sequence[str]) -> None:
        """Add seeds, all at once."""
        await self._redis.rpush(self.start_urls, *seeds)

    async def waiting_seeds(self) -> int:
        """Count the seeds that nobody has taken."""
        return int(await self._redis.llen(self.start_urls))

    async def seeds(self) -> tuple[str, ...]:
        """Give what the crawl started from."""
        return tuple(sorted(map(str, await self._redis.smembers(self._key("seeds")))))

    async def _seeds_of(self, crawl_id: str | None) -> tuple[str, ...]:
        """Give a crawl's seeds; they are only gathered anew, which takes Redis long, where there are more."""
        count = await self._redis.scard(self._key("seeds"))
        known_of, known = self._last_seeds
        if known_of != crawl_id or len(known) != count:
            self._last_seeds = crawl_id, await self.seeds()
        return self._last_seeds[1]

    async def note_seed(self, name: str) -> None:
        """Remember what the crawl started from."""
        await self._redis.sadd(self._key("seeds"), name)

    async def forget_seed(self, name: str) -> None:
        """Let the crawl start from a seed once more."""
        await self._redis.srem(self._key("seeds"), name)

    async def bury(self, endpoint: str, payload: str, reason: str) -> None:
        """Record what cannot even be queued as a dead letter."""
        await self.frontier.run(operations.bury(endpoint, payload, reason))

    async def beat(
        self,
        worker: str,
        state: Mapping[str, Any],
        *,
        crawl_id: str,
        counted_as: str,
        outcomes: Mapping[str, int],
        pages: int = 0,
        totals: Mapping[str, int] | None = None,
        has_stored: bool = False,
        followed: str = "",
    ) -> tuple[str, str]:
        """Publish a worker's state and its counts since the last beat; returns state and id of the crawl.

        Counts of another crawl than the present one are dropped. `pages` are those that were done without a
        lease, `totals` count what the crawl brought, of which the history follows the one named `followed`.
        """
        operation = operations.beat(
            worker,
            state,
            crawl_id,
            counted_as,
            pages,
            outcomes,
            totals,
            followed,
            has_stored=has_stored,
        )
        return await self.frontier.run(operation)

    async def leave(self, worker: str) -> None:
        """Remove a worker that ends; its machine's disk stays known as one that it tells of no more."""
        await self.frontier.run(operations.leave(worker))

    async def forget_silent(self, host: str) -> None:
        """Remove the workers of a host that died without leaving; one that is alive after all beats again."""
        now = await self.now()
        silent = [
            name
            for name, beat in (await self.workers()).items()
            if beat.get("host") == host and now - float(beat["at"]) >= ALIVE_SECONDS
        ]
        if silent:
            await self._redis.hdel(self._key("workers"), *silent)

    async def workers(self) -> dict[str, Mapping[str, Any]]:
        """Give the last heartbeat of every worker that has not left."""
        return await self._beats("workers")

    async def tell_machine(self, host: str, disk_free_mb: int | None, path: str) -> None:
        """Publish how much room a machine without workers has where `path` lies."""
        told = {"at": await self.now(), "host": host, "disk_free_mb": disk_free_mb, "disk_path": path}
        await self._redis.hset(self._key("machines"), f"{host}:{path}", json.dumps(told, ensure_ascii=False))

    async def keep_sample(self, name: str, sample: Mapping[str, Any]) -> None:
        """Keep a sample for everybody to see; of more than 50 those whose names come first are dropped."""
        key = self._key("samples")
        await self._redis.hset(key, name, json.dumps(sample, ensure_ascii=False))
        names = sorted(map(str, await self._redis.hkeys(key)))
        if oldest := names[:-_MOST_SAMPLES]:
            await self._redis.hdel(key, *oldest)

    async def sample(self, name: str) -> dict[str, Any] | None:
        """Give a sample that is kept."""
        text = await self._redis.hget(self._key("samples"), name)
        return None if text is None else _object(str(text))

    async def note_crawl(self, crawl: Mapping[str, Any]) -> bool:
        """Remember how a crawl ended, and forget all but the last 20; tell whether it was not yet known.

        It goes by its `id` and `finished_at`: one that was opened again ends again.
        """
        key = self._key("crawls")
        is_new = await self._redis.hset(key, _end_of(crawl), json.dumps(crawl, ensure_ascii=False))
        known = await self._hash("crawls")
        kept = {_end_of(crawl) for crawl in _newest_first(known)[:_MOST_CRAWLS]}
        if old := known.keys() - kept:
            await self._redis.hdel(key, *old)
        return bool(is_new)

    async def now(self) -> float:
        """Give the Unix time of Redis' clock, in seconds."""
        seconds, microseconds = await self._redis.time()
        return float(seconds + microseconds / 1e6)

    async def facts(self, last_letters: int = 5) -> Facts:
        """Everything that is to be told of the crawl."""
        pages, outcomes, totals = [await self._hash(name) for name in ("pages", "outcomes", "totals")]
        crawl = await self._hash("crawl")
        history = await self._redis.lrange(self._key("history"), 0, -1)
        return Facts(
            now=await self.now(),
            crawl=crawl,
            seeds=await self._seeds_of(crawl.get("id")),
            waiting_seeds=await self.waiting_seeds(),
            requests=await self.frontier.stats(),
            letters=tuple([letter async for letter in self.frontier.dead(newest=last_letters)]),
            outcomes={name: int(count) for name, count in outcomes.items()},
            pages={name: int(count) for name, count in pages.items()},
            workers=await self.workers(),
            totals={name: int(count) for name, count in totals.items()},
            history=tuple(json.loads(sample) for sample in history),
            machines=await self._beats("machines"),
            crawls=tuple(_newest_first(await self._hash("crawls"))[:_MOST_CRAWLS]),
        )

    async def _beats(self, name: str) -> dict[str, Mapping[str, Any]]:
        beats = parsed_beats(await self._hash(name))
        return {name: beat for name, beat in beats.items() if "host" in beat}

    async def _hash(self, name: str) -> dict[str, str]:
        found = await self._redis.hgetall(self._key(name))
        return {str(field): str(value) for field, value in found.items()}

    def _key(self, name: str) -> str:
        return f"{self.frontier.prefix}{name}"


def parsed_beats(beats: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Give what of workers or machines can be read; each one's entry is replaced soon."""
    found = {name: _object(text) for name, text in beats.items()}
    return {name: beat for name, beat in found.items() if beat is not None and _is_readable(beat)}


def _is_readable(beat: Mapping[str, Any]) -> bool:
    """Tell whether a beat, which anybody may have written, has nothing that its readers stumble over."""
    numbers = [beat.get("at"), *(beat[name] for name in _NUMBERS if name in beat)]
    numbers += [beat[name] for name in _PERHAPS_NUMBERS if beat.get(name) is not None]
    return all(
        isinstance(number, (int, float)) and abs(number) <= _LARGEST_NUMBER for number in numbers
    ) and all(isinstance(beat[name], str) for name in _TEXTS if name in beat)


def _newest_first(crawls: Mapping[str, str]) -> list[dict[str, Any]]:
    """Give what can be read of ended crawls, each as it ended last."""
    found = [crawl for crawl in map(_object, crawls.values()) if crawl is not None and "finished_at" in crawl]
    found.sort(key=lambda crawl: float(crawl["finished_at"]))
    return sorted(
        {crawl["id"]: crawl for crawl in found}.values(),
        key=lambda crawl: float(crawl["finished_at"]),
        reverse=True,
    )


def _end_of(crawl: Mapping[str, Any]) -> str:
    return f"{crawl['id']} {crawl['finished_at']}"


def _object(text: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    return None
