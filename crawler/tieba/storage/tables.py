"""The records as rows of SQL tables: one table per record type, columns named like the fields.

What MySQL and SQLite have in common, with `?` for a parameter. Times are given to `Table.row` and come to
`Table.document` as Python values; how a database keeps them is its own affair.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tieba.records import STORED_TYPES, User
from tieba.storage import ORDER, SEEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tieba.storage import Document, Query
    from tieba.storage.merging import Key

VISITED = ("fetched_at", "fetched_in", "fetched_scope", "fetched_reply_count", "fetched_last_reply_at")
USER_KEY = "user_key"
_USER_KEY_LENGTH = 200  # bytes; a portrait has some 40


@dataclass(frozen=True)
class Table:
    """A record type's table: its primary key, and the type of every field, as records.py spells it."""

    name: str
    key: str
    fields: Mapping[str, str]

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which `Store.scan` gives the records."""
        return (*ORDER.get(self.name, ()), self.key)

    def row(self, key: Key, fields: Mapping[str, Any]) -> list[Any]:
        """Give the values of the key, where it is no field, and of all fields."""
        values = [_value(fields.get(name)) for name in self.fields]
        return values if self.key in self.fields else [sql_key(self.name, key), *values]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names that belong to the values of `row`."""
        return (*(() if self.key in self.fields else (self.key,)), *self.fields)

    def document(self, values: Sequence[Any]) -> Document:
        """Undo `row` for what `select` gave, without a key that is no field."""
        document = dict(zip(self.selected, values, strict=True))
        for name, made_of in self._conversions:
            if (value := document[name]) is not None:
                document[name] = made_of(value)
        return document

    @cached_property
    def selected(self) -> tuple[str, ...]:
        """The columns that make a document."""
        return (*self.fields, *SEEN)

    @cached_property
    def _conversions(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """Fields that no database keeps as they are, each with what makes it of the value there."""
        made_of: dict[str, Callable[[Any], Any]] = {"bool": bool, "tuple[str, ...]": json.loads}
        kinds = ((name, kind.partition(" |")[0]) for name, kind in self.fields.items())
        return [(name, made_of[kind]) for name, kind in kinds if kind in made_of]


TABLES = {
    kind.collection: Table(
        kind.collection,
        USER_KEY if kind is User else kind.key_field,
        {field.name: str(field.type) for field in fields(kind)},
    )
    for kind in STORED_TYPES
}


def sql_key(name: str, key: Key) -> Key | bytes:
    """Give a record's primary key; those of users are bytes that sort like their ids, portraits last."""
    if name != User.collection:
        return key
    text = f"{key:019d}" if isinstance(key, int) else f"portrait {key}"
    value = text.encode()
    if len(value) > _USER_KEY_LENGTH:
        digest = hashlib.sha256(value).hexdigest().encode()
        value = value[: _USER_KEY_LENGTH - len(digest)] + digest
    return value


def select(
    query: Query, thread_ids: Sequence[int] | None = None
) -> tuple[str, list[int | datetime | Sequence[int]]]:
    """Give the statement, and its parameters, that answers a query in order; maybe of some threads only."""
    table = TABLES[query.collection]
    source = f"{table.name} AS r"
    conditions = []
    parameters: list[int | datetime | Sequence[int]] = []
    if query.forum_id is not None:
        if table.name in ORDER:
            source += " JOIN threads AS t ON t.thread_id = r.thread_id"
            conditions.append("t.forum_id = ?")
        else:
            conditions.append(_compare(table, "forum_id", "="))
        parameters.append(query.forum_id)
    if thread_ids is not None:
        conditions.append("r.thread_id IN ?")
        parameters.append(thread_ids)
    for column, operator, bound in (
        ("thread_id", "=", query.thread_id),
        ("created_at", ">=", query.created_since),
        ("created_at", "<", query.created_until),
        ("last_seen", ">=", query.seen_since),
    ):
        if bound is not None:
            conditions.append(_compare(table, column, operator))
            parameters.append(bound)
    columns = ", ".join(f"r.{name}" for name in table.selected)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = ", ".join(f"r.{name}" for name in table.order)
    return f"SELECT {columns} FROM {source}{where} ORDER BY {order}", parameters


def select_totals(since: datetime) -> tuple[str, list[datetime]]:
    """Give the statement, and its parameters, for the fields of `ForumTotals` in their order."""
    conditions = (
        "last_seen >= ?",
        "deleted_at IS NULL AND fetched_at >= ?",
        "deleted_at IS NULL AND last_seen >= ? AND fetched_at < ?",
        "deleted_at IS NULL AND last_seen >= ? AND fetched_at IS NULL",
        "deleted_at >= ? OR (deleted_at IS NOT NULL AND last_seen >= ?)",
    )
    counted = ", ".join(f"COUNT(CASE WHEN {condition} THEN 1 END)" for condition in conditions)
    of_forums = "WHERE forum_id IS NOT NULL GROUP BY forum_id ORDER BY forum_id"
    sql = f"SELECT forum_id, {counted} FROM threads {of_forums}"
    return sql, [since] * sql.count("?")


def _compare(table: Table, column: str, operator: str) -> str:
    is_there = column in table.fields or column in SEEN
    # What has no such field does not fit.
    return f"r.{column} {operator} ?" if is_there else f"NULL {operator} ?"


def _value(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else value
