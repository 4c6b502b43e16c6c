"""Releases: what Ansible installs on the nodes, with every wheel, so that nodes need no registry.

An archive holds `wheels/` (the distribution, what it depends on, uv), `requirements.txt` with the
wheels' hashes, and `install` (install.sh).  It is made once for each pair of Python and machine.
"""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from control.environment import PYTHON, UV
from control.process import ControlError, run
from control.project import CACHE, REQUIREMENTS, ROOT

# The oldest supported node, Ubuntu 22.04, has glibc 2.35.
_GLIBC_MINORS = range(17, 36)
_MACHINES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
_SOURCE_SUFFIXES = {".py", ".lua", ".html", ".css", ".js", ".toml", ".typed"}


def build(python: str, machine: str) -> dict[str, str]:
    """Make the release for nodes with `python` ("3.11") on `machine` ("x86_64"), unless it is there.

    Returns {"release": its id, "archive": its path}.  The id changes exactly when something in the
    archive does.  Raises ControlError for a machine without wheels.
    """
    if machine not in _MACHINES:
        raise ControlError(f"machine {machine!r}: no wheels for it; use one of {', '.join(_MACHINES)}")
    release = identify(python, machine)
    archive = CACHE / "releases" / f"tieba-{release}-cp{python.replace('.', '')}-{machine}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=archive.parent) as folder:
            _assemble(Path(folder), python, machine)
            partial = archive.with_suffix(".part")
            with tarfile.open(partial, "w") as tar:
                for path in sorted(Path(folder).iterdir()):
                    tar.add(path, path.name)
        partial.replace(archive)
        _prune(archive)
    return {"release": release, "archive": str(archive)}


def _prune(latest: Path) -> None:
    """Remove all archives for the same platform but `latest` and the one before it."""
    same_platform = latest.parent.glob(f"tieba-*-{latest.stem.split('-', 2)[2]}.tar")
    for old in sorted(same_platform, key=lambda path: path.stat().st_mtime)[:-2]:
        old.unlink()


def identify(python: str, machine: str) -> str:
    """Return the release's id: a hash of all that goes into its archive."""
    digest = hashlib.sha256(f"{python} {machine}".encode())
    for path in _inputs():
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _inputs() -> list[Path]:
    sources = [p for p in (ROOT / "crawler").rglob("*") if p.suffix in _SOURCE_SUFFIXES]
    ours = [REQUIREMENTS / "nodes.txt", REQUIREMENTS / "bootstrap.txt", ROOT / "control" / "install.sh"]
    return sorted(sources) + ours


def _assemble(folder: Path, python: str, machine: str) -> None:
    cached = _wheels(python, machine)
    shutil.copytree(cached, folder / "wheels", copy_function=os.link)
    (folder / "wheels" / "requirements.txt").rename(folder / "requirements.txt")
    run(
        str(UV),
        "build",
        "--quiet",
        "--offline",
        "--no-create-gitignore",
        "--wheel",
        "--out-dir",
        str(folder / "wheels"),
        str(ROOT / "crawler"),
    )
    shutil.copy(ROOT / "control" / "install.sh", folder / "install")


def _wheels(python: str, machine: str) -> Path:
    """Return the folder with the wheels of nodes.txt, and of uv, for that platform; fetched once."""
    locked = (REQUIREMENTS / "nodes.txt").read_bytes() + (REQUIREMENTS / "bootstrap.txt").read_bytes()
    lock = hashlib.sha256(locked).hexdigest()[:12]
    folder = CACHE / "wheels" / f"cp{python.replace('.', '')}-{machine}-{lock}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as name:
        partial = Path(name) / "wheels"
        partial.mkdir()
        pinned = partial / "requirements.txt"
        # pip judges markers by the Python it runs on, so leave only the lines that this platform needs.
        run(
            *(str(UV), "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"),
            *(
                "--python-version",
                python,
                "--python-platform",
                _MACHINES[machine],
                "--output-file",
                str(pinned),
            ),
            str(REQUIREMENTS / "nodes.txt"),
        )
        tag = python.replace(".", "")
        platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS] + [
            f"manylinux2014_{machine}"
        ]
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
