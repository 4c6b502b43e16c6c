"""A copy of this folder as a clone has it, changes that are not committed included."""

import shutil
from collections.abc import Callable
from pathlib import Path

from control.process import run
from control.project import ROOT


def clone(folder: Path, copy: Callable[[Path, Path], object] = shutil.copy2) -> None:
    """Copy all files that git knows or would take into `folder`; `copy` does so with one of them."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():  # not one that was removed and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, folder / name)
