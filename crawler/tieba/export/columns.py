"""The columns of a collection and their types."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, get_args, get_origin, get_type_hints

from tieba.records import RECORD_TYPES
from tieba.storage import SEEN

if TYPE_CHECKING:
    from tieba.records import Record


class Kind(Enum):
    """What a column holds; each of its values may be None, for not known."""

    INTEGER = int
    TEXT = str
    TRUTH = bool
    TIME = datetime
    TEXTS = tuple


@dataclass(frozen=True, slots=True)
class Column:
    """A field of every record of a collection."""

    name: str
    kind: Kind


def _columns(record: type[Record]) -> tuple[Column, ...]:
    columns = []
    hints = get_type_hints(record)
    for field in dataclasses.fields(record):
        hint = hints[field.name]
        value = next((part for part in get_args(hint) if part is not type(None)), hint)
        columns.append(Column(field.name, Kind(get_origin(value) or value)))
    return (*columns, *(Column(name, Kind.TIME) for name in SEEN))


COLLECTIONS = {record.collection: _columns(record) for record in RECORD_TYPES}
