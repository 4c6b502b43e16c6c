"""Merges the lines of a JSON Lines store into records, in an SQLite database on disk that vanishes with it.

SQLite sorts and joins with little memory, however many records there are.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tieba.records import STORED_TYPES
from tieba.storage import SEEN, ForumTotals, StoreError
from tieba.storage.merging import SHOWN_IS_THERE
from tieba.storage.tables import TABLES, VISITED, select, select_totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tieba.storage import Document, Query
    from tieba.storage.tables import Table

_CACHE_KIB = 64 * 1024
_ROWS_A_READ = 2_000
_TIMES = {
    name for table in TABLES.values() for name, kind in table.fields.items() if kind.startswith("datetime")
}
_PARENT_FIELDS = ("thread_id", "post_id")
_VISIT = ("crawl_id", "scope", "reply_count", "last_reply_at")


class Replay:
    """The records that lines make, given in the order of their times. Used by one thread at a time."""

    def __init__(self) -> None:
        # Without a name it is a file that SQLite removes.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in (f"cache_size = -{_CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        for table in TABLES.values():
            columns = [name for name in (*table.columns, *SEEN) if name != table.key]
            columns += VISITED if table.name == "threads" else ()
            self._database.execute(
                f"CREATE TABLE {table.name} ({table.key} PRIMARY KEY, {', '.join(columns)}) WITHOUT ROWID"
            )
        self._sightings = {
            kind.__name__.lower(): (TABLES[kind.collection], _upsert(TABLES[kind.collection]))
            for kind in STORED_TYPES
        }
        self._has_parents = False

    @classmethod
    def of(cls, lines: Iterable[Mapping[str, Any]]) -> Replay:
        """Merge lines; raises StoreError for one that is no record."""
        replay = cls()
        line: Mapping[str, Any] = {}
        try:
            replay._database.execute("BEGIN")
            for line in lines:
                replay._add(line)
            replay._database.execute("COMMIT")
        except sqlite3.OperationalError:  # the file cannot grow
            raise
        except (KeyError, TypeError, ValueError, OverflowError, sqlite3.Error) as error:
            raise StoreError(f"not a record: {str(line)[:200]} ({error})") from error
        return replay

    def _add(self, line: Mapping[str, Any]) -> None:
        kind, at = line["record"], line["seen_at"]
        if kind in self._sightings:
            table, sql = self._sightings[kind]
            values = [_plain(line.get(name)) for name in table.fields]
            if kind == "user":
                values.insert(0, line.get("user_id") or line["portrait"])
            self._database.execute(sql, [*values, at, at])
        elif kind == "presence":
            self._mark(line, at)
        elif kind == "extent":
            self._limit(line, at)
        elif kind == "visit":
            is_complete = line["crawl_id"] is not None
            values = [at, *(line[name] for name in _VISIT)] if is_complete else [None] * len(VISITED)
            changes = ", ".join(f"{name} = ?" for name in VISITED)
            self._database.execute(
                f"UPDATE threads SET {changes} WHERE thread_id = ?", [*values, line["thread_id"]]
            )
        # Lines of a later version, of kinds that this one does not know, are left out.

    def _mark(self, line: Mapping[str, Any], at: str) -> None:
        table, key = TABLES[line["collection"]], line["key"]
        change = (
            "COALESCE(deleted_at, excluded.deleted_at)"
            if line["gone"]
            else "NULL, last_seen = excluded.last_seen"
        )
        self._database.execute(
            f"INSERT INTO {table.name} ({table.key}, first_seen, last_seen, deleted_at) VALUES (?, ?, ?, ?)"
            f" ON CONFLICT DO UPDATE SET deleted_at = {change}",
            [key, at, at, at if line["gone"] else None],
        )

    def _limit(self, line: Mapping[str, Any], at: str) -> None:
        self._index()
        table, parent = TABLES[line["collection"]], line["parent_field"]
        if parent not in _PARENT_FIELDS:  # it becomes a part of the statement, and comes from a file
            raise ValueError("parent_field is none")
        self._database.execute(
            f"UPDATE {table.name} SET deleted_at = ?1 WHERE deleted_at IS NULL AND {parent} = ?2"
            f" AND {table.key} > ?3 AND {table.key} <= COALESCE(?4, {table.key})"
            f" AND {table.key} NOT IN (SELECT value FROM json_each(?5))",
            [at, line["parent"], line["after"], line["upto"], json.dumps(line["keys"])],
        )

    def _index(self) -> None:
        """Make records to be found by their parents, as most readings do not need."""
        if not self._has_parents:
            for name, field in (("posts", "thread_id"), ("comments", "thread_id"), ("comments", "post_id")):
                self._database.execute(f"CREATE INDEX {name}_by_{field} ON {name} ({field})")
            self._has_parents = True

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Count the records of tables."""
        return {name: self._database.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}

    def scan(self, query: Query) -> Iterator[list[Document]]:
        """Give the records that fit, ordered, some at a time."""
        if query.thread_id is not None:
            self._index()
        table = TABLES[query.collection]
        sql, parameters = select(query)
        cursor = self._database.execute(sql, [_text(value) for value in parameters])
        while rows := cursor.fetchmany(_ROWS_A_READ):
            yield [_with_times(table.document(row)) for row in rows]

    def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum."""
        sql, parameters = select_totals(since)
        return [
            ForumTotals(*row) for row in self._database.execute(sql, [_text(value) for value in parameters])
        ]


def time_text(value: datetime) -> str:
    """Give a time as it is in lines: in UTC and of one length, so that the texts sort like the times."""
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _upsert(table: Table) -> str:
    changes = [f"{name} = COALESCE(excluded.{name}, {name})" for name in table.columns if name != table.key]
    changes += [
        "last_seen = excluded.last_seen",
        *(["deleted_at = NULL"] if table.name in SHOWN_IS_THERE else []),
    ]
    columns = (*table.columns, "first_seen", "last_seen")
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        f" ON CONFLICT DO UPDATE SET {', '.join(changes)}"
    )


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _text(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value


def _with_times(document: Document) -> Document:
    for name in (*_TIMES, *SEEN):
        if (value := document.get(name)) is not None:
            document[name] = datetime.fromisoformat(value)
    return document
