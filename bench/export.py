"""Measures `tieba export`: a million posts out of real servers, as a command of its own each time.

Records are made here and stored in servers that start and end with this program. Seconds are medians of some
runs, from the start of the command to its end; memory is the largest resident set of any of them.

example: python -m bench.export --quick --formats parquet csv
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.table import Table

from bench.report import machine, note
from tests.conftest import empty_database, free_port, mariadbd_command, mongod_command, running
from tieba.records import Forum, Post, Thread
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tieba.records import Storable
    from tieba.storage import Store

_RESULTS = Path(__file__).parent / "results" / "export.json"
_POSTS = 1_000_000
_QUICK_POSTS = 20_000
_FLOORS = 100  # of each thread
_BATCH = 5_000
_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
_FORMATS = ("parquet", "csv", "jsonl", "xlsx")
_RUNS = 3
_TARGET_FORMAT, _TARGET_SECONDS, _TARGET_MB = "parquet", 60, 500


@contextlib.contextmanager
def _mongodb(folder: Path) -> Iterator[tuple[str, Store]]:
    port = free_port()
    with running(mongod_command(port, folder), port, folder / "log"):
        url = f"mongodb://127.0.0.1:{port}/bench"
        yield url, MongoStore(url)


@contextlib.contextmanager
def _mysql(folder: Path) -> Iterator[tuple[str, Store]]:
    port = free_port()
    server = running(mariadbd_command(port, folder), port, folder / "log")
    with server, contextlib.contextmanager(empty_database)(port) as url:
        yield url, MysqlStore(url)


_STORES: dict[str, Callable[[Path], contextlib.AbstractContextManager[tuple[str, Store]]]] = {
    "mongodb": _mongodb,
    "mysql": _mysql,
}


def main() -> int:
    """Measure the stores asked for; print a table and write the figures. 1 if a target is missed."""
    arguments = _parser().parse_args()
    posts = _QUICK_POSTS if arguments.quick else _POSTS
    rows = []
    for name in arguments.stores:
        with tempfile.TemporaryDirectory() as folder:
            try:
                with _STORES[name](Path(folder)) as (url, store):
                    note(f"{name}: storing {posts:,} posts")
                    asyncio.run(_fill(store, posts))
                    rows += [_measure(name, url, kind, posts, Path(folder)) for kind in arguments.formats]
            except pytest.skip.Exception as error:
                note(f"{name}: not measured: {error}")
        if not arguments.quick:
            _write(rows)
    _print(rows)
    return 0 if all(row["met"] for row in rows) else 1


def _write(rows: list[dict[str, object]]) -> None:
    figures = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine("pyarrow", "pymongo", "aiomysql"),
        "rows": rows,
    }
    _RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    note(f"written: {os.path.relpath(_RESULTS)}")


def _parser() -> argparse.ArgumentParser:
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.export", description=description, epilog=example)
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_POSTS:,} posts; for trying")
    parser.add_argument(
        "--stores", nargs="+", choices=list(_STORES), default=list(_STORES), help="default: all"
    )
    parser.add_argument(
        "--formats", nargs="+", choices=_FORMATS, default=[_TARGET_FORMAT], help="default: parquet"
    )
    return parser


async def _fill(store: Store, posts: int) -> None:
    await store.open()
    await store.save([Forum(forum_id=1, name="聊天")])
    for first in range(0, posts, _BATCH):
        await store.save(list(_records(first, min(first + _BATCH, posts))))
    await store.close()


def _records(first: int, end: int) -> Iterator[Storable]:
    for number in range(first, end):
        thread_id = 8_000_000_000 + number // _FLOORS
        if number % _FLOORS == 0:
            yield Thread(thread_id=thread_id, forum_id=1, title=f"题目{number}", created_at=_BEGIN)
        yield Post(
            post_id=150_000_000_000 + number,
            thread_id=thread_id,
            forum_id=1,
            floor=number % _FLOORS + 1,
            author_id=number * 7919 % 100_000 + 1,
            author_name=f"用户{number * 7919 % 100_000}",
            text=f"第{number}楼，" + "说了一些话。" * (number % 23),
            images=(f"https://pictures.example/{number}.jpg",) if number % 10 == 0 else (),
            created_at=_BEGIN + timedelta(seconds=number),
            comment_count=number % 3,
            client="Android",
            ip_place="北京",
        )


def _measure(store: str, url: str, kind: str, posts: int, folder: Path) -> dict[str, object]:
    seconds, busy, largest = [], [], 0
    path = folder / f"posts.{kind}"
    for _ in range(_RUNS):
        command = [
            sys.executable,
            "-m",
            "tieba.cli",
            "export",
            "--format",
            kind,
            "--forum",
            "聊天",
            "--force",
        ]
        environment = {**os.environ, "TIEBA_STORAGE": store, f"TIEBA_{store.upper()}_URL": url}
        started = time.perf_counter()
        with subprocess.Popen(
            [*command, "--out", str(path)], env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds.append(time.perf_counter() - started)
            busy.append(used.ru_utime + used.ru_stime)
            told = process.stdout.read() if process.stdout else ""
        if process.returncode or not told.startswith(f"{posts:,} posts"):
            raise SystemExit(f"error: {store}, {kind}: exit status {process.returncode}: {told}")
        largest = max(largest, used.ru_maxrss)
    median, megabytes = statistics.median(seconds), largest / 1_000
    note(f"{store}, {kind}: {median:.1f} s, {megabytes:.0f} MB resident")
    return {
        "store": store,
        "format": kind,
        "posts": posts,
        "seconds": [round(value, 2) for value in seconds],
        "median_seconds": round(median, 2),
        "median_cpu_seconds": round(statistics.median(busy), 2),  # of the command alone, whatever else runs
        "resident_mb": round(megabytes),
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "met": kind != _TARGET_FORMAT or (median <= _TARGET_SECONDS and megabytes <= _TARGET_MB),
    }


def _print(rows: list[dict[str, object]]) -> None:
    target = f"{_TARGET_FORMAT}: ≤ {_TARGET_SECONDS} s, ≤ {_TARGET_MB} MB"
    table = Table(
        "store", "format", "seconds", "CPU", "resident MB", "file MB", title=f"tieba export ({target})"
    )
    for row in rows:
        columns = ("store", "format", "median_seconds", "median_cpu_seconds", "resident_mb", "file_mb")
        table.add_row(*(str(row[name]) for name in columns), style=None if row["met"] else "red")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


if __name__ == "__main__":
    sys.exit(main())
