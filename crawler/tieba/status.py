"""Where the crawl stands: the facts, as JSON or drawn for people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from frontier import Frontier, connect
from frontier.connection import ERRORS
from frontier.job import ALIVE_SECONDS, Job
from tieba.checks import redis_problem, store_problem
from tieba.errors import Away
from tieba.pages import target_from_list
from tieba.storage import StoreError
from tieba.storage.stores import open_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rich.console import RenderableType

    from frontier import Letter, Stats
    from frontier.job import Facts
    from tieba.config import Config
    from tieba.storage import Store

    Status = dict[str, Any]

_REDRAW_SECONDS = 1.0
_LINE_SECONDS = 5.0  # between the lines of a watch without a terminal
_BAR_WIDTH = 50
_ETA_WINDOW_SECONDS = 15.0


class Eta:
    """Estimates the time left from how fast what is left has become less lately.

    What is left over the rate would be far too little: most requests lead to more.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=round(_ETA_WINDOW_SECONDS / _REDRAW_SECONDS))

    def refine(self, status: Status) -> Status:
        """Give the status with its `eta_seconds` replaced; None while more is found than done."""
        requests = status["requests"]
        left = requests["queued"] + requests["leased"] + requests["delayed"]
        now = status["crawl"]["seconds"]
        self._seen.append((now, left))
        then, before = self._seen[0]
        drained = before - left
        is_draining = status["crawl"]["state"] == "running" and drained > 0 and now > then
        eta = round(left * (now - then) / drained, 1) if is_draining else None
        return {**status, "eta_seconds": eta, "eta_is_least": False}


