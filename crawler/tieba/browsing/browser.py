"""What people look at: forums, threads, floors, comments and users, in pages."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from tieba.browsing.counting import Counter
from tieba.browsing.reading import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.browsing.counting import Counted
    from tieba.browsing.reading import Key, Reader
    from tieba.config import Config
    from tieba.storage import Document

_LARGEST_PAGE = 1_000
_MOST_FORUMS = 1_000
_MOST_HOURS = 24 * 366
_HOUR = timedelta(hours=1)
_LARGEST_INT = 2**63 - 1
# Workers store records in another order than they stamp them: what is younger may get predecessors still.
_SETTLED = timedelta(seconds=60)
_TIMES = {"replied": "last_reply_at", "begun": "created_at"}
_KEYS = {"forums": "forum_id", "threads": "thread_id", "posts": "post_id", "comments": "comment_id"}


def open_browser(config: Config) -> Browser | None:
    """Give the browser of a configuration's central store; None where files alone are written.

    It connects when it is first asked. Raises StoreError for an address that cannot be one.
    """
    # Drivers are imported by those who use them: PyMongo takes a third of a second.
    if "mongodb" in config.storage:
        from tieba.browsing.mongodb import MongoReader

        return Browser(MongoReader(config.mongodb_url))
    if "mysql" in config.storage:
        from tieba.browsing.mysql import MysqlReader

        return Browser(MysqlReader(config.mysql_url))
    return None


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a list, and the cursor by which the next ones are asked for; None after the last."""

    items: list[Document]
    next: str | None


