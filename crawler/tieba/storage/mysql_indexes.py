"""Adds the indexes that a store in MySQL or MariaDB lacks, beside workers that go on writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql
from pymysql.constants import ER

from tieba.storage import StoreUnavailable
from tieba.storage.mysql_statements import INDEXES

if TYPE_CHECKING:
    import aiomysql

# An index begins and ends with a lock on its table, behind which every write waits; a long export can be in
# the way of it. Rather begin again later.
_LOCK_WAIT_SECONDS = 2
_MAY_NOT = (ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR)


async def missing(cursor: aiomysql.Cursor) -> list[tuple[str, str]]:
    """Give the table and the name of each index that is not there."""
    await cursor.execute(
        "SELECT DISTINCT table_name, index_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE()"
    )
    have = set(await cursor.fetchall())
    wanted = [(table, name) for table, indexes in INDEXES.items() for name in indexes]
    return [index for index in wanted if index not in have]


async def build(cursor: aiomysql.Cursor, indexes: list[tuple[str, str]], database: str) -> bool:
    """Create indexes, unless another worker is at it; tells whether nothing is left to do.

    Raises StoreUnavailable where they may not be created yet.
    """
    lock = f"tieba indexes {database}"[:64]
    await cursor.execute("SELECT GET_LOCK(%s, 0)", (lock,))
    if await cursor.fetchone() != (1,):
        return False
    await cursor.execute(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_SECONDS}")
    try:
        for table, name in indexes:
            columns = INDEXES[table][name]
            await cursor.execute(f"CREATE INDEX {name} ON {table} ({columns}) ALGORITHM=INPLACE LOCK=NONE")
    except pymysql.MySQLError as error:
        if not error.args or error.args[0] not in _MAY_NOT:
            raise
        # The crawl needs none of them. An upgrade gives the right when slaves have the new release already.
        raise StoreUnavailable("mysql_url's user lacks the right INDEX") from error
    # After an error the connection is closed, and these end with it.
    await cursor.execute("SET SESSION lock_wait_timeout = DEFAULT")
    await cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))
    return True