class Watcher:
    """Asks Redis and the store for the status."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._redis = connect(config.redis_url)
        self._job = Job(Frontier(self._redis, config.job))
        self._store: Store | None = None

    async def status(self) -> Status:
        """Gather the status; raises Unusable, or Away, which can pass."""
        in_stock_queue = 0
        try:
            facts = await self._job.facts()
            if self._config.scheduler == "scrapy_redis":
                in_stock_queue = await self._redis.zcard(f"{self._config.job}:requests")
        except ERRORS as error:
            raise redis_problem(error, self._config) from None
        stored = {}
        try:
            # JSON Lines are on the machines of the workers, and are not counted without reading them all.
            if self._config.storage != ("jsonl",):
                self._store = self._store or await open_reader(self._config)
                stored = await self._store.counts()
        except StoreError as error:
            raise store_problem(error) from None
        return summarize(facts, stored, in_stock_queue)

    async def dead_letters(self) -> AsyncIterator[Letter]:
        """Give all dead letters; raises Unusable, or Away, which can pass."""
        try:
            async for letter in self._job.frontier.dead():
                yield letter
        except ERRORS as error:
            raise redis_problem(error, self._config) from None

    async def close(self) -> None:
        """Give up the connections."""
        if self._store is not None:
            await self._store.close()
        await self._redis.aclose()


def summarize(facts: Facts, stored: Mapping[str, int], in_stock_queue: int = 0) -> Status:
    """Put the facts into the form that `tieba status --json` prints.

    `in_stock_queue` are requests that lie in scrapy-redis' queue.
    """
    requests = facts.requests
    state = facts.crawl.get("state", "none")
    started = float(facts.crawl.get("started_at", 0)) or None
    ended = float(facts.crawl["finished_at"]) if state == "finished" else facts.now
    seconds = max(0.0, ended - started) if started else 0.0
    slaves = _slaves(facts)
    done = sum(facts.pages.values())
    leased = requests.leased if not in_stock_queue else sum(slave["leased"] for slave in slaves)
    queued = requests.queued + facts.waiting_seeds + in_stock_queue
    if state == "finished":
        rate = done / seconds if seconds else 0.0
    else:
        rate = sum(slave["rate"] for slave in slaves)
    left = queued + leased + requests.delayed
    return {
        "crawl": {
            "state": state,
            "started_at": started,
            "seconds": round(seconds, 1),
            "seeds": [json.loads(seed) for seed in facts.seeds],
        },
        "requests": {
            # The frontier knows of every request, the workers' answers only of those that they lived to tell.
            # What is leased may not have been sent.
            "made": requests.granted - requests.leased if requests.granted else sum(facts.outcomes.values()),
            "done": done,
            "queued": queued,
            "leased": leased,
            "failed": requests.dead,
            "delayed": requests.delayed,
            "retried": requests.retried,
            "expired": requests.expired,
        },
        "maximum": _maximum(requests) if state == "finished" else None,
        "rate": round(rate, 1),
        # For what is known to be left; what it leads to comes on top.
        "eta_seconds": round(left / rate, 1) if state == "running" and rate else None,
        "eta_is_least": True,
        "stored": dict(stored),
        "outcomes": dict(sorted(facts.outcomes.items())),
        "paused": [
            {"slot": pause.slot, "seconds": round(pause.seconds, 1), "reason": pause.reason}
            for pause in requests.pauses
        ],
        "slaves": slaves,
        "errors": [
            {"request": shown_request(letter.payload), "reason": letter.reason} for letter in facts.letters
        ],
    }


def _maximum(requests: Stats) -> Status | None:
    """Give the maximum of requests at which a crawl ended, and how many are left; None if it went on."""
    left = requests.queued + requests.delayed
    if requests.max_requests is None or requests.granted < requests.max_requests or not left:
        return None
    return {"requests": requests.max_requests, "left": left}


def maximum_text(maximum: Mapping[str, Any]) -> str:
    """Say that a crawl ended at its maximum of requests."""
    return f"ended at its maximum of {maximum['requests']} requests; {maximum['left']} are left"


def shown_request(payload: str) -> object:
    """Give what a request in the frontier is to fetch: a target where it is one."""
    with contextlib.suppress(ValueError):
        value = json.loads(payload)
        return value.get("target") or value.get("url") or value if isinstance(value, dict) else value
    return payload


def _slaves(facts: Facts) -> list[Status]:
    by_host: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for beat in facts.workers.values():
        by_host[beat["host"]].append(beat)
    for host in facts.pages:
        by_host.setdefault(host, [])
    slaves = []
    for host, beats in sorted(by_host.items()):
        alive = [beat for beat in beats if facts.now - beat["at"] < ALIVE_SECONDS]
        last = max(beats, key=lambda beat: float(beat["at"]), default=None)
        slaves.append(
            {
                "host": host,
                "processes": len(alive),
                "engines": sorted({beat["engine"] for beat in alive if "engine" in beat}),
                "done": facts.pages.get(host, 0),
                "rate": round(sum(beat["rate"] for beat in alive), 1),
                "leased": sum(beat["leased"] for beat in alive),
                "last_seen_seconds": round(max(0.0, facts.now - last["at"]), 1) if last else None,
                "version": last["version"] if last else None,
            }
        )
    return slaves


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
        async for look in _looks(watcher):
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
    is_away = False
    async for look in _looks(watcher):
        if isinstance(look, Away):
            if not is_away:
                print(f"tieba status: {look}; waiting for it", file=sys.stderr, flush=True)
            is_away = True
            next_line = 0.0  # that it is back is seen at once
            continue
        is_away = False
        is_over = _is_over(look, until_finished=until_finished)
        if not quiet and (is_over or time.monotonic() >= next_line):
            print(line(look), flush=True)
            next_line = time.monotonic() + _LINE_SECONDS
        if is_over:
            return look
    raise AssertionError("one looks without end")


async def _looks(watcher: Watcher) -> AsyncIterator[Status | Away]:
    """Look again and again, without end; gives why there is no status while a server is away."""
    eta = Eta()
    while True:
        look: Status | Away
        try:
            look = eta.refine(await watcher.status())
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
        f"{status['crawl']['state']}: {requests['done']} done, {requests['queued']} queued, "
        f"{requests['leased']} leased, {requests['delayed']} delayed, {requests['failed']} failed",
        f"{status['rate']:.1f} pages/s",
        *([f"{status['stored']['posts']} posts in the store"] if status["stored"] else []),
    ]
    if status["eta_seconds"] is not None:
        parts.append(_time_left(status))
    if slaves:
        parts.append(", ".join(f"{slave['host']} {slave['rate']:.1f}/s" for slave in slaves))
    if status["paused"]:
        parts.append(
            "paused: " + ", ".join(f"{pause['slot']} {pause['seconds']:.0f} s" for pause in status["paused"])
        )
    return "; ".join(parts) + (f"; {hint}" if (hint := _hint(status)) else "")


def draw(status: Status) -> RenderableType:
    """Draw the status: progress, counts, slaves, what is paused and what failed."""
    crawl, requests = status["crawl"], status["requests"]
    if crawl["state"] == "none":
        return Text("No crawl yet. Begin one, e.g.: tieba seed --forum 聊天 --pages 20")
    done = requests["done"]
    total = done + requests["queued"] + requests["leased"] + requests["delayed"]
    head = Table.grid(padding=(0, 2))
    left = _time_left(status) if status["eta_seconds"] is not None else ""
    head.add_row(
        Text(crawl["state"], style="bold green" if crawl["state"] == "finished" else "bold"),
        ProgressBar(total=max(total, 1), completed=done, width=_BAR_WIDTH),
        f"{done}/{total}",
        f"{status['rate']:.1f} pages/s",
        f"{duration(crawl['seconds'])}",
        left,
    )
    seeds = "  ".join(seed_text(seed) for seed in crawl["seeds"])
    parts: list[RenderableType] = [
        head,
        Text(
            f"requests  {requests['queued']} queued, {requests['leased']} leased, "
            f"{requests['delayed']} delayed, {requests['failed']} failed; "
            f"{requests['retried']} attempts repeated, {requests['expired']} leases expired"
        ),
        Text(
            "in store  "
            + (
                ", ".join(f"{count} {name}" for name, count in status["stored"].items())
                or "not counted: JSON Lines on the slaves"
            )
        ),
        Text(
            "outcomes  "
            + (", ".join(f"{count} {name}" for name, count in status["outcomes"].items()) or "none yet")
        ),
        Text(f"seeds     {seeds or 'not taken yet'}"),
    ]
    slaves = Table(box=None, pad_edge=False)
    for title, justify in (("slave", "left"), ("processes", "right"), ("done", "right"), ("rate/s", "right")):
        slaves.add_column(title, justify="right" if justify == "right" else "left")
    slaves.add_column("leased", justify="right")
    slaves.add_column("last seen")
    slaves.add_column("engine")
    slaves.add_column("version")
    for slave in status["slaves"]:
        seen = slave["last_seen_seconds"]
        is_silent = not slave["processes"]
        slaves.add_row(
            slave["host"],
            str(slave["processes"]),
            str(slave["done"]),
            f"{slave['rate']:.1f}",
            str(slave["leased"]),
            "left" if seen is None else f"{duration(seen)} ago" if is_silent else "now",
            ", ".join(slave["engines"]),
            slave["version"] or "",
            style="yellow" if is_silent and crawl["state"] == "running" else None,
        )
    parts.append(slaves)
    parts += [
        Text(f"paused    {pause['slot']} for {pause['seconds']:.0f} s: {pause['reason']}", style="yellow")
        for pause in status["paused"]
    ]
    parts += [
        Text(f"failed    {request_text(error['request'])}: {error['reason']}", style="red")
        for error in status["errors"]
    ]
    if hint := _hint(status):
        parts.append(Text(hint, style="yellow"))
    return Group(*parts)


def duration(seconds: float) -> str:
    """Give seconds as 7 s, 2:05 or 1:02:05."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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


def request_text(request: object) -> str:
    """Give a request as people read it."""
    try:
        return str(target_from_list(request))
    except ValueError:
        return request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)


def seed_text(seed: Mapping[str, Any]) -> str:
    """Give a seed as people read it."""
    what = str(seed["forum"]) if "forum" in seed else f"thread {seed.get('thread')}"
    told = (
        [f"pages {seed['pages']}" if isinstance(seed["pages"], str) else f"{seed['pages']} pages"]
        if ("pages" in seed)
        else ["all pages"]
        if "forum" in seed
        else []
    )
    told += [name for name in ("good", "starter", "update") if seed.get(name)]
    told += ["no comments"] if seed.get("comments") is False else []
    told += [f"{name} {seed[name]}" for name in ("since", "until") if name in seed]
    told += [f"at most {seed['max_requests']} requests"] if "max_requests" in seed else []
    return f"{what} ({', '.join(told)})" if told else what
