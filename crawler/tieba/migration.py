"""Takes over what a job of scrapy-redis has queued and seen.

Its queue is `<job>:requests`, a sorted set (PriorityQueue) or a list (FifoQueue, LifoQueue) of requests,
pickled or, with another serializer, as JSON; what it has seen is `<job>:dupefilter`, a set of texts, SHA1 in
hex. Each entry is removed only after the frontier has it, and the frontier takes none twice: a migration that
was interrupted goes on where it was.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import frontier
from frontier import Frontier
from frontier.job import ALIVE_SECONDS, Job
from tieba import plain_pickle, serializer
from tieba.codec import pack_plain
from tieba.errors import Unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENDPOINT = "migration"  # of the dead letters that refused entries become
_BATCH = 100
_SEEN_BATCH = 1000
_SHOWN_BYTES = 1500  # of a refused entry
_FIRST_OF_PICKLE = b"\x80"  # since protocol 2


@dataclass
class Counts:
    """What became of the entries."""

    moved: int = 0
    refused: int = 0
    seen: int = 0


class Migration:
    """The migration of one job of scrapy-redis, `source`, into a job of the frontier.

    `keep` leaves the keys of scrapy-redis as they are; `is_dry` only counts. The methods raise Unusable where
    somebody has to do something first.
    """

    def __init__(self, job: Job, source: str, *, keep: bool = False, is_dry: bool = False) -> None:
        self.counts = Counts()
        self._job = job
        self._frontier = job.frontier
        self._crawl = f"{job.frontier.prefix}crawl"
        # The same client; but what is done with it is for an administrator, not for the crawler's own user.
        self._old: Any = job.frontier.redis
        self._source = source
        self._requests = f"{source}:requests"
        self._dupefilter = f"{source}:dupefilter"
        self._is_list = False
        self._removes = not keep and not is_dry
        self._is_dry = is_dry
        self._advance: Callable[[int], None] = lambda count: None

    async def prepare(self) -> int:
        """Look whether it can begin; gives how many entries there are."""
        kind = await self._kind_of(self._requests, ("zset", "list"))
        self._is_list = kind == "list"
        await self._kind_of(self._dupefilter, ("set",))
        total = await self._queued() + int(await self._old.scard(self._dupefilter))
        is_resumed = await self._frontier.redis.hget(self._crawl, "migrating") == self._source
        if not total and not is_resumed:
            raise Unusable(
                f"neither {self._requests} nor {self._dupefilter} exists: "
                "name the job of scrapy-redis with --from"
            )
        await self._refuse_live_workers()
        if not is_resumed and not await self._frontier.is_finished():
            raise Unusable(
                f"a crawl of {self._job.frontier.job} has requests: wait for its end (tieba status), "
                "or remove it (tieba queue drop)"
            )
        return total

    async def run(self, advance: Callable[[int], None]) -> None:
        """Move everything; `advance` is told how many more entries were done."""
        self._advance = advance
        redis = self._frontier.redis
        if not self._is_dry:
            if await self._job.state() == "none":
                await self._frontier.begin()
            await redis.hset(self._crawl, "migrating", self._source)
        await self._move_seen()  # first, so that workers that begin at once know it
        await self._move_requests()
        if not self._is_dry:
            await redis.hdel(self._crawl, "migrating")

    async def _kind_of(self, key: str, fitting: Sequence[str]) -> str:
        kind = str(await self._old.type(key))
        if kind not in (*fitting, "none"):
            raise Unusable(f"{key} is a {kind}, not a {' or a '.join(fitting)}: rename or remove it")
        return kind

    async def _refuse_live_workers(self) -> None:
        facts = await Job(Frontier(self._frontier.redis, self._source)).facts(0)
        hosts = {
            str(beat["host"])
            for beat in facts.workers.values()
            if facts.now - beat["at"] < ALIVE_SECONDS and beat.get("scheduler") == "scrapy_redis"
        }
        if hosts:
            raise Unusable(
                f"workers of scrapy-redis are alive on {', '.join(sorted(hosts))}: deploy with "
                "crawler_scheduler: frontier, or stop them (systemctl stop 'tieba-crawler@*')"
            )

    async def _move_seen(self) -> None:
        cursor = 0
        while True:
            cursor, members = await self._old.sscan(self._dupefilter, cursor, count=_SEEN_BATCH)
            if members and not self._is_dry:
                # The codec makes a request's fingerprint of the same text.
                await self._frontier.see(*(frontier.fingerprint(member) for member in members))
            if members and self._removes:
                await self._old.srem(self._dupefilter, *members)
            self.counts.seen += len(members)
            self._advance(len(members))
            if not int(cursor):
                return

    async def _move_requests(self) -> None:
        buried = {letter.payload async for letter in self._frontier.dead() if letter.endpoint == ENDPOINT}
        start = 0
        while batch := await self._read(start):
            requests = []
            for place, entry in batch:
                request = await self._pack(entry, buried)
                if request is not None:
                    requests.append((f"{self._requests} {place} {entry}", request))
            self.counts.moved += len(requests)
            if not self._is_dry:
                await self._push(requests, [entry for _, entry in batch])
            if not self._removes:
                start += len(batch)
            self._advance(len(batch))

    async def _pack(self, entry: str, buried: set[str]) -> frontier.Request | None:
        """Give the request of an entry, None for one that is refused and goes to the dead letters."""
        try:
            return _pack(entry)
        except Exception as error:  # noqa: BLE001 - anybody may have written it
            self.counts.refused += 1
            shown = _shown(entry)
            if not self._is_dry and shown not in buried:
                await self._job.bury(ENDPOINT, shown, f"not taken over: {error or type(error).__name__}")
            return None

    async def _push(self, requests: list[tuple[str, frontier.Request]], entries: list[str]) -> None:
        """Queue requests, though seen, and remove their entries.

        Until then the place of an entry is what its request is known by, so that it is not queued again.
        """
        known_by = [frontier.fingerprint(place) for place, _ in requests]
        await self._frontier.push(
            replace(request, fingerprint=place)
            for place, (_, request) in zip(known_by, requests, strict=True)
        )
        await self._frontier.see(
            *(request.fingerprint for _, request in requests if request.fingerprint is not None)
        )
        if self._removes:
            await self._remove(entries)
            await self._frontier.forget(*known_by)

    async def _queued(self) -> int:
        return int(await (self._old.llen if self._is_list else self._old.zcard)(self._requests))

    async def _read(self, start: int) -> list[tuple[int, str]]:
        """Give the entries from a place on with their places, in the order in which scrapy-redis takes them.

        Of a list that is from its tail; places count from its head, and stay when later ones are removed.
        What a sorted set holds is there once, wherever.
        """
        if not self._is_list:
            return [(0, entry) for entry in await self._old.zrange(self._requests, start, start + _BATCH - 1)]
        last = await self._queued() - 1 - start
        if last < 0:
            return []
        entries = await self._old.lrange(self._requests, max(0, last - _BATCH + 1), last)
        return [(last - number, entry) for number, entry in enumerate(reversed(entries))]

    async def _remove(self, entries: list[str]) -> None:
        if self._is_list:
            pipeline = self._old.pipeline(transaction=False)
            for entry in entries:
                pipeline.lrem(self._requests, -1, entry)
            removed = sum(await pipeline.execute())
        else:
            removed = await self._old.zrem(self._requests, *entries)
        if removed < len(entries):
            raise Unusable(
                f"somebody else takes requests from {self._requests}: stop that, and run this again"
            )


def _pack(entry: str) -> frontier.Request:
    data = _bytes(entry)
    if data.startswith(_FIRST_OF_PICKLE):
        plain = plain_pickle.loads(data)
        if not isinstance(plain, dict) or not isinstance(plain.get("url"), str):
            raise ValueError("a pickle of something else than a request")
    else:
        try:
            plain = serializer.read(data)
        except ValueError:
            raise ValueError("neither a pickled request nor one as JSON") from None
    request = pack_plain(plain)
    request.payload.encode()  # not every text of a pickle can be sent
    return request


def _shown(entry: str) -> str:
    """Give the beginning of an entry for people: as text, or in base64."""
    start = _bytes(entry)[:_SHOWN_BYTES]
    text = start.decode(errors="ignore")
    return text if text.isprintable() and text else f"base64 {base64.b64encode(start).decode()}"


def _bytes(entry: str) -> bytes:
    return entry.encode(errors="surrogateescape")  # what the connection has read
