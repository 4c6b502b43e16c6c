"""Parquet: 64-bit integers, timestamps in UTC, lists of strings; zstd, 100,000 records in a row group."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tieba.export.columns import Kind
from tieba.export.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.export.columns import Column
    from tieba.storage import Document

_ROW_GROUP = 100_000
_TYPES = {
    Kind.INTEGER: pa.int64(),
    Kind.TEXT: pa.string(),
    Kind.TRUTH: pa.bool_(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.TEXTS: pa.list_(pa.string()),
}


class ParquetWriter(Writer):
    """Writes records as row groups."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._rows = 0

    def write(self, documents: Sequence[Document]) -> None:
        """Write records; they wait until they fill a row group."""
        arrays = [
            _array([document.get(column.name) for document in documents], _TYPES[column.kind])
            for column in self._columns
        ]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._rows += len(documents)
        if self._rows >= _ROW_GROUP:
            self._flush()

    def close(self) -> list[str]:
        """Finish; gives what the user should know."""
        self._flush()
        self._writer.close()
        return []

    def abandon(self) -> None:
        """Let go of the file, which pyarrow would go on to write when the writer is collected."""
        self._writer.is_open = False

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema), _ROW_GROUP)
        self._batches = []
        self._rows = 0


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # halves of surrogate pairs, which JSON can hold
        return pa.array([_encodable(value) for value in values], kind)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_encodable(text) for text in value] if isinstance(value, (list, tuple)) else value
