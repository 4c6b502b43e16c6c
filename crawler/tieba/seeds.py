"""Seeds: what a crawl starts from, as users write them.

A seed is a JSON object or a plain text: the name of a forum or the address of a forum or thread on
tieba.baidu.com. The spider's arguments (`-a`) and the options of `tieba seed` are named as the keys:

| key | what |
| --- | --- |
| forum, thread, url | what to crawl; several: forums, threads (a list, or a text with commas) |
| pages | list pages of the forum: 20 for the first 20, "3-7" for these; default: all |
| good | only good threads (精品) |
| starter | only the floors of the thread's starter |
| comments | false: without the comments inside floors |
| since, until | floors and comments written from one day or moment on, and before another |
| update | only what has changed since the last crawl, and what is gone is marked |
| max_requests | the crawl ends after so many requests |

Days and moments without an offset are Beijing time, like those that the site shows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tieba.config import INDEXED_STORES
from tieba.pages import ForumPage, Scope, Target, ThreadPage
from tieba.pages.values import BEIJING, identifier
from tieba.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

MAX_PAGES = 100_000
MAX_REQUESTS = 10**9
MAX_FORUM_NAME = 100  # characters; the site allows far fewer

_KINDS = ("forum", "forums", "thread", "threads", "url")
_OF_THREADS = ("starter", "comments", "since", "until", "update", "max_requests")
_OF_FORUMS = ("pages", "good", *_OF_THREADS)
KEYS = (*_KINDS, *_OF_FORUMS)
_HOSTS = ("tieba.baidu.com", "tieba.com")
_THREAD_PATH = re.compile(r"/p/(\d+)/?")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class SeedError(ValueError):
    """A seed that cannot be understood; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A first request, how far the crawl goes from there, and after how many requests it ends."""

    target: Target
    scope: Scope = field(default_factory=Scope)
    max_requests: int | None = None

    def __str__(self) -> str:
        """Give the seed as JSON; equal seeds give equal texts."""
        seed: dict[str, Any]
        if isinstance(self.target, ForumPage):
            seed = {"forum": self.target.forum}
        else:
            seed = {"thread": self.target.thread_id}
        for name, value in self.scope.to_json().items():
            if name not in {"first_page", "last_page"}:
                seed[name] = value
        for name in ("since", "until"):
            at = getattr(self.scope, name)
            if at is not None:
                seed[name] = at.astimezone(BEIJING).isoformat()
        first, last = self.scope.first_page, self.scope.last_page
        if first > 1:
            seed["pages"] = f"{first}-{'' if last is None else last}"
        elif last is not None:
            seed["pages"] = last
        if self.max_requests is not None:
            seed["max_requests"] = self.max_requests
        return json.dumps(seed, ensure_ascii=False)


def make_seeds(values: Mapping[str, Any], called: Callable[[str], str] = str) -> list[Seed]:
    """Make the seeds that keys and values describe; raises SeedError that names keys as they are `called`."""
    given = {name: value for name, value in values.items() if value is not None}
    unknown = sorted(given.keys() - set(KEYS))
    if unknown:
        raise SeedError(f"{called(unknown[0])} is unknown; known are {', '.join(KEYS)}")
    targets: list[Target] = []
    for name in _KINDS:
        if name in given:
            targets += _targets(name, given[name], called(name))
    if not targets:
        needs = next((name for name in given if name in KEYS), None)
        raise SeedError(
            f"{called(needs)}={given[needs]!r} needs a forum or a thread: give {called('forum')}, too"
            if needs
            else "a seed must have one of the keys forum, thread, url"
        )
    if not any(isinstance(target, ForumPage) for target in targets):
        for name in set(_OF_FORUMS) - set(_OF_THREADS):
            if name in given:
                raise SeedError(f"{called(name)} is for forums, and there are only threads")
    scope, most = _scope(given, called), None
    if "max_requests" in given:
        most = _number(given["max_requests"], called("max_requests"), MAX_REQUESTS)
    return [_seed(target, scope, most) for target in targets]


def _seed(target: Target, scope: Scope, most: int | None) -> Seed:
    if isinstance(target, ForumPage):
        return Seed(ForumPage(target.forum, scope.first_page), scope, most)
    return Seed(target, scope.of_thread(), most)


def check_seeds(seeds: Iterable[Seed], storage: Collection[str]) -> None:
    """Raise SeedError for what the stores in use cannot do."""
    if any(seed.scope.update for seed in seeds) and not set(storage) & set(INDEXED_STORES):
        raise SeedError(
            f"update needs a store that can look records up, {' or '.join(INDEXED_STORES)}; "
            f"storage is {', '.join(storage)}"
        )


def parse_seeds(text: str) -> list[Seed]:
    """Understand an entry of the start_urls list; raises SeedError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
        if text.lstrip().startswith("{"):
            raise SeedError(f"seed is not valid JSON: {text[:80]!r}") from None
    if isinstance(value, dict):
        return make_seeds(value)
    if isinstance(value, list):
        raise SeedError(f"seed must be one JSON object or a text, not a list: {text[:80]!r}")
    text = text.strip()
    return make_seeds({"url" if is_address(text) else "forum": text})


def is_address(text: str) -> bool:
    """Tell whether a text is to be an address, rather than the name of a forum, AC/DC maybe."""
    return "://" in text or _is_of_site(text.partition("/")[0].lower())


def _is_of_site(host: str) -> bool:
    return any(host == known or host.endswith(f".{known}") for known in _HOSTS)


