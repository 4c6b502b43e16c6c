"""Pages a second of plain Scrapy, scrapy-redis and the frontier, in turn, with Redis near and distant."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

from bench import processes
from bench.crawl import SYSTEMS
from bench.report import Part, Target, note

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUND_TRIP = 0.0025  # seconds
_ROUNDS = 3
# Pages of a crawl by links a page; fewer where a crawl takes many times longer: scrapy-redis, Redis distant.
_PAGES = {1: 3_000, 10: 2_400, 50: 1_200}
_SLOW_PAGES = {1: 600, 10: 240, 50: 80}
_QUICK_DIVISOR = 10
_CRAWL_SECONDS = 120
_TARGET_RATIO = 0.95


def _cases() -> Iterator[tuple[str, bool]]:
    """Give (system, whether Redis is distant); plain Scrapy uses no Redis."""
    yield "plain", False
    for is_distant in (False, True):
        for system in SYSTEMS[1:]:
            yield system, is_distant


def _measure(quick: bool) -> dict[str, Any]:
    with (
        processes.redis_server() as near,
        processes.site() as site,
        processes.distant(near, _ROUND_TRIP) as far,
    ):
        pings = [processes.ping(url) for url in (near, far)]
        note(f"round trips to Redis: {pings[0] * 1_000:.2f} and {pings[1] * 1_000:.2f} ms")
        rows = []
        for links in _PAGES:
            runs: dict[tuple[str, bool], list[dict[str, float]]] = {case: [] for case in _cases()}
            for turn in range(1 if quick else _ROUNDS):
                for system, is_distant in runs:
                    is_slow = system == "scrapy-redis" and is_distant
                    pages = (_SLOW_PAGES if is_slow else _PAGES)[links] // (_QUICK_DIVISOR if quick else 1)
                    run = _crawl(system, f"{site}/tree/{pages}/{links}/0", near, far if is_distant else near)
                    if run["pages"] != pages:
                        raise processes.BenchError(f"{system}: {run['pages']} pages instead of {pages}")
                    run["pages_per_second"] = pages / run["seconds"]
                    runs[system, is_distant].append(run)
                    where = ("near", "distant")[is_distant] if system != "plain" else ""
                    speed = f"{run['pages_per_second']:.0f} pages/s"
                    note(f"{links} links, turn {turn + 1}: {system} {where} {speed}")
            rows += [_row(links, case, runs) for case in runs]
        return {"pings_ms": [seconds * 1_000 for seconds in pings], "rows": rows}


def _crawl(system: str, url: str, redis_url: str, crawl_redis_url: str) -> dict[str, float]:
    processes.flush(redis_url)
    crawl = processes.Crawl(system, url=processes.seed(system, redis_url, url), redis=crawl_redis_url)
    return crawl.result(_CRAWL_SECONDS)


def _row(
    links: int, case: tuple[str, bool], runs: dict[tuple[str, bool], list[dict[str, float]]]
) -> dict[str, Any]:
    """Sum the runs of a case up; a run is compared with plain Scrapy's of the same turn."""
    speeds = [run["pages_per_second"] for run in runs[case]]
    plain = [run["pages_per_second"] for run in runs["plain", False]]
    ratios = [speed / other for speed, other in zip(speeds, plain, strict=True)]
    return {
        "links": links,
        "system": case[0],
        "distant": case[1],
        "pages": runs[case][0]["pages"],
        "pages_per_second": median(speeds),
        "ratio_to_plain": median(ratios),
        "processor_ms_per_page": median(run["processor_seconds"] / run["pages"] for run in runs[case])
        * 1_000,
        "runs": runs[case],
        "ratios": ratios,
    }


def _tables(figures: dict[str, Any]) -> list[Table]:
    near, far = figures["pings_ms"]
    turns = len(figures["rows"][0]["runs"])
    table = Table(
        title=f"Throughput, Redis {near:.2f} and {far:.2f} ms away",
        caption=f"16 concurrent requests, one new link a page on average; medians of {turns}.",
    )
    for column in ("links/page", "system", "Redis", "crawl of", "pages/s", "of plain", "CPU ms/page"):
        table.add_column(column, justify="left" if column in {"system", "Redis"} else "right")
    for row in figures["rows"]:
        table.add_row(
            str(row["links"]),
            row["system"],
            "" if row["system"] == "plain" else f"{far if row['distant'] else near:.1f} ms",
            f"{row['pages']:,}",
            f"{row['pages_per_second']:.0f}",
            f"{row['ratio_to_plain']:.0%}",
            f"{row['processor_ms_per_page']:.2f}",
            end_section=row["system"] == "frontier" and row["distant"],
        )
    return [table]


def _targets(figures: dict[str, Any]) -> list[Target]:
    return [
        Target(
            f"pages/s against plain Scrapy, {row['links']} links a page, Redis {_ROUND_TRIP * 1_000} ms away",
            f"≥ {_TARGET_RATIO:.0%}",
            f"{row['ratio_to_plain']:.1%}",
            row["ratio_to_plain"] >= _TARGET_RATIO,
        )
        for row in figures["rows"]
        if row["system"] == "frontier" and row["distant"]
    ]


PART = Part(_measure, _tables, _targets)
