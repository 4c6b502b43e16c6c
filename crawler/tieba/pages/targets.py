"""The logical requests of a crawl, and which of them follow from an answer.

A target says *what* to fetch, whatever the source. It identifies a request for deduplication and survives the
way through the queue as a short JSON list.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tieba.pages.answers import Answer

COMMENTS_PER_PAGE = 30  # of pb/floor; the client cannot choose it


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
class CommentPage:
    """One page of the comments of a floor; pages count from 1."""

    thread_id: int
    post_id: int
    page: int = 1

    def __str__(self) -> str:
        return f"comments of post {self.post_id} page {self.page}"


Target = Union[ForumPage, ThreadPage, CommentPage]  # noqa: UP007 - isinstance() needs a value on Python 3.10

_KINDS: dict[str, type[Target]] = {"forum": ForumPage, "thread": ThreadPage, "comments": CommentPage}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a seed reaches: the number of list pages of its forum, None for all of them."""

    pages: int | None = None


def kind_of(target: Target) -> str:
    """Name the kind of answer that a target is answered with: forum, thread or comments."""
    return _NAMES[type(target)]


def target_to_list(target: Target) -> list[str | int]:
    """Give a target as a JSON list, e.g. ["thread", 7777, 2]."""
    if isinstance(target, ForumPage):
        return ["forum", target.forum, target.page]
    if isinstance(target, ThreadPage):
        return ["thread", target.thread_id, target.page]
    return ["comments", target.thread_id, target.post_id, target.page]


def target_from_list(values: object) -> Target:
    """Undo `target_to_list`; raises ValueError for anything else."""
    match values:
        case ["forum", str(forum), int(page)]:
            return ForumPage(forum, page)
        case ["thread", int(thread_id), int(page)]:
            return ThreadPage(thread_id, page)
        case ["comments", int(thread_id), int(post_id), int(page)]:
            return CommentPage(thread_id, post_id, page)
    raise ValueError(f"not a target: {values!r}")


def follow_ups(target: Target, answer: Answer, scope: Scope) -> Iterator[Target]:
    """Say what else has to be fetched after `answer` (outcome ok) came for `target`.

    The first page of anything asks for all its other pages at once, so that workers share them. Every page
    that has a successor asks for it too: lists and threads grow while they are crawled, and deduplication
    drops the rest. The length of a page says nothing, since pages in the middle of a list can be short.
    """
    if isinstance(target, ForumPage):
        for page in _more_pages(target.page, answer, limit=scope.pages):
            yield ForumPage(target.forum, page)
        for thread in answer.threads:
            yield ThreadPage(thread.thread_id)
    elif isinstance(target, ThreadPage):
        for page in _more_pages(target.page, answer):
            yield ThreadPage(target.thread_id, page)
        inline = Counter(comment.post_id for comment in answer.comments)
        for post in answer.posts:
            count = post.comment_count or 0
            if count > inline[post.post_id]:
                for page in range(1, math.ceil(count / COMMENTS_PER_PAGE) + 1):
                    yield CommentPage(target.thread_id, post.post_id, page)
    else:
        for page in _more_pages(target.page, answer):
            yield CommentPage(target.thread_id, target.post_id, page)


def _more_pages(current: int, answer: Answer, limit: int | None = None) -> Iterator[int]:
    last = answer.page.last if answer.page and answer.page.last else current
    end = last if current == 1 else current
    if answer.has_more or last > current:
        end = max(end, current + 1)
    if limit is not None:
        end = min(end, limit)
    yield from range(current + 1, end + 1)
