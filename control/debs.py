"""Packages of any Debian or Ubuntu release with all that they depend on, through this machine's own apt.

mmdebstrap knows the archives of every release and makes the folder that apt works in; nothing is installed,
and nothing of this machine's own apt is touched.  For an apt that knows of no installed package, everything
is missing: so a machine of whatever age finds all that it needs, and takes only what it lacks.
"""

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from control.bundle import ARCHITECTURES, sha256
from control.process import ControlError, apt_install, run
from control.project import APT_MIRROR, APT_PROXY, CACHE

_KEYRINGS = Path("/usr/share/keyrings")
_UBUNTU = ("jammy", "noble")
_DEBIAN_KEYS, _UBUNTU_KEYS = "debian-archive-keyring", "ubuntu-archive-keyring"  # the files there
# Debian has Ubuntu's keys in this package; not in its release 12, hence that of 13.
_UBUNTU_PACKAGE, _HAS_UBUNTU_KEYS = "ubuntu-keyring", "trixie"
_SECONDS = 900
_CONFIG = """\
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Cache::archives "{archives}";
Dir::Etc::Trusted "{keyring}";
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Debug::NoLocking "true";
"""


def fetch(
    release: str, machine: str, packages: Sequence[str], into: Path, source: tuple[str, Path] | None = None
) -> dict[str, str]:
    """Make the folder `into` an apt repository with `packages`, and return the version of each package in it.

    `source` is one more archive: its line in a list of sources and the file with its key.  Raises
    ControlError where a package cannot be had.
    """
    cache = CACHE / "bundle" / f"{release}-{machine}"
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache.parent) as folder:
        apt = _prepare(Path(folder), release, machine, cache)
        if source:
            line, key = source
            shutil.copy(key, Path(folder) / "key.asc")
            (Path(folder) / "root/etc/apt/sources.list.d/extra.list").write_text(
                line.replace("KEY", f"{folder}/key.asc") + "\n"
            )
        run(*apt, "-o", "APT::Update::Error-Mode=any", "update", timeout=_SECONDS)
        told = run(*apt, "--simulate", "install", *packages).stdout
        run(*apt, "--download-only", "install", *packages, timeout=_SECONDS)
    chosen = re.findall(r"^Inst (\S+) \((\S+) .*\[(\S+?)\]\)", told, re.MULTILINE)
    files = {
        name: cache / f"{name}_{version.replace(':', '%3a')}_{arch}.deb" for name, version, arch in chosen
    }
    for old in set(cache.glob("*.deb")) - set(files.values()):
        old.unlink()
    _write_repository(into, files, ARCHITECTURES[machine])
    return {name: version for name, version, _ in chosen}


def _prepare(folder: Path, release: str, machine: str, archives: Path) -> list[str]:
    """Return the words of an apt-get whose root, in `folder`, knows that release's archives alone."""
    apt_install("mmdebstrap")
    architecture = ARCHITECTURES[machine]
    options = ["--mode=chrootless", "--variant=custom", "--simulate", f"--architectures={architecture}"]
    keyring = _keyring(release, folder)
    options += [f"--keyring={keyring}"]
    options += ["--components=main,universe"] if release in _UBUNTU else []
    mirror = [APT_MIRROR] if _mirrored(release) else []
    proxy = {"http_proxy": APT_PROXY, "https_proxy": APT_PROXY} if APT_PROXY else {}
    root, config = folder / "root", folder / "apt.conf"
    done = run("mmdebstrap", *options, release, str(root), *mirror, env=proxy, timeout=_SECONDS, check=False)
    if done.returncode:
        reasons = re.findall(r"^E: (.*)", done.stdout + done.stderr, re.MULTILINE)
        raise ControlError(
            f"packages of {release} for {architecture}: {(reasons or ['mmdebstrap failed'])[0]}"
        )
    (archives / "partial").mkdir(exist_ok=True)
    config.write_text(
        _CONFIG.format(root=root, archives=archives, keyring=keyring, architecture=architecture)
    )
    environment = [f"{name}={value}" for name, value in proxy.items()]
    return ["env", "LC_ALL=C", *environment, "apt-get", f"--config-file={config}", "--yes", "--quiet=2"]


def _mirrored(release: str) -> bool:
    """Say whether APT_MIRROR is one of the release's distribution: its path ends with the name."""
    return bool(APT_MIRROR) and ("ubuntu" in APT_MIRROR.rpartition("/")[2]) == (release in _UBUNTU)


def _keyring(release: str, folder: Path) -> Path:
    """Return the file with the keys of the release's archives, fetched where this machine has none."""
    name = _UBUNTU_KEYS if release in _UBUNTU else _DEBIAN_KEYS
    installed = _KEYRINGS / f"{name}.gpg"
    if installed.exists():
        return installed
    if name == _DEBIAN_KEYS:
        apt_install(_DEBIAN_KEYS)
        return installed
    with suppress(ControlError):
        apt_install(_UBUNTU_PACKAGE)
        return installed
    keys = CACHE / "bundle" / "keys"
    if not (keys / f"{name}.gpg").exists():
        here = folder / "keys"
        (here / "archives").mkdir(parents=True)
        apt = _prepare(here, _HAS_UBUNTU_KEYS, "x86_64", here / "archives")
        run(*apt, "update", timeout=_SECONDS)
        run(*apt, "--download-only", "install", _UBUNTU_PACKAGE, timeout=_SECONDS)
        (package,) = (here / "archives").glob(f"{_UBUNTU_PACKAGE}_*.deb")
        run("dpkg-deb", "--extract", str(package), str(here / "unpacked"))
        keys.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / "unpacked" / str(_KEYRINGS).lstrip("/") / f"{name}.gpg", keys)
    return keys / f"{name}.gpg"


def _write_repository(into: Path, files: dict[str, Path], architecture: str) -> None:
    """Copy the packages into the folder, and write the index that makes it a repository."""
    into.mkdir(parents=True)
    stanzas = []
    for _, file in sorted(files.items()):
        # Without the epoch, as in the archives.
        name = re.sub(r"_\d+%3a", "_", file.name)
        copy = into / name
        shutil.copyfile(file, copy)
        fields = run("dpkg-deb", "--field", str(copy)).stdout.strip()
        stanzas.append(f"{fields}\nFilename: ./{name}\nSize: {copy.stat().st_size}\nSHA256: {sha256(copy)}\n")
    index = into / "Packages"
    index.write_text("\n".join(stanzas), encoding="utf-8")
    date = format_datetime(datetime.now(timezone.utc), usegmt=True)
    (into / "Release").write_text(
        f"Date: {date}\nArchitectures: {architecture}\n"
        f"SHA256:\n {sha256(index)} {index.stat().st_size} {index.name}\n"
    )
