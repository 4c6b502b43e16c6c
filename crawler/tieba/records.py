"""What is stored: forums, threads, posts (floors), comments (replies inside a floor) and users.

In every record None means "this page does not say", never "empty": a store keeps what it already knows.
Ids are positive integers below 2**63, times are timezone-aware UTC, text keeps its line breaks.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Union


class _Record:
    """What the records have in common."""

    __slots__ = ()
    collection: ClassVar[str]
    key_field: ClassVar[str]

    @property
    def key(self) -> int | str:
        """The value that identifies the record in its collection."""
        key: int | str = getattr(self, self.key_field)
        return key

    def fields(self) -> dict[str, Any]:
        """Every field by name, as Python values; None where it is not known."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forum(_Record):
    """A forum (吧)."""

    collection: ClassVar[str] = "forums"
    key_field: ClassVar[str] = "forum_id"

    forum_id: int
    name: str | None = None
    thread_count: int | None = None
    post_count: int | None = None
    member_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread(_Record):
    """A thread (贴子); `reply_count` is the number of replies that its page shows (without floor 1)."""

    collection: ClassVar[str] = "threads"
    key_field: ClassVar[str] = "thread_id"

    thread_id: int
    forum_id: int | None = None
    title: str | None = None
    author_id: int | None = None
    author_name: str | None = None
    reply_count: int | None = None
    first_post_id: int | None = None
    is_pinned: bool | None = None
    is_good: bool | None = None
    created_at: datetime | None = None
    last_reply_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post(_Record):
    """A floor (楼) of a thread; `images` are URLs in the order of the text."""

    collection: ClassVar[str] = "posts"
    key_field: ClassVar[str] = "post_id"

    post_id: int
    thread_id: int | None = None
    forum_id: int | None = None
    floor: int | None = None
    author_id: int | None = None
    author_name: str | None = None
    text: str | None = None
    images: tuple[str, ...] | None = None
    created_at: datetime | None = None
    comment_count: int | None = None
    client: str | None = None
    ip_place: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment(_Record):
    """A reply inside a floor (楼中楼); `text` is without the "回复 X :" that names `reply_to_name`."""

    collection: ClassVar[str] = "comments"
    key_field: ClassVar[str] = "comment_id"

    comment_id: int
    post_id: int | None = None
    thread_id: int | None = None
    author_id: int | None = None
    author_name: str | None = None
    reply_to_name: str | None = None
    text: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User(_Record):
    """An author. Accounts of the IP era have no id: the portrait identifies them."""

    collection: ClassVar[str] = "users"
    key_field: ClassVar[str] = "user_id"

    user_id: int | None = None
    name: str | None = None
    nickname: str | None = None
    portrait: str | None = None

    def __post_init__(self) -> None:
        if self.user_id is None and self.portrait is None:
            raise ValueError("a user needs an id or a portrait")

    @property
    def key(self) -> int | str:
        """The user's id, or the portrait of a user without one."""
        return self.user_id if self.user_id is not None else self.portrait or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What a record's own page says of it: it is gone, or it is (again) there.

    Not a record itself. A store marks the record deleted, keeping the time of the first mark, or clears the
    mark. Lists go on naming threads that are gone, so a sighting in a list says nothing.
    """

    collection: str
    key_field: str
    key: int
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What an answer proves of a range of floors or comments: there are these, and no others.

    A store marks as deleted what it has of `collection` under the parent (`parent_field` = `parent`) with a
    key above `after`, up to `upto` (None: without end), that is not among `keys`.
    """

    collection: str
    parent_field: str
    parent: int
    after: int
    upto: int | None
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A thread's pages were asked for in a crawl, when its list showed this reply count and last reply.

    A store keeps it in the thread, as `fetched_at` (now), `fetched_in`, `fetched_scope`,
    `fetched_reply_count` and `fetched_last_reply_at`; None overwrites, too. A later crawl compares the list
    with it. With `crawl_id` None the thread was not fetched completely: all of these fields are cleared.
    """

    thread_id: int
    crawl_id: str | None
    scope: str = ""  # what of the thread was left out on purpose; see tieba.pages.Scope
    reply_count: int | None = None
    last_reply_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl(_Record):
    """One crawl of the cluster, as it ended; without `finished_at` it was not worked through to its end."""

    collection: ClassVar[str] = "crawls"
    key_field: ClassVar[str] = "crawl_id"

    crawl_id: str
    seeds: tuple[str, ...] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    requests: int | None = None
    failed: int | None = None


Record = Union[Forum, Thread, Post, Comment, User]  # noqa: UP007 - isinstance() needs a value on Python 3.10
RECORD_TYPES: tuple[type[Record], ...] = (Forum, Thread, Post, Comment, User)  # what the site has
STORED_TYPES: tuple[type[Record | Crawl], ...] = (*RECORD_TYPES, Crawl)
Storable = Union[Record, Crawl, Presence, Extent, Visit]  # noqa: UP007


def to_json(record: Record) -> dict[str, Any]:
    """Give the record's fields as JSON values: times in ISO 8601, tuples as lists."""
    return {
        name: value.isoformat()
        if isinstance(value, datetime)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in record.fields().items()
    }
