"""The manifest of a backup: what it is of, and the hash of every file, so that nothing else is restored."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.process import ControlError

MANIFEST = "manifest.json"
_FORMAT = "tieba backup 1"
_READ_BYTES = 1 << 20
_KINDS = ("job", "target", "stores")  # what must be the same in the cluster that it is restored to


def seal(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of the files in `folder`, and return it; `about` tells what they are of."""
    files = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    manifest = {"format": _FORMAT, **about, "files": files}
    (folder / MANIFEST).write_text(
        json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return manifest


def find(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of the backup in `folder`, or of the newest one in its folders, with its `path`.

    Raises ControlError unless it is whole and, in job, target and stores, of what `about` says.
    """
    if not (folder / MANIFEST).is_file():
        found = sorted(path.parent for path in folder.glob(f"[!.]*/{MANIFEST}"))
        if not found:
            raise ControlError(
                f"{folder}: no backup is there; playbooks/backup.yml makes one; else -e restore_from=FOLDER"
            )
        folder = found[-1]  # their names are times
    manifest = _read(folder / MANIFEST)
    for kind in _KINDS:
        if manifest.get(kind) != about[kind]:
            raise ControlError(
                f"{folder}: foreign: {kind}: {_text(manifest.get(kind))} instead of "
                f"{_text(about[kind])}; name another backup with -e restore_from=FOLDER"
            )
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise ControlError(f"{folder}: damaged: {name} is missing; use another backup")
        if path.stat().st_size != facts["bytes"] or _sha256(path) != facts["sha256"]:
            raise ControlError(f"{folder}: damaged: {name} is not what was saved; use another backup")
    return {**manifest, "path": str(folder.resolve())}


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] == _FORMAT and isinstance(manifest["files"], dict):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ControlError(f"{path}: damaged, or of another program; use another backup")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
