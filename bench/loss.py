"""Pages lost when a worker gets SIGKILL in the middle of a crawl and a fresh worker goes on to the end."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from bench import processes
from bench.crawl import SYSTEMS
from bench.report import Part, Target, note

_PAGES = 3_000
_QUICK_PAGES = 600
_KILL_AFTER = (40, 600)  # parsed pages
_QUICK_KILL_AFTER = (40,)
_LATENCY = 0.3  # seconds
_SETTINGS = '{"CONCURRENT_REQUESTS": 64, "CONCURRENT_REQUESTS_PER_DOMAIN": 64}'
_CRAWL_SECONDS = 180
_TARGET_REPEATED = 0.05


def _measure(quick: bool) -> dict[str, Any]:
    pages = _QUICK_PAGES if quick else _PAGES
    rows = []
    with processes.redis_server() as redis_url, processes.site(_LATENCY) as site:
        for kill_after, system in itertools.product(_QUICK_KILL_AFTER if quick else _KILL_AFTER, SYSTEMS[1:]):
            row = _crawl(system, redis_url, f"{site}/tree/{pages}/1/0", pages, kill_after)
            note(f"{system}, killed after {kill_after}: {row['lost']} lost, {row['repeated']} repeated")
            rows.append(row)
    return {"pages": pages, "rows": rows}


def _crawl(system: str, redis_url: str, url: str, pages: int, kill_after: int) -> dict[str, Any]:
    processes.flush(redis_url)
    with tempfile.TemporaryDirectory() as folder:
        parsed = Path(folder) / "parsed"
        parsed.touch()
        options = {"redis": redis_url, "parsed": parsed, "settings": _SETTINGS}
        worker = processes.Crawl(system, url=processes.seed(system, redis_url, url), **options)
        while len(parsed.read_text().splitlines()) < kill_after:
            worker.check()
            time.sleep(0.01)
        worker.kill()
        started = time.monotonic()
        processes.Crawl(system, **options).result(_CRAWL_SECONDS)
        addresses = parsed.read_text().split()
    return {
        "system": system,
        "killed_after": kill_after,
        "lost": pages - len(set(addresses)),
        "repeated": len(addresses) - len(set(addresses)),
        "seconds_after_kill": time.monotonic() - started,
    }


def _tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(title=f"One worker killed with SIGKILL, a fresh one goes on: {figures['pages']:,} pages")
    table.caption = f"64 concurrent requests, answers take {_LATENCY} s."
    table.add_column("system")
    for column in ("killed after", "lost", "repeated", "s to the end"):
        table.add_column(column, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["system"],
            f"{row['killed_after']} pages",
            f"{row['lost']:,} ({row['lost'] / figures['pages']:.1%})",
            f"{row['repeated']:,} ({row['repeated'] / figures['pages']:.1%})",
            f"{row['seconds_after_kill']:.0f}",
        )
    return [table]


def _targets(figures: dict[str, Any]) -> list[Target]:
    rows = [row for row in figures["rows"] if row["system"] == "frontier"]
    lost = max(row["lost"] for row in rows)
    repeated = max(row["repeated"] for row in rows) / figures["pages"]
    return [
        Target("pages lost when a worker is killed", "0", str(lost), lost == 0),
        Target(
            "pages fetched again after that",
            f"< {_TARGET_REPEATED:.0%}",
            f"{repeated:.1%}",
            repeated < _TARGET_REPEATED,
        ),
    ]


PART = Part(_measure, _tables, _targets)
