"""Servers of several versions for the tests, out of the packages of several releases; nothing is installed.

A release's packages are unpacked into a folder; its programs run with the loader and the libraries in there.
"""

import platform
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from control.process import ControlError, apt_install, run, sudo
from control.project import APT_MIRROR, CACHE

FOLDER = CACHE / "servers"
MARIADB = "mariadb-10.6"  # Ubuntu 22.04's, the oldest that we support
_PROGRAMS = {  # as the tests know them: release, package, program
    "redis-8.0": ("trixie", "redis-server", "bin/redis-server"),
    "valkey-8.1": ("trixie", "valkey-server", "bin/valkey-server"),
    "redis-7.0": ("bookworm", "redis-server", "bin/redis-server"),
    "redis-6.0": ("bullseye", "redis-server", "bin/redis-server"),
    # Ubuntu 20.04's: one that is too old for us
    "redis-5.0": ("focal", "redis-server", "bin/redis-server"),
    MARIADB: ("jammy", "mariadb-server-core-10.6", "sbin/mariadbd"),
    "mysql-8.0": ("focal", "mysql-server-core-8.0", "sbin/mysqld"),
    # For what role monitoring gives it.
    "prometheus": ("bookworm", "prometheus", "bin/prometheus"),
    "promtool": ("bookworm", "prometheus", "bin/promtool"),
}
_UBUNTU = ("focal", "jammy")
_UBUNTU_KEYS = "ubuntu-archive-keyring"  # a package of Debian, and the file in it
_NEEDED = re.compile(
    r"(.*/)?(lib/[^/]+/(private/)?[^/]+\.so[^/]*|bin/(redis|valkey)-(server|check-rdb)"
    rf"|bin/prom(etheus|tool)|sbin/(mariadbd|mysqld)|share/(mysql|mariadb)/.*|{_UBUNTU_KEYS}\.gpg)"
)
_SCRIPT = """\
#!/bin/sh
root=$(dirname "$0")/{release}
export LUA_CPATH="$root/usr/lib/{triplet}/liblua5.1-?.so.0.0.0"  # Debian 11's Redis looks for cjson there
exec "$root/{loader}" --library-path "$root/lib/{triplet}:$root/usr/lib/{triplet}" \\
    "$root/usr/{program}" "$@"{options}
"""


def fetch(note: Callable[[str], None]) -> Path:
    """Return the folder of the programs, fetched once; `note` is told of those that cannot be had."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (release, _, program) in _PROGRAMS.items():
        script = FOLDER / name
        if script.exists():
            continue
        try:
            root = _unpack(release, program)
        except ControlError as error:
            note(f"no {name}: {error}")
            continue
        triplet = f"{platform.machine()}-linux-gnu"
        loader = next(path for path in root.glob(f"**/{triplet}/ld-linux*.so*"))
        text = _SCRIPT.format(
            release=release,
            program=program,
            triplet=triplet,
            loader=loader.relative_to(root),
            options=' --basedir="$root/usr"' if program.startswith("sbin/") else "",
        )
        script.write_text(text)
        script.chmod(0o755)
    return FOLDER


def _unpack(release: str, program: str) -> Path:
    root = FOLDER / release
    if not (root / "usr" / program).exists():
        apt_install("mmdebstrap")
        packages = sorted({package for other, package, _ in _PROGRAMS.values() if other == release})
        options = ["--variant=extract", "--format=tar"]
        if release in _UBUNTU:
            keys = FOLDER / "trixie" / "usr" / "share" / "keyrings" / f"{_UBUNTU_KEYS}.gpg"
            options += ["--components=main,universe", f"--keyring={keys}"]
        elif release == "trixie":
            packages.append(_UBUNTU_KEYS)
        mirror = [APT_MIRROR] if APT_MIRROR and release not in _UBUNTU else []
        archive, partial = FOLDER / f"{release}.tar", FOLDER / f"{release}.part"
        run(
            *sudo(), "mmdebstrap", *options, f"--include={','.join(packages)}",
            release, str(archive), *mirror, timeout=300,
        )  # fmt: skip
        with tarfile.open(archive) as tar:
            members = [entry for entry in tar if _NEEDED.fullmatch(entry.name) and entry.linkname[:1] != "/"]
            tar.extractall(partial, members)  # noqa: S202 - out of signed packages
        archive.unlink()
        shutil.rmtree(root, ignore_errors=True)
        partial.rename(root)
    return root
