"""Turns of a slot for requests that are not leased: the frontier's rates hold for them, too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tieba.cluster import Cluster

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from frontier import Limit
    from frontier.model import Turn

_LONGEST_WAIT = 2.0  # seconds after which a worker looks whether it is to stop


async def take_turn(crawler: Crawler, endpoint: str, limit: Limit) -> Turn | None:
    """Wait for a turn of the slot of an endpoint and this address; None if the worker stops meanwhile."""
    cluster = Cluster.of(crawler)
    slot = f"{endpoint}:{cluster.config.egress}"
    while crawler.engine.running:
        turn = await cluster.patience(lambda: cluster.frontier.turn(slot, limit))
        await asyncio.sleep(min(turn.wait, _LONGEST_WAIT))
        if turn.is_granted:
            return turn
    return None
