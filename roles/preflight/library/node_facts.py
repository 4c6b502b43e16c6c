#!/usr/bin/python3
"""Tell in one round trip all that roles ask about a machine, where `setup` and tasks take one each."""

from __future__ import annotations

import calendar
import grp
import hashlib
import os
import platform
import pwd
import re
import shlex
import shutil
import socket
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENTATION = r"""
module: node_facts
short_description: Facts of a machine of the cluster
description:
  - Returns those of the facts of M(ansible.builtin.setup) that the roles use, under their names there, and
    C(ansible_facts.node) with the installed packages, who listens on which TCP port, which releases of the
    distribution are installed and which one is current, free disk space, whether the processor has AVX,
    which addresses the machine has and which names it can look up, and what there is of the paths, units and
    users that are asked for.
  - Changes nothing; needs root to see the owners of the ports.
options:
  settings:
    description: Unit (a template without its instance) -> the files that it reads when it starts.
    type: dict
    default: {}
  units:
    description: Further units of interest; C(name@*.service) means all instances.
    type: list
    elements: str
    default: []
  paths:
    description: Files, folders and links of interest.
    type: list
    elements: path
    default: []
  addresses:
    description: Addresses that the machine should have; names are left out.
    type: list
    elements: str
    default: []
  names:
    description: Names that the machine should be able to look up.
    type: list
    elements: str
    default: []
  lines:
    description: File -> regular expressions of lines that may be in it.
    type: dict
    default: {}
  users:
    description: Users of interest, and their groups of the same name.
    type: list
    elements: str
    default: []
author: The authors of this project
"""

EXAMPLES = r"""
- name: Gather the node's facts
  node_facts:
    settings:
      redis-server.service: [/etc/redis/redis.conf]
"""

RETURN = r"""
ansible_facts:
  description:
    Facts of C(setup), and C(node), a dictionary with C(platform) (python and machine), C(packages), C(owned)
    (those that came with a deployment), C(apt_usable), C(listeners), C(releases), C(release), C(used)
    (releases that units name), C(disk_free_mb), C(avx), C(lines) (file -> those of its expressions that
    match a line), C(members) (group -> its members), C(stale) (units that run with older settings than their
    files hold), C(machine_id), C(interrupted) (whether an installation of packages broke off), C(addresses)
    (the machine's own), C(foreign) (those of I(addresses) that it lacks), C(resolved) (each of I(names) with
    its addresses, none where it cannot be looked up), and C(present).
    The last one says of each path, unit and user that exists how it is, in one text, so that a role can
    compare it with what it wants - C(root:tieba 0640 SHA1) for a file, C(root:root 0755 folder),
    C(-> target) for a link, C(active enabled) for a unit (C(stale) in place of C(active) where it is),
    C(HOME SHELL) for the user C(user NAME).
  returned: always
  type: dict
"""

RELEASES = Path("/opt/tieba/releases")
LISTS = Path("/var/lib/apt/lists")
CURRENT = Path("/opt/tieba/current")
HASHED_BYTES = 1 << 20  # settings are small; what is larger is told by its size


def known_packages(module: AnsibleModule) -> list[str]:
    """Return the Debian packages that the machine knows, each after what state it is in."""
    shown = "${db:Status-Abbrev}${Package}\n"
    return _output(module, "dpkg-query", "--show", "--showformat", shown).splitlines()


def packages(known: list[str]) -> list[str]:
    """Return the names of the installed packages."""
    return [line[3:].strip() for line in known if line[1:2] == "i"]


def listeners(module: AnsibleModule) -> dict[str, str]:
    """Return TCP port -> the systemd unit that listens on it, or the process where it is not a unit's."""
    found = {}
    for line in _output(module, "ss", "-H", "-l", "-t", "-n", "-p").splitlines():
        port = line.split()[3].rpartition(":")[2]
        if process := re.search(r'\(\("([^"]+)",pid=(\d+)', line):
            unit = re.search(r"/([^/\n]+\.service)\b", _read(Path("/proc") / process[2] / "cgroup"))
            found[port] = unit[1] if unit else process[1]
        else:
            found.setdefault(port, "unknown")
    return found


