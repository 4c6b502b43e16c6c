"""The extraction of `tieba.pages.web` with other parsers: from bytes to main fields, as one would write it.

Each gives the same values as ours, so that the times compare the same work; `finds_the_same` checks it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import lxml.html  # type: ignore[import-untyped]
from lxml.etree import XPath  # type: ignore[import-untyped]
from parsel import Selector

from tieba.pages import Received
from tieba.pages.web import WebPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tieba.pages import Answer

Rows = list[tuple[Any, ...]]

_HIDDEN = "//code[@id='pagelet_html_frs-list/pagelet/thread_list']/comment()"
_ENTRIES = "//li[contains(concat(' ', normalize-space(@class), ' '), ' j_thread_list ')]"
_FLOORS = "//div[contains(concat(' ', normalize-space(@class), ' '), ' l_post ')]"
_TITLE = ".//a[contains(@class, 'j_th_tit')]"
_AUTHOR = ".//span[contains(@class, 'tb_icon_author ')]"
_CONTENT = ".//div[contains(@class, 'j_d_post_content')]"
_TAIL = ".//span[@class='tail-info']"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_PICTURE = re.compile(r"(//[^/]+/forum)/.*?([0-9a-f]{20,}\.\w+).*")


def finds_the_same(rows: Rows, answer: Answer) -> bool:
    """Tell whether another reader finds of a page what ours does, but for words: ours names emoji."""
    found = [row[:-1] for row in rows]
    if answer.kind == "forum":
        return found == [
            (
                thread.thread_id,
                thread.author_id,
                thread.reply_count,
                thread.first_post_id,
                thread.is_pinned,
                thread.is_good,
            )
            for thread in answer.threads
        ]
    return found == [
        (
            post.post_id,
            post.floor,
            post.author_id,
            post.comment_count,
            post.images,
            bool(post.created_at),
        )
        for post in answer.posts
    ]


def ours(body: bytes) -> Answer:
    """Read a page with `tieba.pages.web`, its outcome included."""
    return WebPages().read(Received(body))


_lxml = {
    name: XPath(path)
    for name, path in {
        "hidden": _HIDDEN,
        "entries": _ENTRIES,
        "floors": _FLOORS,
        "title": _TITLE,
        "author": _AUTHOR,
        "content": _CONTENT,
        "tail": _TAIL,
    }.items()
}


def with_lxml(body: bytes) -> Rows:
    """Read a page with lxml's HTML parser and XPath."""
    parser = lxml.html.HTMLParser(encoding="utf-8")
    tree = lxml.html.fromstring(body, parser=parser)
    if floors := _lxml["floors"](tree):
        return [row for floor in floors if (row := _lxml_floor(floor))]
    if hidden := _lxml["hidden"](tree):
        tree = lxml.html.fromstring(hidden[0].text, parser=parser)
    return [row for entry in _lxml["entries"](tree) if (row := _lxml_entry(entry))]


def _lxml_entry(entry: Any) -> tuple[Any, ...] | None:
    titles, authors = _lxml["title"](entry), _lxml["author"](entry)
    title = titles[0].get("title") if titles else None
    return _entry(entry.get("data-field"), title, authors[0].get("data-field") if authors else None)


def _lxml_floor(floor: Any) -> tuple[Any, ...] | None:
    content = _lxml["content"](floor)
    if not content:
        return None
    parts, images = [content[0].text or ""], []
    for node in content[0].iterdescendants():
        if node.tag == "br":
            parts.append("\n")
        elif node.tag == "img" and "BDE_Image" in node.get("class", ""):
            images.append(_original(node.get("src")))
        parts.append(node.tail or "")
    tails = ["".join(tail.itertext()) for tail in _lxml["tail"](floor)]
    return _floor(floor.get("data-field"), "".join(parts), images, tails)


def with_parsel(body: bytes) -> Rows:
    """Read a page with parsel's selectors, as in a Scrapy spider."""
    page = Selector(text=body.decode(errors="replace"))
    if floors := page.xpath(_FLOORS):
        return [row for floor in floors if (row := _parsel_floor(floor))]
    if hidden := page.xpath(_HIDDEN).get():
        page = Selector(text=hidden[4:-3])
    return [row for entry in page.xpath(_ENTRIES) if (row := _parsel_entry(entry))]


def _parsel_entry(entry: Selector) -> tuple[Any, ...] | None:
    title = entry.xpath(f"{_TITLE}/@title").get()
    return _entry(entry.attrib["data-field"], title, entry.xpath(f"{_AUTHOR}/@data-field").get())


def _parsel_floor(floor: Selector) -> tuple[Any, ...] | None:
    content = floor.xpath(_CONTENT)
    if not content:
        return None
    parts = ["\n" if part == "<br>" else part for part in content[0].xpath(".//text() | .//br").getall()]
    sources = content[0].xpath(".//img[contains(@class, 'BDE_Image')]/@src").getall()
    tails = ["".join(tail.xpath(".//text()").getall()) for tail in floor.xpath(_TAIL)]
    return _floor(
        floor.attrib["data-field"], "".join(parts), [_original(source) for source in sources], tails
    )


def _entry(source: str, title: str | None, author_source: str | None) -> tuple[Any, ...] | None:
    data, author = json.loads(source), json.loads(author_source or "{}")
    if not isinstance(data["id"], int) or data["id"] == 1:  # promoted
        return None
    flags = bool(data["is_top"]), bool(data["is_good"])
    author_id = author.get("user_id") or None
    return (data["id"], author_id, data["reply_num"], data["first_post_id"], *flags, title)


def _floor(source: str, text: str, images: list[str], tails: list[str]) -> tuple[Any, ...] | None:
    data = json.loads(source)
    if "content" not in data:
        return None
    content = data["content"]
    moment = content.get("date") or next((tail for tail in tails if _MOMENT.match(tail)), None)
    author_id = data["author"].get("user_id") or None
    number, count = content["post_no"], content["comment_num"]
    return (content["post_id"], number, author_id, count, tuple(images), bool(moment), text.strip())


def _original(source: str) -> str:
    return _PICTURE.sub(r"\1/pic/item/\2", source)


OTHERS: dict[str, Callable[[bytes], Rows]] = {"lxml": with_lxml, "parsel": with_parsel}