def forum_target(forum: Any, name: str = "forum") -> ForumPage:
    """Make the target of a forum; raises SeedError that calls it `name`."""
    if not isinstance(forum, str) or not forum.strip():
        raise SeedError(
            Phrase("%(name)s must be the name of a forum, e.g. 聊天, not %(given)r", name=name, given=forum)
        )
    if len(forum) > MAX_FORUM_NAME or not forum.isprintable():
        raise SeedError(
            Phrase(
                "%(name)s must be at most %(most)d printable characters, not %(given)r…",
                name=name, most=MAX_FORUM_NAME, given=forum[:40],
            )
        )  # fmt: skip
    return ForumPage(forum.strip())


def thread_target(thread: Any, name: str = "thread") -> ThreadPage:
    """Make the target of a thread; raises SeedError that calls it `name`."""
    thread_id = None if isinstance(thread, float) else identifier(_stripped(thread))
    if thread_id is None:
        raise SeedError(
            Phrase(
                "%(name)s must be the number of a thread, as in tieba.baidu.com/p/7777, not %(given)r",
                name=name, given=thread,
            )
        )  # fmt: skip
    return ThreadPage(thread_id)


def _targets(name: str, value: Any, called: str) -> Iterable[Target]:
    if name == "url":
        return [_target_of_url(str(value), called)]
    if name in {"forums", "threads"}:
        if isinstance(value, str):
            value = re.split("[,，]", value)
        elif not isinstance(value, (list, tuple)):
            value = [value]
        values = value
    else:
        values = [value]
    if name.startswith("forum"):
        return [forum_target(forum, called) for forum in values]
    return [thread_target(thread, called) for thread in values]


def _target_of_url(url: str, name: str) -> Target:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = parts.hostname or ""
    except ValueError:
        raise SeedError(f"{name} is not an address: {url[:80]!r}") from None
    if not _is_of_site(host):
        raise SeedError(f"{name} must be one of {_HOSTS[0]}, not {url[:80]!r}")
    thread = _THREAD_PATH.fullmatch(parts.path)
    if thread:
        return thread_target(thread.group(1), name)
    if parts.path in {"/f", "/f/"}:
        query = _query(parts.query)
        if "tab" in query:
            raise SeedError(f"{name} must not have a tab (for good threads give good), not {url[:80]!r}")
        if query.get("kw"):
            return forum_target(query["kw"][0], name)
    raise SeedError(f"{name} must be that of a forum (/f?kw=NAME) or a thread (/p/NUMBER), not {url[:80]!r}")


def _query(text: str) -> dict[str, list[str]]:
    """Understand an address' query: old links are in GBK, which is hardly ever valid UTF-8."""
    try:
        return parse_qs(text, errors="strict")
    except UnicodeDecodeError:
        return parse_qs(text, encoding="gb18030", errors="replace")


def _scope(given: Mapping[str, Any], called: Callable[[str], str]) -> Scope:
    first, last = _pages(given.get("pages"), called("pages"))
    flags = {
        name: _flag(given[name], called(name))
        for name in ("good", "starter", "comments", "update")
        if name in given
    }
    since, until = window(given.get("since"), given.get("until"), called)
    return Scope(first_page=first, last_page=last, since=since, until=until, **flags)


def _pages(value: Any, name: str) -> tuple[int, int | None]:
    """Understand 20, "20", "3-7" and "3-" as first and last page."""
    if value is None:
        return 1, None
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    head, dash, tail = text.partition("-")
    try:
        first = _number(head, name, MAX_PAGES) if dash else 1
        end = tail if dash else head
        last = _number(end, name, MAX_PAGES) if end.strip() or not dash else None
    except SeedError:
        first, last = 1, 0
    if last is not None and last < first:
        raise SeedError(
            f"{name} must be a number from 1 to {MAX_PAGES}, e.g. 20, or a range like 3-7, not {value!r}"
        )
    return first, last


def _number(value: Any, name: str, most: int) -> int:
    number = identifier(_stripped(value))
    if number is None or isinstance(value, float) or number > most:
        raise SeedError(f"{name} must be an integer from 1 to {most}, not {value!r}")
    return number


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _flag(value: Any, name: str) -> bool:
    flag = value if isinstance(value, bool) else _TRUTH.get(str(value).strip().lower())
    if flag is None:
        raise SeedError(f"{name} must be true or false, not {value!r}")
    return flag


def window(
    since: Any, until: Any, called: Callable[[str], str] = str
) -> tuple[datetime | None, datetime | None]:
    """Understand the beginning and the end of a time; raises SeedError that calls them as `called` does."""
    first, last = (
        None if value is None else _moment(value, called(name))
        for name, value in (("since", since), ("until", until))
    )
    if first is not None and last is not None and first >= last:
        raise SeedError(
            Phrase(
                "%(first_name)s=%(first)s must be before %(last_name)s=%(last)s",
                first_name=called("since"), first=since, last_name=called("until"), last=until,
            )
        )  # fmt: skip
    return first, last


def _moment(value: Any, name: str) -> datetime:
    """Understand a day or a moment, of Beijing unless it has an offset; raises SeedError."""
    try:
        # Python 3.10 reads no Z.
        told = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", str(value).strip()))
        told = told if told.tzinfo else told.replace(tzinfo=BEIJING)
        told = told.astimezone(timezone.utc).replace(microsecond=0)
        told.astimezone(BEIJING)  # as it will be shown
        return told
    except (ValueError, OverflowError):
        raise SeedError(
            Phrase(
                "%(name)s must be a day or a moment, e.g. 2026-01-31 or 2026-01-31T18:00, not %(given)r",
                name=name, given=value,
            )
        ) from None  # fmt: skip
