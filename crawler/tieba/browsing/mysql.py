"""Reads a store in MySQL or MariaDB; every query names its index, so that none can read everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiomysql
from pymysql.constants import ER

from tieba.browsing.reading import IndexMissing
from tieba.storage import StoreError
from tieba.storage.mysql_server import MysqlServer, error_code
from tieba.storage.mysql_statements import INDEXES
from tieba.storage.tables import TABLES, sql_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tieba.browsing.reading import Key, Walk
    from tieba.storage import Document


class MysqlReader:
    """A `Reader` of the database that the path of `url` names."""

    def __init__(self, url: str) -> None:
        self._server = MysqlServer(url)
        self.place = f"mysql {self._server.place}"
        self._is_known = False  # that the tables are ours

    async def walk(self, walk: Walk) -> list[Document]:
        """Give the records of a walk: piece by piece of the index, until there are enough."""
        table = TABLES[walk.collection]
        found: list[Document] = []
        for sql, parameters in pieces(walk):
            rows = await self._select(f"{sql} LIMIT {walk.limit - len(found)}", parameters)
            found += [table.document(row) for row in rows]
            if len(found) >= walk.limit:
                break
        return found

    async def firsts(self, collection: str, field: str, values: Sequence[int], limit: int) -> list[Document]:
        """Give the first records, by key, that have each of these values, in one question."""
        table = TABLES[collection]
        piece = f"({_select(collection, (field,))} WHERE r.{field} = ? ORDER BY r.{table.key} LIMIT {limit})"
        rows = await self._select(" UNION ALL ".join([piece] * len(values)), values)
        return [table.document(row) for row in rows]

    async def get(self, collection: str, keys: Sequence[Key]) -> list[Document]:
        """Give the records with these keys that are there."""
        table = TABLES[collection]
        rows = await self._select(
            f"{_select(collection)} WHERE r.{table.key} IN ?", [[sql_key(collection, key) for key in keys]]
        )
        return [table.document(row) for row in rows]

    async def now(self) -> datetime:
        """Give the time of the server's clock."""
        ((now,),) = await self._select("SELECT UTC_TIMESTAMP(3)")
        moment: datetime = now
        return moment

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection; of large ones the server's estimate."""
        return await self._server.counts()

    async def threads_by_forum(self) -> dict[int, int]:
        """Count the threads of every forum."""
        rows = await self._count(
            "SELECT forum_id, COUNT(*) FROM threads FORCE INDEX (forum_created)"
            " WHERE forum_id IS NOT NULL GROUP BY forum_id"
        )
        return dict(rows)

    async def posts_by_hour(self, since: datetime, until: datetime) -> dict[int, int]:
        """Count the posts of every hour."""
        rows = await self._count(
            "SELECT TIMESTAMPDIFF(HOUR, ?, created_at) AS hour, COUNT(*) FROM posts FORCE INDEX (created_at)"
            " WHERE created_at >= ? AND created_at < ? GROUP BY hour",
            [since, since, until],
        )
        return dict(rows)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _count(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return await self._select(sql, parameters, aiomysql.Cursor)  # which waits as long as it takes

    async def _select(
        self, sql: str, parameters: Sequence[Any] = (), kind: type[aiomysql.Cursor] | None = None
    ) -> Sequence[Sequence[Any]]:
        try:
            if not self._is_known:
                async with self._server.connection() as cursor:
                    self._is_known = await self._server.has_tables(cursor)
            return await self._server.select(sql, parameters, kind)
        except StoreError as error:
            if error_code(error) == ER.KEY_DOES_NOT_EXITS:
                raise IndexMissing(str(error)) from error
            raise


def pieces(walk: Walk) -> Iterator[tuple[str, list[Any]]]:
    """Give statements, without LIMIT, and their parameters that one after the other give the walk's records.

    Each reads one range of the index from its end: what one condition with OR would say is not read so.
    """
    table = TABLES[walk.collection]
    key = f"r.{table.key}"
    beyond, direction = ("<", " DESC") if walk.descending else (">", "")
    by = f"r.{walk.by}" if walk.by else ""
    start = _select(walk.collection, walk.fields)
    conditions = [f"r.{walk.equal[0]} = ?"] if walk.equal else []
    parameters: list[Any] = [walk.equal[1]] if walk.equal else []

    def piece(more: list[str], values: list[Any], order: list[str]) -> tuple[str, list[Any]]:
        where = " AND ".join([*conditions, *more])
        ordered = ", ".join(f"{name}{direction}" for name in order)
        return f"{start}{' WHERE ' if where else ''}{where} ORDER BY {ordered}", [*parameters, *values]

    bounds = [(f"{by} >= ?", walk.since), (f"{by} < ?", walk.until)]
    more = [condition for condition, bound in bounds if bound is not None]
    values: list[Any] = [bound for _, bound in bounds if bound is not None]
    if walk.after is None:
        yield piece(more, values, [by, key] if by else [key])
        return
    last, last_key = walk.after[0], sql_key(walk.collection, walk.after[1])
    if not by:
        yield piece([f"{key} {beyond} ?"], [last_key], [key])
    elif last is None:
        yield piece([f"{by} IS NULL", f"{key} {beyond} ?"], [last_key], [key])
        if not walk.descending:
            yield piece([f"{by} IS NOT NULL"], [], [by, key])
    else:
        yield piece([f"{by} = ?", f"{key} {beyond} ?"], [last, last_key], [key])
        yield piece([f"{by} {beyond} ?", *more], [last, *values], [by, key])
        if walk.descending and not more:
            yield piece([f"{by} IS NULL"], [], [key])


def _select(collection: str, fields: tuple[str, ...] = ()) -> str:
    """Give the beginning of a statement that reads the index with these fields; without any, the records."""
    table = TABLES[collection]
    columns = ", ".join(f"r.{name}" for name in table.selected)
    index = "PRIMARY"
    if fields:
        index = next(name for name, has in INDEXES[collection].items() if has == ", ".join(fields))
    return f"SELECT {columns} FROM {collection} AS r FORCE INDEX ({index})"
