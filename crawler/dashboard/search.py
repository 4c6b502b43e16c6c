"""Search for threads by title and author, and for users by name: an index that follows the store.

Stores find records by ids and times alone. This index takes new threads and users in the order in which they
came into the store, and, slowly, all of them again and again for titles and names that have changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.text_index import LISTS, TextIndex, query, whole
from tieba.phrases import phrase_of
from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from dashboard.text_index import Row
    from tieba.browsing import Browser, Page
    from tieba.storage import Document

_BATCH = 1_000  # records that are read and stored at once
_ROUND_SECONDS = 10.0  # between looks at the store, each of which takes one batch of the sweep
_LONGEST_TEXT = 500  # characters of a title or name that are searched
_HASH_BYTES = 7

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the index is: rows of each list, when it last had everything (Unix time), and what is wrong.

    Without an index, which needs some room on the disk, nothing `is_open` that could be searched.
    """

    threads: int
    users: int
    complete_at: float | None
    problem: str | None
    is_open: bool


class Search:
    """The index, in the file at `path`, of what `browser` reads; `update` makes it."""

    def __init__(self, path: Path, browser: Browser) -> None:
        self._path = path
        self._browser = browser
        self._index: TextIndex | None = None
        self._complete_at: float | None = None
        self._problem: str | None = None

    async def progress(self) -> Progress:
        """Tell how far the index is."""
        threads = users = 0
        if index := self._index:
            # Not in the event loop: a search of somebody else keeps the index for a while.
            threads, users = [(await asyncio.to_thread(index.state, name))[2] for name in LISTS]
        return Progress(threads, users, self._complete_at, self._problem, index is not None)

    async def run(self) -> None:
        """Follow the store for ever, also while it is away at times."""
        while True:
            try:
                await self.update()
                await self._sweep()
            except (StoreError, sqlite3.Error) as error:
                if self._problem is None:
                    logger.warning("The search index does not follow the store: %s", error)
                self._problem = phrase_of(error)
            else:
                self._problem = None
            await asyncio.sleep(_ROUND_SECONDS)

    async def update(self) -> None:
        """Take everything new; what is done stays done after an error. Raises StoreError or sqlite3.Error."""
        for name in LISTS:
            ask = self._browser.new_threads if name == "threads" else self._browser.new_users
            while await self._take(name, "cursor", ask):
                pass
        self._complete_at = time.time()

    async def threads(
        self,
        text: str,
        *,
        limit: int = 50,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[int]:
        """Give the ids of threads whose title or author has all parts of a text, the newest ids first.

        With `before`, of those with smaller ids: the last id of a page gives the next one. With `since` or
        `until`, of those that are known to have begun then.
        """
        asked = query(text)
        if asked is None:
            return []
        bounds = {"before": before, "since": _seconds(since), "until": _seconds(until)}
        return [number for number, _ in await self._find("threads", asked, limit, **bounds)]

    async def users(self, text: str, *, limit: int = 50) -> list[int | str]:
        """Give the ids, or portraits, of users whose names have all parts of a text, whole names first."""
        asked = query(text)
        if asked is None:
            return []
        found = await self._find("users", whole(text) or asked, limit)
        if len(found) < limit:
            found += await self._find("users", asked, limit)
        return list(dict.fromkeys(key or number for number, key in found))[:limit]

    def close(self) -> None:
        """Close the file."""
        if self._index is not None:
            self._index.close()

    async def _opened(self) -> TextIndex:
        if self._index is None:
            self._index = await asyncio.to_thread(TextIndex, self._path, self._browser.place)
        return self._index

    async def _find(self, name: str, asked: str, limit: int, **bounds: Any) -> list[tuple[int, str]]:
        if self._index is None:
            return []
        return await asyncio.to_thread(self._index.find, name, asked, limit, **bounds)

    async def _sweep(self) -> None:
        for name in LISTS:
            ask = self._browser.all_threads if name == "threads" else self._browser.all_users
            await self._take(name, "swept", ask)

    async def _take(self, name: str, which: str, ask: Callable[[str | None, int], Awaitable[Page]]) -> bool:
        """Take one batch of a list from where it was left; tell whether there was anything."""
        index = await self._opened()
        cursor, swept, _ = await asyncio.to_thread(index.state, name)
        page = await ask(cursor if which == "cursor" else swept, _BATCH)
        if page.items or which == "swept":
            make = _thread if name == "threads" else _user
            await asyncio.to_thread(_store, index, name, make, page, which)
        return bool(page.items)


def _store(index: TextIndex, name: str, make: Callable[[Document], Row], page: Page, which: str) -> None:
    index.store(name, map(make, page.items), **{which: page.next})


def _thread(document: Document) -> Row:
    at = _seconds(document["created_at"])
    return document["thread_id"], _text(document["title"]), _text(document["author_name"]), "", at


def _user(document: Document) -> Row:
    number, key = document["user_id"], ""
    if number is None:
        key = document["portrait"]
        # Accounts without an id are numbered below those with one.
        number = -int.from_bytes(hashlib.sha256(key.encode()).digest()[:_HASH_BYTES], "big")
    return number, _text(document["name"]), _text(document["nickname"]), key, None


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _text(value: str | None) -> str:
    return (value or "")[:_LONGEST_TEXT]
