"""The node image: a plain Debian or Ubuntu with systemd and sshd, as a fresh machine would be."""

import hashlib
from collections.abc import Callable

from control.engine import docker
from control.process import ControlError, apt_install, run, sudo
from control.project import APT_MIRROR, APT_PROXY, CACHE, CLUSTER

BASE = "ubuntu:24.04"
# systemd 256 and newer refuse cgroup v1 hosts, hence not the newest Debian.
FALLBACK_SUITE = "bookworm"
PACKAGES = (
    "systemd systemd-sysv dbus udev openssh-server python3 sudo iproute2 ca-certificates".split()  # noqa: SIM905
)
_PULL_SECONDS = 120
_DOCKERFILE = f"""\
FROM {BASE}
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {" ".join(PACKAGES)} \\
 && apt-get clean
CMD ["/sbin/init"]
"""
_RECIPE = hashlib.sha256(f"{_DOCKERFILE}{FALLBACK_SUITE}".encode()).hexdigest()[:12]
TAG = f"{CLUSTER}-node:{_RECIPE}"
_PULLED = CACHE / "pulled-base"  # there when the base image came onto this machine through us


def ensure(note: Callable[[str], None]) -> str:
    """Make sure that the engine has the node image, and return its tag."""
    if not docker("images", "--quiet", TAG):
        if _have_base():
            proxy = [f"--build-arg=http_proxy={APT_PROXY}"] if APT_PROXY else []
            docker("build", *proxy, "--tag", TAG, "-", stdin=_DOCKERFILE)
        else:
            note(f"{BASE} cannot be pulled: building a Debian {FALLBACK_SUITE} node image from packages")
            _import_fallback()
    return TAG


def remove() -> None:
    """Remove the node image, and its base if it was pulled for it."""
    for tag in docker("images", "--quiet", f"{CLUSTER}-node").split():
        docker("rmi", "--force", tag)
    if _PULLED.exists():
        docker("rmi", BASE, check=False)
        _PULLED.unlink()


def _have_base() -> bool:
    if docker("images", "--quiet", BASE):
        return True
    try:
        docker("pull", "--quiet", BASE, timeout=_PULL_SECONDS)
    except ControlError:
        return False
    _PULLED.touch()
    return True


def _import_fallback() -> None:
    root = CACHE / f"{FALLBACK_SUITE}-{_RECIPE}.tar"
    if not root.exists():
        apt_install("mmdebstrap")
        partial = root.with_suffix(".part")
        packages = ",".join(PACKAGES)
        mirror = [APT_MIRROR] if APT_MIRROR else []
        options = ["--variant=minbase", "--format=tar", f"--include={packages}"]
        proxy = ["env", f"http_proxy={APT_PROXY}"] if APT_PROXY else []
        run(*sudo(), *proxy, "mmdebstrap", *options, FALLBACK_SUITE, str(partial), *mirror, timeout=900)
        partial.replace(root)
    docker("import", "--change", 'CMD ["/sbin/init"]', str(root), TAG)
