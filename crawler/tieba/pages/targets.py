"""The logical requests of a crawl: what to fetch, whatever the source.

A target identifies a request for deduplication. A `Fetch` is a target with what the crawl has to know
besides; it survives the way through the queue as a short JSON object.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Union


@dataclass(frozen=True, slots=True)
class ForumPage:
    """One page of a forum's thread list; pages count from 1."""

    forum: str
    page: int = 1

    def __str__(self) -> str:
        return f"forum {self.forum!r} page {self.page}"


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """One page of a thread's floors; pages count from 1."""

    thread_id: int
    page: int = 1

    def __str__(self) -> str:
        return f"thread {self.thread_id} page {self.page}"


@dataclass(frozen=True, slots=True)
class ThreadComments:
    """The first comments of all floors of one thread page; only the web source has them apart."""

    thread_id: int
    page: int = 1

    def __str__(self) -> str:
        return f"comments of thread {self.thread_id} page {self.page}"


@dataclass(frozen=True, slots=True)
class CommentPage:
    """One page of the comments of a floor; pages count from 1."""

    thread_id: int
    post_id: int
    page: int = 1

    def __str__(self) -> str:
        return f"comments of post {self.post_id} page {self.page}"


Target = Union[ForumPage, ThreadPage, ThreadComments, CommentPage]  # noqa: UP007 - isinstance() on Python 3.10

_NAMES: dict[type[Target], str] = {
    ForumPage: "forum",
    ThreadPage: "thread",
    ThreadComments: "thread_comments",
    CommentPage: "comments",
}


def kind_of(target: Target) -> str:
    """Name the kind of answer that a target is answered with: forum, thread or comments."""
    return "comments" if isinstance(target, ThreadComments) else _NAMES[type(target)]


def target_to_list(target: Target) -> list[str | int]:
    """Give a target as a JSON list, e.g. ["thread", 7777, 2]."""
    return [_NAMES[type(target)], *dataclasses.astuple(target)]


def target_from_list(values: object) -> Target:
    """Undo `target_to_list`; raises ValueError for anything else."""
    match values:
        case ["forum", str(forum), int(page)]:
            return ForumPage(forum, page)
        case ["thread", int(thread_id), int(page)]:
            return ThreadPage(thread_id, page)
        case ["thread_comments", int(thread_id), int(page)]:
            return ThreadComments(thread_id, page)
        case ["comments", int(thread_id), int(post_id), int(page)]:
            return CommentPage(thread_id, post_id, page)
    raise ValueError(f"not a target: {values!r}")


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a seed reaches.

    Of the forum: list pages `first_page` to `last_page` (None: to the end), only good threads (精品), only
    threads with a reply since `since`. Of a thread: only its starter's floors, no comments, only floors and
    comments written from `since` on and before `until`. With `update`, threads that look in the list as they
    did when they were last fetched are left out, and what is gone is marked.
    """

    first_page: int = 1
    last_page: int | None = None
    good: bool = False
    starter: bool = False
    comments: bool = True
    since: datetime | None = None
    until: datetime | None = None
    update: bool = False

    def of_thread(self) -> Scope:
        """Give what of it concerns a thread."""
        return dataclasses.replace(self, first_page=1, last_page=None, good=False)

    @property
    def left_out(self) -> str:
        """Tell what of a thread is left out on purpose; '' for nothing."""
        thread = self.of_thread()
        return ",".join(f"{name}={value}" for name, value in thread.to_json().items() if name != "update")

    def is_within(self, moment: datetime | None) -> bool:
        """Tell whether something written at a moment is wanted; what has no time is."""
        if moment is None:
            return True
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    def to_json(self) -> dict[str, Any]:
        """Give the fields that are not as by default; times in Unix seconds."""
        return {
            item.name: int(value.timestamp()) if isinstance(value, datetime) else value
            for item in dataclasses.fields(self)
            if (value := getattr(self, item.name)) != item.default
        }

    @classmethod
    def from_json(cls, values: object) -> Scope:
        """Undo `to_json`; raises ValueError for anything else."""
        if not isinstance(values, dict):
            raise ValueError(f"not a scope: {values!r}")
        fields = dict(values)
        types = {"first_page": int, "last_page": int, "since": int, "until": int}
        for name, value in fields.items():
            if name not in cls.__dataclass_fields__ or type(value) is not types.get(name, bool):
                raise ValueError(f"not a scope: {values!r}")
            if name in {"since", "until"}:
                fields[name] = _moment(value)
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list showed of a thread when its pages were asked for."""

    reply_count: int | None = None
    last_reply_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What an update has read of a thread or floor so far: the largest key, and how many the site counted."""

    key: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request to make: its target, the seed's scope, and what the pages before it told.

    `listed` comes with the first page of a thread, `before` with its further pages and those of its comments
    in an update.
    """

    target: Target
    scope: Scope = Scope()
    listed: Listed | None = None
    before: Before | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it as a JSON object, without what is as by default."""
        value: dict[str, Any] = {"target": target_to_list(self.target)}
        if scope := self.scope.to_json():
            value["scope"] = scope
        if self.listed is not None:
            last = self.listed.last_reply_at
            value["listed"] = [self.listed.reply_count, None if last is None else int(last.timestamp())]
        if self.before is not None:
            value["before"] = [self.before.key, self.before.count]
        return value

    @classmethod
    def from_json(cls, value: object) -> Fetch:
        """Undo `to_json`; raises ValueError for anything else."""
        if not isinstance(value, dict):
            raise ValueError(f"not a fetch: {value!r}")
        match value.get("listed"):
            case None:
                listed = None
            case [int() | None as replies, int() | None as last]:
                listed = Listed(
                    replies, None if last is None else datetime.fromtimestamp(last, tz=timezone.utc)
                )
            case other:
                raise ValueError(f"not a thread in a list: {other!r}")
        match value.get("before"):
            case None:
                before = None
            case [int(key), int() | None as count]:
                before = Before(key, count)
            case other:
                raise ValueError(f"not a place in a thread: {other!r}")
        return cls(
            target_from_list(value.get("target")), Scope.from_json(value.get("scope", {})), listed, before
        )


def _moment(seconds: int | None) -> datetime | None:
    """Give a time from Unix seconds; raises ValueError where there is none."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (OverflowError, OSError) as error:
        raise ValueError(f"not a time: {seconds}") from error
