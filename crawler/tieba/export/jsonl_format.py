"""JSON Lines, UTF-8: one object for each record, times in ISO 8601."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from tieba.export.columns import Kind
from tieba.export.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tieba.export.columns import Column
    from tieba.storage import Document


class JsonlWriter(Writer):
    """Writes a line for each record."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        self._file = file
        self._names = [column.name for column in columns]
        self._times = [column.name for column in columns if column.kind is Kind.TIME]
        self._dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def write(self, documents: Sequence[Document]) -> None:
        """Write records."""
        lines = []
        for document in documents:
            row = {name: document.get(name) for name in self._names}
            for name in self._times:
                time: datetime | None = row[name]
                row[name] = None if time is None else time.isoformat()
            lines.append(self._dumps(row))
        lines.append("")
        # What UTF-8 does not know, halves of surrogate pairs, becomes the escape that JSON has for it.
        self._file.write("\n".join(lines).encode("utf-8", "backslashreplace"))