class Browser:
    """Reads records, in the form of `Store.scan`, without changing anything.

    Records that are marked deleted are among them. A cursor is text for a URL; one that cannot be ours
    raises ValueError, as do numbers beyond 64 bits. Methods raise StoreError, StoreUnavailable, and of these
    IndexMissing while workers still build an index. `place` names the store, without a password.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.place = reader.place
        self._counts: Counter[None, dict[str, int]] = Counter(lambda _: reader.counts())
        self._threads: Counter[None, dict[int, int]] = Counter(lambda _: reader.threads_by_forum())
        self._hours: Counter[tuple[datetime, datetime], list[tuple[datetime, int]]] = Counter(
            lambda span: self._count_hours(*span)
        )

    async def forums(self) -> list[Document]:
        """Give the forums, those with the most stored threads first, at most 1,000.

        Each has `threads` as well, the number of stored threads: None while they are first counted.
        """
        stored = await self._threads(None)
        counts = stored.value if stored else {}
        forums = await self._reader.walk(Walk(collection="forums", limit=_MOST_FORUMS + 1))
        if len(forums) > _MOST_FORUMS:
            largest = sorted(counts, key=lambda forum_id: -counts[forum_id])[:_MOST_FORUMS]
            forums = await self._reader.get("forums", largest) if largest else forums[:_MOST_FORUMS]
        for forum in forums:
            forum["threads"] = counts.get(forum["forum_id"], 0) if stored else None
        return sorted(forums, key=lambda forum: (-(forum["threads"] or 0), forum["forum_id"]))

    async def threads(
        self,
        *,
        forum_id: int | None = None,
        author_id: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: Literal["replied", "begun"] = "replied",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Give threads, the latest first, of a forum or of an author (by "begun" alone) or all.

        They are ordered by their last reply or by their beginning; `since` <= that time < `until`.
        """
        equal = None
        if author_id is not None:
            if forum_id is not None or by != "begun":
                raise ValueError("threads of an author are given by their beginning, of all forums")
            equal = ("author_id", author_id)
        elif forum_id is not None:
            equal = ("forum_id", forum_id)
        walk = Walk(
            collection="threads",
            equal=equal,
            by=_TIMES[by],
            descending=True,
            since=since,
            until=until,
            limit=limit,
        )
        return await self._page(walk, cursor)

    async def floors(self, thread_id: int, *, cursor: str | None = None, limit: int = 30) -> Page:
        """Give the floors of a thread in their order."""
        return await self._page(
            Walk(collection="posts", equal=("thread_id", thread_id), by="floor", limit=limit), cursor
        )

    async def comments(self, post_ids: Sequence[int], *, limit_each: int = 10) -> dict[int, list[Document]]:
        """Give the first comments of each of these floors that has any."""
        wanted = [_number(post_id) for post_id in dict.fromkeys(post_ids)][:_LARGEST_PAGE]
        found: dict[int, list[Document]] = defaultdict(list)
        if wanted:
            for comment in await self._reader.firsts("comments", "post_id", wanted, limit_each):
                found[comment["post_id"]].append(comment)
        return dict(found)

    async def comments_of(self, post_id: int, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Give the comments of a floor in their order."""
        return await self._page(Walk(collection="comments", equal=("post_id", post_id), limit=limit), cursor)

    async def posts_by(self, author_id: int, *, cursor: str | None = None, limit: int = 30) -> Page:
        """Give the floors that a user wrote, the newest first."""
        return await self._page(
            Walk(collection="posts", equal=("author_id", author_id), descending=True, limit=limit), cursor
        )

    async def forum(self, forum_id: int) -> Document | None:
        """Give one forum."""
        return await self._one("forums", forum_id)

    async def thread(self, thread_id: int) -> Document | None:
        """Give one thread."""
        return await self._one("threads", thread_id)

    async def post(self, post_id: int) -> Document | None:
        """Give one floor."""
        return await self._one("posts", post_id)

    async def comment(self, comment_id: int) -> Document | None:
        """Give one comment."""
        return await self._one("comments", comment_id)

    async def user(self, key: Key) -> Document | None:
        """Give one user, by id, or by portrait where there is no id."""
        return await self._one("users", key)

    async def many(
        self, collection: Literal["forums", "threads", "users"], keys: Sequence[Key]
    ) -> list[Document]:
        """Give the records with these keys that are there, in the order of the keys, at most 1,000."""
        wanted = [_number(key) if isinstance(key, int) else key for key in dict.fromkeys(keys)]
        found = {
            key_of(collection, item): item
            for item in await self._reader.get(collection, wanted[:_LARGEST_PAGE])
        }
        return [found[key] for key in wanted if key in found]

    async def posts_per_hour(
        self, since: datetime, until: datetime
    ) -> Counted[list[tuple[datetime, int]]] | None:
        """Give the number of floors that were written in every hour of a span of at most 366 days.

        Hours are whole ones; those without floors are among them. It is counted in the background, and what
        is given has its age: None while it is first counted.
        """
        first = _hour(since)
        end = _hour(until) + (_HOUR if _hour(until) < until else timedelta())
        if not 0 <= (end - first) // _HOUR <= _MOST_HOURS:
            raise ValueError("posts per hour are given of at most 366 days")
        return await self._hours((first, end))

    async def span(self, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        """Give when the oldest and the newest of the stored floors were written; None where there is none.

        With `until`, of those that are dated before then.
        """
        first = datetime(1970, 1, 1, tzinfo=timezone.utc)
        walk = Walk(collection="posts", by="created_at", since=first, until=until, limit=1)
        ends = await asyncio.gather(
            self._reader.walk(walk), self._reader.walk(replace(walk, descending=True))
        )
        return (ends[0][0]["created_at"], ends[1][0]["created_at"]) if all(ends) else None

    async def new_threads(self, cursor: str | None = None, limit: int = 1_000) -> Page:
        """Give threads in the order in which they came into the store; `next` goes on from there.

        Those of the last minute are left for later. With no items, ask again later with the same cursor.
        """
        return await self._new("threads", cursor, limit)

    async def new_users(self, cursor: str | None = None, limit: int = 1_000) -> Page:
        """Give users like `new_threads`."""
        return await self._new("users", cursor, limit)

    async def all_threads(self, cursor: str | None = None, limit: int = 1_000) -> Page:
        """Give threads by id, from the first to the last."""
        return await self._page(Walk(collection="threads", limit=limit), cursor)

    async def all_users(self, cursor: str | None = None, limit: int = 1_000) -> Page:
        """Give users by id, those without one last."""
        return await self._page(Walk(collection="users", limit=limit), cursor)

    async def counts(self) -> Counted[dict[str, int]] | None:
        """Give the number of stored records of every collection; None while they are first counted."""
        return await self._counts(None)

    async def close(self) -> None:
        """Give up the connections."""
        for counter in (self._counts, self._threads, self._hours):
            await counter.close()
        await self._reader.close()

    async def _one(self, collection: str, key: Key) -> Document | None:
        found = await self._reader.get(collection, [_number(key) if isinstance(key, int) else key])
        return found[0] if found else None

    async def _page(self, walk: Walk, cursor: str | None) -> Page:
        limit = max(1, min(walk.limit, _LARGEST_PAGE))
        if walk.equal is not None:
            _number(walk.equal[1])
        items = await self._reader.walk(
            replace(walk, after=_position(cursor) if cursor else None, limit=limit + 1)
        )
        is_last = len(items) <= limit
        return Page(items[:limit], None if is_last else _cursor(walk, items[limit - 1]))

    async def _new(self, collection: str, cursor: str | None, limit: int) -> Page:
        walk = Walk(
            collection=collection,
            by="first_seen",
            until=await self._reader.now() - _SETTLED,
            after=_position(cursor) if cursor else None,
            limit=max(1, min(limit, _LARGEST_PAGE)),
        )
        items = await self._reader.walk(walk)
        return Page(items, _cursor(walk, items[-1]) if items else cursor)

    async def _count_hours(self, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
        found = await self._reader.posts_by_hour(since, until)
        return [(since + number * _HOUR, found.get(number, 0)) for number in range((until - since) // _HOUR)]


def key_of(collection: str, document: Document) -> Key:
    """Give a record's key."""
    if collection == "users":
        key: Key = document["user_id"] if document["user_id"] is not None else document["portrait"]
    else:
        key = document[_KEYS[collection]]
    return key


def _cursor(walk: Walk, last: Document) -> str:
    value = last[walk.by] if walk.by else None
    position = [
        value.isoformat() if isinstance(value, datetime) else value,
        key_of(walk.collection, last),
    ]
    text = json.dumps(position, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[datetime | int | None, Key]:
    """Undo `_cursor`; raises ValueError."""
    try:
        value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
            value.astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ValueError("no such page") from None
    if not isinstance(key, str):
        _number(key)
    if not isinstance(value, datetime) and value is not None:
        _number(value)
    return value, key


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST_INT <= value <= _LARGEST_INT:
        raise ValueError(f"no number of 64 bits: {str(value)[:40]}")
    return value


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
