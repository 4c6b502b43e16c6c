"""Keeps records in JSON Lines on this machine, a line per sighting; readers merge the lines of a record.

A worker process appends to a file of its own: one stream for all collections, so that a batch costs one write
and one fsync, and a crash can tear only the last line. A file that is large enough is compressed, and so are
those that a killed worker has left. A line is an object: `record` names its kind in lower case (forum,
thread, post, comment, user, crawl, presence, visit, extent), `seen_at` is the time in UTC, the rest are the
fields of `tieba.records` that are known.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import gzip
import heapq
import json
import os
import shutil
import socket
import sqlite3
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from tieba.files import sync_folder, whole_file, writable_folder
from tieba.records import RECORD_TYPES, STORED_TYPES
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.batches import GroupCommit
from tieba.storage.merging import SHOWN_IS_THERE, merge
from tieba.storage.replay import Replay, time_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Generator, Iterable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from tieba.records import Storable, Visit
    from tieba.storage import Document, ForumTotals, Query
    from tieba.storage.merging import Merged

_FILE_BYTES = 64 * 1024 * 1024  # before it is compressed, to about a tenth
_COMPRESSION = 6
_UNAVAILABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


class JsonlStore:
    """A `Store` in a folder. Others, too, are read: those of several nodes, gathered, are one store."""

    def __init__(self, folder: str | Path, *others: str | Path, file_bytes: int = _FILE_BYTES) -> None:
        self._folder = Path(folder)
        self._folders = (self._folder, *map(Path, others))
        self._file_bytes = file_bytes
        self._file: _File | None = None
        self._compressions: set[asyncio.Task[None]] = set()
        self._commits = GroupCommit(self._write)
        self._replay: Replay | None = None
        self._replayed: list[tuple[Path, int | None]] = []
        self._reading = asyncio.Lock()

    async def connect(self) -> None:
        """Do nothing: files are found when they are read."""

    async def open(self) -> None:
        """Create the folder and compress what killed workers have left there; again changes nothing."""
        with self._translated():
            writable_folder(self._folder)
            for path in self._folder.glob("[!.]*.jsonl"):
                if (left := _File.left(path)) is not None:
                    self._compress(left)

    async def save(self, records: Sequence[Storable]) -> None:
        """Append records, together with those that other tasks save meanwhile."""
        await self._commits.save(records)

    async def counts(self) -> dict[str, int]:
        """Count the records of every collection, which reads all files."""
        with self._translated():
            replay = await self._read()
            return await asyncio.to_thread(replay.counts, [kind.collection for kind in RECORD_TYPES])

    async def scan(self, query: Query) -> AsyncIterator[Document]:
        """Give the records that fit, ordered; reads all files first."""
        with self._translated():
            replay = await self._read()
            batches = replay.scan(query)
            while batch := await asyncio.to_thread(_next, batches):
                for document in batch:
                    yield document

    async def visits(self, thread_ids: Collection[int]) -> Mapping[int, Visit]:
        """Refuse: see `_refuse`."""
        self._refuse()

    async def finished_crawls(self, crawl_ids: Collection[str]) -> set[str]:
        """Refuse: see `_refuse`."""
        self._refuse()

    async def unseen_threads(
        self, forum_id: int, since: datetime, *, replied_from: datetime | None = None
    ) -> set[int]:
        """Refuse: see `_refuse`."""
        self._refuse()

    async def totals(self, since: datetime) -> list[ForumTotals]:
        """Count what a crawl that began at `since` did, by forum; reads all files."""
        with self._translated():
            replay = await self._read()
            return await asyncio.to_thread(replay.totals, since)

    async def close(self) -> None:
        """Close the files."""
        await self._commits.finish()
        if self._file is not None:
            self._file.close()
            self._file = None
        await asyncio.gather(*self._compressions)
        self._replay = None

    def _refuse(self) -> NoReturn:
        """Refuse what every worker would have to read all files of all nodes for."""
        raise StoreError(
            "JSON Lines cannot be asked for single records, as a crawl that updates has to:"
            " add mongodb or mysql to storage"
        )

    async def _write(self, records: Sequence[Storable]) -> None:
        with self._translated():
            now = time.time()
            lines = _lines(merge(records), now)
            await asyncio.to_thread(self._append, lines)
            if self._file is not None and self._file.size >= self._file_bytes:
                self._compress(self._file)
                self._file = None

    def _append(self, lines: bytes) -> None:
        if self._file is None:
            self._file = _File.new(self._folder)
        try:
            self._file.append(lines)
        except OSError:
            if not self._file.restore():
                self._file.close()
                self._file = None
            raise

    def _compress(self, file: _File) -> None:
        task = asyncio.create_task(asyncio.to_thread(file.compress))
        self._compressions.add(task)
        task.add_done_callback(self._compressions.discard)

    async def _read(self) -> Replay:
        """Merge all lines that there are, unless it is done and nothing was added since."""
        files = _files(self._folders)
        sizes = [(path, _size(path)) for path in files]
        async with self._reading:
            if self._replay is None or sizes != self._replayed:
                # Whoever still reads the one before keeps it.
                self._replay = await asyncio.to_thread(lambda: Replay.of(_in_order(files)))
                self._replayed = sizes
            return self._replay

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise StoreError(f"JSON Lines take only Unicode: {error}") from error
        except sqlite3.OperationalError as error:
            raise StoreError(f"JSON Lines cannot be merged in a temporary file: {error} (TMPDIR)") from error
        except OSError as error:
            kind = StoreUnavailable if error.errno in _UNAVAILABLE else StoreError
            raise kind(f"{self._folder} (jsonl_dir) cannot be used: {error.strerror or error}") from error


def _next(batches: Iterator[list[Document]]) -> list[Document] | None:
    return next(batches, None)


class _File:
    """A file that one process writes; it holds a lock on it, which ends with the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    @classmethod
    def new(cls, folder: Path) -> _File:
        name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%f}-{socket.gethostname()}-{os.getpid()}.jsonl"
        # Under the name that others look for only once it is locked.
        hidden = folder / f".{name}"
        descriptor = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        path = hidden.rename(folder / name)
        sync_folder(folder)
        return cls(path, descriptor)

    @classmethod
    def left(cls, path: Path) -> _File | None:
        """Take over a file whose process has ended; None where it lives, or the file is gone."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, lines: bytes) -> None:
        """Write lines for good."""
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
        self.size += len(lines)

    def restore(self) -> bool:
        """Take back what was not written completely; False where that fails, too."""
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            return False
        return True

    def compress(self) -> None:
        """Replace the file by a compressed one, unless it is gone; then give it up."""
        target = _compressed(self.path)
        try:
            for part in target.parent.glob(f".{target.name}.part-*"):  # of a worker that was killed
                part.unlink()
            # One that is there holds as much, or more, where a backup has brought back an early state.
            if not target.exists():
                with self.path.open("rb") as source, whole_file(target) as sink:
                    options: dict[str, Any] = {"filename": "", "mode": "wb", "compresslevel": _COMPRESSION}
                    with gzip.GzipFile(fileobj=sink, **options) as packed:
                        shutil.copyfileobj(source, packed, 1024 * 1024)
            self.path.unlink()
        except OSError:
            pass  # The next worker that starts tries again; nothing is lost.
        finally:
            self.close()

    def close(self) -> None:
        os.close(self._descriptor)


def _lines(merged: Merged, at: float) -> bytes:
    """Give the lines of a batch in the order in which they take effect."""
    seen_at = time_text(datetime.fromtimestamp(at, tz=timezone.utc))
    return b"".join(
        json.dumps(
            {"record": kind, "seen_at": seen_at, **fields},
            ensure_ascii=False,
            separators=(",", ":"),
            default=_json_value,
        ).encode()
        + b"\n"
        for kind, fields in _objects(merged)
    )


def _objects(merged: Merged) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in STORED_TYPES:
        name = kind.collection
        for fields in merged.seen[name].values():
            yield kind.__name__.lower(), fields
        presences = dict.fromkeys(() if name in SHOWN_IS_THERE else merged.there[name], False)
        for key, gone in (presences | dict.fromkeys(merged.gone[name], True)).items():
            yield "presence", {"collection": name, "key": key, "gone": gone}
    for visit in merged.visits.values():
        yield "visit", dataclasses.asdict(visit)
    for extent, present in merged.extents:
        yield "extent", {**dataclasses.asdict(extent), "keys": sorted(present)}


def _json_value(value: Any) -> str:
    if isinstance(value, datetime):
        return time_text(value)
    raise TypeError(f"not a field of a record: {value!r}")


def _files(folders: Iterable[Path]) -> list[Path]:
    """Give all files in folders and the folders in them; of one in both forms the compressed one."""
    found = {
        path
        for folder in folders
        for path in folder.rglob("[!.]*.jsonl*")
        if path.suffix in {".jsonl", ".gz"}
    }
    return sorted(path for path in found if _compressed(path) not in found)


def _compressed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _size(path: Path) -> int | None:
    """Give a file's size, None where it has just been replaced by its compressed form."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _opened(path: Path) -> IO[bytes]:
    """Open a file, or the compressed one that has replaced it meanwhile."""
    if path.suffix != ".gz":
        with contextlib.suppress(FileNotFoundError):
            return path.open("rb")
        path = _compressed(path)
    return cast("IO[bytes]", gzip.open(path, "rb"))


