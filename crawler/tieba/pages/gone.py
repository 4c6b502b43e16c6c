"""What an answer proves gone: the pages of an update, read in order, leave no gap for what is still there."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tieba.pages.targets import Before, CommentPage, ThreadComments, ThreadPage
from tieba.records import Comment, Extent, Post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tieba.pages.answers import Answer
    from tieba.pages.sources import Source
    from tieba.pages.targets import Fetch


def extents(fetch: Fetch, answer: Answer, source: Source) -> Iterator[Extent]:
    """Say what an answer (outcome ok) proves gone; only updates read pages in the order that this needs."""
    scope, target = fetch.scope, fetch.target
    if not scope.update or scope.starter:
        return
    if isinstance(target, ThreadPage):
        yield from _extent_of_page(fetch, answer, Post, target.thread_id)
        if scope.comments:
            inline = keys_by_post(answer)
            for post in answer.posts:
                if post.comment_count is not None and len(inline[post.post_id]) >= post.comment_count:
                    yield _extent(Comment, post.post_id, 0, None, inline[post.post_id])
    elif isinstance(target, ThreadComments):
        first = keys_by_post(answer)
        for post_id, count in answer.comment_counts.items():
            keys = first[post_id]
            if len(keys) >= count or len(keys) >= source.comments_per_page:
                yield _extent(Comment, post_id, 0, None if len(keys) >= count else max(keys), keys)
    elif isinstance(target, CommentPage):
        yield from _extent_of_page(fetch, answer, Comment, target.post_id)


def read_so_far(fetch: Fetch, answer: Answer) -> Before | None:
    """Give what the next page has to know of this one and those before it; None outside of updates."""
    if not fetch.scope.update:
        return None
    known = fetch.before.key if fetch.before else 0
    return Before(max([known, *_keys(fetch, answer)]), _count(fetch, answer))


def keys_by_post(answer: Answer) -> dict[int, list[int]]:
    """Give the keys of the comments of every floor."""
    found: dict[int, list[int]] = defaultdict(list)
    for comment in answer.comments:
        if comment.post_id is not None:
            found[comment.post_id].append(comment.comment_id)
    return found


def _extent_of_page(
    fetch: Fetch, answer: Answer, kind: type[Post | Comment], parent: int
) -> Iterator[Extent]:
    """Give what a page proves: nothing if it is empty.

    Where the site counts otherwise than on the page before, floors may have moved from page to page between
    the two requests: then nothing is said of what lies between the pages.
    """
    keys = _keys(fetch, answer)
    if not keys:
        return
    before = fetch.before or Before()
    is_steady = fetch.before is None or before.count == _count(fetch, answer)
    upto = max(keys) if answer.has_next(fetch.target.page) else None
    yield _extent(kind, parent, before.key if is_steady else min(keys) - 1, upto, keys)


def _keys(fetch: Fetch, answer: Answer) -> list[int]:
    if isinstance(fetch.target, ThreadPage):
        return [post.post_id for post in answer.posts]
    return [comment.comment_id for comment in answer.comments]


def _count(fetch: Fetch, answer: Answer) -> int | None:
    """Give the number of replies or comments that the site counts."""
    if isinstance(fetch.target, CommentPage):
        return answer.comment_counts.get(fetch.target.post_id)
    return answer.thread.reply_count if answer.thread else None


def _extent(kind: type[Post | Comment], parent: int, after: int, upto: int | None, keys: list[int]) -> Extent:
    return Extent(
        collection=kind.collection,
        parent_field="thread_id" if kind is Post else "post_id",
        parent=parent,
        after=after,
        upto=upto,
        keys=tuple(keys),
    )
