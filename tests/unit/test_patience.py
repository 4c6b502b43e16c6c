"""How many pages may ask a server at once, and for how long they wait."""

import asyncio

import pytest

from dashboard.patience import BusyError, Turns
from tieba.config import Config
from tieba.storage import StoreUnavailable


async def test_a_call_that_is_late_keeps_its_turn_until_it_ends():
    """Else a slow server gets one more question with every reload of the page."""
    turns, end = Turns(1, 0.05), asyncio.Event()

    async def late():
        await end.wait()

    async def quick():
        return "answer"

    with pytest.raises(StoreUnavailable, match="does not answer within 0 s"):
        await turns.run(late, 0.01, Config())
    with pytest.raises(BusyError):
        await turns.run(quick, 10, Config())
    end.set()
    assert await turns.run(quick, 10, Config()) == "answer"


async def test_a_call_that_fails_gives_its_turn_back():
    turns = Turns(1, 1.0)

    async def fail():
        raise ValueError("cursor")

    for _ in range(3):
        with pytest.raises(ValueError, match="cursor"):
            await turns.run(fail, 10, Config())
