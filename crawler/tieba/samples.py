"""Saved answers that nobody understood, for `tieba parse` and the next release.

A sample is one file: the answer as an HTTP message, as `curl -i` prints it, with what the crawler knew of it
in headers `tieba-…`. The body is as it was after decompression.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tieba.pages.sources import Received
from tieba.pages.targets import target_from_list, target_to_list

if TYPE_CHECKING:
    from tieba.pages.targets import Target

_MOST_ALIKE = 3
_BEGINNING = b"HTTP/"
_SUFFIX = ".http"
_PART = ".part"
_LONGEST_WRITE_SECONDS = 600
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_VARYING = re.compile(r"\d+")
_OURS = "tieba-"
_EXCERPT_BYTES = 16 * 1024
_NAME = re.compile(rf"[\w-]+{re.escape(_SUFFIX)}\b")
_KNOWN = ("at", "source", "target", "url")
# They speak of the bytes on the wire, or hold a session.
_HEADERS_LEFT_OUT = {"content-encoding", "content-length", "transfer-encoding", "set-cookie"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """A saved answer; `source` is api or web."""

    received: Received
    source: str | None = None
    target: Target | None = None

    @classmethod
    def from_bytes(cls, message: bytes) -> Sample:
        """Read a sample or an answer saved with `curl -i`; raises ValueError for anything else."""
        end = _HEAD_END.search(message)
        if not message.startswith(_BEGINNING) or end is None:
            raise ValueError("not an HTTP message with headers and body")
        first, *lines = message[: end.start()].decode("latin-1").splitlines()
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        at, source, target, url = (headers.pop(f"{_OURS}{name}", None) for name in _KNOWN)
        try:
            received = Received(
                body=message[end.end() :],
                status=int(first.split()[1]),
                url=url,
                headers=headers,
                at=None if at is None else datetime.fromisoformat(at),
            )
            return cls(received, source, None if target is None else target_from_list(json.loads(target)))
        except (IndexError, ValueError) as error:
            raise ValueError(f"not a saved answer: {error}") from None

    def to_bytes(self) -> bytes:
        """Undo `from_bytes`."""
        received = self.received
        known = (
            received.at.isoformat() if received.at else None,
            self.source,
            json.dumps(target_to_list(self.target)) if self.target else None,
            received.url,
        )
        theirs = {
            name: value
            for name, value in received.headers.items()
            if name not in _HEADERS_LEFT_OUT and not name.startswith(_OURS)
        }
        ours = {f"{_OURS}{name}": value for name, value in zip(_KNOWN, known, strict=True) if value}
        lines = [f"{name}: {' '.join(value.split())}" for name, value in {**theirs, **ours}.items()]
        head = "\r\n".join([f"HTTP/1.1 {received.status}", *lines, "", ""])
        return head.encode("latin-1", "backslashreplace") + received.body


class Saved(NamedTuple):
    """Where a sample is; `is_other` says that this is one like it, `is_new` that it was not there."""

    path: Path
    is_other: bool = False
    is_new: bool = False

    def __str__(self) -> str:
        return f"like {self.path}" if self.is_other else f"saved as {self.path}"


def is_sample(data: bytes) -> bool:
    """Tell whether a file's bytes are a sample and not a bare body."""
    return data.startswith(_BEGINNING)


class Samples:
    """The samples of a machine, in a folder that its processes share.

    There are at most `most` with `most_bytes` together, the oldest go first; and of answers that are alike, a
    few. Processes that save at the same moment may exceed that by one each.
    """

    def __init__(
        self, folder: str | os.PathLike[str], most: int = 100, most_bytes: int = 200_000_000
    ) -> None:
        self._folder = Path(folder)
        self._most = most
        self._most_bytes = most_bytes
        self._has_failed = False

    def save(self, sample: Sample, error: str = "") -> Saved | None:
        """Save a sample, unless one of an earlier attempt or enough like it are there.

        `error` says why the answer was not understood. Where nothing can be saved: one warning, and None.
        """
        try:
            saved = self._save(sample, _shape(sample, error))
        except OSError as problem:
            if not self._has_failed:
                logger.warning("Samples cannot be saved: %s: %s", self._folder, problem.strerror)
            self._has_failed = True
            return None
        self._has_failed = False
        return saved

    def _save(self, sample: Sample, shape: str) -> Saved:
        self._folder.mkdir(parents=True, exist_ok=True)
        asked = _digest(f"{sample.target or sample.received.url}")
        alike = sorted(self._folder.glob(f"*-{shape}-*{_SUFFIX}"))
        for path in alike:
            if f"-{asked}-" in path.name:
                return Saved(path)
        if len(alike) >= _MOST_ALIKE:
            return Saved(alike[-1], is_other=True)
        content = sample.to_bytes()[: self._most_bytes]
        at = sample.received.at or datetime.now(timezone.utc)
        unique = f"{os.getpid()}{time.monotonic_ns() % 1_000_000:06}"
        path = self._folder / f"{at:%Y%m%dT%H%M%S}-{shape}-{asked}-{unique}{_SUFFIX}"
        self._make_room(len(content))
        part = path.with_suffix(_PART)
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise
        return Saved(path, is_new=True)

    def _make_room(self, size: int) -> None:
        """Remove the oldest until one more of `size` bytes fits; other processes may do the same."""
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found = path.stat()
                if path.suffix == _SUFFIX:
                    files.append((found.st_mtime_ns, found.st_size, path))
                elif path.suffix == _PART and time.time() - found.st_mtime > _LONGEST_WRITE_SECONDS:
                    path.unlink(missing_ok=True)  # of a process that was killed
        files.sort(reverse=True)
        total = sum(file[1] for file in files)
        while files and (len(files) >= self._most or total + size > self._most_bytes):
            _, removed, path = files.pop()
            path.unlink(missing_ok=True)
            total -= removed


def excerpt(sample: Sample) -> dict[str, Any]:
    """Give what is kept of a sample for machines without its file: its head and its beginning."""
    received = sample.received
    return {
        "at": None if received.at is None else received.at.timestamp(),
        "source": sample.source,
        "target": None if sample.target is None else target_to_list(sample.target),
        "url": received.url,
        "status": received.status,
        "headers": {name: value for name, value in received.headers.items() if name not in _HEADERS_LEFT_OUT},
        "size": len(received.body),
        "body": received.body[:_EXCERPT_BYTES].decode("utf-8", "replace"),
    }


def sample_name(reason: str) -> str | None:
    """Give the name of the sample that a dead letter's reason speaks of."""
    found = _NAME.search(reason)
    return found[0] if found else None


def _shape(sample: Sample, error: str) -> str:
    """Give what is equal for answers that are alike: kind of request, status, error without its numbers."""
    kind = type(sample.target).__name__
    told = f"{sample.source} {kind} {sample.received.status} {_VARYING.sub('#', error)}"
    return _digest(told)


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest()[:12]
