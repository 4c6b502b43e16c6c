"""Copies a MongoDB database into files and back: what playbooks/backup.yml and restore.yml run on the master.

    python -m tieba.storage.mongodb_dump save|load FOLDER

A file holds one collection as concatenated BSON, compressed: what mongodump --gzip writes and mongorestore
reads. Those tools need not be installed. Users and passwords, which belong to the machine, are in no copy.

A copy is not of one moment. It need not be: records are only ever added or replaced by newer sightings, and a
queue that was copied before knows no request as done whose records are not in here.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tieba.config import ConfigError, load
from tieba.storage.mongodb_indexes import INDEXES, models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymongo.database import Database

_SUFFIX = ".bson.gz"
_PARTIAL = "restored."  # a collection that is being filled
_COMPRESSION = 6
_BATCH = 1_000
_READ_BYTES = 1 << 20
_LENGTH_BYTES = 4
_RAW = bson.codec_options.CodecOptions(document_class=RawBSONDocument)


def save(database: Database[Any], folder: Path) -> dict[str, int]:
    """Write every collection into the empty `folder`; gives the number of documents of each."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name in sorted(database.list_collection_names(filter={"type": "collection"})):
        if name.startswith(("system.", _PARTIAL)):
            continue
        counts[name] = 0
        with gzip.open(folder / f"{name}{_SUFFIX}", "wb", _COMPRESSION) as file:
            for batch in database[name].find_raw_batches():
                file.write(batch)
                counts[name] += sum(1 for _ in _documents(batch))
    return counts


def load_all(database: Database[Any], folder: Path) -> dict[str, int]:
    """Have the database hold what is in `folder` and nothing else; gives the number of documents.

    A collection is replaced when it is whole: after an interruption, the same again.
    """
    counts = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        name = path.name.removesuffix(_SUFFIX)
        database.drop_collection(_PARTIAL + name)
        partial = database.create_collection(_PARTIAL + name, codec_options=_RAW)
        counts[name] = 0
        with gzip.open(path, "rb") as file:
            for batch in _batches(file):
                partial.insert_many(batch, ordered=False)
                counts[name] += len(batch)
        if name in INDEXES:
            partial.create_indexes(models(name))
    for name in counts:
        database[_PARTIAL + name].rename(name, dropTarget=True)
    for name in database.list_collection_names(filter={"type": "collection"}):
        if name not in counts and not name.startswith("system."):
            database.drop_collection(name)
    return counts


def _documents(batch: bytes) -> Iterator[bytes]:
    """Give the documents of concatenated BSON, each of which begins with its length."""
    start = 0
    while start < len(batch):
        end = start + int.from_bytes(batch[start : start + _LENGTH_BYTES], "little")
        yield batch[start:end]
        start = end


def _batches(file: Any) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    while head := file.read(_LENGTH_BYTES):
        length = int.from_bytes(head, "little")
        batch.append(RawBSONDocument(head + file.read(length - _LENGTH_BYTES), _RAW))
        size += length
        if len(batch) == _BATCH or size > _READ_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the configuration's mongodb_url; prints the counts as JSON."""
    parser = argparse.ArgumentParser(prog="mongodb_dump", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=["save", "load"])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    try:
        with MongoClient[Any](load().mongodb_url, serverSelectionTimeoutMS=10_000) as client:
            run = save if options.action == "save" else load_all
            print(json.dumps(run(client.get_default_database(), options.folder)))
    except (ConfigError, PyMongoError, bson.errors.BSONError, OSError, EOFError) as error:
        print(f"mongodb_dump: {' '.join(str(error).split())[:300]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
