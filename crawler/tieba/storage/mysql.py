"""Keeps records in MySQL 8 or MariaDB 10.6 and newer: one table per record type, all times in UTC.

Names are compared by their bytes (utf8mb4_bin), and texts have no limit short of 16 MiB.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiomysql
from pymysql.constants import ER

from tieba.records import Visit
from tieba.storage import ORDER, ForumTotals, StoreError, StoreUnavailable
from tieba.storage.batches import GroupCommit
from tieba.storage.indexing import IndexBuild
from tieba.storage.merging import merge
from tieba.storage.mysql_indexes import build, missing
from tieba.storage.mysql_server import MysqlServer, error_code, is_in_the_way
from tieba.storage.mysql_statements import changes, filled, schema
from tieba.storage.tables import TABLES, select, select_totals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from tieba.records import Storable
    from tieba.storage import Document, Query

_SCHEMA_WAIT_SECONDS = 30
_ROWS_A_READ = 1_000
_THREADS_A_READ = 500  # of which posts or comments are asked for at once
_TRIES = 5  # of what other workers' transactions got in the way of


class MysqlStore:
    """A `Store` in the database that the path of `url` names; `?ssl_ca=file` asks for TLS."""

    def __init__(self, url: str) -> None:
        self._server = MysqlServer(url)
        self._commits = GroupCommit(self._write)
        self._indexes = IndexBuild(self._build_indexes)

    async def connect(self) -> None:
        """Connect alone, to read; tables that are not there yet have no records."""
        async with self._server.connection() as cursor:
            await self._server.has_tables(cursor)
        self._server.was_accepted = True

    async def open(self) -> None:
        """Connect and create the tables; again changes nothing."""
        async with self._server.connection() as cursor:
            if not await self._server.has_tables(cursor):
                await self._create(cursor)
        self._server.was_accepted = True
        await self._indexes.start()

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert records, together with those that other tasks save meanwhile."""
        await self._commits.save(records)

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection; of large ones the server's estimate."""
        return await self._server.counts()

    async def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records that fit, ordered; see `Store`."""
        table = TABLES[query.collection]
        try:
            for sql, parameters in await self._selects(query):
                async with self._server.connection(aiomysql.SSCursor) as cursor:
                    await self._server.execute(cursor, filled(sql, parameters).encode())
                    while rows := await cursor.fetchmany(_ROWS_A_READ):
                        for row in rows:
                            yield table.document(row)
        except StoreError as error:
            if error_code(error) != ER.NO_SUCH_TABLE:
                raise

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Give the last visit of each of these threads that has one."""
        rows = await self._server.select(
            "SELECT thread_id, fetched_in, fetched_scope, fetched_reply_count, fetched_last_reply_at"
            " FROM threads WHERE fetched_in IS NOT NULL AND thread_id IN ?",
            [list(thread_ids)],
        )
        return {
            thread_id: Visit(
                thread_id=thread_id,
                crawl_id=crawl_id,
                scope=scope,
                reply_count=replies,
                last_reply_at=at,
            )
            for thread_id, crawl_id, scope, replies, at in rows
        }

    async def finished_crawls(self, crawl_ids: Collection[str]) -> set[str]:
        """Tell which of these crawls have `finished_at`."""
        rows = await self._server.select(
            "SELECT crawl_id FROM crawls WHERE finished_at IS NOT NULL AND crawl_id IN ?", [list(crawl_ids)]
        )
        return {row[0] for row in rows}

    async def unseen_threads(
        self, forum_id: int, since: datetime, *, replied_from: datetime | None = None
    ) -> set[int]:
        """Give the threads of a forum that were not seen since; see `Store`."""
        sql = "SELECT thread_id FROM threads WHERE deleted_at IS NULL AND forum_id = ? AND last_seen < ?"
        parameters: list[Any] = [forum_id, since]
        if replied_from is not None:
            sql += " AND (is_pinned OR last_reply_at >= ?)"
            parameters.append(replied_from)
        return {row[0] for row in await self._server.select(sql, parameters)}

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum."""
        return [ForumTotals(*row) for row in await self._server.select(*select_totals(since))]

    async def close(self) -> None:
        """Close the connections."""
        await self._indexes.stop()
        await self._server.close()

    async def _selects(self, query: Query) -> Iterator[tuple[str, Sequence[Any]]]:
        """Give the statements, with their parameters, that one after the other answer a query.

        A forum's posts and comments are asked for by some threads at a time: the index then gives them in
        order, where joined with their threads they all would have to be sorted first.
        """
        if query.forum_id is None or query.thread_id is not None or query.collection not in ORDER:
            return iter([select(query)])
        thread_ids = array("q")
        async with self._server.connection(aiomysql.SSCursor) as cursor:
            ask = "SELECT thread_id FROM threads WHERE forum_id = ? ORDER BY thread_id"
            await self._server.execute(cursor, filled(ask, [query.forum_id]).encode())
            while rows := await cursor.fetchmany(_ROWS_A_READ):
                thread_ids.extend(thread_id for (thread_id,) in rows)
        of_any_forum = replace(query, forum_id=None)
        return (
            select(of_any_forum, thread_ids[first : first + _THREADS_A_READ].tolist())
            for first in range(0, len(thread_ids), _THREADS_A_READ)
        )

    async def _create(self, cursor: aiomysql.Cursor) -> None:
        """Create the tables, one worker at a time."""
        lock = f"tieba {self._server.name}"[:64]
        await cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, _SCHEMA_WAIT_SECONDS))
        if not await self._server.has_tables(cursor):
            for statement in schema():
                await cursor.execute(statement)
        await cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))  # else it ends with the connection

    async def _build_indexes(self) -> bool:
        async with self._server.connection(aiomysql.Cursor) as cursor:  # one that waits as long as it takes
            return not (lacking := await missing(cursor)) or await build(cursor, lacking, self._server.name)

    async def _write(self, records: Sequence[Storable]) -> None:
        """Store in one transaction, which the server confirms when it is on its disk."""
        try:
            statements = list(changes(merge(records)))
        except UnicodeEncodeError as error:
            raise StoreError(f"MySQL takes only Unicode: {error}") from error
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._server.connection() as cursor:
                    await cursor.execute("BEGIN")
                    for statement in statements:
                        await self._server.execute(cursor, statement)
                    await cursor.execute("COMMIT")
            except StoreUnavailable as error:  # noqa: PERF203 - a retry loop
                if not tries_left or not is_in_the_way(error):
                    raise
            else:
                return