def releases() -> list[str]:
    """Return the completely installed releases, oldest first."""
    complete = sorted(RELEASES.glob("*/.complete"), key=lambda path: path.stat().st_mtime)
    return [path.parent.name for path in complete]


def used() -> list[str]:
    """Return the releases that units name: after an interrupted run, others than the current one."""
    units = Path("/etc/systemd/system").glob("tieba-*.service")
    return sorted({name for unit in units for name in re.findall(rf"{RELEASES}/(\w+)/", _read(unit))})


def units(module: AnsibleModule, settings: dict[str, list[str]], others: list[str]) -> dict[str, str]:
    """Return unit -> "active enabled" and the like; "stale" in place of "active" where its files are newer.

    A unit runs with what its files held when it started; an interrupted run leaves such that are stale.
    """
    patterns = [unit.replace("@.", "@*.") for unit in settings] + others
    names = "Id,LoadState,ActiveState,UnitFileState,ExecMainStartTimestamp"
    found = {}
    # Ubuntu 22.04's systemctl does not know --timestamp=unix; TZ makes it print UTC.
    shown = _output(module, "systemctl", "show", f"--property={names}", *patterns, TZ="UTC")
    for block in shown.split("\n\n"):
        properties = dict(line.partition("=")[::2] for line in block.splitlines())
        if properties.get("LoadState") != "loaded":
            continue
        unit, active = properties["Id"], properties["ActiveState"]
        started = re.fullmatch(r"\S+ (\S+ \S+) UTC", properties.get("ExecMainStartTimestamp", ""))
        if started and active == "active":
            seconds = calendar.timegm(time.strptime(started[1], "%Y-%m-%d %H:%M:%S"))
            files = [Path(file) for file in settings.get(template(unit), [])]
            if any(int(file.stat().st_mtime) > seconds for file in files if file.exists()):
                active = "stale"
        found[unit] = f"{active} {properties['UnitFileState']}".strip()
    return found


def template(unit: str) -> str:
    """Return the name of a unit without its instance."""
    return re.sub(r"@.*\.", "@.", unit)


def present(paths: list[str]) -> dict[str, str]:
    """Return path -> how it is, for those that exist: target, or owner, group, mode and content."""
    found = {}
    for name in paths:
        path = Path(name)
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"  # noqa: PTH115 - Python 3.8, to say what is too old
        elif path.exists():
            about = path.stat()
            if path.is_dir():
                content = "folder"
            elif about.st_size > HASHED_BYTES:
                content = f"{about.st_size} bytes"
            else:
                content = hashlib.sha1(path.read_bytes()).hexdigest()  # noqa: S324 - as Ansible compares files
            owner = f"{_name(pwd.getpwuid, about.st_uid)}:{_name(grp.getgrgid, about.st_gid)}"
            found[name] = f"{owner} {stat.S_IMODE(about.st_mode):04o} {content}"
    return found


