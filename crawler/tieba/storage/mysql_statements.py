"""The SQL of a store in MySQL or MariaDB: its tables, and what changes and fills them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pymysql.converters import escape_item

from tieba.storage import SEEN
from tieba.storage.tables import TABLES, USER_KEY, VISITED, sql_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tieba.records import Extent, Visit
    from tieba.storage.merging import Merged
    from tieba.storage.tables import Table

SCHEMA = 1  # raised with every change of the tables
_TYPES = {  # of columns, by the type of the record's field
    "int": "BIGINT",  # ids are below 2**63
    "str": "MEDIUMTEXT",
    "bool": "BOOLEAN",
    "datetime": "DATETIME(3)",
    "tuple[str, ...]": "JSON",
}
_KEY_TYPES = {"crawl_id": "VARCHAR(255)", USER_KEY: "VARBINARY(200)"}
_SEEN_TYPES = ("DATETIME(3) NOT NULL", "DATETIME(3) NOT NULL", "DATETIME(3)")
_VISITED_TYPES = ("DATETIME(3)", "VARCHAR(255)", "TEXT", "BIGINT", "DATETIME(3)")
# By name; those that the first version had are named as the server did. All go on with the primary key.
INDEXES = {
    "threads": {
        "forum_id": "forum_id, last_reply_at",
        "forum_created": "forum_id, created_at",
        "author_created": "author_id, created_at",
        "last_reply_at": "last_reply_at",
        "created_at": "created_at",
        "first_seen": "first_seen",
    },
    "posts": {"thread_id": "thread_id, floor", "author_id": "author_id", "created_at": "created_at"},
    "comments": {"thread_id": "thread_id, post_id", "post_id": "post_id"},
    "users": {"user_id": "user_id", "first_seen": "first_seen"},
}
_NOW = "UTC_TIMESTAMP(3)"
_STATEMENT_BYTES = 1_000_000


def schema() -> Iterator[str]:
    """Give the statements that create the tables."""
    for table in TABLES.values():
        kinds = {name: _TYPES[kind.partition(" |")[0]] for name, kind in table.fields.items()}
        columns = [f"{table.key} {_KEY_TYPES.get(table.key, 'BIGINT')} NOT NULL PRIMARY KEY"]
        columns += [f"{name} {kind}" for name, kind in kinds.items() if name != table.key]
        columns += [f"{name} {kind}" for name, kind in zip(SEEN, _SEEN_TYPES, strict=True)]
        if table.name == "threads":
            columns += [f"{name} {kind}" for name, kind in zip(VISITED, _VISITED_TYPES, strict=True)]
        columns += [f"INDEX {name} ({index})" for name, index in INDEXES.get(table.name, {}).items()]
        yield (
            f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join(columns)})"
            " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )
    yield "CREATE TABLE IF NOT EXISTS tieba_schema (version INT NOT NULL PRIMARY KEY) ENGINE=InnoDB"
    yield f"INSERT IGNORE INTO tieba_schema VALUES ({SCHEMA})"


def changes(merged: Merged) -> Iterator[bytes]:
    """Give the statements of a transaction, rows by key, so that workers seldom wait for each other."""
    for name, table in TABLES.items():
        there = merged.there[name]
        seen = sorted(merged.seen[name].items(), key=lambda item: sql_key(name, item[0]))
        for is_there in (False, True):
            rows = [(table.row(key, fields)) for key, fields in seen if (key in there) == is_there]
            update = [f"{column} = COALESCE(VALUES({column}), {column})" for column in table.columns[1:]]
            update += ["last_seen = VALUES(last_seen)", *(["deleted_at = NULL"] if is_there else [])]
            yield from _upserts(table, table.columns, rows, f"{_NOW}, {_NOW}, NULL", update)
        gone = [[sql_key(name, key)] for key in sorted(merged.gone[name])]
        mark = ["deleted_at = COALESCE(deleted_at, VALUES(deleted_at))"]
        yield from _upserts(table, (table.key,), gone, f"{_NOW}, {_NOW}, {_NOW}", mark)
    if merged.visits:
        yield _visits(sorted(merged.visits.values(), key=lambda visit: visit.thread_id))
    for extent, present in merged.extents:
        yield _extent(extent, present)


def _upserts(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], seen: str, update: Sequence[str]
) -> Iterator[bytes]:
    head = f"INSERT INTO {table.name} ({', '.join((*columns, *SEEN))}) VALUES ".encode()
    tail = f" ON DUPLICATE KEY UPDATE {', '.join(update)}".encode()
    pending: list[bytes] = []
    size = 0
    for row in rows:
        text = f"({', '.join(map(_literal, row))}, {seen})".encode()
        if pending and size + len(text) > _STATEMENT_BYTES:
            yield head + b", ".join(pending) + tail
            pending, size = [], 0
        pending.append(text)
        size += len(text)
    if pending:
        yield head + b", ".join(pending) + tail


def _visits(visits: Sequence[Visit]) -> bytes:
    """Give the update of those of the threads that are there."""
    rows = " UNION ALL ".join(
        filled(
            "SELECT ? AS thread_id, ? AS crawl_id, ? AS scope, ? AS reply_count, ? AS last_reply_at",
            [visit.thread_id, visit.crawl_id, visit.scope, visit.reply_count, visit.last_reply_at],
        )
        for visit in visits
    )
    values = (_NOW, "v.crawl_id", "v.scope", "v.reply_count", "v.last_reply_at")
    values_by_column = ", ".join(
        f"t.{column} = IF(v.crawl_id IS NULL, NULL, {value})"
        for column, value in zip(VISITED, values, strict=True)
    )
    source = f"threads AS t JOIN ({rows}) AS v ON v.thread_id = t.thread_id"
    return f"UPDATE {source} SET {values_by_column}".encode()


def _extent(extent: Extent, present: Collection[Any]) -> bytes:
    key = TABLES[extent.collection].key
    sql = f"UPDATE {extent.collection} SET deleted_at = {_NOW} WHERE deleted_at IS NULL"
    sql += f" AND {extent.parent_field} = ? AND {key} > ?"
    parameters: list[Any] = [extent.parent, extent.after]
    if extent.upto is not None:
        sql += f" AND {key} <= ?"
        parameters.append(extent.upto)
    if present:
        sql += f" AND {key} NOT IN ?"
        parameters.append(present)
    return filled(sql, parameters).encode()


def filled(sql: str, parameters: Sequence[Any]) -> str:
    """Put values where a statement has `?`."""
    first, *rest = sql.split("?")
    pairs = zip(parameters, rest, strict=True)
    return first + "".join(f"{_literal(value)}{text}" for value, text in pairs)


def _literal(value: Any) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, datetime):
        # MySQL rounds what its column does not keep; MongoDB does not.
        naive = value.astimezone(timezone.utc).replace(tzinfo=None)
        return f"'{naive.isoformat(' ', timespec='milliseconds')}'"
    if isinstance(value, (set, list, tuple)):
        return f"({', '.join(map(_literal, value))})"
    return str(escape_item(value, "utf8mb4"))
