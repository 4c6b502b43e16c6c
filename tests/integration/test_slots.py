"""Cluster-wide rate limits on a real Redis."""

import asyncio
import time

import pytest

from frontier.connection import connect
from frontier.slots import Slots


async def take_for(seconds, slots, slot, rate, burst):
    """Take turns one after the other; gives how many could start within the time."""
    started = 0
    deadline = time.monotonic() + seconds
    while True:
        turn = await slots.take(slot, rate, burst)
        if time.monotonic() + turn.wait >= deadline:
            return started
        await asyncio.sleep(turn.wait)
        started += turn.granted


@pytest.mark.parametrize("workers", [1, 8])
async def test_rate_is_kept_whatever_the_number_of_workers(redis_url, workers):
    clients = [connect(redis_url) for _ in range(workers)]
    rate, burst, seconds = 40, 5, 2.0
    counts = await asyncio.gather(
        *(take_for(seconds, Slots(client, "test"), "posts:a", rate, burst) for client in clients)
    )
    for client in clients:
        await client.aclose()
    expected = burst + rate * seconds
    # Turns that are reserved shortly before the end and start after it are not counted.
    assert expected * 0.9 - workers <= sum(counts) <= expected + 1


async def test_slots_do_not_share_their_rate(redis):
    slots = Slots(redis, "test")
    assert not (await slots.take("posts:a", 0.1, 1)).wait
    assert not (await slots.take("posts:b", 0.1, 1)).wait
    turn = await slots.take("posts:a", 0.1, 1)
    assert not turn.granted
    assert not turn.paused


async def test_pause_holds_for_everybody_and_ends(redis, redis_url):
    other = connect(redis_url)
    slots = Slots(redis, "test")
    assert await slots.pause("posts:a", 0.4, "HTTP 429") == pytest.approx(0.4, abs=0.05)
    turn = await Slots(other, "test").take("posts:a", 100, 10)
    await other.aclose()
    assert (turn.granted, turn.paused) == (False, True)
    assert turn.wait == pytest.approx(0.4, abs=0.1)
    (pause,) = await slots.paused()
    assert (pause.slot, pause.reason) == ("posts:a", "HTTP 429")
    assert (await slots.take("posts:b", 100, 10)).granted
    await asyncio.sleep(turn.wait)
    assert (await slots.take("posts:a", 100, 10)).granted
    assert await slots.paused() == []


async def test_pauses_double_until_a_success(redis):
    slots = Slots(redis, "test")
    waits = []
    for _ in range(4):
        seconds, began = await slots.back_off("posts:a", "x", first=0.02, longest=0.1)
        assert began
        waits.append(seconds)
        await asyncio.sleep(seconds + 0.005)
    assert waits == pytest.approx([0.02, 0.04, 0.08, 0.1], abs=0.01)
    assert (await slots.take("posts:a", 100, 10)).strikes == 4
    await slots.succeeded("posts:a")
    assert (await slots.back_off("posts:a", "x", first=0.02, longest=0.1))[0] == pytest.approx(0.02, abs=0.01)


async def test_answers_during_a_pause_do_not_prolong_it(redis):
    slots = Slots(redis, "test")
    await slots.back_off("posts:a", "x", first=1, longest=60)
    seconds, began = await slots.back_off("posts:a", "x", first=1, longest=60)
    assert seconds == pytest.approx(1, abs=0.1)
    assert not began


async def test_the_site_can_ask_for_a_longer_pause(redis):
    slots = Slots(redis, "test")
    await slots.back_off("posts:a", "x", first=1, longest=60)
    seconds, began = await slots.back_off("posts:a", "x", first=1, longest=60, least=120)
    assert seconds == pytest.approx(120, abs=1)
    assert began
