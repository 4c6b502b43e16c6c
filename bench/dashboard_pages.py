"""The pages that the dashboard's benchmark asks for."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.dashboard_queue import FIRST_QUEUED
from bench.dashboard_stores import (
    BEGIN,
    SPAN,
    WORDS,
    forum_of,
    name,
    post_id,
    thread_id,
    thread_of,
    title,
    user_id,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from bench.dashboard_client import Visitor
    from bench.dashboard_stores import Size

_FOLLOWED = 20  # pages, to come deep into a list
_CURSOR = re.compile(r'href="([^"]*[?&;]cursor=[^"]*)"')
_BEFORE = re.compile(r'href="([^"]*[?&;]before=[^"]*)"')
_LETTER = re.compile(r'href="(/queue/letter/\d+)')


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of page: what gives an address of it, and what each of its pages has in it."""

    name: str
    path: Callable[[], str]
    has: str = "</html>"


def pages(size: Size, visitor: Visitor, chance: random.Random) -> list[Kind]:
    """Give all kinds of pages; some addresses are found by following links."""

    def thread() -> int:
        return chance.randrange(1, size.threads)

    def days() -> str:
        first = BEGIN + SPAN * chance.uniform(0, 0.9)
        return f"since={first:%Y-%m-%d}&until={first + SPAN / 20:%Y-%m-%d}"

    deep_data = _followed(visitor, "/data", _CURSOR)
    deep_forum = _followed(visitor, "/data/forum/1", _CURSOR)
    deep_thread = _followed(visitor, f"/data/thread/{thread_id(0)}", _CURSOR)
    deep_user = _followed(visitor, f"/data/user/{user_id(0)}", _CURSOR)
    dead = _followed(visitor, "/queue/dead", _BEFORE)
    letters = sorted(set(_LETTER.findall(visitor.get(dead)[0])))
    fixed = {
        "overview": "/",
        "queue": "/queue",
        "queue, far behind": f"/queue?endpoint=posts&priority=10&start={size.posts // 10}",
        "dead letters": "/queue/dead",
        "dead letters, far behind": dead,
        "find a thread that is not there": "/queue/find?q=1",
        "find a forum": "/queue/find?q=python",
        "find an address": f"/queue/find?q={quote(f'https://tieba.baidu.com/p/{FIRST_QUEUED + 5}', safe='')}",
        "data": "/data",
        "data, far behind": deep_data,
        "data, a month's chart": "/data?days=30",
        "forum": "/data/forum/1",
        "forum, far behind": deep_forum,
        "long thread": f"/data/thread/{thread_id(0)}",
        "long thread, far behind": deep_thread,
        "user of many posts": f"/data/user/{user_id(0)}",
        "user of many posts, far behind": deep_user,
        "search that finds nothing": f"/data/search?q={quote('没有的词')}",
        "export": "/data/export",
    }  # fmt: skip
    kinds = [Kind(what, lambda path=path: path) for what, path in fixed.items()]  # type: ignore[misc]
    varied: dict[str, Callable[[], str]] = {
        "letter": lambda: chance.choice(letters),
        "find a thread": lambda: f"/queue/find?q={FIRST_QUEUED + chance.randrange(size.posts // 10)}",
        "threads of some days": lambda: f"/data?{days()}&by=begun",
        "forum, some days": lambda: f"/data/forum/{forum_of(thread())}?{days()}",
        "thread": lambda: f"/data/thread/{thread_id(thread())}",
        "post": lambda: f"/data/post/{post_id(chance.randrange(size.posts // 10) * 10)}",
        "user": lambda: f"/data/user/{user_id(chance.randrange(1, size.users))}",
        "search: a word": lambda: f"/data/search?q={quote(chance.choice(WORDS))}",
        "search: two words": lambda: f"/data/search?q={quote(' '.join(chance.sample(WORDS, 2)))}",
        "search: a word, some days": lambda: f"/data/search?q={quote(chance.choice(WORDS))}&{days()}",
        "search: a title": lambda: f"/data/search?q={quote(title(thread()))}",
        "search: a name": lambda: f"/data/search?q={quote(name(chance.randrange(size.users)))}",
        "search: an id": lambda: f"/data/search?q={thread_id(thread_of(chance.randrange(size.posts), size))}",
    }
    kinds += [Kind(what, path) for what, path in varied.items()]
    return [*kinds, Kind("metrics", lambda: "/metrics", "# EOF")]


def _followed(visitor: Visitor, path: str, link: re.Pattern[str]) -> str:
    """Give the last address of following the links to the next page."""
    for _ in range(_FOLLOWED):
        found = link.findall(visitor.get(path)[0])
        if not found:
            break
        following = html.unescape(found[-1])
        path = following if following.startswith("/") else path.partition("?")[0] + following
    return path
