"""What came of a crawl: what was done and stored, and how that compares with the stand-in site's truth."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pymongo import errors as mongo_errors
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tieba.checks import Unusable, store_problem
from tieba.records import RECORD_TYPES
from tieba.status import Watcher, duration, request_text, seed_text
from tieba.storage import StoreError
from tieba.storage.mongodb import MongoStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from tieba.config import Config

    Report = dict[str, Any]

EXAMPLES = 5  # of every kind of difference
_BATCH = 1_000
_TRUTH_TIMEOUT_SECONDS = 120
# The clocks of Redis and MongoDB may differ by a little; two crawls are further apart than this.
_CLOCK_MARGIN = timedelta(seconds=1)
_COMPARED = {kind.__name__.lower(): kind for kind in RECORD_TYPES if kind.__name__ != "User"}
# By what two records are the same one, whatever their keys are. Floors have no number here: that of a floor
# which comes on two pages depends on the page.
_IDENTITIES = {
    "forum": ("name",),
    "thread": ("forum_id", "author_id", "author_name", "title", "created_at"),
    "post": ("thread_id", "author_id", "author_name", "text", "created_at"),
    "comment": ("post_id", "author_id", "author_name", "text", "created_at"),
}
_DIFFERENCES = ("missing", "unexpected", "doubled", "wrong")


async def make_report(config: Config, truth_url: str | None) -> Report:
    """Gather the report of the present crawl; raises Unusable."""
    watcher = Watcher(config)
    try:
        status = await watcher.status()
    finally:
        await watcher.close()
    crawl = status["crawl"]
    if crawl["state"] == "none":
        raise Unusable("there is no crawl to report on; begin one, e.g.: tieba seed --forum 聊天 --pages 20")
    since = datetime.fromtimestamp(crawl["started_at"], tz=timezone.utc) - _CLOCK_MARGIN
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
    store = MongoStore(config.mongodb_url)
    try:
        collections = {name: store.database[kind.collection] for name, kind in _COMPARED.items()}
        seen_now = {"last_seen": {"$gte": since}}
        report["stored"] = {
            kind.collection: await store.database[kind.collection].count_documents(seen_now)
            for kind in RECORD_TYPES
        }
        if truth_url is not None:
            truth = await asyncio.to_thread(_fetch_truth, truth_url, crawl["seeds"])
            report["truth"] = {
                _COMPARED[name].collection: await _compare(
                    collections[name], _COMPARED[name].key_field, _IDENTITIES[name], records, since
                )
                for name, records in truth.items()
            }
            report["site"] = await asyncio.to_thread(_fetch_stats, truth_url)
    except StoreError as error:
        raise store_problem(error, config) from None
    except mongo_errors.PyMongoError as error:
        raise Unusable(f"MongoDB: {' '.join(str(error).split())[:200]}") from None
    finally:
        await store.close()
    report["complete"] = is_complete(report)
    return report


def is_complete(report: Report) -> bool:
    """Tell whether the crawl is finished, nothing failed and, where the truth is known, nothing differs."""
    return (
        report["crawl"]["state"] == "finished"
        and not report["requests"]["failed"]
        and not any(
            found[kind]["count"] for found in report.get("truth", {}).values() for kind in _DIFFERENCES
        )
    )


async def _compare(
    collection: AsyncCollection[dict[str, Any]],
    key_field: str,
    identity: Sequence[str],
    truth: Mapping[int, Report],
    since: datetime,
) -> Report:
    """Hold what was stored since a time against the true records, by their keys."""
    found: dict[str, Report] = {kind: {"count": 0, "examples": []} for kind in _DIFFERENCES}
    for batch in _batches(list(truth)):
        stored = {
            document["_id"]: document
            async for document in collection.find({"_id": {"$in": batch}, "last_seen": {"$gte": since}})
        }
        for key in batch:
            if key not in stored:
                _add(found["missing"], {key_field: key})
            else:
                for difference in _differences(stored[key], truth[key]):
                    _add(found["wrong"], {key_field: key, **difference})
    stored_count = 0
    async for document in collection.find({"last_seen": {"$gte": since}}, {"_id": 1}):
        stored_count += 1
        if document["_id"] not in truth:
            _add(found["unexpected"], {key_field: document["_id"]})
    found["doubled"] = await _doubled(collection, key_field, identity, truth, since)
    return {"stored": stored_count, "true": len(truth), **found}


async def _doubled(
    collection: AsyncCollection[dict[str, Any]],
    key_field: str,
    identity: Sequence[str],
    truth: Mapping[int, Report],
    since: datetime,
) -> Report:
    """Find records stored more than once under different keys, more often than they truly occur.

    The server groups them, on disk where they are many; only what occurs more than once comes here.
    """
    groups = await collection.aggregate(
        [
            {"$match": {"last_seen": {"$gte": since}}},
            {
                "$group": {
                    "_id": {field: f"${field}" for field in identity},
                    "count": {"$sum": 1},
                    "first": {"$min": "$_id"},
                    "last": {"$max": "$_id"},
                }
            },
            {"$match": {"count": {"$gt": 1}}},
        ],
        allowDiskUse=True,
    )
    repeated = {_identity(group["_id"], identity): group async for group in groups}
    true_counts = Counter(
        key for record in truth.values() if (key := _identity(record, identity)) in repeated
    )
    found: Report = {"count": 0, "examples": []}
    for key, group in repeated.items():
        allowed = max(true_counts[key], 1)
        if group["count"] > allowed:
            example = {key_field: [group["first"], group["last"]], "count": group["count"], "true": allowed}
            _add(found, example, group["count"] - allowed)
    return found


def _identity(record: Mapping[str, Any], fields: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_comparable(record.get(field)) for field in fields)


def _comparable(value: Any) -> Any:
    """Give a stored value as the truth spells it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _differences(stored: Mapping[str, Any], true: Mapping[str, Any]) -> Iterator[Report]:
    is_deleted = stored.get("deleted_at") is not None
    if is_deleted != bool(true.get("deleted")):
        yield {"field": "deleted_at", "stored": is_deleted, "true": bool(true.get("deleted"))}
    for name, want in true.items():
        if name in {"record", "deleted"}:
            continue
        have = _comparable(stored.get(name))
        if have != want:
            yield {"field": name, "stored": have, "true": want}


