"""`tieba status`: prints the status once or follows it, as JSON, drawn, or a line now and then."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from frontier.job import ALIVE_SECONDS
from tieba.cluster import BYTES
from tieba.errors import Away
from tieba.status import Watcher
from tieba.wording import duration, maximum_text, moment, request_text, seed_text, time_of_day, version_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rich.console import RenderableType

    from tieba.config import Config

    Status = dict[str, Any]

_REDRAW_SECONDS = 1.0
_LINE_SECONDS = 5.0  # between the lines of a watch without a terminal
_LAST_COUNT_SECONDS = 30.0  # for which the last look waits for the store
_BAR_WIDTH = 50
_CRAWLS_SHOWN = 3
_MIB = 2**20


async def show(config: Config, *, as_json: bool, watch: bool, until_finished: bool) -> None:
    """Print the status once, or follow it, and wait for servers that are away; raises Unusable."""
    watcher = Watcher(config)
    try:
        if watch or until_finished:
            status = await _follow(watcher, until_finished=until_finished, quiet=as_json)
        else:
            status = await watcher.status()
        if as_json:
            print(json.dumps(status, ensure_ascii=False, indent=2))
        elif not watch and not until_finished:
            Console(soft_wrap=True).print(draw(status))
    finally:
        await watcher.close()


async def _follow(watcher: Watcher, *, until_finished: bool, quiet: bool) -> Status:
    console = Console(quiet=quiet)
    if quiet or not console.is_terminal:
        return await _follow_by_line(watcher, until_finished=until_finished, quiet=quiet)
    status: Status | None = None
    with Live(console=console, auto_refresh=False) as live:
        async for look in _looks(watcher, until_finished=until_finished):
            if isinstance(look, Away):
                live.update(_draw_away(status, look), refresh=True)
                continue
            status = look
            live.update(draw(status), refresh=True)
            if _is_over(status, until_finished=until_finished):
                return status
    raise AssertionError("one looks without end")


async def _follow_by_line(watcher: Watcher, *, until_finished: bool, quiet: bool) -> Status:
    next_line = 0.0
    told: set[str] = set()  # which servers are said to be away
    async for look in _looks(watcher, until_finished=until_finished):
        redis_problem = str(look) if isinstance(look, Away) else None
        store_problem = None if isinstance(look, Away) else look["store_problem"]
        for server, problem in (("redis", redis_problem), ("store", store_problem)):
            if problem is None:
                told.discard(server)
            elif server not in told:
                print(f"tieba status: {problem}; waiting for it", file=sys.stderr, flush=True)
                told.add(server)
        if isinstance(look, Away):
            next_line = 0.0  # that it is back is seen at once
            continue
        is_over = _is_over(look, until_finished=until_finished)
        if not quiet and (is_over or time.monotonic() >= next_line):
            print(line(look), flush=True)
            next_line = time.monotonic() + _LINE_SECONDS
        if is_over:
            return look
    raise AssertionError("one looks without end")


async def _looks(watcher: Watcher, *, until_finished: bool) -> AsyncIterator[Status | Away]:
    """Look again and again, without end; gives why there is no status while a server is away."""
    while True:
        look: Status | Away
        try:
            look = await watcher.status()
            if _is_over(look, until_finished=until_finished) and look["store_problem"] is not None:
                look = await watcher.status(_LAST_COUNT_SECONDS)  # it may just be slow to count
        except Away as away:
            look = away
        yield look
        await asyncio.sleep(_REDRAW_SECONDS)


def _is_over(status: Status, *, until_finished: bool) -> bool:
    return until_finished and status["crawl"]["state"] == "finished"


def _draw_away(status: Status | None, away: Away) -> RenderableType:
    """Draw the last status that is known, and why there is no newer one."""
    told = Text(f"{away}; waiting for it", style="yellow")
    return told if status is None else Group(draw(status), told)


def line(status: Status) -> str:
    """Give the status in one line."""
    requests, slaves = status["requests"], status["slaves"]
    parts = [
        f"{_state(status)}: {requests['done']} done, {requests['queued']} queued, "
        f"{requests['leased']} leased, {requests['delayed']} delayed, {requests['failed']} failed",
        f"{status['rate']:.1f} pages/s",
        *([f"{status['stored']['posts']} posts in the store"] if status["stored"] else []),
    ]
    if status["eta_seconds"] is not None:
        parts.append(_time_left(status))
    if slaves:
        parts.append(", ".join(f"{slave['host']} {slave['rate']:.1f}/s" for slave in slaves))
    if status["paused"]:
        parts.append("paused: " + ", ".join(_pause(pause) for pause in status["paused"]))
    parts += [alarm["text"] for alarm in status["alarms"]]
    return "; ".join(parts) + (f"; {hint}" if (hint := _hint(status)) else "")


def draw(status: Status) -> RenderableType:
    """Draw the status: progress, counts, slaves, budgets, what failed, and what somebody should look at."""
    parts: list[RenderableType] = []
    if status["crawl"]["state"] == "none":
        parts.append(Text("No crawl yet. Begin one, e.g.: tieba seed --forum 聊天 --pages 20"))
    else:
        parts.append(_head(status))
        parts += [Text(f"{name:<10}{told}") for name, told in _facts(status)]
    parts += _machines(status)
    if status["slaves"]:
        parts += [_slaves(status), *_versions(status)]
    if status["slots"]:
        parts.append(_slots(status))
    parts += _crawls(status)
    parts += [
        Text(f"paused    {_pause(pause)}: {pause['reason']}", style="yellow") for pause in status["paused"]
    ]
    parts += [
        Text(f"failed    {request_text(error['request'])}: {error['reason']}", style="red")
        for error in status["errors"]
    ]
    parts += _alarms(status)
    if hint := _hint(status):
        parts.append(Text(hint, style="yellow"))
    return Group(*parts)


def _head(status: Status) -> Table:
    crawl, requests = status["crawl"], status["requests"]
    done, total = requests["done"], requests["total"]
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(_state(status), style="bold green" if crawl["state"] == "finished" else "bold"),
        ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH),
        f"{done}/{total}",
        f"{status['rate']:.1f} pages/s",
        f"{duration(crawl['seconds'])}",
        _time_left(status) if status["eta_seconds"] is not None else "",
    )
    return head


def _state(status: Status) -> str:
    return "paused" if status["crawl"]["paused"] else str(status["crawl"]["state"])


def _facts(status: Status) -> Iterator[tuple[str, str]]:
    """Give what is told in a line each: its name and the rest."""
    crawl, requests = status["crawl"], status["requests"]
    if crawl["paused"]:
        ago = duration(max(0.0, status["at"] - crawl["paused"]["at"]))
        yield "held", f"{ago} ago: {crawl['paused']['reason'] or 'no reason given'}; tieba queue go-on"
    at_most = "" if requests["max"] is None else f" of at most {requests['max']}"
    yield (
        "requests",
        f"{requests['made']} made{at_most}; {requests['queued']} queued, {requests['leased']} leased, "
        f"{requests['delayed']} delayed, {requests['failed']} failed; "
        f"{requests['retried']} attempts repeated, {requests['expired']} leases expired",
    )
    if status["queues"]:
        queues = (
            f"{queue['count']} {queue['endpoint']} of priority {queue['priority']}"
            for queue in status["queues"]
        )
        yield "queues", ", ".join(queues)
    yield "rates", "; ".join(_rates(name, rates) for name, rates in status["rates"].items())
    counted = ", ".join(f"{count} {name}" for name, count in status["stored"].items())
    yield "in store", status["store_problem"] or counted or "not counted: JSON Lines on the slaves"
    if status["totals"]:
        yield "brought", ", ".join(_total(name, count) for name, count in sorted(status["totals"].items()))
    outcomes = ", ".join(f"{count} {name}" for name, count in status["outcomes"].items())
    yield "outcomes", outcomes or "none yet"
    yield "seeds", "  ".join(seed_text(seed) for seed in crawl["seeds"]) or "not taken yet"


def _machines(status: Status) -> Iterator[Text]:
    """Tell of Redis, and of the disks: they can fill without a crawl, too."""
    redis, disks = status["redis"], status["machines"]
    limit = f" of {redis['max_bytes'] / _MIB:.0f}" if redis["max_bytes"] else ""
    yield Text(f"redis     {redis['version']}, {redis['used_bytes'] / _MIB:.0f}{limit} MiB")
    if not redis["aof_ok"]:
        yield Text("redis     keeps no append-only file: a restart may lose the queue", style="bold red")
    if disks:
        told = (f"{disk['host']} {disk['disk_path']} {disk['disk_free_mb']} MiB" for disk in disks)
        yield Text(f"free      {', '.join(told)}")


def _pause(pause: Status) -> str:
    return f"{pause['slot']} until {time_of_day(pause['until'])} ({duration(pause['seconds'])})"


def _rates(name: str, rates: Status) -> str:
    told = (("now", rates["live"]), ("in the last hour", rates["hour"]), ("since it began", rates["run"]))
    return f"{name}/s " + ", ".join(f"{rate:.1f} {when}" for when, rate in told if rate is not None)


def _total(name: str, count: int) -> str:
    return f"{count / _MIB:.1f} MiB read" if name == BYTES else f"{count} {name}"


def _slaves(status: Status) -> Table:
    table = _table(
        "slave", "processes>", "done>", "rate/s>", "posts/s>", "leased>", "MiB>", "last seen", "engine"
    )
    for slave in status["slaves"]:
        seen = slave["last_seen_seconds"]
        is_absent = not slave["processes"]
        table.add_row(
            slave["host"],
            str(slave["processes"]),
            str(slave["done"]),
            f"{slave['rate']:.1f}",
            _or_dash(slave["posts_rate"]),
            str(slave["leased"]),
            _or_dash(slave["memory_mb"]),
            "left" if seen is None else f"{duration(seen)} ago" if is_absent else "now",
            ", ".join(slave["engines"]),
            style="yellow" if is_absent and status["crawl"]["state"] == "running" else None,
        )
    return table


def _versions(status: Status) -> Iterator[Text]:
    """Tell what the slaves run, those together that run the same."""
    hosts: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for slave in status["slaves"]:
        hosts[version_text(slave), slave["differs"]].append(slave["host"])
    for (version, differs), names in hosts.items():
        what = f"{version}, differs from others" if differs else version or "unknown"
        yield Text(f"version   {what}: {', '.join(names)}", style="yellow" if differs else "")


def _slots(status: Status) -> Table:
    """Draw the budgets: what of each is used, and which are paused."""
    table = _table("budget of", "rate/s>", "burst>", "used/s>", "requests>", "workers>", "pauses in a row>")
    for slot in status["slots"]:
        table.add_row(
            slot["slot"],
            *(_or_dash(slot[name]) for name in ("rate", "burst", "used", "granted", "workers", "strikes")),
            style="yellow" if slot["paused_seconds"] else None,
        )
    return table


def _table(*columns: str) -> Table:
    """Make a table; numbers are in columns whose name ends with `>`."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name.removesuffix(">"), justify="right" if name.endswith(">") else "left")
    return table


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def _crawls(status: Status) -> list[Text]:
    """Tell of the crawls before this one."""
    before = [crawl for crawl in status["crawls"] if crawl["id"] != status["crawl"]["id"]]
    return [
        Text(
            f"before    {moment(crawl['finished_at'])}: {crawl['pages']} pages, {crawl['posts']} posts in "
            f"{duration(crawl['seconds'])}, {crawl['failed']} failed"
        )
        for crawl in before[:_CRAWLS_SHOWN]
    ]


def _alarms(status: Status) -> list[Text]:
    return [Text(f"alarm     {alarm['text']}", style="bold red") for alarm in status["alarms"]]


def _time_left(status: Status) -> str:
    return f"{'at least ' if status['eta_is_least'] else ''}{duration(status['eta_seconds'])} left"


def _hint(status: Status) -> str | None:
    """Say what is odd, and what to do about it."""
    crawl = status["crawl"]
    is_young = crawl["seconds"] < ALIVE_SECONDS  # workers that are just starting are no reason to worry
    if (
        crawl["state"] == "running"
        and not is_young
        and not any(slave["processes"] for slave in status["slaves"])
    ):
        return "no worker is alive: on the slaves, see systemctl status 'tieba-crawler@*'"
    if status["maximum"]:
        return maximum_text(status["maximum"])
    return None
