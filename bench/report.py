"""What each part of a benchmark gives: figures, tables for people, and targets with whether they are met."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

_STARTED = time.monotonic()


class Target(NamedTuple):
    """A figure to reach."""

    figure: str
    target: str
    measured: str
    met: bool


@dataclass(frozen=True)
class Part:
    """One part of a benchmark.

    `measure(quick)` gives figures that JSON can hold; `tables` and `targets` say what they mean.
    """

    measure: Callable[[bool], dict[str, Any]]
    tables: Callable[[dict[str, Any]], list[Table]]
    targets: Callable[[dict[str, Any]], list[Target]]


def machine(*packages: str) -> dict[str, Any]:
    """Tell what a benchmark runs on: the machine, how busy it is, and the versions of some packages."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }


def note(text: str) -> None:
    """Show progress on stderr."""
    print(f"{time.monotonic() - _STARTED:4.0f} s  {text}", file=sys.stderr, flush=True)
