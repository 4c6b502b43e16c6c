"""An Excel workbook: texts are texts, never formulas or links; times are UTC; a list is a text of many lines.

A sheet takes 1,048,576 rows, so that many records need several; a cell takes 32,767 characters, so that
longer texts are cut. https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
"""

from __future__ import annotations

import re
import tempfile
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

import xlsxwriter

from tieba.export.columns import Kind
from tieba.export.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tieba.export.columns import Column
    from tieba.storage import Document

_SHEET_ROWS = 1_048_576
_CELL_UNITS = 32_767  # of UTF-16
_LARGEST_EXACT = 2**53  # numbers are binary64
_FIRST_TIME = datetime(1900, 3, 1, tzinfo=timezone.utc)  # before it Excel's calendar is wrong
_WIDTHS = {Kind.INTEGER: 14, Kind.TEXT: 24, Kind.TRUTH: 8, Kind.TIME: 19, Kind.TEXTS: 40}
_SURROGATE = re.compile(
    "[\ud800-\udfff]"
)  # JSON can hold halves of pairs; control characters xlsxwriter escapes


class XlsxWriter(Writer):
    """Writes records into sheets that are named after their collection; temporary files go into `folder`."""

    def __init__(
        self,
        file: IO[bytes],
        columns: Sequence[Column],
        *,
        name: str,
        folder: Path | None,
        sheet_rows: int = _SHEET_ROWS,
    ) -> None:
        # xlsxwriter leaves some behind when it fails.
        self._temporary = tempfile.TemporaryDirectory(prefix=".tieba-export-", dir=folder)
        options = {"constant_memory": True, "tmpdir": self._temporary.name}
        self._book = xlsxwriter.Workbook(file, options)
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._bold = self._book.add_format({"bold": True})
        self._columns = columns
        self._name = name
        self._sheet_rows = sheet_rows
        self._sheets = 0
        self._cut = 0
        self._begin_sheet()

    def write(self, documents: Sequence[Document]) -> None:
        """Write records."""
        for document in documents:
            if self._row == self._sheet_rows:
                self._begin_sheet()
            for number, column in enumerate(self._columns):
                value = document.get(column.name)
                if value is not None:
                    self._write_cell(number, column.kind, value)
            self._row += 1

    def close(self) -> list[str]:
        """Finish; gives what the user should know."""
        self._book.close()
        self._temporary.cleanup()
        notes = []
        if self._sheets > 1:
            notes.append(f"a sheet takes {self._sheet_rows:,} rows: there are {self._sheets} sheets")
        if self._cut:
            notes.append(f"a cell takes {_CELL_UNITS:,} characters: {self._cut:,} longer texts are cut")
        return notes

    def abandon(self) -> None:
        """Remove what is temporary."""
        self._temporary.cleanup()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(
            self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        )
        self._sheet.freeze_panes(1, 0)
        for number, column in enumerate(self._columns):
            self._sheet.set_column(number, number, _WIDTHS[column.kind])
            self._sheet.write_string(0, number, column.name, self._bold)
        self._row = 1

    def _write_cell(self, column: int, kind: Kind, value: Any) -> None:
        if kind is Kind.TRUTH:
            self._sheet.write_boolean(self._row, column, value)
        elif kind is Kind.TIME and value >= _FIRST_TIME:
            naive = value.astimezone(timezone.utc).replace(tzinfo=None)
            self._sheet.write_datetime(self._row, column, naive, self._time)
        elif kind is Kind.INTEGER and abs(value) < _LARGEST_EXACT:
            self._sheet.write_number(self._row, column, value)
        else:
            text = "\n".join(value) if kind is Kind.TEXTS else str(value)
            self._sheet.write_string(self._row, column, self._fitting(text))

    def _fitting(self, text: str) -> str:
        text = _SURROGATE.sub("\ufffd", text)
        if len(text) > _CELL_UNITS // 2:
            units = text.encode("utf-16-le")
            if len(units) > 2 * _CELL_UNITS:
                self._cut += 1
                text = units[: 2 * _CELL_UNITS].decode("utf-16-le", "ignore")
        # xlsxwriter takes a text of this form for XML of its own.
        return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text
