"""Releases: what Ansible installs on the nodes, with every wheel, so that nodes need no registry.

An archive holds `wheels/` (the distribution, what it depends on, uv), `requirements.txt` with the
wheels' hashes, and `install` (install.sh).  It is made once for each Python, machine and set of
extras: what an extra of crawler/pyproject.toml brings can be larger than all the rest.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from control.bundle import Bundle
from control.environment import PYTHON, UV
from control.process import ControlError, run
from control.project import CACHE, REQUIREMENTS, ROOT

# The oldest supported node, Ubuntu 22.04, has glibc 2.35.
_GLIBC_MINORS = range(17, 36)
_MACHINES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
EXTRAS = ("export", "s3")  # of crawler/pyproject.toml
_SOURCE_SUFFIXES = {".py", ".lua", ".html", ".css", ".js", ".mo", ".svg", ".toml", ".typed"}


def build(
    python: str, machine: str, extras: Sequence[str] = (), bundle: Bundle | None = None
) -> dict[str, str]:
    """Make the release for nodes with `python` ("3.11") on `machine` ("x86_64"), unless it is there.

    `extras` are some of EXTRAS, in their order.  `bundle`, if given, has the wheels, and no network is asked.
    Returns {"release": its id, "archive": its path}.  The id changes exactly when something in the
    archive does.  Raises ControlError for a machine without wheels.
    """
    if machine not in _MACHINES:
        raise ControlError(f"machine {machine!r}: no wheels for it; use one of {', '.join(_MACHINES)}")
    release = identify(python, machine, extras)
    archive = CACHE / "releases" / f"tieba-{release}-{_kind(python, machine, extras)}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=archive.parent) as folder:
            _assemble(Path(folder), python, machine, extras, bundle)
            partial = archive.with_suffix(".part")
            with tarfile.open(partial, "w") as tar:
                for path in sorted(Path(folder).iterdir()):
                    tar.add(path, path.name)
        partial.replace(archive)
        _prune(archive)
    return {"release": release, "archive": str(archive)}


def export(python: str, machine: str, into: Path) -> None:
    """Copy what `build` makes the releases for such nodes of into the folder `into`, for a bundle."""
    into.mkdir(exist_ok=True)
    for count in range(len(EXTRAS) + 1):
        for extras in combinations(EXTRAS, count):
            shutil.copy(_pinned(python, machine, extras), into)
    wheels = _wheels(python, machine)
    shutil.copytree(wheels, into / wheels.name, dirs_exist_ok=True)


def requirements() -> str:
    """Return a hash of what decides which wheels releases are made of."""
    inputs = [ROOT / "crawler" / "pyproject.toml", REQUIREMENTS / "nodes.txt", REQUIREMENTS / "bootstrap.txt"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()[:12]


def _prune(latest: Path) -> None:
    """Remove all archives of the same kind but `latest` and the one before it."""
    same_kind = latest.parent.glob(f"tieba-*-{latest.stem.split('-', 2)[2]}.tar")
    for old in sorted(same_kind, key=lambda path: path.stat().st_mtime)[:-2]:
        old.unlink()


def identify(python: str, machine: str, extras: Sequence[str] = ()) -> str:
    """Return the release's id: a hash of all that goes into its archive."""
    digest = hashlib.sha256(_kind(python, machine, extras).encode())
    for path in _inputs():
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _kind(python: str, machine: str, extras: Sequence[str]) -> str:
    return "-".join([f"cp{python.replace('.', '')}", machine, *extras])


def _inputs() -> list[Path]:
    sources = [p for p in (ROOT / "crawler").rglob("*") if p.suffix in _SOURCE_SUFFIXES]
    ours = [REQUIREMENTS / "nodes.txt", REQUIREMENTS / "bootstrap.txt", ROOT / "control" / "install.sh"]
    return sorted(sources) + ours


def _assemble(folder: Path, python: str, machine: str, extras: Sequence[str], bundle: Bundle | None) -> None:
    pinned = _pinned(python, machine, extras, bundle)
    shutil.copy(pinned, folder / "requirements.txt")
    names = {line.partition("==")[0] for line in pinned.read_text().splitlines()} | {"uv"}
    wheels = folder / "wheels"
    wheels.mkdir()
    # A bundle may lie on another file system.
    link = shutil.copyfile if bundle else os.link
    for wheel in _wheels(python, machine, bundle).iterdir():
        if re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower() in names:
            link(wheel, wheels / wheel.name)
    build = [str(UV), "build", "--quiet", "--offline", "--no-create-gitignore", "--wheel"]
    run(*build, "--out-dir", str(wheels), str(ROOT / "crawler"))
    shutil.copy(ROOT / "control" / "install.sh", folder / "install")


def _wheels(python: str, machine: str, bundle: Bundle | None = None) -> Path:
    """Return the folder with the wheels for that platform, of all extras, and uv's; fetched once."""
    pinned = _pinned(python, machine, EXTRAS, bundle)
    folder = pinned.with_suffix("")
    if folder.exists() or bundle:
        return folder
    tag = python.replace(".", "")
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS] + [f"manylinux2014_{machine}"]
    with TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "wheels"
        run(
            *(str(PYTHON), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
            *("--require-hashes", "--python-version", python, "--implementation", "cp"),
            *(word for abi in (f"cp{tag}", "abi3", "none") for word in ("--abi", abi)),
            *(word for platform in platforms for word in ("--platform", platform)),
            *("--requirement", str(pinned), "--requirement", str(REQUIREMENTS / "bootstrap.txt")),
            *("--dest", str(partial)),
            timeout=900,
        )
        partial.replace(folder)
    return folder


def _pinned(python: str, machine: str, extras: Sequence[str], bundle: Bundle | None = None) -> Path:
    """Return the file with those lines of nodes.txt that such nodes need; made once.

    pip cannot choose them: it judges markers by the Python that it runs on, and knows no extras there.
    """
    name = f"{_kind(python, machine, extras)}-{requirements()}.txt"
    pinned = (bundle.folder if bundle else CACHE) / "wheels" / name
    if bundle and not pinned.exists():
        raise ControlError(
            f"bundle {bundle.folder}: no wheels for Python {python} on {machine} in it that this version of "
            "the project asks for; make it again"
        )
    if not pinned.exists():
        pinned.parent.mkdir(parents=True, exist_ok=True)
        # uv keeps the hashes that the file held which it writes.
        partial = Path(shutil.copy(REQUIREMENTS / "nodes.txt", pinned.with_suffix(".part")))
        run(
            *(str(UV), "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--python-version", python, "--python-platform", _MACHINES[machine]),
            *("--constraints", str(REQUIREMENTS / "nodes.txt"), "--output-file", str(partial)),
            *(f"--extra={extra}" for extra in extras),
            str(ROOT / "crawler" / "pyproject.toml"),
        )
        partial.replace(pinned)
    return pinned