def _add(found: Report, example: Report, count: int = 1) -> None:
    found["count"] += count
    if len(found["examples"]) < EXAMPLES:
        found["examples"].append(example)


def _batches(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]


class _NotFoundError(Unusable):
    """The site has nothing under an address."""


def _fetch_truth(url: str, seeds: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, Report]]:
    """Fetch the true records of all seeds, by kind and key."""
    records: dict[str, dict[int, Report]] = defaultdict(dict)
    for name in _COMPARED:
        records[name] = {}
    for seed in seeds:
        if "forum" not in seed:
            raise Unusable(f"--truth knows forums only, not the seed {json.dumps(seed, ensure_ascii=False)}")
        query = f"forum={quote(seed['forum'])}" + (f"&pages={seed['pages']}" if "pages" in seed else "")
        try:
            truth = _get(f"{_base(url)}/replica/truth?{query}")
        except _NotFoundError:
            continue  # a forum that the site does not have: its request is among the failures
        for text in truth.splitlines():
            try:
                record = json.loads(text)
                kind = record["record"]
                if kind == "requests":  # the fewest that a crawl needs
                    continue
                records[kind][record[_COMPARED[kind].key_field]] = record
            except (ValueError, KeyError, TypeError):
                raise Unusable(f"--truth {url}: not a line of truth: {text[:80]!r}") from None
    return records


def _fetch_stats(url: str) -> Report:
    try:
        stats = json.loads(_get(f"{_base(url)}/replica/stats"))
    except ValueError:
        raise Unusable(f"--truth {url}: /replica/stats is not JSON; is it the stand-in site?") from None
    return {
        "answers": stats.get("answers"),
        "repeats": stats.get("repeats"),
        "by_outcome": stats.get("by_outcome"),
    }


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise Unusable(
            f"--truth must be the address of the stand-in site, e.g. http://site:8080, not {url!r}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _get(url: str) -> str:
    # The site is a machine of the cluster: a proxy for the internet does not reach it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TRUTH_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body.decode()
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            raise _NotFoundError(f"--truth {url}: not found; is it the stand-in site?") from None
        reason = error.read(200).decode(errors="replace").strip()
        raise Unusable(f"--truth {url}: HTTP {error.code} {reason}") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"--truth {url}: {error}") from None


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
    if "site" in report:
        site = report["site"]
        console.print(Text(f"repeats   {site['repeats']} of {site['answers']} answers of the site"))
    outcomes = ", ".join(f"{count} {name}" for name, count in report["outcomes"].items()) or "none"
    console.print(Text(f"outcomes  {outcomes}"))
    console.print(Text(f"failed    {requests['failed']} requests", style="red" if requests["failed"] else ""))
    for error in report["errors"]:
        console.print(Text(f"          {request_text(error['request'])}: {error['reason']}"))
    for name, found in report.get("truth", {}).items():
        for kind in _DIFFERENCES:
            for example in found[kind]["examples"]:
                console.print(
                    Text(f"{kind:10}{name}: {json.dumps(example, ensure_ascii=False)[:300]}", style="red")
                )
    if report["complete"]:
        told = "nothing is missing, nothing is doubled" if "truth" in report else "nothing failed"
        console.print(Text(f"Complete: {told}.", style="bold green"))
    else:
        console.print(Text("Not complete.", style="bold red"))
    console.print(
        Text(
            "Look next: tieba status; journalctl -u 'tieba-crawler@*' on the slaves; "
            "the records: MongoDB on the master, database tieba"
        )
    )


def _stored_table(report: Report) -> Table:
    table = Table("stored", box=None, pad_edge=False)
    titles = ("records", *(("true", *_DIFFERENCES) if "truth" in report else ()))
    for title in titles:
        table.add_column(title, justify="right")
    for name, count in report["stored"].items():
        found = report.get("truth", {}).get(name)
        cells = [str(found["true"]), *(str(found[kind]["count"]) for kind in _DIFFERENCES)] if found else []
        table.add_row(name, str(count), *cells)
    return table
