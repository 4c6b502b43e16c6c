#!/usr/bin/python3
"""Tell in one round trip what `setup` does not, and what would otherwise cost a task each."""

from __future__ import annotations

import calendar
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: node_facts
short_description: Facts of a machine of the cluster
description:
  - Returns C(ansible_facts.node) with the installed packages, who listens on which TCP port, which
    releases of the distribution are installed and which one is current, free disk space, whether the
    processor has AVX, which addresses the machine has and which names it can look up.
  - Changes nothing; needs root to see the owners of the ports.
options:
  settings:
    description: Unit (a template without its instance) -> the files that it reads when it starts.
    type: dict
    default: {}
  paths:
    description: Paths whose existence is of interest.
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
    C(node), a dictionary with C(platform) (python and machine), C(packages), C(owned) (those that came with a
    deployment), C(apt_usable), C(listeners), C(releases), C(release), C(used) (releases that units name),
    C(disk_free_mb), C(present) (those of I(paths) that exist), C(stale) (units that run with older settings
    than their files hold), C(avx), C(machine_id), C(interrupted) (whether an installation of packages broke
    off), C(addresses) (the machine's own), C(foreign) (those of I(addresses) that it lacks), C(unresolved)
    (those of I(names) that it cannot look up).
  returned: always
  type: dict
"""

RELEASES = Path("/opt/tieba/releases")
LISTS = Path("/var/lib/apt/lists")
CURRENT = Path("/opt/tieba/current")


def packages(module: AnsibleModule) -> list[str]:
    """Return the names of the installed Debian packages."""
    code, out, _ = module.run_command(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Package}\n"]
    )
    return [line[3:].strip() for line in out.splitlines() if line[1:2] == "i"] if code == 0 else []


def listeners(module: AnsibleModule) -> dict[str, str]:
    """Return TCP port -> the systemd unit that listens on it, or the process where it is not a unit's."""
    if not module.get_bin_path("ss"):
        return {}
    found = {}
    for line in module.run_command(["ss", "-H", "-l", "-t", "-n", "-p"])[1].splitlines():
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


def stale(module: AnsibleModule, settings: dict[str, list[str]]) -> list[str]:
    """Return the units that still run with what their files held before; an interrupted run leaves such."""
    patterns = [unit.replace("@.", "@*.") for unit in settings]
    show = ["systemctl", "show", "--property=Id,ActiveState,ExecMainStartTimestamp", *patterns]
    found = set()
    # Ubuntu 22.04's systemctl does not know --timestamp=unix; TZ makes it print UTC.
    for block in module.run_command(show, environ_update={"TZ": "UTC"})[1].split("\n\n"):
        properties = dict(line.partition("=")[::2] for line in block.splitlines())
        unit = re.sub(r"@.*\.", "@.", properties.get("Id", ""))
        started = re.fullmatch(r"\S+ (\S+ \S+) UTC", properties.get("ExecMainStartTimestamp", ""))
        if started and properties["ActiveState"] == "active":
            seconds = calendar.timegm(time.strptime(started[1], "%Y-%m-%d %H:%M:%S"))
            files = [Path(file) for file in settings[unit]]
            if any(int(file.stat().st_mtime) > seconds for file in files if file.exists()):
                found.add(unit)
    return sorted(found)


def disk_free_mb() -> int:
    """Return the free space, in MiB, of the smaller one of the places that hold data and programs."""
    return min(shutil.disk_usage(place).free for place in ("/var/lib", "/opt") if Path(place).is_dir()) >> 20


def interrupted(module: AnsibleModule) -> bool:
    """Say whether dpkg was killed amid its work, so that apt refuses to go on (or works just now)."""
    if any(Path("/var/lib/dpkg/updates").glob("[0-9]*")):
        return True
    states = module.run_command(["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}\n"])[1]
    return re.search(r"^.[UFHW]", states, re.MULTILINE) is not None


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


def unresolved(names: list[str]) -> list[str]:
    """Return those of the names that cannot be looked up."""
    return [name for name in names if not _is_known(name)]


def _is_known(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # there is none, or no longer
        return ""


def main() -> None:
    """Run the module."""
    options = {
        "settings": {"type": "dict", "default": {}},
        "paths": {"type": "list", "elements": "path", "default": []},
        "addresses": {"type": "list", "elements": "str", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    installed = packages(module)
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
        "present": [path for path in module.params["paths"] if Path(path).exists()],
        "stale": stale(module, module.params["settings"]),
        "machine_id": _read(Path("/etc/machine-id")).strip(),
        "interrupted": interrupted(module),
        "addresses": module.run_command(["hostname", "--all-ip-addresses"])[1].split(),
        "foreign": foreign(module.params["addresses"]),
        "unresolved": unresolved(module.params["names"]),
        "avx": os.uname().machine != "x86_64" or " avx " in _read(Path("/proc/cpuinfo")),
    }
    module.exit_json(changed=False, ansible_facts={"node": facts})


if __name__ == "__main__":
    main()
