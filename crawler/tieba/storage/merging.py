"""Merges a batch of records into what a store has to write: at most one change of each kind for every key."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from tieba.records import STORED_TYPES, Comment, Extent, Post, Presence, Visit
from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.records import Crawl, Record, Storable

    Key = int | str

# A page that shows a floor or comment proves that it is there; a list that shows a thread does not.
SHOWN_IS_THERE = frozenset({Post.collection, Comment.collection})
_LARGEST_INT = 2**63 - 1
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in STORED_TYPES}


@dataclass(slots=True)
class Merged:
    """What to write: first the sightings, the marks and the visits, in any order, then the extents."""

    # Known fields of what was seen, by collection and key.
    seen: dict[str, dict[Key, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    # The key fields of what is gone, and the keys of what is there for certain, by collection and key.
    gone: dict[str, dict[Key, str]] = field(default_factory=lambda: defaultdict(dict))
    there: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    visits: dict[int, Visit] = field(default_factory=dict)
    # With its keys and those that were seen after it: they are not gone.
    extents: list[tuple[Extent, set[Key]]] = field(default_factory=list)


def merge(records: Sequence[Storable]) -> Merged:
    """Merge records in their order, the later ones win; raises StoreError for a number beyond 64 bits."""
    merged = Merged()
    for record in records:
        if isinstance(record, Visit):
            merged.visits[record.thread_id] = record
        elif isinstance(record, Extent):
            merged.extents.append((record, set(record.keys)))
        elif isinstance(record, Presence):
            _merge_presence(merged, record)
        else:
            name, key = record.collection, record.key
            merged.seen[name].setdefault(key, {}).update(known_fields(record))
            if name in SHOWN_IS_THERE:
                merged.gone[name].pop(key, None)
                merged.there[name].add(key)
                for extent, present in merged.extents:
                    if extent.collection == name and getattr(record, extent.parent_field) == extent.parent:
                        present.add(key)
    return merged


def known_fields(record: Record | Crawl) -> dict[str, Any]:
    """Give the fields that the record knows; raises StoreError for a number beyond 64 bits."""
    known = {}
    for name in _NAMES[type(record)]:
        value = getattr(record, name)
        if value is None:
            continue
        if isinstance(value, int) and not -_LARGEST_INT <= value <= _LARGEST_INT:
            raise StoreError(f"{record.collection}: {name} {value} is beyond 64 bits")
        known[name] = value
    return known


def _merge_presence(merged: Merged, presence: Presence) -> None:
    name, key = presence.collection, presence.key
    if presence.gone:
        merged.gone[name][key] = presence.key_field
        merged.there[name].discard(key)
    else:
        merged.seen[name].setdefault(key, {})[presence.key_field] = key
        merged.gone[name].pop(key, None)
        merged.there[name].add(key)
