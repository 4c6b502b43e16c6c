"""Compares parsing of the classic site's pages with lxml and parsel: from bytes to records, on one core.

The pages are captured ones of the real site where they lie next to the repository, else those of the stand-in
site. The readers take turns; milliseconds are medians of processor time.

example: python -m bench.pages --quick
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench.readers import OTHERS, finds_the_same, ours
from bench.report import machine, note
from replica.web.lists import forum_page
from replica.web.threads import thread_page
from replica.world import ForumSettings, World
from tieba.pages.web import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parents[1]
_CAPTURES = _ROOT.parent / "shared" / "captures"
_RESULTS = Path(__file__).parent / "results" / "pages.json"
_ROUNDS, _QUICK_ROUNDS = 300, 20
_TARGET_MS, _TARGET_BYTES = 4.0, 400_000


def main() -> int:
    """Measure each page with each reader; print a table and write the figures. 1 if a target is missed."""
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=description, epilog=example)
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_ROUNDS} rounds; for trying")
    arguments = parser.parse_args()
    keep_freed_memory()  # as workers do
    pages = _captured() or _generated()
    rounds = _QUICK_ROUNDS if arguments.quick else _ROUNDS
    rows: list[dict[str, Any]] = []
    for name, body in pages.items():
        note(name)
        answer = ours(body)
        differ = [reader for reader, read in OTHERS.items() if not finds_the_same(read(body), answer)]
        rows.append(
            {"page": name, "bytes": len(body), "milliseconds": _measure(body, rounds), "differ": differ}
        )
    _print(rows)
    if not arguments.quick:
        figures = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine("selectolax", "lxml", "parsel"),
            "rounds": rounds,
            "target": {"milliseconds": _TARGET_MS, "bytes": _TARGET_BYTES},
            "rows": rows,
        }
        _RESULTS.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        note(f"written: {os.path.relpath(_RESULTS)}")
    slowest = max(row["milliseconds"]["ours"] for row in rows if row["bytes"] <= _TARGET_BYTES)
    return 0 if slowest <= _TARGET_MS else 1


def _captured() -> dict[str, bytes]:
    paths = sorted([*_CAPTURES.glob("list/*.html"), *_CAPTURES.glob("thread/*_p?_*.html")])
    return {f"{path.parent.name}/{path.stem}": path.read_bytes() for path in paths}


def _generated() -> dict[str, bytes]:
    world = World(5, (ForumSettings("聊天", 4, 40.0),))
    forum = world.forums[0]
    longest = max(forum.listed(forum.entries), key=lambda thread: len(thread.slots))
    return {
        "stand-in list 1": forum_page(world, forum, 1, good=False),
        "stand-in list 2": forum_page(world, forum, 2, good=False),
        "stand-in thread": thread_page(world, longest, 1, starter_only=False),
    }


def _measure(body: bytes, rounds: int) -> dict[str, float]:
    readers: dict[str, Callable[[bytes], object]] = {"ours": ours, **OTHERS}
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            began = time.process_time()
            read(body)
            times[name].append(time.process_time() - began)
    return {name: round(1000 * statistics.median(found), 2) for name, found in times.items()}


def _print(rows: list[dict[str, Any]]) -> None:
    title = (
        f"Milliseconds from bytes to records; ours up to {_TARGET_BYTES // 1000} kB at most {_TARGET_MS:g}"
    )
    table = Table("page", "kB", "ours", *OTHERS, title=title)
    for row in rows:
        note_of = dict.fromkeys(row["differ"], " finds other fields")
        times = [f"{value:.2f}{note_of.get(reader, '')}" for reader, value in row["milliseconds"].items()]
        table.add_row(row["page"], f"{row['bytes'] // 1000}", *times)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    sys.exit(main())
