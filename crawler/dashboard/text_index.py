"""A full-text index of titles and names in one SQLite file: any part of a Chinese text is found, and words.

FTS5 takes the words as they are made here: a run of ASCII letters and digits is one, and so is every other
letter, digit or symbol by itself. What is searched for is a phrase of such words, the last of which may be
the beginning of a longer one.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    # number, two texts, what comes back with the number, and a moment (Unix seconds) that can be asked for
    Row = tuple[int, str, str, str, float | None]

_VERSION = 2  # of the tables; a file of another one is made anew
_SCHEMA = """
CREATE TABLE lists (name TEXT PRIMARY KEY, cursor TEXT, swept TEXT, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE about (place TEXT);
"""
# Without `columnsize` there is no ranking by frequency: the newest come first.
_TABLE = (
    "USING fts5(one, two, key UNINDEXED, at UNINDEXED, tokenize = 'ascii', columnsize = 0, prefix = '2 3')"
)
LISTS = ("threads", "users")
_LONGEST_QUERY = 200  # characters
_MOST_WORDS = 40
_SHORTEST_BEGINNING = 2  # characters of a word that may go on
_END = "\ue000"  # a word at the end of each text; for private use, so that no name has it
_WORD = re.compile(r"[0-9a-z]+|[^\x00-\x7f]")
_KEPT = frozenset("LNSM")  # letters, numbers, symbols and marks, by the first letter of the category


class TextIndex:
    """The file at `path`; what cannot be read there is made anew. Methods raise sqlite3.Error."""

    def __init__(self, path: Path, place: str) -> None:
        """Open the index of the store at `place`; one of another store is emptied."""
        try:
            self._open(path, place)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # the disk, rather than the file
                raise
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
            self._open(path, place)

    def state(self, name: str) -> tuple[str | None, str | None, int]:
        """Give the cursor of what is new, the one of the sweep, and the number of rows of a list."""
        with self._reading() as reader:
            row = reader.execute("SELECT cursor, swept, count FROM lists WHERE name = ?", [name]).fetchone()
        cursor, swept, count = row
        return cursor, swept, count

    def store(self, name: str, rows: Iterable[Row], **cursors: str | None) -> None:
        """Have the rows of a list be these, and remember `cursor` or `swept`, all or nothing."""
        wanted = {row[0]: (words(row[1]), words(row[2]), *row[3:]) for row in rows}
        with self._writing, self._writer:
            marks = ",".join("?" * len(wanted))
            have = {
                number: tuple(texts)
                for number, *texts in self._writer.execute(
                    f"SELECT rowid, one, two, key, at FROM {name} WHERE rowid IN ({marks})", list(wanted)
                )
            }
            self._writer.executemany(
                f"INSERT OR REPLACE INTO {name} (rowid, one, two, key, at) VALUES (?, ?, ?, ?, ?)",
                [(number, *texts) for number, texts in wanted.items() if have.get(number) != texts],
            )
            changes = ", ".join(f"{column} = ?" for column in cursors)
            self._writer.execute(
                f"UPDATE lists SET {changes}, count = count + ? WHERE name = ?",
                [*cursors.values(), len(wanted) - len(have), name],
            )

    def find(
        self,
        name: str,
        query: str,
        limit: int,
        *,
        before: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[tuple[int, str]]:
        """Give number and key of the rows that fit, the largest numbers first, below `before`.

        With `since` or `until`, of those whose moment is known, not before the one and before the other.
        """
        asked = {"rowid < ?": before, "at >= ?": since, "at < ?": until}
        bounds = {condition: value for condition, value in asked.items() if value is not None}
        where = " AND ".join([f"{name} MATCH ?", *bounds])
        with self._reading() as reader:
            return reader.execute(
                f"SELECT rowid, key FROM {name} WHERE {where} ORDER BY rowid DESC LIMIT ?",
                [query, *bounds.values(), limit],
            ).fetchall()

    def close(self) -> None:
        """Close the file, once nobody reads or writes: SQLite does not bear that meanwhile."""
        with self._writing, self._reads:
            self._writer.close()
            self._reader.close()

    def _open(self, path: Path, place: str) -> None:
        self._writing, self._reads = threading.Lock(), threading.Lock()
        self._writer = sqlite3.connect(path, check_same_thread=False)
        try:
            self._writer.execute("PRAGMA journal_mode = WAL")  # searches go on while rows are added
            self._writer.execute("PRAGMA synchronous = NORMAL")
            (version,) = self._writer.execute("PRAGMA user_version").fetchone()
            if version != _VERSION or self._writer.execute("SELECT place FROM about").fetchone() != (place,):
                self._create(place)
            self._reader = sqlite3.connect(path, check_same_thread=False)
        except BaseException:
            self._writer.close()
            raise

    def _create(self, place: str) -> None:
        with self._writer:
            self._writer.execute("BEGIN")
            for table in (*LISTS, "lists", "about"):
                self._writer.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.strip().splitlines():
                self._writer.execute(statement)
            for name in LISTS:
                self._writer.execute(f"CREATE VIRTUAL TABLE {name} {_TABLE}")
                self._writer.execute("INSERT INTO lists (name, count) VALUES (?, 0)", [name])
            self._writer.execute("INSERT INTO about VALUES (?)", [place])
            self._writer.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._reads:
            yield self._reader


def words(text: str | None) -> str:
    """Give the words of a text, as the index keeps them; "" if it has none."""
    found = _split(text or "")
    return " ".join([*found, _END]) if found else ""


def query(text: str) -> str | None:
    """Give the question for what has all parts of a text, which blanks separate; None if it has no word."""
    parts = [_split(part) for part in text[:_LONGEST_QUERY].split()]
    phrases = [_phrase(part, may_go_on=True) for part in parts if part]
    return " ".join(phrases[:_MOST_WORDS]) or None


def whole(text: str) -> str | None:
    """Give the question for a text that is just this one; None if it has no word."""
    found = _split(text[:_LONGEST_QUERY])
    return f"^{_phrase([*found, _END], may_go_on=False)}" if found else None


def _phrase(part: Sequence[str], *, may_go_on: bool) -> str:
    goes_on = may_go_on and part[-1].isascii() and len(part[-1]) >= _SHORTEST_BEGINNING
    return f'"{" ".join(part)}"{"*" if goes_on else ""}'


def _split(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [word for word in _WORD.findall(plain) if word.isascii() or unicodedata.category(word)[0] in _KEPT]
