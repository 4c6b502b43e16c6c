"""Counts that take longer than a page may: the last one at once, a newer one made in the background."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

_WAIT_SECONDS = 0.1  # for a count that was never made before
_FRESH_SECONDS = 15.0
_SHARE = 20  # a count is made anew after so many times its duration: it takes the store no more of its time
_CHEAP_SECONDS = 0.01
_REMEMBERED = 32  # counts

_Key = TypeVar("_Key", bound="Hashable")
_Value = TypeVar("_Value")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counted(Generic[_Value]):
    """What was counted, when (Unix time), and how long it took (seconds)."""

    value: _Value
    at: float
    seconds: float

    @property
    def age(self) -> float:
        """Seconds since it was counted."""
        return time.time() - self.at


class Pace:
    """How long to let a store rest between counts for somebody who looks once a second.

    Cheap ones can be made each time. The rest is short, for counting tells that the store is away, too.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=2)  # of which the faster counts: others connect, or wait

    def note(self, seconds: float) -> None:
        """Take note of how long a count took."""
        self._seconds.append(seconds)

    @property
    def rest(self) -> float:
        """Seconds to rest."""
        seconds = min(self._seconds) if len(self._seconds) > 1 else 0.0
        if seconds < _CHEAP_SECONDS:
            return 0.0
        return min(seconds * _SHARE, _FRESH_SECONDS)


class Counter(Generic[_Key, _Value]):
    """Calls `count` for a key, never for two at once."""

    def __init__(self, count: Callable[[_Key], Awaitable[_Value]]) -> None:
        self._count = count
        self._known: OrderedDict[_Key, Counted[_Value]] = OrderedDict()
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, key: _Key) -> Counted[_Value] | None:
        """Give the last count; None while the first one is being made. Raises StoreError if that fails."""
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            if known.age < max(_FRESH_SECONDS, known.seconds * _SHARE):
                return known
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._run(key))
            task.add_done_callback(lambda task: self._end(key, task))
        if known is None:
            await asyncio.wait({task}, timeout=_WAIT_SECONDS)
            if task.done():
                task.result()
                known = self._known.get(key)
        return known

    async def close(self) -> None:
        """Give up what is being counted."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: _Key) -> None:
        async with self._one_at_a_time:
            started = time.monotonic()
            value = await self._count(key)
            self._known[key] = Counted(value, at=time.time(), seconds=time.monotonic() - started)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _end(self, key: _Key, task: asyncio.Task[None]) -> None:
        del self._tasks[key]
        if not task.cancelled() and isinstance(error := task.exception(), StoreError):
            logger.info("Not counted: %s", error)
