"""What of an answer is to be stored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tieba.pages.answers import Answer
    from tieba.pages.targets import Fetch
    from tieba.records import Record


def wanted_records(fetch: Fetch, answer: Answer) -> list[Record]:
    """Leave out floors and comments that were not written within the scope's time, or are not wanted.

    Cut titles are left out, too, since a store keeps what came last: they must not replace a whole one.
    """
    scope = fetch.scope
    return dataclasses.replace(
        answer,
        threads=tuple(
            dataclasses.replace(thread, title=None) if thread.thread_id in answer.cut_titles else thread
            for thread in answer.threads
        ),
        posts=tuple(post for post in answer.posts if scope.is_within(post.created_at)),
        comments=tuple(
            comment for comment in answer.comments if scope.comments and scope.is_within(comment.created_at)
        ),
    ).records()
