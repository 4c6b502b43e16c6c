"""`make image`: an image of a provisioned slave, without what makes it that one; new slaves start from it."""

import contextlib
import fnmatch
import json
import platform
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from typing import IO, cast

from control import cluster, image, release
from control.engine import docker, docker_command
from control.process import ControlError, last_line
from control.project import CLUSTER, ROOT

TAG = f"{CLUSTER}-slave"
_CLUSTER_LABEL, _RELEASE_LABEL, _PYTHON_LABEL, _BASE_LABEL = (
    f"tieba.{what}" for what in ("image", "release", "python", "base")
)
_FORGOTTEN = ROOT / "roles" / "base" / "files" / "forgotten"
_KEYS = "/home/*/.ssh/*"  # who may log in is settled when a node is made
_MACHINE_ID = "/etc/machine-id"  # empty: systemd makes one at the start; without it, it would reset all units
_TOLD = """
basename "$(readlink /opt/tieba/current || echo none)"
python3 -c 'import sys; print(*sys.version_info[:2], sep=".")'
ls /opt/tieba/releases 2>/dev/null || true
"""


def make() -> str:
    """Make the image of the first slave, which goes on with its work; return its release.

    Raises ControlError where there is no slave with the release that this folder makes.
    """
    slave = next((name for name in cluster.running() if name.startswith("slave")), None)
    if not slave:
        raise ControlError("no slave runs, of which an image could be made: `make up` makes one")
    has, python, *releases = docker("exec", cluster.container(slave), "sh", "-c", _TOLD).split()
    if has not in _releases(python):
        raise ControlError(f"{slave} has not the release of this folder ({has}); `make up` deploys it first")
    labels = {_CLUSTER_LABEL: CLUSTER, _RELEASE_LABEL: has, _PYTHON_LABEL: python, _BASE_LABEL: image.TAG}
    changes = ['CMD ["/sbin/init"]', *(f"LABEL {name}={value}" for name, value in labels.items())]
    options = [word for change in changes for word in ("--change", change)]
    old = _id()
    older = [f"/opt/tieba/releases/{name}" for name in releases if name != has]
    made = _copy(["export", cluster.container(slave)], ["import", *options, "-"], [*patterns(), *older])
    docker("tag", made, TAG)
    if old:
        docker("rmi", old, check=False)  # not while slaves made from it are there
    return has


def usable(note: Callable[[str], None]) -> str | None:
    """Return the image's tag where it holds what would be deployed; say so where it is outdated."""
    if not _id():
        return None
    labels = json.loads(docker("inspect", "--format", "{{json .Config.Labels}}", TAG))
    if labels[_RELEASE_LABEL] in _releases(labels[_PYTHON_LABEL]) and labels[_BASE_LABEL] == image.TAG:
        return TAG
    note(f"image {TAG} (release {labels[_RELEASE_LABEL]}) is outdated, so not used; `make image` renews it")
    return None


def remove() -> None:
    """Remove the image, and older ones that slaves were made from."""
    if ids := docker("images", "--quiet", "--filter", f"label={_CLUSTER_LABEL}={CLUSTER}").split():
        docker("rmi", "--force", *ids)


def patterns() -> list[str]:
    """Return the shell patterns of the paths that the image is made without."""
    lines = _FORGOTTEN.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")] + [_KEYS]


def forget(source: IO[bytes], target: IO[bytes], forgotten: Iterable[str]) -> None:
    """Copy a tar stream of a machine's files without those that match one of the patterns, or are in one."""
    forgotten = [pattern for path in forgotten for pattern in (path, f"{path}/*")]
    with (
        tarfile.open(fileobj=source, mode="r|") as machine,
        tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as copy,
    ):
        for member in machine:
            path = f"/{member.name.removeprefix('./')}"
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in forgotten):
                continue
            if path == _MACHINE_ID:
                member.size = 0
            copy.addfile(member, machine.extractfile(member) if member.isreg() and member.size else None)


def _copy(export: list[str], imported: list[str], forgotten: list[str]) -> str:
    """Pass what one command of Docker's writes through `forget` to another one; return what that one says.

    `docker commit` would pause the slave, and lower layers would keep what upper ones remove.
    """
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([*docker_command(), *export], stdout=pipe, stderr=pipe) as source,
        subprocess.Popen([*docker_command(), *imported], stdin=pipe, stdout=pipe, stderr=pipe) as target,
    ):
        # One of them has ended before its time, and says why.
        with contextlib.suppress(BrokenPipeError, tarfile.ReadError):
            forget(cast("IO[bytes]", source.stdout), cast("IO[bytes]", target.stdin), forgotten)
        said = [
            [text.decode(errors="replace") for text in process.communicate()] for process in (source, target)
        ]
    made = said[1][0].strip()
    if source.returncode or target.returncode:
        if made:
            docker("rmi", made, check=False)
        raise ControlError(f"docker: {last_line(''.join(errors for _, errors in said))}")
    return made


def _releases(python: str) -> list[str]:
    """Return the releases that this folder makes for slaves: without and with what a bucket needs."""
    return [release.identify(python, platform.machine(), extras) for extras in ([], ["s3"])]


def _id() -> str:
    return docker("images", "--quiet", TAG)
