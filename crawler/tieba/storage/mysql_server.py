"""A database in MySQL or MariaDB: its connections, and what its errors mean."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiomysql
import pymysql
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import decoders

from tieba.phrases import Phrase
from tieba.records import RECORD_TYPES
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.mysql_statements import SCHEMA, filled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_SESSION = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " net_write_timeout = 3600"  # seconds that whoever reads a scan may take over a part of it
)
_CONNECTIONS = 4
_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 60
_PACKET_MARGIN_BYTES = 1_000
_COUNTED_ROWS = 2_000_000  # larger tables are counted by the server's estimate

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
_ERRORS = (pymysql.MySQLError, OSError, EOFError, asyncio.TimeoutError)


class MysqlServer:
    """The database that the path of `url` names; `?ssl_ca=file` asks for TLS. Methods raise StoreError."""

    def __init__(self, url: str) -> None:
        self._options = _options(url)
        self.name: str = self._options["db"]
        self.place = f"{self._options['host']}:{self._options['port']}/{self.name}"
        self._pool: aiomysql.Pool | None = None
        self._largest_packet = 0
        self.was_accepted = False  # the user, once

    @contextlib.asynccontextmanager
    async def connection(self, kind: type[aiomysql.Cursor] | None = None) -> AsyncIterator[aiomysql.Cursor]:
        """Lend a connection; it is not used again if anything fails."""
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

    async def execute(self, cursor: aiomysql.Cursor, statement: bytes) -> None:
        """Have a statement executed that may be too large."""
        if len(statement) > self._largest_packet - _PACKET_MARGIN_BYTES:
            raise StoreError(
                f"MySQL takes no record of {len(statement)} bytes: see max_allowed_packet"
                f" (mysql_url: {self.place})"
            )
        await cursor.execute(statement)

    async def select(
        self, sql: str, parameters: Sequence[Any] = (), kind: type[aiomysql.Cursor] | None = None
    ) -> Sequence[Sequence[Any]]:
        """Give the rows of a statement with `?` for parameters.

        There are none where a list of values is empty, and in a table that is not there yet.
        """
        if any(isinstance(value, (list, set, tuple)) and not value for value in parameters):
            return []
        try:
            async with self.connection(kind) as cursor:
                await self.execute(cursor, filled(sql, parameters).encode())
                rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        except StoreError as error:
            if error_code(error) != ER.NO_SUCH_TABLE:
                raise
            return []
        return rows

    async def counts(self) -> dict[str, int]:
        """Give the number of records of every collection; of large ones the server's estimate."""
        names = [kind.collection for kind in RECORD_TYPES]
        async with self.connection() as cursor:
            await cursor.execute("SHOW TABLE STATUS")
            counts = {row[0]: row[4] or 0 for row in await cursor.fetchall()}
            for name in names:
                if name in counts and counts[name] < _COUNTED_ROWS:
                    await cursor.execute(f"SELECT COUNT(*) FROM {name}")
                    (counts[name],) = await cursor.fetchone()
        return {name: counts.get(name, 0) for name in names}

    async def has_tables(self, cursor: aiomysql.Cursor) -> bool:
        """Tell whether our tables are there; raises StoreError if they are of another version."""
        try:
            await cursor.execute("SELECT MAX(version) FROM tieba_schema")
        except pymysql.ProgrammingError as error:
            if error.args[0] != ER.NO_SUCH_TABLE:
                raise
            return False
        (version,) = await cursor.fetchone()
        if version not in {None, SCHEMA}:
            raise StoreError(
                f"MySQL's tables are of version {version}, this program knows {SCHEMA}:"
                f" {'upgrade it' if version > SCHEMA else 'name another database'} (mysql_url: {self.place})"
            )
        return version is not None

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            self._pool.terminate()
            await self._pool.wait_closed()
            self._pool = None

    def _translated(self, error: BaseException) -> StoreError:
        code = error_code(error)
        said = f"{_one_line(error)} (mysql_url: {self.place})"
        if code in _USER_REFUSED:
            # The password of a user who was accepted has changed: this process' settings follow.
            kind = StoreUnavailable if self.was_accepted else StoreError
            return kind(f"MySQL refuses the user of mysql_url: {said}")
        if code == ER.BAD_DB_ERROR:
            return StoreError(f"MySQL has no such database as mysql_url names: {said}")
        if code in _UNAVAILABLE or not isinstance(error, pymysql.MySQLError):
            return StoreUnavailable(Phrase("MySQL does not answer: %(said)s", said=said))
        # Without a code the connection broke while it was used.
        if isinstance(error, pymysql.InterfaceError):
            return StoreUnavailable(f"MySQL does not answer: the connection broke (mysql_url: {self.place})")
        return StoreError(f"MySQL refuses: {said}")


class _Cursor(aiomysql.Cursor):  # type: ignore[misc]
    """One that does not wait for ever, and asks for no warnings.

    MySQL 8 has a warning for every VALUES(), the form that MariaDB knows, too.
    """

    async def execute(self, query: str | bytes, args: Any = None) -> Any:
        return await asyncio.wait_for(super().execute(query, args), _ANSWER_SECONDS)

    async def _show_warnings(self, conn: aiomysql.Connection) -> None:
        pass


def error_code(error: BaseException | None) -> int | None:
    """Give the server's number of an error, or of what a StoreError was made of."""
    if isinstance(error, StoreError):
        error = error.__cause__
    return error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None


def is_in_the_way(error: StoreError) -> bool:
    """Tell whether another transaction was in the way, so that the same one can be tried again at once."""
    return error_code(error) in _IN_THE_WAY


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


def _one_line(error: BaseException) -> str:
    said = error.args[-1] if isinstance(error, pymysql.MySQLError) and error.args else error
    return " ".join(str(said).split())[:200] or type(error).__name__
