"""Cluster-wide rate limits: one slot for every endpoint and outgoing address, kept on Redis' clock.

All workers behind one address share its slots, so their number does not change the rate that the site sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frontier.scripts import script

if TYPE_CHECKING:
    from redis.asyncio import Redis

_HORIZON_MS = (
    1000  # turns are reserved at most this far ahead, so a pause holds for all but a moment's requests
)


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to asking for a turn; `wait` is in seconds.

    Granted: the request may start after the wait. Not granted: ask again after it. `strikes` is the number
    of pauses since the last success.
    """

    granted: bool
    wait: float
    strikes: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """A slot that nobody may use for some more seconds, and why."""

    slot: str
    seconds: float
    reason: str


class Slots:
    """The slots of one job. A slot's name is `endpoint:egress`."""

    def __init__(self, redis: Redis, job: str) -> None:
        self._redis = redis
        self._job = job
        self._take = script(redis, "take")
        self._pause = script(redis, "pause")

    async def take(self, slot: str, rate: float, burst: int) -> Turn:
        """Ask for a turn in a slot of `rate` requests per second, of which `burst` may start at once."""
        granted, wait, strikes, paused = await self._take([self._key(slot)], [rate, burst, _HORIZON_MS])
        return Turn(bool(granted), wait / 1000, strikes, bool(paused))

    async def pause(self, slot: str, seconds: float, reason: str) -> float:
        """Pause a slot; returns the seconds until its pause ends, which another worker may have begun."""
        left, _ = await self.back_off(slot, reason, first=seconds, longest=seconds)
        return left

    async def back_off(
        self, slot: str, reason: str, *, first: float, longest: float, least: float = 0.0
    ) -> tuple[float, bool]:
        """Pause a slot for `first` seconds, doubled for every pause since the last success, up to `longest`.

        `least` is what the site itself asks for. Returns the seconds until the pause ends and whether this
        call began or prolonged it.
        """
        left, began = await self._pause(
            [self._key(slot), self._index()],
            [slot, round(first * 1000), round(longest * 1000), round(least * 1000), reason],
        )
        return left / 1000, bool(began)

    async def succeeded(self, slot: str) -> None:
        """Let the next pause be a short one again."""
        await self._redis.hdel(self._key(slot), "strikes")

    async def paused(self) -> list[Pause]:
        """Give the slots that are paused now."""
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.time()
        pipeline.hgetall(self._index())
        (seconds, microseconds), index = await pipeline.execute()
        now = seconds + microseconds / 1e6
        pauses = []
        for slot, entry in sorted(index.items()):
            until, _, reason = entry.partition("|")
            if int(until) / 1000 > now:
                pauses.append(Pause(slot, int(until) / 1000 - now, reason))
        return pauses

    def _key(self, slot: str) -> str:
        return f"{self._job}:slot:{slot}"

    def _index(self) -> str:
        return f"{self._job}:pauses"
