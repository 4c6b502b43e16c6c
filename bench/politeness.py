"""The rate that a site sees of several workers that share a limit, and how late a rare slot is served."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from typing import Any

from rich.table import Table

from bench import processes
from bench.report import Part, Target, note
from frontier.blocking import Frontier
from frontier.connection import connect_blocking
from frontier.model import Limit, Request

_RATE = 20.0  # requests a second, of all workers together
_BURST = 5
# 16 workers of scrapy-redis would send 320 requests a second, which two cores hardly bear.
_WORKERS = {"scrapy-redis": (4, 1), "frontier": (16, 4, 1)}
_QUICK_WORKERS = {"scrapy-redis": (1,), "frontier": (4, 1)}
_WINDOW_SECONDS = 20.0
_QUICK_WINDOW_SECONDS = 6.0
_SETTLE_SECONDS = 6.0  # an idle scrapy-redis spider looks for new requests every 5 seconds
_START_SECONDS = 60.0
_PAGES = 100_000  # more than can be crawled meanwhile
_SETTINGS: dict[str, dict[str, Any]] = {
    # All that Scrapy has for it; the random factor of each delay, 1 on average, is left out.
    "scrapy-redis": {
        "DOWNLOAD_DELAY": 1 / _RATE,
        "RANDOMIZE_DOWNLOAD_DELAY": False,
        "MAX_IDLE_TIME_BEFORE_CLOSE": 0,
    },
    "frontier": {"FRONTIER_LIMITS": {"127.0.0.1": (_RATE, _BURST)}},
}
_TARGET_DEVIATION = 0.02
_TARGET_LATE_SECONDS = 2.0


def _measure(quick: bool) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for system in _WORKERS:
        rows += _rates(system, quick)
    return {"rate": _RATE, "burst": _BURST, "rows": rows, "starvation": _starvation(quick)}


def _rates(system: str, quick: bool) -> list[dict[str, Any]]:
    """Crawl with each number of workers at the same time, each with a site and a Redis of its own."""
    window = _QUICK_WINDOW_SECONDS if quick else _WINDOW_SECONDS
    numbers = (_QUICK_WORKERS if quick else _WORKERS)[system]
    with contextlib.ExitStack() as stack:
        sites = []
        for workers in numbers:
            crawls = []
            redis_url = stack.enter_context(processes.redis_server())
            site = stack.enter_context(processes.site())
            url = processes.seed(system, redis_url, f"{site}/tree/{_PAGES}/1/0")
            for _ in range(workers):
                crawl = processes.Crawl(
                    system, url=url, redis=redis_url, settings=json.dumps(_SETTINGS[system])
                )
                stack.callback(crawl.kill)
                crawls.append(crawl)
            sites.append(site)
            # One number after another: a machine that is busy with starting Python measures badly.
            deadline = time.monotonic() + _START_SECONDS
            for crawl in crawls:
                crawl.wait_for("Spider opened", deadline)
        time.sleep(_SETTLE_SECONDS)
        from_ = time.monotonic()
        time.sleep(window)
        to = time.monotonic()
        arrivals = [_arrivals(site) for site in sites]
    rows = []
    for workers, times in zip(numbers, arrivals, strict=True):
        rate = sum(from_ <= at < to for at in times) / (to - from_)
        rows.append(
            {
                "system": system,
                "workers": workers,
                "per_second": rate,
                "excess": _excess(times),
                "arrivals": len(times),
            }
        )
        note(f"{system}, {workers} workers: {rate:.2f}/s, {rows[-1]['excess']:.2f} above the rate at most")
    return rows[::-1]


def _arrivals(site: str) -> list[float]:
    with urllib.request.urlopen(f"{site}/arrivals") as answer:  # noqa: S310 - our own address
        return [at for at, _ in json.load(answer)]


def _excess(times: list[float]) -> float:
    """Give the largest number of requests above the rate, of all stretches of time.

    With a token bucket it is at most the burst.
    """
    largest = lowest = 0.0
    for count, at in enumerate(times):
        above = count - _RATE * (at - times[0])
        lowest = min(lowest, above)
        largest = max(largest, above + 1 - lowest)
    return largest


def _starvation(quick: bool) -> list[dict[str, Any]]:
    """See how late turns of a slot with a thousandth of another's requests come, one worker serving both."""
    rare = 4 if quick else 10
    rows = []
    for priority in (0, -1):
        with processes.redis_server() as url, connect_blocking(url) as client:
            frontier = Frontier(client, "bench")
            for _ in range(rare):
                frontier.push(Request("many", "") for _ in range(1_000))
            frontier.push(Request("rare", "", priority) for _ in range(rare))
            row = {"priority": priority, "requests": rare, "latest_seconds": _latest(frontier, rare)}
        note(f"rare slot of priority {priority}: {row['latest_seconds']:.2f} s late at most")
        rows.append(row)
    return rows


def _latest(frontier: Frontier, rare: int) -> float:
    limits = {"many": Limit(1_000, 50), "rare": Limit(2)}
    latest = 0.0
    served = 0
    started = time.monotonic()
    while served < rare:
        leased = frontier.lease(16, "bench", limits=limits)
        for lease in leased.leases:
            time.sleep(max(0.0, lease.wait))
            if lease.endpoint == "rare":
                due = started + served / limits["rare"].rate
                latest = max(latest, time.monotonic() - due)
                served += 1
        frontier.complete("bench", [(lease.id, []) for lease in leased.leases])
        if not leased.leases:
            time.sleep(leased.wait or 0.0)
    return latest


def _tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(title=f"Politeness: limit {_RATE:.0f}/s, {_BURST} at once")
    table.add_column("system")
    for column in ("workers", "requests/s at the site", "of the limit", "most above the rate"):
        table.add_column(column, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["system"],
            str(row["workers"]),
            f"{row['per_second']:.2f}",
            f"{row['per_second'] / _RATE:.0%}",
            f"{row['excess']:.1f} requests",
        )
    rare = Table("priority", "latest turn", title="A slot with a thousandth of another's requests, 2/s")
    for row in figures["starvation"]:
        name = "the same" if row["priority"] == 0 else "lower than the other's"
        rare.add_row(name, f"{row['latest_seconds']:.2f} s late")
    return [table, rare]


def _targets(figures: dict[str, Any]) -> list[Target]:
    rows = [row for row in figures["rows"] if row["system"] == "frontier"]
    rates = [
        Target(
            f"requests/s at the site, {row['workers']} workers",
            f"{_RATE:.0f} ± {_TARGET_DEVIATION:.0%}",
            f"{row['per_second']:.2f}",
            abs(row["per_second"] / _RATE - 1) <= _TARGET_DEVIATION,
        )
        for row in rows
    ]
    excess = max(row["excess"] for row in rows)
    late = max(row["latest_seconds"] for row in figures["starvation"])
    return [
        *rates,
        Target("burst at the site, requests", f"≤ {_BURST}", f"{excess:.1f}", excess <= _BURST),
        Target(
            "rare slot's turns late by",
            f"≤ {_TARGET_LATE_SECONDS:.0f} s",
            f"{late:.2f} s",
            late <= _TARGET_LATE_SECONDS,
        ),
    ]


PART = Part(_measure, _tables, _targets)
