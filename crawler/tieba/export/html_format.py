"""Threads as pages for readers: floors in their order, comments under their floor, what was deleted marked.

Everything that users wrote is escaped, and the pages' policy forbids scripts and whatever comes from other
hosts, so that nothing happens when they are opened. Pictures are links.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tieba.export.output import FOLDER_MARK
from tieba.pages.values import BEIJING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from datetime import datetime

    from tieba.storage import Document

_STYLE = """
:root { color-scheme: light dark; --soft: #666; --line: #ddd; --gone: #a00 }
@media (prefers-color-scheme: dark) { :root { --soft: #aaa; --line: #444; --gone: #f88 } }
body { max-width: 45rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere }
body { font: 1rem/1.6 system-ui, sans-serif }
h1 { font-size: 1.3rem; line-height: 1.3 }
header p, .by { margin: 0; color: var(--soft); font-size: .85rem }
article { border-top: 1px solid var(--line); padding: .8rem 0 }
.text { margin: .3rem 0; white-space: pre-wrap; unicode-bidi: isolate }
.comments { margin: .5rem 0 0; padding: 0 0 0 .8rem; border-left: 3px solid var(--line); list-style: none }
.comments li { margin: .4rem 0 }
.gone { color: var(--gone) }
ul.threads { list-style: none; padding: 0 }
ul.threads li { border-top: 1px solid var(--line); padding: .5rem 0 }
bdi { unicode-bidi: isolate }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
# Control characters are no part of a page; line feed and tab are.
_CLEAN = {
    code: "\ufffd" for code in (*range(32), *range(127, 160), *range(0xD800, 0xE000)) if code not in (9, 10)
}


class TextFile(Protocol):
    """Takes text."""

    def write(self, text: str, /) -> object:
        """Write it."""


def page_head(title: str) -> str:
    """Give the beginning of a page up to its body."""
    return (
        '<!DOCTYPE html>\n<html lang="zh">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="generator" content="{FOLDER_MARK}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )


PAGE_END = "</body>\n</html>\n"


class IndexPage:
    """The list of threads in a folder of pages."""

    def __init__(self, file: TextFile, title: str) -> None:
        self._file = file
        file.write(page_head(title))
        file.write(f'<header><h1>{_text(title)}</h1></header>\n<ul class="threads">\n')

    def add(self, thread: Document, floors: int, link: str) -> None:
        """Add a thread whose page is at `link`."""
        marks = [word for field, word in (("is_pinned", "置顶"), ("is_good", "精品")) if thread.get(field)]
        by = _join(*marks, _author(thread), _time(thread.get("created_at")), f"共 {floors} 楼", _gone(thread))
        self._file.write(f'<li><a href="{escape(link)}">{_title(thread)}</a><p class="by">{by}</p></li>\n')

    def close(self) -> None:
        """Write the end of the page."""
        self._file.write(f"</ul>\n{PAGE_END}")


async def write_thread(
    file: TextFile,
    thread: Document,
    posts: AsyncIterator[Document],
    comments: Iterable[Document],
    *,
    index: str = "",
) -> int:
    """Write the page of a thread; gives the number of floors. `index` is a link back."""
    under: dict[Any, list[Document]] = defaultdict(list)
    for comment in comments:
        under[comment.get("post_id")].append(comment)
    file.write(page_head(thread.get("title") or f"{thread['thread_id']}"))
    back = f'<p><a href="{escape(index)}">↑</a></p>' if index else ""
    origin = _link(f"https://tieba.baidu.com/p/{thread['thread_id']}", f"{thread['thread_id']}")
    about = _join(_author(thread), _time(thread.get("created_at")), origin, _gone(thread))
    file.write(f"<header>{back}<h1>{_title(thread)}</h1><p>{about}</p></header>\n")
    floors = 0
    async for post in posts:
        floors += 1
        floor = f"{post['floor']}楼" if post.get("floor") is not None else None
        by = _join(
            floor, _author(post), _time(post.get("created_at")),
            _text(post.get("ip_place")), _text(post.get("client")), _gone(post),
        )  # fmt: skip
        pictures = " ".join(
            _link(url, f"图片 {number}") for number, url in enumerate(post.get("images") or (), 1)
        )
        file.write(f'<article><p class="by">{by}</p>{_paragraph(post)}{pictures}')
        _write_comments(file, under.pop(post["post_id"], []))
        file.write("</article>\n")
    for post_id, rest in under.items():  # of floors that are not stored
        file.write(f'<article><p class="by">{_text(str(post_id))}</p>')
        _write_comments(file, rest)
        file.write("</article>\n")
    file.write(PAGE_END)
    return floors


def _write_comments(file: TextFile, comments: list[Document]) -> None:
    if not comments:
        return
    file.write('<ul class="comments">')
    for comment in comments:
        to = comment.get("reply_to_name")
        by = _join(
            _author(comment),
            f"→ {_name(to)}" if to else None,
            _time(comment.get("created_at")),
            _gone(comment),
        )
        file.write(f'<li><p class="by">{by}</p>{_paragraph(comment)}</li>')
    file.write("</ul>")


def _title(thread: Document) -> str:
    return _name(thread.get("title") or f"{thread['thread_id']}")


def _author(document: Document) -> str:
    return _name(
        document.get("author_name") or (f"#{document['author_id']}" if document.get("author_id") else "?")
    )


def _name(text: str) -> str:
    """Show a text that others wrote within a line, whose direction it does not change."""
    return f"<bdi>{_text(text)}</bdi>"


def _paragraph(document: Document) -> str:
    text = document.get("text")
    return f'<p class="text" dir="auto">{_text(text)}</p>' if text else ""


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return f'<time datetime="{moment.isoformat()}">{moment.astimezone(BEIJING):%Y-%m-%d %H:%M}</time>'


def _gone(document: Document) -> str | None:
    moment = _time(document.get("deleted_at"))
    return f'<span class="gone">已删除 {moment}</span>' if moment else None


def _link(url: str, label: str) -> str:
    try:
        is_web = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        is_web = False
    if not is_web:
        return _text(url)
    return f'<a href="{_text(url)}" rel="noreferrer noopener nofollow">{_text(label)}</a>'


def _join(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)


def _text(text: str | None) -> str:
    return escape(text.replace("\r\n", "\n").translate(_CLEAN)) if text else ""
