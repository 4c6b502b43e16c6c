"""Says how a crawl ended, and writes it into the store, for the updates that come after it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from frontier.job import ALIVE_SECONDS
from tieba.cluster import BYTES
from tieba.pages import Fetch, ForumPage
from tieba.records import Crawl, Visit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frontier.job import Facts, Job
    from tieba.cluster import Cluster
    from tieba.records import Storable

_LONGEST_SECONDS = 30.0
_TELL_SECONDS = 2.0
_BATCH = 500
_LAST_BEATS_SECONDS = 8.0  # for workers to tell what they did last
_LOOK_SECONDS = 0.1
_OLD_BEAT_SECONDS = 1.0  # after the end; they beat once a second

logger = logging.getLogger(__name__)


async def tell_end(job: Job, state: str) -> None:
    """Log what the crawl that a worker has left did; `state` is what it last heard of it."""
    if state != "finished":
        logger.info("Nothing to do: no crawl is running and no seed waits")
        return
    try:
        facts = await asyncio.wait_for(job.facts(), _TELL_SECONDS)
    except Exception as error:  # noqa: BLE001 - only the summary is missing
        logger.info("The crawl is finished (its counts cannot be read: %s)", error)
        return
    requests = facts.requests
    logger.info(
        "The crawl is finished: %d pages done, %d attempts repeated, %d leases expired, %d dead letters",
        sum(facts.pages.values()),
        requests.retried,
        requests.expired,
        requests.dead,
    )
    left = requests.queued + requests.delayed
    if requests.max_requests is not None and left:
        logger.info("It has had its maximum of %d requests; %d are left", requests.max_requests, left)


async def note_end(cluster: Cluster) -> None:
    """Store the record of a finished crawl; every worker does, and the same. The first one sums it up.

    Threads of which a request was given up are marked as not fetched, so that the next update fetches them.
    If nobody gets to it, that update trusts nothing of this crawl, and fetches its threads again.
    """
    try:
        await asyncio.wait_for(_note(cluster), _LONGEST_SECONDS)
    except Exception as error:  # noqa: BLE001 - the crawl itself is done
        logger.warning("The end of the crawl is not recorded: %s: %s", type(error).__name__, error)
    try:
        await asyncio.wait_for(sum_up(cluster.job), _LONGEST_SECONDS)
    except Exception as error:  # noqa: BLE001 - only the summary is missing
        logger.warning("The crawl is not summed up: %s: %s", type(error).__name__, error)


async def _note(cluster: Cluster) -> None:
    facts = await cluster.job.facts(0)
    if facts.crawl.get("state") != "finished":
        return
    failed: set[int] = set()
    async for letter in cluster.frontier.dead():
        thread_id = _thread_of(letter.payload)
        if thread_id is not None:
            failed.add(thread_id)
    records: list[Storable] = [Visit(thread_id=thread_id, crawl_id=None) for thread_id in sorted(failed)]
    for start in range(0, len(records), _BATCH):
        await cluster.store.save(records[start : start + _BATCH])
    is_complete = not facts.requests.queued and not facts.requests.delayed
    await cluster.store.save(
        [
            Crawl(
                crawl_id=facts.crawl["id"],
                seeds=facts.seeds,
                started_at=_moment(facts.crawl.get("started_at")),
                finished_at=_moment(facts.crawl.get("finished_at")) if is_complete else None,
                requests=facts.requests.granted or sum(facts.outcomes.values()),  # the latter: scrapy-redis
                failed=facts.requests.dead,
            )
        ]
    )


async def sum_up(job: Job) -> None:
    """Have it remembered what the crawl did, and tell it in one line, unless another worker has."""
    facts = await _final_facts(job)
    if facts.crawl.get("state") != "finished":
        return  # it goes on, or the next one runs
    summary = _summary(facts)
    if await job.note_crawl(summary):
        logger.info("%s", _line(summary, facts))


async def _final_facts(job: Job) -> Facts:
    """Give the facts once all workers have told what they did until the end."""
    deadline = time.monotonic() + _LAST_BEATS_SECONDS
    while True:
        facts = await job.facts(0)
        if facts.crawl.get("state") != "finished" or time.monotonic() > deadline:
            return facts
        alive = [beat for beat in facts.workers.values() if facts.now - beat["at"] < ALIVE_SECONDS]
        if all(_is_last(beat, facts.crawl) for beat in alive):
            return facts
        await asyncio.sleep(_LOOK_SECONDS)


def _is_last(beat: Mapping[str, Any], crawl: Mapping[str, str]) -> bool:
    """Tell whether a beat counts all that its worker did until the crawl's end."""
    if "ended" in beat:
        return bool(beat["ended"] == crawl["id"])  # a beat after the end may have been on its way already
    # Workers of an older release do not tell of which end they know.
    return float(beat["at"]) > float(crawl["finished_at"]) + _OLD_BEAT_SECONDS


def _summary(facts: Facts) -> dict[str, Any]:
    """Give what is remembered of a finished crawl."""
    started, finished = (float(facts.crawl.get(name, 0)) for name in ("started_at", "finished_at"))
    return {
        "id": facts.crawl["id"],
        "started_at": started,
        "finished_at": finished,
        "seconds": round(finished - started, 1),
        "pages": sum(facts.pages.values()),
        "requests": facts.requests.granted or sum(facts.outcomes.values()),  # the latter: scrapy-redis
        "posts": facts.totals.get("posts", 0),
        "failed": facts.requests.dead,
        "seeds": [json.loads(seed) for seed in facts.seeds],
    }


def _line(summary: Mapping[str, Any], facts: Facts) -> str:
    """Give the line of a finished crawl."""
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(facts.outcomes.items()))
    return (
        f"Crawl finished: {summary['pages']} pages with {summary['requests']} requests ({outcomes}), "
        f"{summary['posts']} posts, {facts.totals.get('comments', 0)} comments, "
        f"{facts.totals.get(BYTES, 0)} bytes in {summary['seconds']:.0f} s; {summary['failed']} failed; "
        f"crawl {summary['id']}"
    )


def _thread_of(payload: str) -> int | None:
    """Give the thread that a dead letter is about."""
    try:
        target = Fetch.from_json(json.loads(payload)).target
    except (ValueError, RecursionError):
        return None
    return None if isinstance(target, ForumPage) else target.thread_id


def _moment(seconds: str | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), tz=timezone.utc)
