"""`make export`: what was crawled, from the master into a file, or a folder of pages, on this machine."""

import shutil
import subprocess
from pathlib import Path

from control import cluster
from control.process import ControlError

FORMATS = ("csv", "jsonl", "parquet", "xlsx", "html")
_MARK = b"tieba-export"  # in the index of pages that `tieba export` has written
# Pages are a folder, which comes as an archive.
_PAGES = """
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tieba export "$@" --out="$folder/pages" >/dev/null
tar -C "$folder/pages" -c .
"""


def export(out: Path | None, kind: str, forum: str, *, force: bool) -> int:
    """Write posts into the file `out`, or as html threads into a folder; return `tieba export`'s exit status.

    `forum` is empty for all.  Nothing is at `out` before all of it is; what is there goes only with `force`.
    Raises ControlError for a value that cannot be meant.
    """
    if kind not in FORMATS:
        raise ControlError(f"FORMAT={kind}: use one of {', '.join(FORMATS)}")
    out = out or Path("threads" if kind == "html" else f"posts.{kind}")
    if out.is_dir() != (kind == "html") and out.exists():
        raise ControlError(f"OUT={out}: is a {'folder' if out.is_dir() else 'file'}; use another name")
    if out.exists() and not force:
        raise ControlError(f"OUT={out}: is there; FORCE=1 replaces it, or use another name")
    if out.exists() and not (out.is_file() or _has_our_pages(out)):
        raise ControlError(f"OUT={out}: no export has made it, so that none replaces it; use another name")
    options = [f"--format={kind}", *([f"--forum={forum}"] if forum else [])]
    partial = out.with_name(f"{out.name}.part")
    try:
        if kind == "html":
            status = _fetch_pages(options, partial)
        else:
            with partial.open("wb") as file:
                command = cluster.ssh("master", "tieba", "export", *options, "--out=-")
                status = subprocess.run(command, stdout=file, check=False).returncode
        if status == 0:
            if out.is_dir():
                shutil.rmtree(out)
            partial.replace(out)
            print(out)
    except OSError as error:
        raise ControlError(f"OUT={out}: {error.strerror}; for example OUT={out.name}") from None
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
    return status


def _has_our_pages(folder: Path) -> bool:
    try:
        with (folder / "index.html").open("rb") as index:
            return _MARK in index.read(1_000)
    except OSError:
        return False


def _fetch_pages(options: list[str], folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    command = cluster.ssh("master", "sh", "-c", _PAGES, "tieba", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as export:
        unpacked = subprocess.run(
            ["tar", "-C", str(folder), "-x", "--no-same-owner"], stdin=export.stdout, check=False
        )
    return export.returncode or unpacked.returncode
