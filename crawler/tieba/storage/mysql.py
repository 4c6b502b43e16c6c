"""Keeps records in MySQL 8 or MariaDB 10.6 and newer: one table per record type, all times in UTC.

Names are compared by their bytes (utf8mb4_bin), and texts have no limit short of 16 MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from array import array
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiomysql
import pymysql
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import decoders

from tieba.records import RECORD_TYPES, Visit
from tieba.storage import ORDER, ForumTotals, StoreError, StoreUnavailable
from tieba.storage.batches import GroupCommit
from tieba.storage.merging import merge
from tieba.storage.mysql_statements import SCHEMA, changes, filled, schema
from tieba.storage.tables import TABLES, select, select_totals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    from tieba.records import Storable
    from tieba.storage import Document, Query

_SESSION = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " net_write_timeout = 3600"  # seconds that whoever reads a scan may take over a part of it
)
_CONNECTIONS = 4
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 60
_SCHEMA_WAIT_SECONDS = 30
_PACKET_MARGIN_BYTES = 1_000
_ROWS_A_READ = 1_000
_THREADS_A_READ = 500  # of which posts or comments are asked for at once
_COUNTED_ROWS = 2_000_000  # larger tables are counted by the server's estimate
_TRIES = 5  # of what other workers' transactions got in the way of

_DECODERS = {**decoders, FIELD_TYPE.DATETIME: lambda text: datetime.fromisoformat(f"{text}+00:00")}
_IN_THE_WAY = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT}
_UNAVAILABLE = _IN_THE_WAY | {
    ER.CON_COUNT_ERROR,
    ER.DISK_FULL,
    ER.RECORD_FILE_FULL,
    ER.SERVER_SHUTDOWN,
    ER.OPTION_PREVENTS_STATEMENT,  # --read-only: it is being failed over
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.USER_LIMIT_REACHED,
    ER.QUERY_INTERRUPTED,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    1836,  # the same by innodb_read_only
    1927,  # MariaDB: the connection was killed
    4031,  # MySQL: closed for idleness
}
_USER_REFUSED = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    1698,  # MariaDB: access denied without a password
}


class MysqlStore:
    """A `Store` in the database that the path of `url` names; `?ssl_ca=file` asks for TLS."""

    def __init__(self, url: str) -> None:
        self._options = _options(url)
        self._place = f"(mysql_url: {self._options['host']}:{self._options['port']}/{self._options['db']})"
        self._pool: aiomysql.Pool | None = None
        self._largest_packet = 0
        self._was_accepted = False  # the user
        self._commits = GroupCommit(self._write)

    async def open(self) -> None:
        """Connect and create the tables; again changes nothing."""
        async with self._connection() as cursor:
            version = await _schema_version(cursor)
            if version is None:
                await self._create(cursor)
            elif version != SCHEMA:
                raise StoreError(
                    f"MySQL's tables are of version {version}, this program knows {SCHEMA}:"
                    f" {'upgrade it' if version > SCHEMA else 'name another database'} {self._place}"
                )
        self._was_accepted = True

    async def save(self, records: Sequence[Storable]) -> None:
        """Upsert records, together with those that other tasks save meanwhile."""
        await self._commits.save(records)

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection; of large ones the server's estimate."""
        names = [kind.collection for kind in RECORD_TYPES]
        async with self._connection() as cursor:
            await cursor.execute("SHOW TABLE STATUS")
            counts = {row[0]: row[4] or 0 for row in await cursor.fetchall()}
            for name in names:
                if counts.get(name, 0) < _COUNTED_ROWS:
                    await cursor.execute(f"SELECT COUNT(*) FROM {name}")
                    (counts[name],) = await cursor.fetchone()
        return {name: counts[name] for name in names}

    async def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records that fit, ordered; see `Store`."""
        table = TABLES[query.collection]
        for sql, parameters in await self._selects(query):
            async with self._connection(aiomysql.SSCursor) as cursor:
                await self._execute(cursor, filled(sql, parameters).encode())
                while rows := await cursor.fetchmany(_ROWS_A_READ):
                    for row in rows:
                        yield table.document(row)

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Give the last visit of each of these threads that has one."""
        rows = await self._select(
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
        rows = await self._select(
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
        return {row[0] for row in await self._select(sql, parameters)}

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum."""
        return [ForumTotals(*row) for row in await self._select(*select_totals(since))]

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.terminate()
            await self._pool.wait_closed()
            self._pool = None

    @contextlib.asynccontextmanager
    async def _connection(self, kind: type[aiomysql.Cursor] | None = None) -> AsyncIterator[aiomysql.Cursor]:
        """Lend a connection; it is not used again if anything fails. Raises StoreError."""
        try:
            if self._pool is None:
                self._pool = await aiomysql.create_pool(
                    **self._options,
                    minsize=0,
                    maxsize=_CONNECTIONS,
                    charset="utf8mb4",
                    conv=_DECODERS,
                    autocommit=True,
                    init_command=_SESSION,
                    connect_timeout=_CONNECT_SECONDS,
                )
            pool = self._pool  # which a scan that was given up outlives
            connection = await asyncio.wait_for(pool.acquire(), _ANSWER_SECONDS)
            is_done = False
            try:
                cursor = await connection.cursor(kind or _Cursor)
                if not self._largest_packet:
                    await cursor.execute("SELECT @@max_allowed_packet")
                    (self._largest_packet,) = await cursor.fetchone()
                    await cursor.fetchone()  # one that streams is free after its last row
                yield cursor
                is_done = True
            finally:
                if not is_done:
                    connection.close()
                pool.release(connection)
        except StoreError:
            raise
        except _ERRORS as error:
            raise self._translated(error) from error

    async def _execute(self, cursor: aiomysql.Cursor, statement: bytes) -> None:
        if len(statement) > self._largest_packet - _PACKET_MARGIN_BYTES:
            raise StoreError(
                f"MySQL takes no record of {len(statement)} bytes: see max_allowed_packet {self._place}"
            )
        await cursor.execute(statement)

    async def _selects(self, query: Query) -> Iterator[tuple[str, Sequence[Any]]]:
        """Give the statements, with their parameters, that one after the other answer a query.

        A forum's posts and comments are asked for by some threads at a time: the index then gives them in
        order, where joined with their threads they all would have to be sorted first.
        """
        if query.forum_id is None or query.thread_id is not None or query.collection not in ORDER:
            return iter([select(query)])
        thread_ids = array("q")
        async with self._connection(aiomysql.SSCursor) as cursor:
            ask = "SELECT thread_id FROM threads WHERE forum_id = ? ORDER BY thread_id"
            await self._execute(cursor, filled(ask, [query.forum_id]).encode())
            while rows := await cursor.fetchmany(_ROWS_A_READ):
                thread_ids.extend(thread_id for (thread_id,) in rows)
        of_any_forum = replace(query, forum_id=None)
        return (
            select(of_any_forum, thread_ids[first : first + _THREADS_A_READ].tolist())
            for first in range(0, len(thread_ids), _THREADS_A_READ)
        )

    async def _select(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        if any(isinstance(value, (list, set, tuple)) and not value for value in parameters):
            return []
        async with self._connection() as cursor:
            await self._execute(cursor, filled(sql, parameters).encode())
            rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        return rows

    async def _create(self, cursor: aiomysql.Cursor) -> None:
        """Create the tables, one worker at a time."""
        lock = f"tieba {self._options['db']}"[:64]
        await cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, _SCHEMA_WAIT_SECONDS))
        try:
            if await _schema_version(cursor) is None:
                for statement in schema():
                    await cursor.execute(statement)
        finally:
            await cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))

    async def _write(self, records: Sequence[Storable]) -> None:
        """Store in one transaction, which the server confirms when it is on its disk."""
        try:
            statements = list(changes(merge(records)))
        except UnicodeEncodeError as error:
            raise StoreError(f"MySQL takes only Unicode: {_one_line(error)}") from error
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._connection() as cursor:
                    await cursor.execute("BEGIN")
                    for statement in statements:
                        await self._execute(cursor, statement)
                    await cursor.execute("COMMIT")
            except StoreUnavailable as error:  # noqa: PERF203 - a retry loop
                if not tries_left or not _is_in_the_way(error.__cause__):
                    raise
            else:
                return

    def _translated(self, error: BaseException) -> StoreError:
        code = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None
        said = f"{_one_line(error)} {self._place}"
        if code in _USER_REFUSED:
            # The password of a user who was accepted has changed: this worker's settings follow.
            kind = StoreUnavailable if self._was_accepted else StoreError
            return kind(f"MySQL refuses the user of mysql_url: {said}")
        if code == ER.BAD_DB_ERROR:
            return StoreError(f"MySQL has no such database as mysql_url names: {said}")
        if code in _UNAVAILABLE or not isinstance(error, pymysql.MySQLError):
            return StoreUnavailable(f"MySQL does not answer: {said}")
        # Without a code the connection broke while it was used.
        if isinstance(error, pymysql.InterfaceError):
            return StoreUnavailable(f"MySQL does not answer: the connection broke {self._place}")
        return StoreError(f"MySQL refuses to store: {said}")


_ERRORS = (pymysql.MySQLError, OSError, EOFError, asyncio.TimeoutError)


class _Cursor(aiomysql.Cursor):  # type: ignore[misc]
    """One that does not wait for ever, and asks for no warnings.

    MySQL 8 has a warning for every VALUES(), the form that MariaDB knows, too.
    """

    async def execute(self, query: str | bytes, args: Any = None) -> Any:
        return await asyncio.wait_for(super().execute(query, args), _ANSWER_SECONDS)

    async def _show_warnings(self, conn: aiomysql.Connection) -> None:
        pass


def _options(url: str) -> dict[str, Any]:
    """Read the address; raises StoreError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
        options = (
            {name: values[-1] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
            if parts.query
            else {}
        )
        authority = options.pop("ssl_ca", None)
        tls = {"ssl": ssl.create_default_context(cafile=authority)} if authority else {}
    except (ValueError, OSError) as error:
        raise StoreError(f"mysql_url cannot be used: {_one_line(error)}") from None
    if options:
        raise StoreError(f"mysql_url cannot be used: unknown option {next(iter(options))!r}; known is ssl_ca")
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": unquote(parts.path.strip("/")),
        **tls,
    }


async def _schema_version(cursor: aiomysql.Cursor) -> int | None:
    try:
        await cursor.execute("SELECT MAX(version) FROM tieba_schema")
    except pymysql.ProgrammingError as error:
        if error.args[0] != ER.NO_SUCH_TABLE:
            raise
        return None
    (version,) = await cursor.fetchone()
    return None if version is None else int(version)


def _is_in_the_way(error: BaseException | None) -> bool:
    return isinstance(error, pymysql.MySQLError) and bool(error.args) and error.args[0] in _IN_THE_WAY


def _one_line(error: BaseException) -> str:
    said = error.args[-1] if isinstance(error, pymysql.MySQLError) and error.args else error
    return " ".join(str(said).split())[:200] or type(error).__name__
