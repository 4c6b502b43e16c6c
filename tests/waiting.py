"""Waiting for what others do, for as long as a busy machine may take."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 30.0


def wait_until(condition: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """Wait until something is so; gives what it is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.05)
    return found


async def until(condition: Callable[[], Any], seconds: float = _SECONDS) -> Any:
    """Wait until something is so, which may have to be awaited; gives what it is."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "it does not come"
        await asyncio.sleep(0.02)
