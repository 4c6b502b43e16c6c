"""What the site's pages have in common: their encoding, the parts of their entries, and times."""

from __future__ import annotations

import codecs
import functools
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tieba.pages import values
from tieba.pages.values import BEIJING, name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from selectolax.lexbor import LexborHTMLParser, LexborNode

    Attributes = dict[str, str | None]

_ASCII = bytes(range(128))
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_EDGE = 4096  # bytes, at the beginning and end of a page
_SHARE_READ = 8192  # bytes; every page has Chinese text in its head


def as_utf8(body: bytes) -> bytes:
    """Give a body in UTF-8, whatever it declares: pages and headers are known to name the wrong encoding.

    Other than UTF-8 the site has only ever used GBK, whose text is hardly ever valid UTF-8. A few stray
    bytes do not make UTF-8 another encoding; they become U+FFFD when they are decoded.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    found = _NOT_ASCII.search(body)
    if found is None:
        return body
    share = body[found.start() : found.start() + _SHARE_READ]
    text = codecs.utf_8_decode(share, "replace", False)[0]
    if 4 * text.count("\ufffd") > len(share.translate(None, _ASCII)):
        return body.decode("gb18030", "replace").encode()
    return body


def is_cut_off(body: bytes) -> bool:
    """Tell whether a page lacks the end that pages have."""
    end = body[-_EDGE:]
    return b"</html" not in end and b"</body" not in end


def begins_page(body: bytes) -> bool:
    """Tell whether it is a page from its beginning, not a part of one."""
    return b"<html" in body[:_EDGE]


def attribute(node: LexborNode | None, key: str) -> str:
    """Give an attribute's text, '' where there is none."""
    return (node.attributes.get(key) or "") if node is not None else ""


def plain(node: LexborNode | None) -> str:
    """Give the text of a node and all below it, without surrounding space."""
    return node.text().replace("\xa0", " ").strip() if node is not None else ""


def forum_name(tree: LexborHTMLParser) -> str | None:
    """Give the name of the forum that a page belongs to, from its head."""
    return name(attribute(tree.css_first("meta[fname]"), "fname"))


class Parts:
    """The parts of a page's entries, by the selectors that find them; each of these ends with a class.

    They are taken in the order of the page, so that a part belongs to the entry that began last: entries are
    found nested in others, where a block before them is not closed.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._selector = ", ".join(kinds)
        by_class = {selector.rpartition(".")[2]: kind for selector, kind in kinds.items()}

        @functools.lru_cache(maxsize=512)
        def kind_of(classes: str) -> str:
            return next((by_class[part] for part in classes.split() if part in by_class), "")

        self._kind_of = kind_of

    def find(self, tree: LexborHTMLParser) -> Iterator[tuple[str, LexborNode, Attributes]]:
        """Give each part's kind, node and attributes."""
        for node in tree.css(self._selector):
            attributes = node.attributes
            yield self._kind_of(attributes.get("class") or ""), node, attributes


# On all captured pages, of any kind and year, the token of their forms ends with the time.
_TOKEN_WITH_TIME = re.compile(rb"""\btbs["']?\s{0,9}:\s{0,9}["'][0-9a-f]{16}(\d{10})["']""")


def made_at(body: bytes) -> datetime | None:
    """Tell when the site made a page."""
    found = _TOKEN_WITH_TIME.search(body)
    return values.time(found[1].decode()) if found else None


_MOMENT = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\s{1,9}(\d{1,2}):(\d{2})(?::(\d{2}))?")
_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})\s*\Z")
_DAY = re.compile(r"(\d{4}|\d{1,2})-(\d{1,2})")
_EARLY = timedelta(minutes=5)  # that the site's clock may be ahead of ours


def moment(value: str) -> datetime | None:
    """Give the first full time in a text, "2015-07-26 19:44" in Beijing; None where there is none."""
    found = _MOMENT.search(value)
    return _time([int(part or 0) for part in found.groups()]) if found else None


def clock(value: str, at: datetime | None) -> datetime | None:
    """Give the time of a list's "19:44", the latest one in Beijing that was not yet to come `at` the answer.

    Lists show older times as "7-26" or "2014-07": a day or a month is no time, hence None; see `day_end`.
    """
    found = _CLOCK.match(value)
    if found is None or at is None:
        return None
    now = at.astimezone(BEIJING)
    time = _time([now.year, now.month, now.day, int(found[1]), int(found[2]), 0])
    return time - timedelta(days=1) if time is not None and time > at + _EARLY else time


def day_end(value: str, at: datetime) -> datetime | None:
    """Give the end of a list's "7-26", the latest such day in Beijing `at` the answer, or "2014-07"."""
    found = _DAY.fullmatch(value)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2])
    if len(found[1]) == 4:
        return _time([first + second // 12, second % 12 + 1, 1, 0, 0, 0]) if 1 <= second <= 12 else None
    now = at.astimezone(BEIJING)
    year = now.year - ((first, second) > (now.month, now.day))
    day = _time([year, first, second, 0, 0, 0])
    return day and day + timedelta(days=1)


def _time(parts: list[int]) -> datetime | None:
    year, month, day, hour, minute, second = parts
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