def _in_order(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Give the lines of all files by their time; only those are open at once that overlap."""
    starts = []
    for number, path in enumerate(files):
        with contextlib.closing(_read(path)) as opened:
            if (first := next(opened, None)) is not None:
                starts.append((first["seen_at"], number, path))
    starts.sort(reverse=True)
    heap: list[tuple[str, int, dict[str, Any], Iterator[dict[str, Any]]]] = []
    lines: Iterator[dict[str, Any]]
    while starts or heap:
        while starts and (not heap or starts[-1][0] <= heap[0][0]):
            seen_at, number, path = starts.pop()
            lines = _read(path)
            heapq.heappush(heap, (seen_at, number, next(lines), lines))
        seen_at, number, line, lines = heap[0]
        yield line
        following = next(lines, None)
        if following is None:
            heapq.heappop(heap)
        else:
            # A clock that was set back does not turn round the order within a file.
            heapq.heapreplace(heap, (max(seen_at, following["seen_at"]), number, following, lines))


def _read(path: Path) -> Generator[dict[str, Any], None, None]:
    """Give the lines of a file; a last one that a crash has torn is left out. Raises StoreError."""
    with _opened(path) as file:
        number = 1
        try:
            for text in file:
                if not text.endswith(b"\n"):
                    return
                line = json.loads(text)
                line["record"], line["seen_at"]
                yield line
                number += 1
        except EOFError:
            raise StoreError(f"{path}: ends too early; gather it again") from None
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{path}: line {number} is not a record") from None
