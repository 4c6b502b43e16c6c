"""Loads the Lua scripts that make an operation on several keys atomic; one file per script in `lua/`."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    Script = Callable[[Sequence[str], Sequence[str | int | float]], Awaitable[Any]]


def script(redis: Redis, name: str) -> Script:
    """Prepare `lua/<name>.lua`; the result takes keys and arguments.

    Sent once per server, called by its hash.
    """
    registered = redis.register_script(source(name))

    async def call(keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        return await registered(keys=list(keys), args=list(args))

    return call


def source(name: str) -> str:
    """Give the text of `lua/<name>.lua`."""
    return (resources.files("frontier") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
