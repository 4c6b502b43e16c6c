"""The locked virtual environment of the control side, in .venv/."""

import hashlib
import sys

from control.process import ControlError, apt_install, run
from control.project import REQUIREMENTS, ROOT, VENV

PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"


def ensure(purpose: str = "control") -> None:
    """Make .venv hold requirements/<purpose>.txt and the tieba distribution; do nothing if it does.

    `purpose` is "control" or "test"; test.txt holds all of control.txt.  An interrupted run is
    repeated, since the stamp is written last.
    """
    wanted = {kind: _fingerprint(kind) for kind in ("control", "test")}
    stamp = VENV / ".requirements"
    # Without its Python, which an upgrade of the system can take away, .venv is worth nothing.
    have = stamp.read_text() if stamp.exists() and PYTHON.exists() else ""
    if have == wanted["test"] or have == wanted[purpose]:
        return
    if not PYTHON.exists() or not (VENV / "bin" / "pip").exists():
        _create()
    # pip builds nothing and installs one wheel: uv, which does the rest in seconds.
    run(
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "-r",
        str(REQUIREMENTS / "bootstrap.txt"),
    )
    uv = [str(UV), "pip", "install", "--python", str(PYTHON)]
    run(*uv, "--require-hashes", "-r", str(REQUIREMENTS / f"{purpose}.txt"))
    run(*uv, "--no-deps", "--offline", "--editable", str(ROOT / "crawler"))
    stamp.write_text(wanted[purpose])


def _create() -> None:
    create = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if run(*create, check=False).returncode:
        # Debian and Ubuntu ship venv's pip as a package of its own.
        apt_install(f"python3.{sys.version_info.minor}-venv")
        if run(*create, check=False).returncode:
            raise ControlError(f"{sys.executable} -m venv fails; install python3-venv and try again")


def _fingerprint(purpose: str) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in (REQUIREMENTS / f"{purpose}.txt", ROOT / "crawler" / "pyproject.toml"):
        digest.update(path.read_bytes())
    return f"{purpose} {digest.hexdigest()}"
