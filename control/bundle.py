"""Bundles: folders with all that nodes and a control machine without internet need.

    manifest.json                  what is in it: MANIFEST_VERSION, systems, every file's size and SHA-256
    apt/<release>-<machine>/       an apt repository: packages with all that they depend on
    mongod/<machine>/              the wheel with the trial server, where MongoDB's packages could not be had
    wheels/                        what control/release.py makes the nodes' releases of
    control/cp<version>-<machine>/ the control side's own wheels

control/bundling.py makes them; this module reads them.
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from control.process import ControlError
from control.project import CACHE, ROOT

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
# release -> the Python of its python3
PYTHONS = {"jammy": "3.10", "noble": "3.12", "bookworm": "3.11", "trixie": "3.13"}
# machine, as uname tells it -> architecture, as dpkg does
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What each machine gets, and the master for each store, as the roles have it.
BASE_PACKAGES = ("ca-certificates", "python3-apt")
FIREWALL_PACKAGES = ("nftables",)
REDIS_PACKAGES = ("redis-server", "redis-tools")
MONITORING_PACKAGES = ("prometheus", "prometheus-node-exporter", "prometheus-redis-exporter")
MYSQL_PACKAGES = ("mariadb-server",)
RECORDS_PACKAGES = ("rsync",)  # by which backups, and records of the store jsonl, are fetched
MONGODB_PACKAGES = ("mongodb-org-server", "mongodb-mongosh")
TRIAL_PACKAGES = ("libcurl4", "liblzma5", "libssl3")  # of MongoDB's trial server
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A bundle that is there."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, name: str) -> "Bundle":
        """Return the bundle in the folder `name`, a path from the project's root; raises ControlError."""
        folder = ROOT / Path(name).expanduser()
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            version = manifest["version"]
        except OSError:
            raise ControlError(
                f"bundle {name}: there is no {MANIFEST} in it; make it with `make bundle BUNDLE={name}` "
                "where there is internet, and copy the whole folder"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise ControlError(f"bundle {name}: {MANIFEST} is damaged; copy the folder again") from None
        if version != MANIFEST_VERSION:
            raise ControlError(f"bundle {name}: made by another version of this project; make it again")
        return cls(folder, manifest)

    def damage(self, *parts: str) -> list[str]:
        """Return one line for each file below the folders `parts` that is not what the manifest says."""
        errors = []
        for name, told in self.manifest["files"].items():
            if not name.startswith(tuple(f"{part}/" for part in parts)):
                continue
            path = self.folder / name
            if not path.is_file():
                errors.append(f"bundle: {path} is missing: copy the folder again")
            elif path.stat().st_size != told["size"] or sha256(path) != told["sha256"]:
                errors.append(f"bundle: {path} is damaged (not what {MANIFEST} says): copy the folder again")
        return errors

    def errors(self, nodes: Iterable[Mapping[str, Any]], requirements: str) -> list[str]:
        """Return one line for each thing that keeps `nodes` from being deployed from the bundle.

        Each node has `host`, `release` ("bookworm"), `machine` ("x86_64"), `python` ("3.11"), `stores` (those
        that run on it) and `trial` (whether MongoDB's trial server may).  `requirements` is that of
        control/release.py.
        """
        if self.manifest["requirements"] != requirements:
            return [
                "bundle: made for other requirements than this version of the project has; make it again here"
            ]
        lacks: dict[str, list[str]] = {}
        parts = {"wheels"}
        for node in nodes:
            system = f"{node['release']}-{node['machine']}"
            parts |= {f"apt/{system}", f"mongod/{node['machine']}"}
            for error in self._lacks(node, system):
                lacks.setdefault(error, []).append(node["host"])
        errors = [f"bundle: {error} (for {', '.join(hosts)})" for error, hosts in lacks.items()]
        return errors or self.damage(*sorted(parts))

    def _lacks(self, node: Mapping[str, Any], system: str) -> Iterable[str]:
        release, arch = node["release"], ARCHITECTURES.get(node["machine"], node["machine"])
        again = f"make bundle SYSTEMS={release} ARCH={arch} STORAGE={','.join(node['stores']) or 'jsonl'}"
        there = self.manifest["systems"].get(system)
        if there is None:
            have = ", ".join(sorted(self.manifest["systems"]))
            yield f"nothing for {system} in it, only for {have}; {again}"
            return
        if node["python"] != PYTHONS.get(release):
            yield f"no wheels for Python {node['python']} on {system}, only for {PYTHONS.get(release)}"
        for store in node["stores"]:
            if not there["stores"].get(store):
                yield f"no {store} for {system} in it; {again}"
        if "mongodb" in node["stores"] and there["stores"].get("mongodb") == "trial" and not node["trial"]:
            yield (
                f"only MongoDB's trial server for {system} in it; {again} where mongodb.org answers, "
                "or, for a trial, use -e mongodb_trial_fallback_enabled=true"
            )

    def control_wheels(self) -> Path:
        """Return the folder with the wheels of this Python's control side; raises ControlError."""
        part = control_part()
        if not (self.folder / part).is_dir():
            have = ", ".join(sorted(path.name for path in (self.folder / "control").glob("*"))) or "none"
            raise ControlError(
                f"bundle {self.folder}: no control side for {part.partition('/')[2]} in it, only for {have}; "
                "use that Python: make setup PYTHON=python3.…"
            )
        if errors := self.damage(part):
            raise ControlError(errors[0])
        return self.folder / part

    def pack(self, system: str, names: Iterable[str]) -> Path:
        """Return an archive of packages, by file name, of a system; raises ControlError."""
        wanted = sorted(set(names))
        files = self.manifest["files"]
        digest = hashlib.sha256(system.encode())
        for name in wanted:
            path = f"apt/{system}/{name}"
            if path not in files:
                raise ControlError(f"bundle {self.folder}: {path} is not in it; make it again")
            digest.update(files[path]["sha256"].encode())
        archive = CACHE / "bundle" / "packed" / f"{digest.hexdigest()[:16]}.tar"
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            # Several machines may ask for the same one at once.
            with NamedTemporaryFile(dir=archive.parent, delete=False) as partial:
                with tarfile.open(fileobj=partial, mode="w") as tar:
                    for name in wanted:
                        self._add(tar, f"apt/{system}/{name}", name)
                Path(partial.name).rename(archive)
        return archive

    def _add(self, tar: tarfile.TarFile, path: str, name: str) -> None:
        data = (self.folder / path).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.manifest["files"][path]["sha256"]:
            raise ControlError(f"bundle: {self.folder / path} is damaged: copy the folder again")
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))


def given() -> "Bundle | None":
    """Return the bundle that BUNDLE names, if any."""
    name = os.environ.get("BUNDLE")
    return Bundle.open(name) if name else None


def control_part() -> str:
    """Return the path, in a bundle, of the control side's wheels for this Python and machine."""
    return f"control/cp{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"


def sha256(path: Path) -> str:
    """Return the hash of a file's contents."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
