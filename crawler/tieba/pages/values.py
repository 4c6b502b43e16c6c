"""Reads values out of JSON whose types cannot be relied on.

The site's PHP gives numbers as digit strings, an empty list for an empty object, 0, "" or "-" for what is
missing.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any

BEIJING = timezone(timedelta(hours=8))  # the time that the site shows
PROMOTION_ID = 1  # of the "thread" by which a forum looks for moderators

_LARGEST_ID = 2**63 - 1  # of BSON's and Redis' integers
_LARGEST_TIME = 253_402_271_999  # the last second of the year 9999 in Beijing
_THREAD_ADDRESS = re.compile(r"/p/(\d{1,19})(?!\d)")


def mapping(value: Any) -> dict[str, Any]:
    """Give the object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> list[dict[str, Any]]:
    """Give the objects of a list, or of an object's values; empty for anything else."""
    if isinstance(value, dict):
        value = list(value.values())
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def integer(value: Any) -> int | None:
    """Give a number that may be zero, e.g. a count; None where there is none or it does not fit 63 bits."""
    if (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20) or (
        isinstance(value, float) and math.isfinite(value)
    ):
        value = int(value)
    if isinstance(value, int) and 0 <= value <= _LARGEST_ID:
        return int(value)
    return None


def identifier(value: Any) -> int | None:
    """Give a positive id; None for 0, which stands for "none"."""
    return None if isinstance(value, bool) else integer(value) or None


def thread_in(address: str) -> int | None:
    """Give the thread that an address of the site leads to."""
    found = _THREAD_ADDRESS.search(address)
    return identifier(found[1]) if found else None


def flag(value: Any) -> bool | None:
    """Give a yes or no, given as 1/0, "1"/"0", true/false; None where it is missing."""
    number = integer(value)
    return None if number is None else number != 0


def text(value: Any) -> str | None:
    """Give a text, without the lone surrogates that no database takes; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def name(value: Any) -> str | None:
    """Give a name without surrounding space; None where it is empty or "-"."""
    found = (text(value) or "").strip()
    return None if found in {"", "-"} else found


def time(value: Any) -> datetime | None:
    """Give a time from Unix seconds; None for 0."""
    seconds = identifier(value)
    if seconds is None or seconds > _LARGEST_TIME:
        return None
    return datetime.fromtimestamp(seconds, tz=timezone.utc)


_REPLY_TO = re.compile(r"回复\s{1,9}@?(?P<name>[^:：\n]{1,60}?)\s{0,9}[:：]\s{0,9}(?P<text>.*)", re.DOTALL)


def addressee(words: str) -> tuple[str | None, str]:
    """Split a comment into the name after "回复" (None where it names nobody) and the text itself."""
    found = _REPLY_TO.match(words)
    return (name(found["name"]), found["text"]) if found else (None, words)
