"""CSV as in RFC 4180, UTF-8: None is empty, truths are true and false, times ISO 8601, texts a JSON list.

By default every value is as it is stored. A spreadsheet, though, runs a cell that begins with one of `=+-@`
as a formula, and takes UTF-8 for something else: with `for_spreadsheet` the file begins with a byte order
mark, and such texts with an apostrophe. https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
import json
from typing import IO, TYPE_CHECKING, Any

from tieba.export.columns import Kind
from tieba.export.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tieba.export.columns import Column
    from tieba.storage import Document

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CsvWriter(Writer):
    """Writes a header, then a line for each record."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column], *, for_spreadsheet: bool = False) -> None:
        self._file = file
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)
        if for_spreadsheet:
            self._text.write("\ufeff")
        self._writer.writerow([column.name for column in columns])
        show_text = _harmless if for_spreadsheet else _same
        self._columns: list[tuple[str, Callable[[Any], Any]]] = [
            (column.name, _SHOW.get(column.kind, show_text if column.kind is Kind.TEXT else _same))
            for column in columns
        ]

    def write(self, documents: Sequence[Document]) -> None:
        """Write records."""
        columns = self._columns
        self._writer.writerows(
            [None if (value := document.get(name)) is None else show(value) for name, show in columns]
            for document in documents
        )
        self._flush()

    def _flush(self) -> None:
        # Halves of surrogate pairs, which JSON can hold, are unknown to UTF-8.
        self._file.write(self._text.getvalue().encode("utf-8", "replace"))
        self._text.seek(0)
        self._text.truncate()


def _same(value: Any) -> Any:
    return value


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


_SHOW: dict[Kind, Callable[[Any], Any]] = {
    Kind.TRUTH: lambda value: "true" if value else "false",
    Kind.TIME: lambda value: value.isoformat(),
    Kind.TEXTS: lambda value: json.dumps(list(value), ensure_ascii=False),
}
