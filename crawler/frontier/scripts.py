"""The Lua scripts that make the frontier's operations atomic: one file per operation in `lua/`.

`lua/lib/` holds what they share and is put before them. A script is called by its hash; a server that does
not know it yet, such as one that took over from another, is sent the source.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

_LIBRARIES = {
    "push": ("common", "seen"),
    "complete": ("common", "seen"),
    "see": ("common", "seen"),
    "forget": ("common", "seen"),
    "known": ("common", "seen"),
    "reap": ("common", "garbage"),
    "begin": ("common", "garbage"),
    "drop": ("common", "garbage"),
    "empty": ("common", "garbage"),
}


@cache
def source(name: str) -> str:
    """Give the whole text of the script `lua/<name>.lua`."""
    folder = resources.files("frontier") / "lua"
    libraries = [folder / "lib" / f"{library}.lua" for library in _LIBRARIES.get(name, ("common",))]
    return "\n".join(path.read_text(encoding="utf-8") for path in (*libraries, folder / f"{name}.lua"))


@cache
def digest(name: str) -> str:
    """Give the hash by which Redis knows the script."""
    return hashlib.sha1(source(name).encode(), usedforsecurity=False).hexdigest()
