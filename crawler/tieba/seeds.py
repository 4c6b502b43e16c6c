"""Seeds: what a crawl starts from, as users write them.

A seed is a JSON object, {"forum": "聊天", "pages": 20} or {"thread": 7777} or {"url": "…"}, or a plain
text: the name of a forum or the address of a forum or thread on tieba.baidu.com.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tieba.pages import ForumPage, Scope, Target, ThreadPage
from tieba.pages.values import identifier

MAX_PAGES = 100_000
MAX_FORUM_NAME = 100  # characters; the site allows far fewer
_HOSTS = ("tieba.baidu.com", "tieba.com")
_THREAD_PATH = re.compile(r"/p/(\d+)/?")


class SeedError(ValueError):
    """A seed that cannot be understood; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A first request and how far the crawl goes from there."""

    target: Target
    scope: Scope

    def __str__(self) -> str:
        """Give the seed as JSON; equal seeds give equal texts."""
        seed: dict[str, Any]
        if isinstance(self.target, ForumPage):
            seed = {"forum": self.target.forum}
            if self.scope.pages is not None:
                seed["pages"] = self.scope.pages
        else:
            seed = {"thread": self.target.thread_id}
        return json.dumps(seed, ensure_ascii=False)


def forum_seed(forum: Any, pages: Any = None, *, names: tuple[str, str] = ("forum", "pages")) -> Seed:
    """Make the seed of a forum; raises SeedError that calls the arguments by `names`."""
    if not isinstance(forum, str) or not forum.strip():
        raise SeedError(f"{names[0]} must be the name of a forum, e.g. 聊天, not {forum!r}")
    if len(forum) > MAX_FORUM_NAME or not forum.isprintable():
        raise SeedError(
            f"{names[0]} must be at most {MAX_FORUM_NAME} printable characters, not {forum[:40]!r}…"
        )
    return Seed(ForumPage(forum.strip()), Scope(None if pages is None else _pages(pages, names[1])))


def thread_seed(thread: Any, *, name: str = "thread") -> Seed:
    """Make the seed of a thread; raises SeedError that calls the argument by `name`."""
    thread_id = identifier(thread.strip() if isinstance(thread, str) else thread)
    if thread_id is None:
        raise SeedError(
            f"{name} must be the number of a thread, as in tieba.baidu.com/p/7777, not {thread!r}"
        )
    return Seed(ThreadPage(thread_id), Scope())


def parse_seed(text: str) -> Seed:
    """Understand an entry of the start_urls list; raises SeedError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
        if text.lstrip().startswith("{"):
            raise SeedError(f"seed is not valid JSON: {text[:80]!r}") from None
    if not isinstance(value, dict):
        return _from_text(text)
    known = {"forum": {"forum", "pages"}, "thread": {"thread"}, "url": {"url", "pages"}}
    for kind, keys in known.items():
        if kind in value:
            unknown = sorted(value.keys() - keys)
            if unknown:
                raise SeedError(
                    f"seed has an unknown key {unknown[0]!r}; a {kind} seed has {', '.join(sorted(keys))}"
                )
            if kind == "forum":
                return forum_seed(value["forum"], value.get("pages"))
            if kind == "thread":
                return thread_seed(value["thread"])
            return _from_url(str(value["url"]), value.get("pages"))
    raise SeedError("seed must have one of the keys forum, thread, url")


def spider_seeds(
    forum: str | None = None, pages: str | None = None, threads: str | None = None
) -> list[Seed]:
    """Understand the spider's arguments (-a forum=… -a pages=… -a threads=…); raises SeedError."""
    if pages is not None and forum is None:
        raise SeedError(f"pages={pages!r} needs a forum: add -a forum=NAME")
    seeds = [] if forum is None else [forum_seed(forum, pages)]
    if threads is not None:
        seeds += [thread_seed(thread, name="threads") for thread in threads.split(",")]
    return seeds


def _from_text(text: str) -> Seed:
    text = text.strip()
    if "://" in text or text.startswith(_HOSTS):
        return _from_url(text)
    return forum_seed(text)


def _from_url(url: str, pages: Any = None) -> Seed:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = parts.hostname or ""
    except ValueError:
        raise SeedError(f"url is not an address: {url[:80]!r}") from None
    if not any(host == known or host.endswith(f".{known}") for known in _HOSTS):
        raise SeedError(f"url must be one of {_HOSTS[0]}, not {url[:80]!r}")
    thread = _THREAD_PATH.fullmatch(parts.path)
    if thread:
        return thread_seed(thread.group(1), name="url")
    query = parse_qs(parts.query)
    if parts.path in {"/f", "/f/"} and query.get("kw"):
        return forum_seed(query["kw"][0], pages)
    raise SeedError(f"url must be that of a forum (/f?kw=NAME) or a thread (/p/NUMBER), not {url[:80]!r}")


def _pages(value: Any, name: str) -> int:
    pages = identifier(value.strip() if isinstance(value, str) else value)
    if pages is None or isinstance(value, float) or pages > MAX_PAGES:
        raise SeedError(f"{name} must be an integer from 1 to {MAX_PAGES}, not {value!r}")
    return pages
