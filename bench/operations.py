"""Operations of the frontier a second: one blocking client, no latency, batches as a worker sends them."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from rich.table import Table

from bench import processes
from bench.report import Part, Target, note
from frontier.blocking import Frontier
from frontier.connection import connect_blocking
from frontier.fingerprint import fingerprint
from frontier.model import Request

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 16  # leases asked for and completions reported in one call
_PUSH_BATCH = 100
_REQUESTS = 40_000
_QUICK_REQUESTS = 4_000
_FOLLOW_UPS = (0, 10)  # of each request that is completed; one of ten is new, as in a crawl
_OWNER = "bench"


def _requests(start: int = 0) -> Iterator[Request]:
    for number in itertools.count(start):
        url = f"https://tieba.baidu.com/p/{8_000_000_000 + number}?pn=1"
        yield Request("posts", f'{{"url":"{url}"}}', fingerprint=fingerprint(url))


def _measure(quick: bool) -> dict[str, Any]:
    count = _QUICK_REQUESTS if quick else _REQUESTS
    rows = []
    with processes.redis_server() as url, connect_blocking(url) as client:
        frontier = Frontier(client, "bench")
        fresh = _requests()
        batches = [list(itertools.islice(fresh, _PUSH_BATCH)) for _ in range(count // _PUSH_BATCH)]
        started = time.perf_counter()
        for batch in batches:
            frontier.push(batch)
        rows.append(_row(f"push, {_PUSH_BATCH} a call", count, len(batches), time.perf_counter() - started))
        known = list(itertools.islice(_requests(), 1_000))
        for follow_ups in _FOLLOW_UPS:
            rows += _cycle(frontier, count // len(_FOLLOW_UPS), follow_ups, known, fresh)
    for row in rows:
        note(f"{row['operation']}: {row['per_second']:,.0f} requests/s")
    return {"rows": rows}


def _cycle(
    frontier: Frontier, count: int, follow_ups: int, known: list[Request], fresh: Iterator[Request]
) -> list[dict[str, Any]]:
    lease_seconds = complete_seconds = 0.0
    calls = count // _BATCH
    for _ in range(calls):
        started = time.perf_counter()
        leased = frontier.lease(_BATCH, _OWNER)
        lease_seconds += time.perf_counter() - started
        new = follow_ups // 10
        done = [
            (lease.id, [*itertools.islice(fresh, new), *known[: follow_ups - new]]) for lease in leased.leases
        ]
        started = time.perf_counter()
        accepted = frontier.complete(_OWNER, done)
        complete_seconds += time.perf_counter() - started
        if len(accepted) != _BATCH:
            raise processes.BenchError(f"complete: {len(accepted)} of {_BATCH} accepted")
    requests = calls * _BATCH
    leases = [] if follow_ups else [_row(f"lease, {_BATCH} a call", requests, calls, lease_seconds)]
    return [
        *leases,
        _row(f"complete, {_BATCH} a call, {follow_ups} follow-ups each", requests, calls, complete_seconds),
    ]


def _row(operation: str, requests: int, calls: int, seconds: float) -> dict[str, Any]:
    return {
        "operation": operation,
        "requests": requests,
        "per_second": requests / seconds,
        "ms_per_call": seconds / calls * 1_000,
    }


def _tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(title="Operations of one client, one at a time")
    table.add_column("operation")
    table.add_column("requests/s", justify="right")
    table.add_column("ms a call", justify="right")
    for row in figures["rows"]:
        table.add_row(row["operation"], f"{row['per_second']:,.0f}", f"{row['ms_per_call']:.2f}")
    return [table]


def _targets(_: dict[str, Any]) -> list[Target]:
    return []


PART = Part(_measure, _tables, _targets)