def lines(wanted: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return file -> those of the regular expressions that match a line of it."""
    texts = {file: _read(Path(file)) for file in wanted}
    return {
        file: [expression for expression in wanted[file] if re.search(f"(?m){expression}", texts[file])]
        for file in wanted
    }


def _name(lookup: Callable[[int], tuple[Any, ...]], number: int) -> str:
    try:
        return str(lookup(number)[0])
    except KeyError:  # of somebody who is gone
        return str(number)


def users(names: list[str]) -> dict[str, str]:
    """Return "user NAME" -> its home and its shell, for those that exist."""
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return {f"user {name}": f"{known[name].pw_dir} {known[name].pw_shell}" for name in names if name in known}


def members(names: list[str]) -> dict[str, list[str]]:
    """Return group -> its members, for those that exist."""
    return {group.gr_name: sorted(group.gr_mem) for group in grp.getgrall() if group.gr_name in names}


def system(module: AnsibleModule) -> dict[str, Any]:
    """Return the facts of `setup` that roles use; it takes half a second to find many others."""
    lines = _read(Path("/etc/os-release")).splitlines()
    about = {key: "".join(shlex.split(value)) for key, _, value in (line.partition("=") for line in lines)}
    name = {"debian": "Debian", "ubuntu": "Ubuntu"}.get(
        about.get("ID", ""), about.get("NAME", "an unknown system")
    )
    memory = re.search(r"MemTotal:\s+(\d+) kB", _read(Path("/proc/meminfo")))
    return {
        "architecture": os.uname().machine,
        "distribution": name,
        "distribution_version": about.get("VERSION_ID", ""),
        "distribution_major_version": about.get("VERSION_ID", "").partition(".")[0],
        "distribution_release": about.get("VERSION_CODENAME", ""),
        "hostname": platform.node().partition(".")[0],
        "kernel": platform.release(),
        "memtotal_mb": int(memory[1]) // 1024 if memory else 0,
        "processor_nproc": len(os.sched_getaffinity(0)),
        "service_mgr": "systemd"
        if Path("/run/systemd/system").is_dir()
        else _read(Path("/proc/1/comm")).strip(),
        "virtualization_type": _output(module, "systemd-detect-virt", "--container").strip(),
    }


def disk_free_mb() -> int:
    """Return the free space, in MiB, of the smaller one of the places that hold data and programs."""
    return min(shutil.disk_usage(place).free for place in ("/var/lib", "/opt") if Path(place).is_dir()) >> 20


def interrupted(known: list[str]) -> bool:
    """Say whether dpkg was killed amid its work, so that apt refuses to go on (or works just now)."""
    if any(Path("/var/lib/dpkg/updates").glob("[0-9]*")):
        return True
    return any(line[1:2] in set("UFHW") for line in known)


def foreign(addresses: list[str]) -> list[str]:
    """Return those of the IPv4 addresses that are not this machine's."""
    found = []
    for address in addresses:
        try:
            socket.inet_pton(socket.AF_INET, address)
        except OSError:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                found.append(address)
    return found


def resolved(names: list[str]) -> dict[str, list[str]]:
    """Return name -> its addresses, none of those that cannot be looked up."""
    return {name: _addresses(name) for name in names}


def _addresses(name: str) -> list[str]:
    try:
        # Without the zone of one that is local to a link, which others know by another name.
        return sorted({str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(name, None)})
    except OSError:
        return []


def _output(module: AnsibleModule, *command: str, **environment: str) -> str:
    """Return what a program prints; nothing where the machine does not have it."""
    if not module.get_bin_path(command[0]):
        return ""
    return str(module.run_command(list(command), environ_update=environment)[1])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # there is none, or no longer
        return ""


def main() -> None:
    """Run the module."""
    options = {
        "settings": {"type": "dict", "default": {}},
        "units": {"type": "list", "elements": "str", "default": []},
        "paths": {"type": "list", "elements": "path", "default": []},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "lines": {"type": "dict", "default": {}},
        "users": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    wanted = module.params
    known = known_packages(module)
    installed = packages(known)
    shown = units(module, wanted["settings"], wanted["units"])
    facts = {
        "platform": {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "machine": os.uname().machine},
        "packages": installed,
        "owned": _read(Path("/opt/tieba/packages")).split(),
        "apt_usable": "python3-apt" in installed and any(LISTS.glob("*_Packages*")),
        "listeners": listeners(module),
        "releases": releases(),
        "release": CURRENT.readlink().name if CURRENT.is_symlink() else "",
        "used": used(),
        "disk_free_mb": disk_free_mb(),
        "present": {**present(wanted["paths"]), **shown, **users(wanted["users"])},
        "stale": sorted({template(unit) for unit, how in shown.items() if how.startswith("stale")}),
        "lines": lines(wanted["lines"]),
        "members": members(wanted["users"]),
        "machine_id": _read(Path("/etc/machine-id")).strip(),
        "interrupted": interrupted(known),
        "addresses": _output(module, "hostname", "--all-ip-addresses").split(),
        "foreign": foreign(wanted["addresses"]),
        "resolved": resolved(wanted["names"]),
        "avx": os.uname().machine != "x86_64" or " avx " in _read(Path("/proc/cpuinfo")),
    }
    module.exit_json(changed=False, ansible_facts={**system(module), "node": facts})


if __name__ == "__main__":
    main()
