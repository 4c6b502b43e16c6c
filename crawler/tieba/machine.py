"""What a process can tell of its machine: memory, room on disk, and which code it runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20
_CODE = Path(__file__).parent.parent
_PACKAGES = ("frontier", "tieba")
_SUFFIXES = {".py", ".lua"}


def memory_mb() -> int | None:
    """Give the MiB of memory that this process takes (its resident set); None where /proc does not tell."""
    try:
        resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return round(int(resident) * _PAGE_BYTES / _MIB)


def code_id(folder: Path = _CODE) -> str:
    """Give a hash of the crawler's code: the same wherever the same is installed, on any kind of machine."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((folder / package).rglob("*")):
            if path.suffix in _SUFFIXES:
                digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def disk_free_mb(folder: str | os.PathLike[str]) -> int | None:
    """Give the MiB that may be written to a folder, or to the nearest of those above it that is there.

    None where that cannot be told.
    """
    path = Path(folder).absolute()
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        disk = os.statvfs(path)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize // _MIB
