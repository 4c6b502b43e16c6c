"""One worker of each engine crawls the stand-in site in turn, without limits: pages a second, processor time.

Records go into JSON Lines, so that no store's server takes part; the site and Redis are on the same machine.

example: python -m bench.engines --quick
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from redis import Redis
from rich.console import Console
from rich.table import Table

from bench import processes
from bench.report import machine, note

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESULTS = Path(__file__).parent / "results" / "engines.json"
_BIN = Path(sys.executable).parent
_FORUM = "聊天"
_PAGES, _QUICK_PAGES = 15, 4  # of 50 threads
_ROUNDS, _QUICK_ROUNDS = 3, 1
_SECONDS = 600
_COMMANDS = {"scrapy": ["scrapy", "crawl", "tieba"], "urllib": ["tieba", "worker"]}
_FORMS = {
    "api, JSON": {},
    "api, protobuf": {"TIEBA_API_FORMAT": "protobuf"},
    "web": {"TIEBA_SOURCE": "web"},
}


def main() -> int:
    """Measure; print a table, and write the figures unless it was for trying."""
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.engines", description=description, epilog=example)
    parser.add_argument("--quick", action="store_true", help="a small forum, once; for trying")
    quick = parser.parse_args().quick
    rows = []
    with processes.redis_server() as redis_url, _site(_QUICK_PAGES if quick else _PAGES) as site:
        for form, settings in _FORMS.items():
            _crawl("urllib", redis_url, site, settings)  # the site makes each answer at its first asking
            runs: dict[str, list[dict[str, float]]] = {engine: [] for engine in _COMMANDS}
            for _ in range(_QUICK_ROUNDS if quick else _ROUNDS):
                for engine, found in runs.items():
                    found.append(_crawl(engine, redis_url, site, settings))
                    note(f"{form}: {engine} {found[-1]['pages_per_second']:.0f} pages/s")
            rows += [{"form": form, "engine": engine, "runs": found} for engine, found in runs.items()]
    _print(rows)
    if not quick:
        figures = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine("scrapy", "redis"),
            "rows": rows,
        }
        _RESULTS.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        note(f"written: {os.path.relpath(_RESULTS)}")
    return 0


@contextlib.contextmanager
def _site(pages: int) -> Iterator[str]:
    """Run the stand-in site; gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        port = processes.free_port()
        config = Path(folder, "replica.json")
        forums = [{"name": _FORUM, "pages": pages, "floors_per_thread": 20}]
        config.write_text(json.dumps({"host": "127.0.0.1", "port": port, "forums": forums}))
        command = [str(_BIN / "tieba-replica"), "serve", f"--config={config}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.kill()


def _crawl(engine: str, redis_url: str, site: str, settings: dict[str, str]) -> dict[str, float]:
    """Crawl once; raises BenchError if it does not end well."""
    with tempfile.TemporaryDirectory() as folder, Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.flushall()
        rates = {f"TIEBA_{name}_RATE": "100000" for name in ("THREADS", "POSTS", "COMMENTS")}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TIEBA_")},
            "TIEBA_REDIS_URL": redis_url,
            "TIEBA_STORAGE": "jsonl",
            "TIEBA_JSONL_DIR": f"{folder}/records",
            "TIEBA_SAMPLES_DIR": f"{folder}/samples",
            "TIEBA_API_URL": site,
            "TIEBA_WEB_URL": site,
            "TIEBA_LOG_LEVEL": "ERROR",
            "SCRAPY_SETTINGS_MODULE": "tieba.settings",
            **rates,
            **settings,
        }
        redis.rpush("tieba:start_urls", _FORUM)
        program, *words = _COMMANDS[engine]
        command = [str(_BIN / program), *words]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            log = process.stderr.read() if process.stderr else ""
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        crawl = redis.hgetall("{tieba}:crawl")
        pages = sum(map(int, redis.hvals("{tieba}:pages")))
    if process.returncode or crawl.get("state") != "finished" or not pages:
        raise processes.BenchError(f"{engine} has not finished the crawl: {log[-300:]}")
    seconds = float(crawl["finished_at"]) - float(crawl["started_at"])
    return {
        "pages": pages,
        "seconds": seconds,
        "pages_per_second": pages / seconds,
        "processor_ms_per_page": (used.ru_utime + used.ru_stime) / pages * 1_000,
        "memory_mb": used.ru_maxrss / 1024,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="One worker, 16 concurrent requests; medians. CPU: with the start")
    for column in ("source", "engine", "pages", "pages/s", "CPU ms/page", "memory MB"):
        table.add_column(column, justify="left" if column in {"source", "engine"} else "right")
    for row in rows:
        middle = {key: median(run[key] for run in row["runs"]) for key in row["runs"][0]}
        table.add_row(
            row["form"],
            row["engine"],
            f"{middle['pages']:,.0f}",
            f"{middle['pages_per_second']:.0f}",
            f"{middle['processor_ms_per_page']:.2f}",
            f"{middle['memory_mb']:.0f}",
            end_section=row["engine"] == "urllib",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except processes.BenchError as error:
        sys.exit(f"error: {error}")
