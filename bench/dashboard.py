"""Measures the dashboard with a large crawl: every page and search, and a thousand viewers at once.

Real servers start and end with this program, and so does the page, a process of its own: Redis with a
million queued requests, MongoDB and MariaDB each with five million posts. Twelve workers crawl meanwhile.

example: python -m bench.dashboard --quick --stores mysql
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from redis import Redis
from rich.console import Console
from rich.table import Table

from bench import dashboard_queue, processes
from bench.dashboard_client import Visitor, serving, watching
from bench.dashboard_pages import pages
from bench.dashboard_stores import PLACES, Size, fill, title
from bench.report import Target, machine, note
from tieba.records import Post

if TYPE_CHECKING:
    from bench.dashboard_client import App
    from bench.dashboard_stores import Place

_RESULTS = Path(__file__).parent / "results" / "dashboard.json"
_SIZE = Size(posts=5_000_000, threads=200_000, users=300_000, comments=500_000)
_QUICK_SIZE = Size(posts=50_000, threads=2_000, users=3_000, comments=5_000)
_QUEUED, _DEAD, _LEASED = 1_000_000, 10_000, 2_000
_VIEWERS, _QUICK_VIEWERS = 1_000, 100
_QUICK_SHARE = 100
_ASKED, _QUICK_ASKED = 30, 5  # times for each page
_WATCHED_SECONDS, _QUICK_WATCHED_SECONDS = 20, 2
_PAGE_MS, _FIRST_EVENT_SECONDS, _REDIS_MS = 200, 5, 10
_WRITTEN_AT_ONCE = 100  # posts, beside the building of indexes
_WRITE_SECONDS = 0.2
_INDEXED_SECONDS = 1_800  # at most


def main() -> int:
    """Measure; print tables and write the figures. 1 if a target is missed."""
    arguments = _parser().parse_args()
    processes.end_servers_when_told()
    size = _QUICK_SIZE if arguments.quick else _SIZE
    share = _QUICK_SHARE if arguments.quick else 1
    found: dict[str, Any] = {}
    with processes.redis_server() as redis_url:
        note(f"Redis: {_QUEUED // share:,} requests")
        dashboard_queue.fill(redis_url, _QUEUED // share, _DEAD // share, _LEASED // share)
        for name in arguments.stores:
            with tempfile.TemporaryDirectory(prefix="tieba-bench-") as folder:
                try:
                    with PLACES[name](Path(folder)) as place:
                        found[name] = _measure(
                            name, place, redis_url, size, Path(folder), quick=arguments.quick
                        )
                except pytest.skip.Exception as error:
                    note(f"{name}: not measured: {error}")
                    continue
            if not arguments.quick:
                _write(name, found[name])
    targets = [target for name, figures in found.items() for target in _targets(name, figures)]
    _print(found, targets)
    return 0 if all(target.met for target in targets) else 1


def _write(name: str, figures: dict[str, Any]) -> None:
    """Put a store's figures into the file, beside those of the others."""
    known = json.loads(_RESULTS.read_text(encoding="utf-8")) if _RESULTS.exists() else {}
    known[name] = figures | {"targets": [target._asdict() for target in _targets(name, figures)]}
    _RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    note(f"written: {os.path.relpath(_RESULTS)}")


def _parser() -> argparse.ArgumentParser:
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m bench.dashboard", description=description, epilog=example
    )
    parser.add_argument("--quick", action="store_true", help="with a hundredth of it; for trying")
    parser.add_argument(
        "--stores", nargs="+", choices=list(PLACES), default=list(PLACES), help="default: all"
    )
    return parser


def _measure(
    name: str, place: Place, redis_url: str, size: Size, folder: Path, *, quick: bool
) -> dict[str, Any]:
    note(f"{name}: {size.posts:,} posts")
    asyncio.run(_create(place))
    began = time.perf_counter()
    fill(place, size)
    figures: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine("starlette", "uvicorn", "Jinja2", "pymongo", "aiomysql", "redis"),
        "records": asdict(size),
        "queued": _QUEUED // (_QUICK_SHARE if quick else 1),
        "fill_seconds": round(time.perf_counter() - began, 1),
    }
    note(f"{name}: indexes, built while posts are written")
    figures["indexes"] = asyncio.run(_build_indexes(place, size))
    crawler = {"redis_url": redis_url, "storage": [name], f"{name}_url": place.url}
    with (
        dashboard_queue.working(redis_url),
        serving(folder, crawler) as app,
        Redis.from_url(redis_url) as redis,
    ):
        note(f"{name}: the search's index")
        figures["search_index_seconds"] = _wait_for_search(app, size)
        redis.config_set("slowlog-log-slower-than", _REDIS_MS * 1_000)
        redis.slowlog_reset()
        note(f"{name}: pages")
        figures["pages"] = _time_pages(app, size, _QUICK_ASKED if quick else _ASKED)
        figures["resident_mb"] = round(app.resident_mb)
        note(f"{name}: viewers")
        figures["viewers"] = asyncio.run(_time_viewers(app, quick=quick))
        figures["slow_commands"] = [
            {"command": entry["command"][:80].decode(errors="replace"), "ms": entry["duration"] / 1_000}
            for entry in redis.slowlog_get(100)
        ]
    return figures


async def _create(place: Place) -> None:
    store = place.store()
    await store.open()
    await store.close()


