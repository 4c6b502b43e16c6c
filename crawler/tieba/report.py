"""What came of a crawl: what was done and stored, and how that compares with the stand-in site's truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tieba.checks import store_problem
from tieba.errors import Unusable
from tieba.pages import Fetch, ForumPage, Outcome
from tieba.status import Watcher, duration, request_text, seed_text
from tieba.storage import ForumTotals, Query, StoreError
from tieba.storage.stores import open_reader
from tieba.truth import DIFFERENCES, compare, fetch_stats, fetch_truth, pages_of, why_not
from tieba.updating import CLOCK_MARGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frontier import Letter
    from tieba.config import Config
    from tieba.storage import Store

    Report = dict[str, Any]

_LETTERS = 1_000  # the latest, to be counted by forum
# Outcomes of requests that no way to crawl the same data could have spared.
_USEFUL = {outcome.value for outcome in Outcome} - {"verification", "rate_limited", "unknown"}


async def make_report(config: Config, truth_url: str | None) -> Report:
    """Gather the report of the present crawl; raises Unusable."""
    watcher = Watcher(config)
    try:
        status = await watcher.status()
        letters = await watcher.dead_letters(_LETTERS)
    finally:
        await watcher.close()
    crawl = status["crawl"]
    if crawl["state"] == "none":
        raise Unusable("there is no crawl to report on; begin one, e.g.: tieba seed --forum 聊天 --pages 20")
    since = datetime.fromtimestamp(crawl["started_at"], tz=timezone.utc) - CLOCK_MARGIN
    report: Report = {
        "crawl": crawl,
        "requests": status["requests"],
        "rate": status["rate"],
        "slaves": [
            {
                "host": slave["host"],
                "pages": slave["done"],
                "rate": round(slave["done"] / crawl["seconds"], 1) if crawl["seconds"] else 0.0,
            }
            for slave in status["slaves"]
        ],
        "outcomes": status["outcomes"],
        "errors": status["errors"],
    }
    made = sum(status["outcomes"].values())
    report["requests"] |= {
        "made": made,
        "in_vain": sum(count for name, count in status["outcomes"].items() if name not in _USEFUL),
    }
    seeds = crawl["seeds"]
    try:
        store = await open_reader(config)
        try:
            report["stored"] = await store.counts()
            report["forums"] = await _forums(store, report, letters, since)
            if truth_url is not None:
                report["site"] = await asyncio.to_thread(fetch_stats, truth_url)
                report["not_compared"] = why_not(seeds, made)
                if report["not_compared"] is None:
                    truth = await asyncio.to_thread(fetch_truth, truth_url, seeds, config.source)
                    report["truth"] = await compare(store, truth, seeds, since)
                    if not any(seed.get("update") for seed in seeds):
                        report["requests"]["fewest"] = sum(truth.fewest.values()) or None
        finally:
            await store.close()
    except StoreError as error:
        raise store_problem(error) from None
    report["complete"] = is_complete(report)
    return report


async def _forums(store: Store, report: Report, letters: Sequence[Letter], since: datetime) -> list[Report]:
    """Tell of every forum of the seeds what the site claims, what was done, and why the two differ."""
    seeds: dict[str, list[Report]] = {}
    for seed in report["crawl"]["seeds"]:
        if "forum" in seed:
            seeds.setdefault(seed["forum"], []).append(seed)
    if not seeds:
        return []
    stored = {forum["name"]: forum async for forum in store.scan(Query(collection="forums"))}
    totals = {total.forum_id: total for total in await store.totals(since)}
    failed = await _failed(store, letters)
    rows = []
    for name, own in seeds.items():
        known = stored.get(name, {})
        forum_id = known.get("forum_id", 0)
        row = {
            "name": name,
            "claimed": known.get("thread_count"),
            **asdict(totals.get(forum_id, ForumTotals(forum_id, 0, 0, 0, 0, 0))),
            "forum_id": known.get("forum_id"),
            "failed": failed[name] + failed[forum_id],
        }
        rows.append({**row, "why": _why(row, own, report["requests"]["made"])})
    return rows


async def _failed(store: Store, letters: Sequence[Letter]) -> Counter[str | int]:
    """Count dead letters by the name of their forum, or by the id of the one that their thread is in."""
    counts: Counter[str | int] = Counter()
    for letter in letters:
        with contextlib.suppress(ValueError, RecursionError):
            target = Fetch.from_json(json.loads(letter.payload)).target
            if isinstance(target, ForumPage):
                counts[target.forum] += 1
                continue
            async for thread in store.scan(Query(collection="threads", thread_id=target.thread_id)):
                counts[thread["forum_id"]] += 1
    return counts


def _why(row: Report, seeds: Sequence[Report], made: int) -> list[str]:
    """Say why the numbers of a forum differ from what it claims."""
    why = []
    for seed in seeds:
        first, last = pages_of(seed)
        if (first, last) != (1, None):
            why.append(f"only list pages {first} to {last or 'the last'} were asked for")
        if seed.get("good"):
            why.append("only good threads were asked for")
        if made >= seed.get("max_requests", made + 1):
            why.append(f"the crawl ended at max_requests {seed['max_requests']}")
    if row["not_fetched"]:
        dated = any("since" in seed for seed in seeds)
        reason = "no reply since the day that was asked for, or " if dated else ""
        why.append(
            f"{row['not_fetched']} threads were listed and not fetched: {reason}their requests failed or wait"
        )
    if row["claimed"] is None:
        why.append("the site told nothing of this forum")
    elif not why and row["listed"] < row["claimed"]:
        why.append("its lists do not show all threads: no hidden ones, and none beyond some 100,000")
    elif row["listed"] > row["claimed"]:
        why.append("lists go on naming threads that are gone and no longer counted")
    return why


def is_complete(report: Report) -> bool:
    """Tell whether the crawl is finished, nothing failed and, where the truth is known, nothing differs."""
    return (
        report["crawl"]["state"] == "finished"
        and not report["requests"]["failed"]
        and not any(
            found[kind]["count"] for found in report.get("truth", {}).values() for kind in DIFFERENCES
        )
    )


def print_report(report: Report) -> None:
    """Print the report for people."""
    console = Console(soft_wrap=True)
    crawl, requests = report["crawl"], report["requests"]
    seeds = ", ".join(seed_text(seed) for seed in crawl["seeds"])
    console.print(
        Text(
            f"Crawl {crawl['state']}: {requests['done']} pages in {duration(crawl['seconds'])}: {seeds}",
            style="bold",
        )
    )
    slaves = Table("slave", box=None, pad_edge=False)
    slaves.add_column("pages", justify="right")
    slaves.add_column("pages/s", justify="right")
    for slave in report["slaves"]:
        slaves.add_row(slave["host"], str(slave["pages"]), f"{slave['rate']:.1f}")
    console.print(slaves)
    console.print(_stored_table(report))
    if report["forums"]:
        console.print(_forums_table(report["forums"]))
    for forum in report["forums"]:
        if forum["why"]:
            console.print(Text(f"          {forum['name']}: {'; '.join(forum['why'])}"))
    fewest = requests.get("fewest")
    least = f"; the fewest for all of it are {fewest}" if fewest else ""
    console.print(Text(f"requests  {requests['made']} made, {requests['in_vain']} of them in vain{least}"))
    if "site" in report:
        site = report["site"]
        console.print(Text(f"repeats   {site['repeats']} of {site['answers']} answers of the site"))
    outcomes = ", ".join(f"{count} {name}" for name, count in report["outcomes"].items()) or "none"
    console.print(Text(f"outcomes  {outcomes}"))
    console.print(Text(f"failed    {requests['failed']} requests", style="red" if requests["failed"] else ""))
    for error in report["errors"]:
        console.print(Text(f"          {request_text(error['request'])}: {error['reason']}"))
    for name, found in report.get("truth", {}).items():
        for kind in DIFFERENCES:
            for example in found[kind]["examples"]:
                console.print(
                    Text(f"{kind:10}{name}: {json.dumps(example, ensure_ascii=False)[:300]}", style="red")
                )
    if report.get("not_compared"):
        console.print(Text(f"Not compared with the truth: {report['not_compared']}", style="yellow"))
    if report["complete"]:
        told = "nothing is missing, nothing is doubled" if "truth" in report else "nothing failed"
        console.print(Text(f"Complete: {told}.", style="bold green"))
    else:
        console.print(Text("Not complete.", style="bold red"))
    console.print(
        Text(
            "Look next: tieba status; journalctl -u 'tieba-crawler@*' on the slaves; "
            "the records: tieba export --help"
        )
    )


def _stored_table(report: Report) -> Table:
    table = Table("stored", box=None, pad_edge=False)
    titles = ("records", *(("true", *DIFFERENCES) if "truth" in report else ()))
    for title in titles:
        table.add_column(title, justify="right")
    for name, count in report["stored"].items():
        found = report.get("truth", {}).get(name)
        cells = [str(found["true"]), *(str(found[kind]["count"]) for kind in DIFFERENCES)] if found else []
        table.add_row(name, str(count), *cells)
    return table


def _forums_table(forums: Sequence[Report]) -> Table:
    table = Table("threads", box=None, pad_edge=False)
    columns = ("claimed", "listed", "fetched", "unchanged", "not_fetched", "gone", "failed")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for forum in forums:
        table.add_row(forum["name"], *("?" if forum[name] is None else str(forum[name]) for name in columns))
    return table
