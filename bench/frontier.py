"""Compares the frontier with plain Scrapy and with scrapy-redis.

Everything runs on this machine: a site, Redis, a proxy that makes Redis distant, and each crawl in a process
of its own. They share its cores, so the ratios count and not the absolute figures.

example: python -m bench.frontier --quick --only throughput,memory
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from redis import Redis
from rich.console import Console
from rich.table import Table

from bench import loss, memory, operations, politeness, processes, throughput
from bench.report import Part, Target, machine, note

_PARTS: dict[str, Part] = {
    "throughput": throughput.PART,
    "memory": memory.PART,
    "operations": operations.PART,
    "politeness": politeness.PART,
    "loss": loss.PART,
}
_RESULTS = Path(__file__).parent / "results" / "frontier.json"


def main() -> int:
    """Run the parts asked for; print their tables and write their figures."""
    arguments = _parser().parse_args()
    results: dict[str, object] = {
        "quick": arguments.quick,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            **machine("Scrapy", "scrapy-redis", "redis", "Twisted"),
            "redis_server": _redis_version(),
        },
    }
    tables: list[Table] = []
    targets: list[Target] = []
    for name in arguments.only:
        note(name)
        figures = _PARTS[name].measure(arguments.quick)
        results[name] = figures
        tables += _PARTS[name].tables(figures)
        targets += _PARTS[name].targets(figures)
    results["targets"] = [target._asdict() for target in targets]
    console = Console(width=None if sys.stdout.isatty() else 120)
    for table in [*tables, _target_table(targets)] if targets else tables:
        console.print(table)
    is_whole = list(_PARTS) == arguments.only and not arguments.quick
    if path := arguments.json or (_RESULTS if is_whole else None):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        note(f"written: {os.path.relpath(path)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.frontier", description=description, epilog=example)
    parser.add_argument("--quick", action="store_true", help="within a minute; for trying, not for figures")
    parser.add_argument(
        "--only", type=_parts, default=list(_PARTS), metavar="PART,…", help=f"some of {','.join(_PARTS)}"
    )
    where = os.path.relpath(_RESULTS)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"where to write the figures; of a whole run by default {where}",
    )
    return parser


def _parts(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in _PARTS:
            raise argparse.ArgumentTypeError(f"{name!r}: no such part; there are {','.join(_PARTS)}")
    return names


def _redis_version() -> str:
    with processes.redis_server() as url, Redis.from_url(url) as client:
        return str(client.info("server")["redis_version"])


def _target_table(targets: list[Target]) -> Table:
    table = Table("figure", "target", "measured", "", title="Targets")
    for target in targets:
        table.add_row(*target[:-1], "met" if target.met else "[red]missed[/]")
    return table


if __name__ == "__main__":
    try:
        sys.exit(main())
    except processes.BenchError as error:
        sys.exit(f"error: {error}")
