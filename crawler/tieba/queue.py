"""What `tieba queue` does: shows the queue to people, and lets them mend it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table
from rich.text import Text

from frontier import Frontier, connect, fingerprint
from frontier.connection import ERRORS
from frontier.job import Job
from tieba import finding
from tieba.checks import redis_problem
from tieba.errors import Unusable
from tieba.fetches import identity as fetch_identity
from tieba.finding import fingerprints, scopes_of
from tieba.migration import Migration
from tieba.pages import Fetch
from tieba.seeds import SeedError, parse_seeds
from tieba.wording import duration, moment, request_text, shown_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rich.console import JustifyMethod

    from frontier import Letter
    from tieba.config import Config
    from tieba.pages import Target

_PAGES_AT_ONCE = 1000
_MOST_REASONS = 10
_MOVED_AT_ONCE = 1000


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Job]:
    """Connect to the job of a configuration; raises Unusable for what Redis says."""
    redis = connect(config.redis_url)
    try:
        yield Job(Frontier(redis, config.job))
    except ERRORS as error:
        raise redis_problem(error, config) from None
    finally:
        await redis.aclose()


async def peek(config: Config, count: int, *, as_json: bool) -> None:
    """Print the next `count` requests of each endpoint."""
    async with opened(config) as job:
        requests = [
            {
                "endpoint": lease.endpoint,
                "priority": lease.priority,
                "attempts": lease.attempts,
                "request": shown_request(lease.payload),
            }
            for lease in await job.frontier.peek(count)
        ]
    _print(requests, "nothing is queued", as_json=as_json)


async def peek_dead(config: Config, count: int, *, as_json: bool) -> None:
    """Print the `count` newest dead letters."""
    async with opened(config) as job:
        letters = [
            {
                "id": letter.id,
                "at": letter.at if as_json else moment(letter.at),
                "endpoint": letter.endpoint,
                "attempts": letter.attempts,
                "request": shown_request(letter.payload),
                "reason": letter.reason,
            }
            async for letter in job.frontier.dead(newest=count)
        ]
    _print(letters, "there are no dead letters", as_json=as_json)


async def stats(config: Config, *, as_json: bool) -> None:
    """Print counts of everything."""
    async with opened(config) as job:
        counts = await job.frontier.stats()
        bytes_each = await job.frontier.bytes_per_seen()
        reasons = Counter([letter.reason async for letter in job.frontier.dead()])
        found = {
            "queued": [
                {"endpoint": queue.endpoint, "priority": queue.priority, "count": queue.count}
                for queue in counts.queues
            ],
            "leased": dict(counts.owners),
            "delayed": counts.delayed,
            "dead": dict(reasons.most_common()),
            "seen": {"count": counts.seen, "shards": counts.shards, "bytes_each": bytes_each},
            "paused": [
                {"slot": pause.slot, "seconds": round(pause.seconds, 1), "reason": pause.reason}
                for pause in counts.pauses
            ],
            "retried": counts.retried,
            "expired": counts.expired,
            "waiting_seeds": await job.waiting_seeds(),
        }
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = Table.grid(padding=(0, 2))
    for queue in counts.queues:
        table.add_row("queued", str(queue.count), f"{queue.endpoint}, priority {queue.priority}")
    if not counts.queues:
        table.add_row("queued", "0")
    table.add_row("seeds", str(found["waiting_seeds"]), "nobody has taken")
    for owner, count in sorted(counts.owners.items()):
        table.add_row("leased", str(count), f"by {owner}")
    if not counts.owners:
        table.add_row("leased", "0")
    table.add_row("delayed", str(counts.delayed), "wait to be tried again")
    for reason, count in reasons.most_common(_MOST_REASONS):
        table.add_row("dead", str(count), Text(reason, overflow="ellipsis", no_wrap=True))
    if len(reasons) > _MOST_REASONS:
        table.add_row("dead", "…", f"for {len(reasons) - _MOST_REASONS} more reasons: --json")
    if not reasons:
        table.add_row("dead", "0")
    size = f", {bytes_each:.1f} bytes each" if bytes_each else ""
    table.add_row("seen", str(counts.seen), f"in {counts.shards} shards{size}")
    for pause in counts.pauses:
        table.add_row("paused", duration(pause.seconds), Text(f"{pause.slot}: {pause.reason}"))
    table.add_row("retried", str(counts.retried), "attempts that failed and came back")
    table.add_row("expired", str(counts.expired), "leases that ran out")
    Console(soft_wrap=True).print(table)


async def retry(config: Config, wanted: Callable[[Letter], bool]) -> str:
    """Queue the wanted dead letters again; says how many."""
    async with opened(config) as job:
        count = await job.frontier.retry_dead(wanted)
        return f"{count} of {count + (await job.frontier.stats()).dead} dead letters are queued again"


STATES = ("leased", "delayed", "dead", "queued")  # in which a request can be found


async def find(config: Config, what: Target | str) -> dict[str, Any]:
    """Tell where the requests for a target or an address are; see `tieba.finding`."""
    async with opened(config) as job:
        if not isinstance(what, str):
            return await finding.find_all(partial(finding.find, job, what))
        try:
            return await finding.find_all(partial(finding.find_url, job, what))
        except ValueError:
            raise SeedError(f"--url must be an address like https://example.com/1, not {what!r}") from None


def print_found(found: dict[str, Any]) -> None:
    """Print what `find` gives."""
    seen = "was seen" if found["seen"] else "was never seen"
    is_part = found["is_cut"] or found["next"] is not None
    rest = f"; {found['looked_at']} of {found['of']} were looked at" if is_part else ""
    print(f"{request_text(found['target'])} {seen}{rest}")
    rows = [{"state": state, **_row(state, item)} for state in STATES for item in found[state]]
    if rows:
        _print(rows, "", as_json=False)


def _row(state: str, item: dict[str, Any]) -> dict[str, Any]:
    """Give a request that was found as the lines of all states have it."""
    about = {
        "leased": lambda: f"by {item['owner']}",
        "delayed": lambda: f"again in {duration(item['due'])}",
        "dead": lambda: f"{item['id']}: {item['reason']}",
        "queued": lambda: f"{item['position']} before it at priority {item['priority']}",
    }[state]()
    return {
        "endpoint": item["endpoint"],
        "attempts": item["attempts"],
        "request": item["request"],
        "reason": about,
    }


async def hold(config: Config, reason: str) -> str:
    """Hold the crawl; says so. Raises Unusable where none is running, or that of scrapy-redis."""
    if config.scheduler != "frontier":
        raise Unusable(f"scheduler is {config.scheduler}: only the frontier's crawls can be held")
    async with opened(config) as job:
        if not await job.frontier.hold(reason):
            raise Unusable("no crawl is running that could be held")
    return "The crawl is held: what is under way goes on, nothing more is fetched until tieba queue go-on"


async def go_on(config: Config) -> str:
    """Let the crawl go on; says what became of it."""
    async with opened(config) as job:
        return "The crawl goes on" if await job.frontier.let_go() else "The crawl was not held"


async def reprioritize(config: Config, endpoint: str, old: int, new: int) -> str:
    """Give the queued requests of an endpoint another priority; says how many. Raises ValueError."""
    async with opened(config) as job:
        queues = (await job.frontier.stats()).queues
        # No more than were there: workers may queue others meanwhile.
        left = sum(queue.count for queue in queues if (queue.endpoint, queue.priority) == (endpoint, old))
        moved = 0
        while count := await job.frontier.reprioritize(endpoint, old, new, min(left - moved, _MOVED_AT_ONCE)):
            moved += count
    return f"{moved} requests of {endpoint} have priority {new} now"


async def forget(config: Config, target: Target, page: int | None) -> int:
    """Let a page, or all of a forum's list, a thread or a post's comments, be queued again.

    Gives how many requests had been seen.
    """
    async with opened(config) as job:
        scopes = scopes_of([seed for name in await job.seeds() for seed in parse_seeds(name)])
        if page is not None:
            return await job.frontier.forget(*fingerprints(replace(target, page=page), scopes))
        forgotten = await _forget_seeds(job, target)
        first = 1
        # The first page leads to all others: there are no large gaps.
        while count := await job.frontier.forget(
            *(
                known
                for number in range(first, first + _PAGES_AT_ONCE)
                for known in fingerprints(replace(target, page=number), scopes)
            )
        ):
            forgotten += count
            first += _PAGES_AT_ONCE
        return forgotten


async def forget_url(config: Config, url: str) -> int:
    """Let the GET request for an address be queued again, or all of the forum or thread that has it."""
    try:
        target = parse_seeds(json.dumps({"url": url}))[0].target
    except SeedError:
        known = _fingerprint_of(url)
        async with opened(config) as job:
            return await job.frontier.forget(known)
    return await forget(config, target, None)


def _fingerprint_of(url: str) -> int:
    try:
        return finding.fingerprint_of_url(url)
    except ValueError:
        raise SeedError(f"--url must be an address like https://example.com/1, not {url!r}") from None


async def _forget_seeds(job: Job, target: Target) -> int:
    """Let the crawl start from a target again, however far its seeds reached; gives how many were seen."""
    forgotten = 0
    for name in await job.seeds():
        for seed in parse_seeds(name):
            if replace(seed.target, page=1) == replace(target, page=1):
                known = fetch_identity(Fetch(seed.target, seed.scope), is_seed=True)
                forgotten += await job.frontier.forget(fingerprint(known))
                await job.forget_seed(name)
    return forgotten


async def what_drop_loses(config: Config) -> str | None:
    """Say what is kept of the job; None if there is nothing."""
    async with opened(config) as job:
        facts = await job.facts(0)
        in_stock_queue = sum([await job.frontier.redis.zcard(key) for key in _stock_keys(config)[:1]])
    requests = facts.requests
    counts = {
        "queued": requests.queued + in_stock_queue,
        "leased": requests.leased,
        "delayed": requests.delayed,
        "dead": requests.dead,
        "seen": requests.seen,
    }
    if not facts.crawl and not facts.waiting_seeds and not any(counts.values()):
        return None
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{told} requests, {facts.waiting_seeds} seeds that nobody has taken"


async def drop(config: Config) -> None:
    """Remove everything that is kept of the job in Redis."""
    async with opened(config) as job:
        await job.frontier.redis.unlink(job.start_urls)
        for key in _stock_keys(config):
            await job.frontier.redis.unlink(key)
        await job.frontier.drop_job()


def _stock_keys(config: Config) -> list[str]:
    is_stock = config.scheduler == "scrapy_redis"
    return [f"{config.job}:requests", f"{config.job}:dupefilter"] if is_stock else []


async def migrate(config: Config, source: str, *, keep: bool, is_dry: bool) -> str:
    """Take over a job of scrapy-redis with a bar of progress; says what became of it."""
    interrupted = (
        asyncio.Event()
    )  # looked at between batches: a client can swallow a cancellation (redis-py 8.1)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def advance(count: int) -> None:
            progress.advance(bar, count)
            if interrupted.is_set():
                print("tieba queue migrate: interrupted; run it again to go on", file=sys.stderr)
                raise KeyboardInterrupt

        async with opened(config) as job:
            migration = Migration(job, source, keep=keep, is_dry=is_dry)
            try:
                bar = progress.add_task(source, total=await migration.prepare())
                await migration.run(advance)
            except NoPermissionError as error:
                raise Unusable(
                    f"the user of redis_url may not use the keys of {source}: name one who may, e.g. "
                    f"TIEBA_REDIS_URL=redis://admin:PASSWORD@host ({error})"
                ) from None
    counts = migration.counts
    done = "would be" if is_dry else "are"
    told = f"{counts.moved} requests and {counts.seen} that were seen {done} taken over from {source}"
    if counts.refused:
        told += f"; {counts.refused} entries {done} refused" + (
            "" if is_dry else ": see tieba queue peek --dead"
        )
    return told


def _print(rows: list[dict[str, Any]], nothing: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        print(nothing)
        return
    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items():
        justify: JustifyMethod = "right" if isinstance(value, int) else "left"
        table.add_column(name, justify=justify, no_wrap=name not in {"request", "reason"})
    for row in rows:
        table.add_row(
            *(Text(request_text(value) if name == "request" else str(value)) for name, value in row.items())
        )
    Console(soft_wrap=True).print(table)
