"""How facts of a crawl are worded for people, on a terminal or elsewhere."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tieba.pages import target_from_list
from tieba.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Mapping


def duration(seconds: float) -> Phrase:
    """Give seconds as 7 s, 2 min 5 s or 1 h 2 min: nobody takes minutes for hours then."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours and minutes:
        return Phrase("%(hours)d h %(minutes)d min", hours=hours, minutes=minutes)
    if hours:
        return Phrase("%(hours)d h", hours=hours)
    if minutes and rest:
        return Phrase("%(minutes)d min %(seconds)d s", minutes=minutes, seconds=rest)
    if minutes:
        return Phrase("%(minutes)d min", minutes=minutes)
    return Phrase("%(seconds)d s", seconds=rest)


def version_text(slave: Mapping[str, Any]) -> str:
    """Give what a slave runs as 0.1.0 · 3fa2c1: its version, and what tells its code from other."""
    told = (slave["version"], (slave["code"] or "")[:6])
    return " · ".join(part for part in told if part)


def moment(seconds: float) -> str:
    """Give a Unix time as this machine's clock shows it."""
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone().isoformat(" ", "seconds")


def time_of_day(seconds: float) -> str:
    """Give a Unix time's hour, minute and second as this machine's clock shows them."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc).astimezone():%H:%M:%S}"


def shown_request(payload: str) -> object:
    """Give what a request in the frontier is to fetch: a target where it is one."""
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(payload)
        return value.get("target") or value.get("url") or value if isinstance(value, dict) else value
    return payload


def request_text(request: object) -> str:
    """Give a request as people read it."""
    try:
        return str(target_from_list(request))
    except ValueError:
        return request if isinstance(request, str) else json.dumps(request, ensure_ascii=False)


def seed_text(seed: Mapping[str, Any]) -> str:
    """Give a seed as people read it."""
    what = str(seed["forum"]) if "forum" in seed else f"thread {seed.get('thread')}"
    told = (
        [f"pages {seed['pages']}" if isinstance(seed["pages"], str) else f"{seed['pages']} pages"]
        if ("pages" in seed)
        else ["all pages"]
        if "forum" in seed
        else []
    )
    told += [name for name in ("good", "starter", "update") if seed.get(name)]
    told += ["no comments"] if seed.get("comments") is False else []
    told += [f"{name} {seed[name]}" for name in ("since", "until") if name in seed]
    told += [f"at most {seed['max_requests']} requests"] if "max_requests" in seed else []
    return f"{what} ({', '.join(told)})" if told else what


def maximum_text(maximum: Mapping[str, Any]) -> str:
    """Say that a crawl ended at its maximum of requests."""
    return f"ended at its maximum of {maximum['requests']} requests; {maximum['left']} are left"
