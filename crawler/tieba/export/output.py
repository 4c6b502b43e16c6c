"""Where an export goes: a path that is free, a folder that is whole or not there, or the standard output."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from tieba.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER_MARK = (
    "tieba-export"  # in the index of a folder that this program wrote, so that --force may replace it
)
_INDEX = "index.html"
_MARK_BYTES = 1_000
_NAME_CHARACTERS = 60  # of up to 4 bytes each; file systems take 255 bytes
_FORBIDDEN = set('/\\<>:"|?*')


def safe_name(text: str) -> str:
    """Make a text a file's name on every system: no separators or control characters, no leading dot."""
    kept = "".join("_" if char in _FORBIDDEN or not char.isprintable() else char for char in text)
    return kept.strip(". ")[:_NAME_CHARACTERS].rstrip(". ") or "_"


def check_free(path: Path, *, force: bool) -> None:
    """Raise UsageError unless a file or folder may be written there."""
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder; create it or give another --out")
    if not os.path.lexists(path):
        return
    if not force:
        raise UsageError(f"{path} exists; replace it with --force or give another --out")
    if path.is_dir() and not _is_ours(path):
        raise UsageError(f"{path} is a folder that tieba export has not made; give another --out")
    if not (path.is_dir() or path.is_file()):
        raise UsageError(
            f"{path} is no ordinary file, and is not replaced; give another --out, or - for a pipe"
        )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder that takes its name when the block ends without an error, and is gone otherwise."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    part.mkdir()
    try:
        yield part
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Give the standard output, for bytes."""
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _is_ours(folder: Path) -> bool:
    try:
        with (folder / _INDEX).open("rb") as index:
            return FOLDER_MARK.encode() in index.read(_MARK_BYTES)
    except OSError:
        return False
