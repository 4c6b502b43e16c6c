"""How foreign text and numbers are shown: text of the site can do nothing to the page around it."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from tieba.pages.values import BEIJING
from tieba.wording import duration, version_text

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CHARACTERS = 500
_MOST_TEXT = 20_000  # of a floor, of which the site allows some thousands
# Marks that turn the direction of text around, or that nobody sees, by their names in Unicode. Those that
# join emoji and letters are left: without them text reads differently.
_NAMED = {
    0x00AD: "SHY", 0x180E: "MVS", 0x200B: "ZWSP", 0x2060: "WJ", 0xFEFF: "ZWNBSP",
    0x061C: "ALM", 0x200E: "LRM", 0x200F: "RLM",
    0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO", 0x202E: "RLO",
    0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI",
}  # fmt: skip
_SHOWN: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(32)},  # Unicode has a picture for each
    0x7F: "\u2421",
    **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"),
    **{code: f"\u27e6{name}\u27e7" for code, name in _NAMED.items()},
}
_LINE_BREAKS = {0x2028: "\n", 0x2029: "\n"}
_LINE = {**_SHOWN, **dict.fromkeys((0x09, 0x0A, 0x0D, *_LINE_BREAKS), " ")}
_TEXT = {**_SHOWN, **_LINE_BREAKS, 0x09: "\t", 0x0A: "\n", 0x0D: None}
# Marks that are put on the letter before them: no language has more on one, which run over the lines around.
_MARKS = frozenset(("Mn", "Me"))
_MOST_MARKS = 4
_WITHOUT_LETTERS = re.compile(rf"[^\w\s]{{{_MOST_MARKS + 1},}}")  # where there may be too many


def plain(value: object, most: int = MOST_CHARACTERS) -> str:
    """Give foreign text for one line: control characters as symbols, cut after so many characters."""
    text = "" if value is None else str(value)
    return _cut(text, most).translate(_LINE)


def foreign(value: object, most: int = MOST_CHARACTERS) -> Markup:
    """Give foreign text as HTML that stands for itself, whatever its direction."""
    return Markup("<bdi>{}</bdi>").format(plain(value, most))


def foreign_text(value: object, most: int = _MOST_TEXT) -> Markup:
    """Give foreign text of several lines as HTML; its line breaks count only in `white-space: pre-wrap`."""
    text = "" if value is None else str(value)
    return Markup("<bdi>{}</bdi>").format(_cut(text, most).translate(_TEXT))


def number(value: float | None) -> str:
    """Give a count as 12,345, a rate as 1.5, and what is not known as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def size(value: float | None) -> str:
    """Give bytes as 3.4 MiB."""
    if value is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def span(seconds: float | None) -> str:
    """Give seconds as 7 s, 2 min 5 s or 1 h 2 min."""
    return "–" if seconds is None else duration(seconds)


def moment(value: datetime | float | None) -> Markup:
    """Give a time, Unix seconds or aware, in Beijing time to the minute."""
    if value is None:
        return Markup("–")
    try:
        time = value if isinstance(value, datetime) else datetime.fromtimestamp(value, tz=timezone.utc)
        local = time.astimezone(BEIJING)
    except (OverflowError, ValueError, OSError):
        return escape(value)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M}</time>').format(local.isoformat(), local)


def clock(value: float | None) -> str:
    """Give a Unix time as the time of day in Beijing, to the second."""
    return "–" if value is None else f"{datetime.fromtimestamp(value, tz=BEIJING):%H:%M:%S}"


FILTERS: dict[str, Callable[..., object]] = {
    "plain": plain,
    "foreign": foreign,
    "foreign_text": foreign_text,
    "number": number,
    "size": size,
    "moment": moment,
    "clock": clock,
    "version": version_text,
}


def _cut(text: str, most: int) -> str:
    text = text if len(text) <= most else f"{text[:most]}…"
    return _WITHOUT_LETTERS.sub(_with_few_marks, text)


def _with_few_marks(part: re.Match[str]) -> str:
    kept, marks = [], 0
    for character in part[0]:
        kind = unicodedata.category(character)
        if kind in _MARKS:
            marks += 1
        elif kind != "Cf":  # a joiner, say, which takes no room itself
            marks = 0
        if kind not in _MARKS or marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
