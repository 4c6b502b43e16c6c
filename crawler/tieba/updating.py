"""Holds the lists of an update against the store: what is unchanged, and what has vanished."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tieba.pages import Fetch, ForumPage, Outcome, ThreadPage, oldest_reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tieba.cluster import Cluster
    from tieba.pages import Answer, Source
    from tieba.records import Thread, Visit

# The clocks of Redis and the store may differ by a little; two crawls are further apart than this.
CLOCK_MARGIN = timedelta(seconds=1)


async def unchanged_threads(cluster: Cluster, fetch: Fetch, answer: Answer) -> set[int]:
    """Give the threads of a list page that need not be fetched again; to be asked before it is stored.

    Only crawls that were worked through to their end are trusted with what they fetched.
    """
    is_list = isinstance(fetch.target, ForumPage) and answer.outcome is Outcome.OK
    if not (is_list and fetch.scope.update):
        return set()
    threads = {thread.thread_id: thread for thread in answer.threads}
    visits = await cluster.ask_store(lambda: cluster.store.visits(threads))
    crawls = {visit.crawl_id for visit in visits.values() if visit.crawl_id is not None}
    finished = await cluster.ask_store(lambda: cluster.store.finished_crawls(crawls))
    return {
        thread_id
        for thread_id, visit in visits.items()
        if visit.crawl_id in finished and _is_unchanged(threads[thread_id], visit, fetch)
    }


async def vanished_threads(
    cluster: Cluster, fetch: Fetch, answer: Answer, source: Source, following: Iterable[Fetch]
) -> list[Fetch]:
    """Give requests for stored threads that an update's list no longer shows, once it has been read.

    Their own pages tell whether they are gone. Where only a part of the list was read, because the scope or
    the site ends it earlier, threads with an older last reply than those in it cannot be judged.
    """
    target, scope = fetch.target, fetch.scope
    if not (isinstance(target, ForumPage) and scope.update) or scope.good or scope.first_page > 1:
        return []
    if answer.forum is None or any(isinstance(next_fetch.target, ForumPage) for next_fetch in following):
        return []
    claimed = answer.forum.thread_count
    is_whole = claimed is not None and claimed <= target.page * source.threads_per_page
    oldest = oldest_reply(answer)
    if not is_whole and oldest is None:
        return []
    forum_id, since = answer.forum.forum_id, await _beginning(cluster)
    unseen = await cluster.ask_store(
        lambda: cluster.store.unseen_threads(forum_id, since, replied_from=None if is_whole else oldest)
    )
    listed = {thread.thread_id for thread in answer.threads}  # they are being stored
    return [Fetch(ThreadPage(thread_id), scope.of_thread()) for thread_id in sorted(unseen - listed)]


async def _beginning(cluster: Cluster) -> datetime:
    """Give the time at which the crawl began."""
    started_at = await cluster.patience(cluster.job.started_at)
    return datetime.fromtimestamp(started_at, tz=timezone.utc) - CLOCK_MARGIN


def _is_unchanged(thread: Thread, visit: Visit, fetch: Fetch) -> bool:
    """Tell whether a list shows a thread as it did when it was fetched, and as much of it was.

    Where a web page gives a day without its hour, the number of replies has to do: it never falls.
    """
    replies = {thread.last_reply_at, visit.last_reply_at}
    return (
        thread.reply_count is not None
        and thread.reply_count == visit.reply_count
        and (None in replies or len(replies) == 1)
        and visit.scope in {"", fetch.scope.left_out}
    )
