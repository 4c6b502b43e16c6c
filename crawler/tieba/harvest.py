"""What an answer brings: records to be stored, and what is to be fetched next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tieba.fetches import source_of
from tieba.pages import Outcome, ThreadPage, extents, follow_ups, wanted_records
from tieba.records import Presence, Thread, Visit
from tieba.updating import unchanged_threads, vanished_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.cluster import Cluster
    from tieba.pages import Answer, Fetch
    from tieba.records import Storable


@dataclass(frozen=True, slots=True)
class Harvest:
    """What an answer brings."""

    records: Sequence[Storable]
    following: Sequence[Fetch]


async def harvest(cluster: Cluster, fetch: Fetch, answer: Answer, crawl_id: str) -> Harvest:
    """Give what an answer (outcome ok or deleted) to a fetch of a crawl brings."""
    unchanged = await unchanged_threads(cluster, fetch, answer)
    records: list[Storable] = [*_thread_is_there(fetch, answer, crawl_id), *wanted_records(fetch, answer)]
    if answer.outcome is not Outcome.OK:
        return Harvest(records, ())
    source = source_of(cluster.config)
    records += extents(fetch, answer, source)
    following = list(follow_ups(fetch, answer, source, unchanged=unchanged))
    following += await vanished_threads(cluster, fetch, answer, source, following)
    return Harvest(records, following)


def _thread_is_there(fetch: Fetch, answer: Answer, crawl_id: str) -> tuple[Presence | Visit, ...]:
    target = fetch.target
    if not isinstance(target, ThreadPage):
        return ()
    gone = answer.outcome is Outcome.DELETED
    presence = Presence(
        collection=Thread.collection, key_field=Thread.key_field, key=target.thread_id, gone=gone
    )
    if target.page > 1:
        return (presence,)
    listed = fetch.listed
    visit = Visit(
        thread_id=target.thread_id,
        crawl_id=crawl_id,
        scope=fetch.scope.left_out,
        reply_count=listed.reply_count if listed else None,
        last_reply_at=listed.last_reply_at if listed else None,
    )
    return presence, visit
