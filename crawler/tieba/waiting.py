"""Waits for work, between two crawls."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tieba.cluster import Cluster
from tieba.heartbeat import Pulse

if TYPE_CHECKING:
    from tieba.config import Config

LOOK_SECONDS = 0.5

logger = logging.getLogger(__name__)


async def work_is_there(config: Config, engine: str) -> None:
    """Wait until a crawl is running or a seed has come; the worker's heart beats meanwhile."""
    cluster = Cluster(config, engine)
    pulse = Pulse(cluster)
    pulse.start()
    try:
        logger.info("Waiting for a seed")
        while True:
            if (
                await cluster.patience(cluster.job.waiting_seeds)
                or await cluster.patience(cluster.job.state) == "running"
            ):
                return
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await pulse.stop()
        await cluster.close()
