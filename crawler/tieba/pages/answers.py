"""What one answer of the site means."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from tieba.records import Comment, Forum, Post, Record, Thread, User, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Outcome(str, Enum):
    """What the site did with a request."""

    OK = "ok"
    VERIFICATION = "verification"  # captcha or safety page: the address is under suspicion
    RATE_LIMITED = "rate_limited"
    DELETED = "deleted"
    CLOSED = "closed"  # the forum is not open
    LOGIN_REQUIRED = "login_required"
    REFUSED = "refused"  # an error code of the site's API, or the page of a forum that is not there
    UNKNOWN = "unknown"  # nothing recognised: an error, never an empty page

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page stands: its number, from 1, and the last one's; None where the answer does not say."""

    number: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: its outcome and, where that is ok, the records in it.

    `error` says in one line why the outcome is not ok. `retry_after` is what the site asks to wait, in
    seconds.
    """

    outcome: Outcome
    kind: str | None = None
    forum: Forum | None = None
    thread: Thread | None = None
    page: Page | None = None
    has_more: bool = False
    threads: tuple[Thread, ...] = ()
    posts: tuple[Post, ...] = ()
    comments: tuple[Comment, ...] = ()
    users: tuple[User, ...] = ()
    # Of lists: the threads whose title is cut, or may be; their own pages have the whole.
    cut_titles: frozenset[int] = frozenset()
    # Of lists: before which moment a thread had its last reply, where only its day or month is shown.
    replied_before: Mapping[int, datetime] = field(default_factory=dict)
    # Of answers with comments: how many each floor has, by post id, as far as they tell.
    comment_counts: Mapping[int, int] = field(default_factory=dict)
    error: str | None = None
    retry_after: float | None = None

    @property
    def has_content(self) -> bool:
        """Whether it lists anything; a page past the end does not."""
        return bool(self.threads or self.posts or self.comments)

    def has_next(self, number: int) -> bool:
        """Tell whether page `number` of something has a successor; one past the end has none."""
        last = self.page.last if self.page and self.page.last else number
        return (self.has_more or last > number) and (self.has_content or number <= 1 or number < last)

    def as_page(self, number: int) -> Answer:
        """Give what this answer is to a request for page `number` of what it is about.

        Sites answer a request beyond their last page with that page, and one beyond their depth with the
        first: there is no such page then. Another page than the one asked for, which there is, is unknown.
        """
        shown, last = (self.page.number, self.page.last) if self.page else (None, None)
        if self.outcome is not Outcome.OK or shown is None or shown == number:
            return self
        if max(shown, last or 0) < number:
            return Answer(
                outcome=Outcome.OK,
                kind=self.kind,
                forum=self.forum,
                thread=self.thread,
                page=Page(number, last),
            )
        return Answer(outcome=Outcome.UNKNOWN, error=f"page {shown} in answer to a request for page {number}")

    def records(self) -> list[Record]:
        """Everything there is to store."""
        single = [record for record in (self.forum, self.thread) if record is not None]
        return [*single, *self.threads, *self.posts, *self.comments, *self.users]


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Give the answer as the JSON object that `tieba parse` prints."""
    return {
        "outcome": answer.outcome.value,
        "kind": answer.kind,
        "forum": to_json(answer.forum) if answer.forum else None,
        "thread": to_json(answer.thread) if answer.thread else None,
        "page": {"number": answer.page.number, "last": answer.page.last} if answer.page else None,
        "threads": [to_json(record) for record in answer.threads],
        "posts": [to_json(record) for record in answer.posts],
        "comments": [to_json(record) for record in answer.comments],
        "users": [to_json(record) for record in answer.users],
        **({"error": answer.error} if answer.error else {}),
    }