async def _build_indexes(place: Place, size: Size) -> dict[str, Any]:
    """Open the store as workers do, which lacks its indexes, and save posts until they are there."""
    builder, writer = place.store(), place.store()
    await writer.connect()
    began = time.perf_counter()
    opening = asyncio.create_task(builder.open())
    took: list[float] = []
    while True:
        first = 10**15 + len(took) * _WRITTEN_AT_ONCE
        posts = [Post(post_id=first + number, thread_id=1) for number in range(_WRITTEN_AT_ONCE)]
        before = time.perf_counter()
        await writer.save(posts)
        took.append(time.perf_counter() - before)
        if opening.done() and not place.lacks_indexes():
            break
        await asyncio.sleep(_WRITE_SECONDS)
    await opening
    seconds = time.perf_counter() - began
    await builder.close()
    await writer.close()
    note(f"built in {seconds:.0f} s; of {len(took)} batches the longest took {max(took):.2f} s")
    return {
        "seconds": round(seconds, 1),
        "batches_written": len(took),
        "median_write_ms": round(statistics.median(took) * 1_000),
        "longest_write_ms": round(max(took) * 1_000),
    }


def _wait_for_search(app: App, size: Size) -> float:
    """Wait until the last of the threads is found."""
    began = time.monotonic()
    last = title(size.threads - 1)
    with contextlib.closing(Visitor(app)) as visitor:
        while last not in visitor.get(f"/data/search?q={quote(last)}")[0].partition("<h2>")[2]:
            if time.monotonic() - began > _INDEXED_SECONDS:
                raise processes.BenchError("the search does not find the last thread")
            time.sleep(0.5)
    return round(time.monotonic() - began, 1)


def _time_pages(app: App, size: Size, times: int) -> list[dict[str, Any]]:
    """Ask for every page so many times, each time another one of its kind, all kinds in turn."""
    with contextlib.closing(Visitor(app)) as visitor:
        kinds = pages(size, visitor, random.Random(1))  # noqa: S311 - the same ones each time
        took: dict[str, list[float]] = {kind.name: [] for kind in kinds}
        for kind in kinds:  # connections and counts that are kept
            visitor.get(kind.path())
        for _ in range(times):
            for kind in kinds:
                text, milliseconds = visitor.get(kind.path())
                if kind.has not in text:
                    raise processes.BenchError(f"{kind.name}: the page has no {kind.has!r}")
                took[kind.name].append(milliseconds)
    return [{"page": name, **_summary(values)} for name, values in took.items()]


def _summary(milliseconds: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(statistics.median(milliseconds), 1),
        "p95_ms": round(statistics.quantiles(milliseconds, n=20, method="inclusive")[-1], 1),
        "longest_ms": round(max(milliseconds), 1),
    }


async def _time_viewers(app: App, *, quick: bool) -> dict[str, Any]:
    """Let many watch the overview, and one ask for it meanwhile."""
    count, watched = (_QUICK_VIEWERS, _QUICK_WATCHED_SECONDS) if quick else (_VIEWERS, _WATCHED_SECONDS)
    before = app.resident_mb
    async with watching(app, count) as watchers:
        first = sorted(watcher.first for watcher in watchers if watcher.first is not None)
        began, cpu, events = time.monotonic(), app.cpu_seconds, sum(watcher.events for watcher in watchers)
        visitor, took = Visitor(app), []
        while time.monotonic() - began < watched:
            took.append((await asyncio.to_thread(visitor.get, "/"))[1])
            await asyncio.sleep(0.3)
        visitor.close()
        seconds = time.monotonic() - began
        return {
            "count": count,
            "left_at_the_end": sum(watcher.is_connected for watcher in watchers),
            "first_event_seconds": {
                "median": round(statistics.median(first), 2),
                "longest": round(first[-1], 2),
            },
            "events_a_second": round((sum(watcher.events for watcher in watchers) - events) / seconds),
            "cpu_percent": round(100 * (app.cpu_seconds - cpu) / seconds),
            "resident_mb": round(app.resident_mb),
            "kb_each": round((app.resident_mb - before) * 1_024 / count),
            "overview": _summary(took),
        }


def _targets(name: str, figures: dict[str, Any]) -> list[Target]:
    slowest = max(figures["pages"], key=lambda page: page["median_ms"])
    viewers, slow = figures["viewers"], figures["slow_commands"]
    longest = viewers["first_event_seconds"]["longest"]
    are_left = viewers["left_at_the_end"] == viewers["count"]
    return [
        Target(
            f"{name}: the slowest page, at the median ({slowest['page']})",
            f"≤ {_PAGE_MS} ms",
            f"{slowest['median_ms']} ms",
            slowest["median_ms"] <= _PAGE_MS,
        ),
        Target(
            f"{name}: first event of {viewers['count']:,} viewers who come at once",
            f"≤ {_FIRST_EVENT_SECONDS} s",
            f"{longest} s",
            longest <= _FIRST_EVENT_SECONDS and are_left,
        ),
        Target(f"{name}: Redis' commands that took over {_REDIS_MS} ms", "0", str(len(slow)), not slow),
    ]


def _print(stores: dict[str, Any], targets: list[Target]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 110)
    timed = Table("page", *(f"{name}: {what}" for name in stores for what in ("median ms", "95 %")))
    rows = zip(*(found["pages"] for found in stores.values()), strict=True)
    for row in rows:
        figures = (str(page[key]) for page in row for key in ("median_ms", "p95_ms"))
        timed.add_row(row[0]["page"], *figures)
    console.print(timed)
    watched = Table("viewers", *stores)
    if stores:
        for key in next(iter(stores.values()))["viewers"]:
            watched.add_row(key, *(str(found["viewers"][key]) for found in stores.values()))
    console.print(watched)
    reached = Table("figure", "target", "measured", "", title="Targets")
    for target in targets:
        reached.add_row(*target[:-1], "met" if target.met else "[red]missed[/]")
    console.print(reached)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except processes.BenchError as error:
        sys.exit(f"error: {error}")
