"""The locked virtual environment of the control side, in .venv/."""

import hashlib
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from control.bundle import Bundle
from control.process import ControlError, apt_install, run
from control.project import CACHE, REQUIREMENTS, ROOT, VENV

PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"


def ensure(purpose: str = "control", bundle: Bundle | None = None) -> None:
    """Make .venv hold requirements/<purpose>.txt and the tieba distribution; do nothing if it does.

    `purpose` is "control" or "test"; test.txt holds all of control.txt.  `bundle`, if given, has the wheels
    of "control", and no network is asked.  An interrupted run is repeated, since the stamp is written last.
    """
    wanted = {kind: fingerprint(kind) for kind in ("control", "test")}
    stamp = VENV / ".requirements"
    # Without its Python, which an upgrade of the system can take away, .venv is worth nothing.
    have = stamp.read_text() if stamp.exists() and PYTHON.exists() else ""
    if have == wanted["test"] or have == wanted[purpose]:
        return
    # The programs of one that was moved name its old place.
    is_foreign = bool(have) and not have.endswith(_place())
    if bundle:
        _install_from(bundle.control_wheels(), anew=is_foreign)
        stamp.write_text(wanted["control"])
        return
    if is_foreign or not PYTHON.exists() or not (VENV / "bin" / "pip").exists():
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
    run(*uv, "--require-hashes", "-r", str(requirements(purpose)))
    run(*uv, "--no-deps", "--offline", "--editable", str(ROOT / "crawler"))
    stamp.write_text(wanted[purpose])


def _install_from(wheels: Path, *, anew: bool) -> None:
    """Make .venv out of `wheels` alone: uv needs neither pip nor the distribution's package for venv."""
    CACHE.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as folder:
        with zipfile.ZipFile(next(wheels.glob("uv-*.whl"))) as archive:
            uv = archive.extract(
                next(name for name in archive.namelist() if name.endswith("/scripts/uv")), folder
            )
        Path(uv).chmod(0o755)
        offline = {"UV_OFFLINE": "1", "UV_NO_CONFIG": "1", "UV_CACHE_DIR": f"{folder}/cache"}
        if anew or not PYTHON.exists():  # else it may be what runs this
            run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV), env=offline)
        install = [uv, "pip", "install", "--python", str(PYTHON), "--no-index", "--find-links", str(wheels)]
        run(*install, "--require-hashes", "-r", str(requirements("control")), env=offline)
        run(*install, "--no-deps", "--editable", str(ROOT / "crawler"), env=offline)


def _create() -> None:
    create = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if run(*create, check=False).returncode:
        # Debian and Ubuntu ship venv's pip as a package of its own.
        apt_install(f"python3.{sys.version_info.minor}-venv")
        if run(*create, check=False).returncode:
            raise ControlError(f"{sys.executable} -m venv fails; install python3-venv and try again")


def requirements(purpose: str) -> Path:
    """Return the file with the locked requirements of that purpose."""
    return REQUIREMENTS / f"{purpose}.txt"


def fingerprint(purpose: str) -> str:
    """Return what .venv is known by when it holds what `purpose` needs."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (requirements(purpose), ROOT / "crawler" / "pyproject.toml"):
        digest.update(path.read_bytes())
    return f"{purpose} {digest.hexdigest()}{_place()}"


def _place() -> str:
    return f" {VENV.resolve()}"
