"""What the parts of the pages show, made of a status; the same in every language."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from frontier.job import ALIVE_SECONDS
from tieba.alarms import redis_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.live import Snapshot

    Status = dict[str, Any]

_ENDPOINTS = ("threads", "posts", "comments")  # in the order of a crawl's work
_ALARMS_OF_ALL = ("redis_away", "page_fault", "store_away", "nothing_stored")  # the crawl does not get on


def shown(snapshot: Snapshot) -> Status:
    """Give what templates/live/ need. `level` is good, warn, bad or idle."""
    status = snapshot.status
    values: Status = {
        "status": status,
        "problem": snapshot.problem,
        "age": snapshot.age if status else None,
        "is_stale": snapshot.is_stale,
        "alarms": [alarm for alarm in alarms(snapshot) if alarm.get("is_watched", True)],
    }
    values["state"] = _state(status, is_away=snapshot.problem is not None)
    values["is_deserted"] = _is_deserted(status, values["state"])
    values["level"] = _level(values)
    if status is not None:
        values |= {
            "is_stored": bool(snapshot.stored),
            "stored_age": snapshot.stored_age if status["store_problem"] else None,
            "found": {**(snapshot.stored or status["totals"]), **_downloaded(status)},
            "progress": _progress(status),
            "history": _history(status["history"]),
            **_budgets(status["slots"]),
            "outcomes": _outcomes(status["outcomes"]),
            "seeds": status["crawl"]["seeds"],
            "earlier": [crawl for crawl in status["crawls"] if crawl["id"] != status["crawl"]["id"]],
        }
    return values


def alarms(snapshot: Snapshot) -> list[Status]:
    """Give the alarms; while there is no status the last ones, and that there is none.

    Those that have `is_watched: False` are for who told of them before: nobody knows whether they are over.
    """
    status = snapshot.status
    known = status["alarms"] if status else []
    unwatched = [{**alarm, "is_watched": False} for alarm in status["unwatched"]] if status else []
    if not snapshot.problem:
        return [*known, *unwatched]
    (alarm,) = redis_away(snapshot.problem)
    if snapshot.is_fault:
        alarm["name"] = "page_fault"
    return [{**alarm, "since": status["at"] if status else None}, *known, *unwatched]


def _state(status: Status | None, *, is_away: bool) -> str:
    if is_away or status is None:
        return "away"
    crawl = status["crawl"]
    return "paused" if crawl["paused"] and crawl["state"] == "running" else str(crawl["state"])


def _is_deserted(status: Status | None, state: str) -> bool:
    """Tell whether nobody works, which is to be expected of a crawl that has just begun."""
    if status is None or state != "running":
        return False
    is_young = status["crawl"]["seconds"] < ALIVE_SECONDS
    return not is_young and not any(slave["processes"] for slave in status["slaves"])


def _level(values: Status) -> str:
    names = {alarm["name"] for alarm in values["alarms"]}
    if names & set(_ALARMS_OF_ALL):
        return "bad"
    if names or values["is_deserted"] or values["state"] == "paused":
        return "warn"
    return "good" if values["state"] in {"running", "finished"} else "idle"


def _progress(status: Status) -> Status:
    requests = status["requests"]
    done, total = requests["done"], requests["total"]
    return {"done": done, "total": total, "limit": requests["max"],
            "percent": 100 * done / total if total else 0.0}  # fmt: skip


def _downloaded(status: Status) -> dict[str, int]:
    return {name: count for name, count in status["totals"].items() if name == "bytes"}


def _history(samples: Sequence[Sequence[float]]) -> Status:
    """Give pages and posts a second between the samples, which are `at, done, posts, dead`."""
    points = [
        (after[0], max(0.0, after[1] - before[1]) / seconds, max(0.0, after[2] - before[2]) / seconds)
        for before, after in itertools.pairwise(samples)
        if (seconds := after[0] - before[0]) > 0
    ]
    rounded = [[round(value, 2) for value in series] for series in zip(*points, strict=True)] or [[], [], []]
    return {
        "points": rounded,
        "most_pages": max(rounded[1], default=None),
        "most_posts": max(rounded[2], default=None),
    }


def _budgets(slots: Sequence[Status]) -> Status:
    """Give a row for each outgoing address, with its slots in the order of `endpoints`."""
    found = {slot["endpoint"] for slot in slots}
    endpoints = [name for name in _ENDPOINTS if name in found] + sorted(found - set(_ENDPOINTS))
    by_egress: dict[str, dict[str, Status]] = {}
    for slot in slots:
        by_egress.setdefault(slot["egress"], {})[slot["endpoint"]] = slot
    return {"endpoints": endpoints, "budgets": sorted(by_egress.items())}


def _outcomes(outcomes: dict[str, int]) -> list[Status]:
    total = sum(outcomes.values())
    return [
        {"name": name, "count": count, "share": count / total}
        for name, count in sorted(outcomes.items(), key=lambda item: (item[0] != "ok", -item[1]))
        if count
    ]
