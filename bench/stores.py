"""Records a second that stores take and give: `python -m bench.stores mongodb://… mysql://… some/folder`.

Every place must be empty; the records stay there. Pages are stored as 16 requests at once would store them.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tieba.records import Comment, Post, Presence, Thread, User
from tieba.storage import Query
from tieba.storage.jsonl import JsonlStore
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tieba.records import Storable
    from tieba.storage import Store

_AT_ONCE = 16
_FLOORS = 30
_COMMENTS = 20
_USERS = 20_000
_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def page(number: int) -> list[Storable]:
    """Give the records of one page of a thread."""
    thread_id = 8_000_000_000 + number
    records: list[Storable] = [
        Thread(thread_id=thread_id, forum_id=1, title=f"题目{number}", reply_count=_FLOORS - 1),
        Presence(collection="threads", key_field="thread_id", key=thread_id, gone=False),
    ]
    for floor in range(1, _FLOORS + 1):
        author = (number * 7 + floor * 13) % _USERS + 1
        post_id = thread_id * 100 + floor
        post = Post(
            post_id=post_id,
            thread_id=thread_id,
            forum_id=1,
            floor=floor,
            author_id=author,
            text=f"第{floor}楼，" + "说了一些话。" * 12,
            images=(),
            created_at=_BEGIN + timedelta(seconds=number * 60 + floor),
            comment_count=0,
        )
        records += [post, User(user_id=author, name=f"user{author}", portrait=f"tb.1.{author}")]
        if floor <= _COMMENTS:
            comment = Comment(
                comment_id=10**13 + post_id,
                post_id=post_id,
                thread_id=thread_id,
                author_id=author,
                text="同意楼主的看法。",
                created_at=post.created_at,
            )
            records.append(comment)
    return records


async def measure(store: Store, pages: int) -> dict[str, float]:
    """Store pages, then all of them once more, then read what there is; gives records a second."""
    batches = [page(number) for number in range(pages)]
    count = sum(map(len, batches))
    figures = {}
    await store.open()
    for name in ("new", "again"):
        waiting = iter(batches)
        started = time.perf_counter()
        await asyncio.gather(*(_save(store, waiting) for _ in range(_AT_ONCE)))
        figures[name] = count / (time.perf_counter() - started)
    for name, collection in (("first scan", "posts"), ("scan", "comments")):
        started = time.perf_counter()
        found = 0
        async for _ in store.scan(Query(collection=collection)):
            found += 1
        figures[name] = found / (time.perf_counter() - started)
    await store.close()
    return figures


async def _save(store: Store, waiting: Iterator[list[Storable]]) -> None:
    for batch in waiting:
        await store.save(batch)


def _make(place: str) -> Store:
    if place.startswith("mongodb"):
        return MongoStore(place)
    return MysqlStore(place) if place.startswith("mysql") else JsonlStore(place)


def main() -> None:
    """Measure the stores that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m bench.stores", description=__doc__)
    parser.add_argument("places", nargs="+", metavar="PLACE", help="address of a database, or a folder")
    parser.add_argument("--pages", type=int, default=1_000, help="pages to store (default: %(default)s)")
    arguments = parser.parse_args()
    names = ("new", "again", "first scan", "scan")
    table = Table("records/s", *names, box=None)
    for place in arguments.places:
        figures = asyncio.run(measure(_make(place), arguments.pages))
        table.add_row(
            place.partition("://")[0].rpartition("/")[2], *(f"{figures[name]:,.0f}" for name in names)
        )
    Console().print(table)


if __name__ == "__main__":
    main()
