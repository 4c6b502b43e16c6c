"""Which requests follow from an answer."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from tieba.pages.gone import keys_by_post, read_so_far
from tieba.pages.targets import Before, CommentPage, Fetch, ForumPage, Listed, ThreadComments, ThreadPage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from tieba.pages.answers import Answer
    from tieba.pages.sources import Source
    from tieba.pages.targets import Scope
    from tieba.records import Thread

# Pages that one answer asks for at most: a number that the site gets wrong must not fill the queue.
MOST_PAGES_AT_ONCE = 500


def follow_ups(
    fetch: Fetch,
    answer: Answer,
    source: Source,
    *,
    unchanged: Collection[int] = (),
) -> Iterator[Fetch]:
    """Say what else has to be fetched after `answer` (outcome ok) came for `fetch`.

    The first page of anything asks for its other pages at once, so that workers share them. Every page
    that has a successor asks for it too: lists and threads grow while they are crawled, and deduplication
    drops the rest. The length of a page says nothing, since pages in the middle of a list can be short.
    Updates go from page to page instead: a page of floors or comments has to know where the one before ended,
    and the end of a list is judged once all of it is stored.

    `unchanged` threads of a list page are not fetched again.
    """
    target = fetch.target
    if isinstance(target, ForumPage):
        yield from _after_list(fetch, target, answer, unchanged)
    elif isinstance(target, ThreadPage):
        yield from _after_floors(fetch, target, answer, source)
    elif isinstance(target, ThreadComments):
        yield from _beyond_first_comments(fetch, target, answer, source)
    else:
        for page in _more_pages(target.page, answer, is_chain=fetch.scope.update):
            next_page = dataclasses.replace(target, page=page)
            yield dataclasses.replace(fetch, target=next_page, before=read_so_far(fetch, answer))


def oldest_reply(answer: Answer) -> datetime | None:
    """Give the oldest reply of a list page; pinned threads are out of the list's order."""
    return min((at for thread in answer.threads if (at := _place(thread)) is not None), default=None)


def _after_list(
    fetch: Fetch, target: ForumPage, answer: Answer, unchanged: Collection[int]
) -> Iterator[Fetch]:
    scope = fetch.scope
    if not _is_before(scope, answer):
        for page in _more_pages(
            target.page,
            answer,
            first=scope.first_page,
            limit=scope.last_page,
            is_chain=scope.update or scope.since is not None,
        ):
            yield Fetch(ForumPage(target.forum, page), scope)
    of_thread = scope.of_thread()
    for thread in answer.threads:
        is_new = scope.until is not None and thread.created_at and thread.created_at >= scope.until
        if not (_is_old(scope, answer, thread) or is_new or thread.thread_id in unchanged):
            listed = Listed(thread.reply_count, thread.last_reply_at)
            yield Fetch(ThreadPage(thread.thread_id), of_thread, listed)


def _after_floors(fetch: Fetch, target: ThreadPage, answer: Answer, source: Source) -> Iterator[Fetch]:
    scope = fetch.scope
    before = read_so_far(fetch, answer)
    for page in _more_pages(target.page, answer, is_chain=scope.update):
        yield Fetch(ThreadPage(target.thread_id, page), scope, before=before)
    if not scope.comments:
        return
    if not source.has_inline_comments:
        if any(post.comment_count for post in answer.posts):
            yield Fetch(ThreadComments(target.thread_id, target.page), scope)
        return
    inline = keys_by_post(answer)
    for post in answer.posts:
        count = post.comment_count or 0
        if count > len(inline[post.post_id]):
            yield from _comment_pages(fetch, target.thread_id, post.post_id, 1, count, source)


def _beyond_first_comments(
    fetch: Fetch, target: ThreadComments, answer: Answer, source: Source
) -> Iterator[Fetch]:
    first = keys_by_post(answer)
    for post_id, count in answer.comment_counts.items():
        keys = first[post_id]
        if count > len(keys):
            # What came makes up the first page, unless fewer came than a page has.
            is_page = len(keys) >= source.comments_per_page
            before = Before(max(keys), count) if is_page and fetch.scope.update else None
            number = 2 if is_page else 1
            yield from _comment_pages(fetch, target.thread_id, post_id, number, count, source, before)


def _comment_pages(
    fetch: Fetch,
    thread_id: int,
    post_id: int,
    first: int,
    count: int,
    source: Source,
    before: Before | None = None,
) -> Iterator[Fetch]:
    last = math.ceil(count / source.comments_per_page)
    last = first if fetch.scope.update else min(last, MOST_PAGES_AT_ONCE)
    for page in range(first, last + 1):
        yield Fetch(CommentPage(thread_id, post_id, page), fetch.scope, before=before)


def _more_pages(
    current: int, answer: Answer, *, first: int = 1, limit: int | None = None, is_chain: bool = False
) -> range:
    """Give the numbers of the pages to ask for."""
    last = answer.page.last if answer.page and answer.page.last else current
    is_first = (current - first) % MOST_PAGES_AT_ONCE == 0
    end = min(last, current + MOST_PAGES_AT_ONCE) if is_first and not is_chain else current
    if answer.has_next(current):
        end = max(end, current + 1)
    if limit is not None:
        end = min(end, limit)
    return range(current + 1, end + 1)


def _is_before(scope: Scope, answer: Answer) -> bool:
    """Tell whether a list page and all that follow it are older than the scope."""
    ages = [_is_old(scope, answer, thread) for thread in answer.threads if not thread.is_pinned]
    return True in ages and False not in ages


def _is_old(scope: Scope, answer: Answer, thread: Thread) -> bool | None:
    """Tell whether a listed thread had its last reply before the scope's time; None where nothing tells."""
    if scope.since is None:
        return None
    if thread.last_reply_at is not None:
        return thread.last_reply_at < scope.since
    before = answer.replied_before.get(thread.thread_id)
    return None if before is None else before <= scope.since


def _place(thread: Thread) -> datetime | None:
    """Give the time by which lists are sorted."""
    return None if thread.is_pinned else thread.last_reply_at
