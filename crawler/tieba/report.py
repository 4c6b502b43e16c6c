"""What came of a crawl: what was done and stored, and how that compares with the stand-in site's truth."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tieba.checks import store_problem
from tieba.errors import Unusable
from tieba.pages import Outcome
from tieba.status import Watcher
from tieba.storage import StoreError
from tieba.storage.stores import open_reader
from tieba.totals import FAILED, REFUSED, GivenUp, forum_totals
from tieba.truth import DIFFERENCES, compare, fetch_stats, fetch_truth, why_not
from tieba.updating import CLOCK_MARGIN
from tieba.wording import duration, maximum_text, request_text, seed_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.config import Config

    Report = dict[str, Any]

# Outcomes of requests that no way to crawl the same data could have spared.
_USEFUL = {outcome.value for outcome in Outcome} - {"verification", "rate_limited", "unknown"}


async def make_report(config: Config, truth_url: str | None) -> Report:
    """Gather the report of the present crawl; raises Unusable."""
    watcher = Watcher(config)
    given_up = GivenUp()
    try:
        status = await watcher.status()
        async for letter in watcher.dead_letters():
            given_up.take(letter)
    finally:
        await watcher.close()
    crawl = status["crawl"]
    if crawl["state"] == "none":
        raise Unusable("there is no crawl to report on; begin one, e.g.: tieba seed --forum 聊天 --pages 20")
    seeds, seconds = crawl["seeds"], crawl["seconds"]
    report: Report = {
        **{name: status[name] for name in ("crawl", "maximum", "requests", "rate", "outcomes", "errors")},
        "slaves": [
            {
                "host": slave["host"],
                "pages": slave["done"],
                "rate": round(slave["done"] / seconds, 1) if seconds else 0.0,
            }
            for slave in status["slaves"]
        ],
    }
    requests = report["requests"]
    useful = min(_useful(config, report, given_up.answered), requests["made"])
    requests |= {"in_vain": requests["made"] - useful, "fewest": useful, "fewest_by": "answers"}
    since = datetime.fromtimestamp(crawl["started_at"], tz=timezone.utc) - CLOCK_MARGIN
    unfinished = _unfinished(report)
    try:
        store = await open_reader(config)
        try:
            report["stored"] = await store.counts()
            report["forums"] = await forum_totals(store, seeds, since, given_up, unfinished)
            if truth_url is not None:
                report["site"] = await asyncio.to_thread(fetch_stats, truth_url)
                report["not_compared"] = why_not(seeds) or (report["maximum"] and unfinished)
                if report["not_compared"] is None:
                    truth = await asyncio.to_thread(fetch_truth, truth_url, seeds, config.source)
                    report["truth"] = await compare(store, truth, seeds, since)
                    # Which requests an update can spare, the site cannot know.
                    if truth.fewest and not any(seed.get("update") for seed in seeds):
                        requests |= {"fewest": sum(truth.fewest.values()), "fewest_by": "site"}
        finally:
            await store.close()
    except StoreError as error:
        raise store_problem(error) from None
    report["result"] = result_of(report)
    report["complete"] = report["result"] == "complete"
    return report


def _unfinished(report: Report) -> str | None:
    """Say why something of the crawl is left; None where nothing is."""
    maximum, requests = report["maximum"], report["requests"]
    if report["crawl"]["state"] != "finished":
        left = requests["queued"] + requests["leased"] + requests["delayed"]
        return f"the crawl goes on, with {left} known requests left"
    if maximum is None:
        return None
    together = " of all seeds together" if len(report["crawl"]["seeds"]) > 1 else ""
    return f"the crawl ended at its maximum of {maximum['requests']} requests{together}"


def _useful(config: Config, report: Report, answered: int) -> int:
    """Count the requests that brought something which could not be had with fewer, as far as can be told.

    Those are not: failures and what was sent again, answers to crawls that are too fast, empty pages. Pages
    that were done, and refusals that were `answered`, the frontier knows; which of them were empty, the
    workers tell.
    """
    outcomes = report["outcomes"]
    if config.scheduler != "frontier":
        return sum(count for outcome, count in outcomes.items() if outcome in _USEFUL)
    useful: int = report["requests"]["done"] - outcomes.get("empty", 0) + answered
    return useful


def result_of(report: Report) -> str:
    """Tell in a word how the crawl stands: running, failed, different, maximum or complete.

    It failed where requests are dead letters, is different from the truth where that is known, or ended at
    its maximum of requests before its end.
    """
    if report["crawl"]["state"] != "finished":
        return "running"
    if report["requests"]["failed"]:
        return "failed"
    if any(found[kind]["count"] for found in report.get("truth", {}).values() for kind in DIFFERENCES):
        return "different"
    return "maximum" if report["maximum"] else "complete"


def is_as_asked(report: Report) -> bool:
    """Tell whether the crawl ended as it was asked to, which is also at its maximum of requests."""
    return report["result"] in {"complete", "maximum"}


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
    by = "by the site's own count" if requests["fewest_by"] == "site" else "as far as the answers tell"
    console.print(
        Text(
            f"requests  {requests['made']} made, {requests['in_vain']} of them in vain; "
            f"the fewest for the same data are {requests['fewest']}, {by}"
        )
    )
    if "site" in report:
        site = report["site"]
        console.print(Text(f"repeats   {site['repeats']} of {site['answers']} answers of the site"))
    outcomes = ", ".join(f"{count} {name}" for name, count in report["outcomes"].items()) or "none"
    told_of = sum(report["outcomes"].values())
    untold = f" (workers lived to tell of {told_of})" if told_of < requests["made"] else ""
    console.print(Text(f"outcomes  {outcomes}{untold}"))
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
    if report["maximum"]:
        console.print(Text(f"Crawl {maximum_text(report['maximum'])}.", style="bold yellow"))
    if report["complete"]:
        told = "nothing is missing, nothing is doubled" if "truth" in report else "nothing failed"
        console.print(Text(f"Complete: {told}.", style="bold green"))
    elif not is_as_asked(report):
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
    columns = ("claimed", "listed", "fetched", "unchanged", "not_fetched", "gone", REFUSED, FAILED)
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for forum in forums:
        table.add_row(forum["name"], *("?" if forum[name] is None else str(forum[name]) for name in columns))
    return table
