"""Checks of what the machines are and have; every error is one line for the user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# What ssh, sudo and Ansible say when a machine cannot be looked at -> (what it means, the way out).
_FAILURES: tuple[tuple[str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed",
        "does not answer at {place}: its host key is not the known one",
        "compare it, log in once by hand: ssh -p {port} {user}@{address} (ssh-keygen -R removes an old one)",
    ),
    (
        r"UNPROTECTED PRIVATE KEY|bad permissions",
        "does not let {user} in at {place}: others may read the key, so ssh does not use it",
        "chmod 600 the file of ansible_ssh_private_key_file",
    ),
    (
        r"no such identity: (?P<file>[^:]+):|Identity file (?P<file2>\S+) not accessible",
        "does not let {user} in at {place}: there is no key {file}",
        "correct ansible_ssh_private_key_file",
    ),
    (
        r"sshpass",
        "does not let {user} in at {place}: ssh can be given a password only with sshpass",
        "install sshpass on this machine, or use a key",
    ),
    (
        r"(?P<said>Permission denied \([\w,-]+\)|Too many authentication failures)",
        "does not let {user} in at {place}: {said}",
        "check ansible_user and ansible_ssh_private_key_file: ssh -p {port} -i KEY {user}@{address}",
    ),
    (
        r"Could not resolve hostname (?P<said>\S+?):",
        "does not answer at {place}: {said} cannot be looked up",
        "correct ansible_host",
    ),
    (
        r"(?P<said>Connection refused)",
        "does not answer at {place}: {said}",
        "start it, or check ansible_host and ansible_port",
    ),
    (
        r"(?P<said>(?:Connection )?timed out|No route to host|Network is \w+|Connection (?:closed|reset).*)",
        "does not answer at {place}: {said}",
        "start it, or check ansible_host, the network and its firewalls",
    ),
    (
        r"Sorry, try again|Incorrect \w+ password|Duplicate become password prompt",
        "does not let {user} use sudo: the password is wrong",
        "correct ansible_become_password, or what you type with -K",
    ),
    (
        r"a password is required|Missing \w+ password|a terminal is required",
        "does not let {user} use sudo without a password",
        "give it with -K, or set ansible_become_password (best from a vault)",
    ),
    (
        r"not in the sudoers file|may not run sudo|not allowed to (?:execute|run)",
        "does not let {user} use sudo",
        "allow it there (usermod -aG sudo {user}), or name another user in ansible_user",
    ),
    (
        r"sudo: (?:command )?not found",
        "has no sudo",
        "install it there, or log in as root (ansible_user: root)",
    ),
    (
        r"python\S*['\"]? was not found|python\S*: (?:No such file|not found|command not found)",
        "has no Python",
        "install it there: apt install python3",
    ),
)
# Measured, with some room: what one process of the crawler takes.
_PROCESS_MB = 120


def peer_addresses(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]], target: str) -> list[str]:
    """Return the addresses by which machines reach the master, and the site where there is one."""
    names = [*groups.get("master", [])[:1], *(groups.get("site", [])[:1] if target == "replica" else [])]
    return [_address(hostvars[name], name) for name in names]


def machine_errors(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, list[str]],
    hosts: Iterable[str],
    needs: Mapping[str, Any],
    others: str = "",
) -> list[str]:
    """Return one line for each thing for which one of `hosts` cannot be used; their facts are in `hostvars`.

    `others` is what Ansible printed of machines that were asked for hostname and machine-id alone.

    `needs` names the supported systems and processors, the stores, whether there is a Prometheus, the least
    memory and disk, and, for each group, its ports and the units that may have them.
    """
    errors: list[str] = []
    looked_at = {}
    away = set()
    for host in hosts:
        variables = hostvars[host]
        failure = _failure(variables)
        if failure is not None:
            # Without its master there is no cluster.
            spare = host not in groups.get("master", [])
            errors.append(_failure_error(host, variables, failure, is_spare=spare))
            away.add(_address(variables, host))
        elif system_errors := list(_system_errors(host, variables["ansible_facts"], needs)):
            errors += system_errors
        else:
            looked_at[host] = variables
    for host, variables in looked_at.items():
        node = variables["ansible_facts"]["node"]
        errors += _room_errors(host, variables, groups, needs)
        errors += _port_errors(host, groups, node, needs)
        errors += _address_errors(host, variables, node)
        if host in groups.get("slaves", []):
            errors += _process_errors(host, variables)
        if unknown := [name for name, found in node["resolved"].items() if not found and name not in away]:
            errors.append(
                f"{host} cannot look up {' and '.join(unknown)}: "
                "set node_address of that machine to the address that the others reach it by"
            )
        if _has_own_prometheus(node) and needs["monitoring"] and host in groups.get("master", []):
            errors.append(
                f"{host} has a Prometheus of its own, which monitoring_enabled would take over: leave that "
                "off, and see docs/monitoring.md for how yours reads the cluster's metrics"
            )
        if variables.get("__preflight_calendar", {}).get("rc"):
            errors.append(
                f"crawler_schedule is {variables['crawler_schedule']!r}: systemd knows no such time; use one "
                "such as daily or Mon 04:00 (systemd-analyze calendar says what a time means)"
            )
        if "mongodb" in needs["stores"] and host in groups.get("master", []) and not node["avx"]:
            errors.append(
                f"{host} has a processor without AVX, which MongoDB needs: use another machine or CPU model"
            )
    return errors + list(_name_errors(looked_at, others))


def _address(variables: Mapping[str, Any], host: str) -> str:
    return str(
        next((variables[name] for name in ("node_address", "ansible_host") if name in variables), host)
    )


def _failure(variables: Mapping[str, Any]) -> str | None:
    """Return what went wrong while the machine was looked at; None where nothing did."""
    if "__preflight_failure" in variables:
        return str(variables["__preflight_failure"])
    gathered = variables["__preflight_facts"]
    return str(gathered.get("msg", "no answer")) if gathered.get("unreachable") else None


def _failure_error(host: str, variables: Mapping[str, Any], message: str, *, is_spare: bool) -> str:
    words = {
        "address": variables.get("ansible_host", host),
        "port": variables.get("ansible_port", 22),
        "user": variables.get("ansible_user", "the user"),
    }
    words["place"] = "{address}:{port}".format(**words)
    arguments = str(variables.get("ansible_ssh_common_args", ""))
    hop = re.search(r"ProxyJump[= ]?(\S+)|-J ?(\S+)", arguments)
    through = f" (the way leads through {hop[1] or hop[2]}: check that, too)" if hop else ""
    for pattern, meaning, way in _FAILURES:
        if found := re.search(pattern, message):
            said = found.groupdict()
            said["file"] = said.get("file") or said.get("file2")
            error = f"{meaning}; {way}".format(**words, **said)
            leave = (
                f", or leave it out: --limit 'all:!{host}'" if "not answer" in meaning and is_spare else ""
            )
            return f"{host} {error}{leave}{through if 'place' in meaning else ''}"
    reason = message.strip().rpartition("reached over ssh: ")[2].removeprefix("Task failed: ")
    lines = [line.strip() for line in reason.splitlines() if line.strip() and not line.startswith(">>>")]
    return f"{host} cannot be looked at as {words['user']} at {words['place']}: {' '.join(lines)}{through}"


def _system_errors(host: str, facts: Mapping[str, Any], needs: Mapping[str, Any]) -> Iterator[str]:
    name = facts.get("distribution", "an unknown system")
    version = facts.get("distribution_version" if name == "Ubuntu" else "distribution_major_version", "")
    system = f"{name} {version}".strip()
    if system not in needs["systems"]:
        yield f"{host} runs {system}: supported are {', '.join(needs['systems'])}"
    if (manager := facts.get("service_mgr")) != "systemd":
        yield f"{host} is run by {manager}: systemd is needed"
    if (machine := facts.get("architecture")) not in needs["machines"]:
        yield f"{host} has a processor of kind {machine}: supported are {', '.join(needs['machines'])}"


def _room_errors(
    host: str, variables: Mapping[str, Any], groups: Mapping[str, list[str]], needs: Mapping[str, Any]
) -> Iterator[str]:
    facts = variables["ansible_facts"]
    memory, least = facts["memtotal_mb"], int(needs["memory_mb"])
    if memory < least:
        yield f"{host} has {memory} MiB of memory: {least} is needed (preflight_min_memory_mb)"
    node = facts["node"]
    free, least = node["disk_free_mb"], int(needs["disk_mb"])
    if not node["release"] and free < least:
        yield f"{host} has {free} MiB of free disk: {least} is needed (preflight_min_disk_mb)"
    # What servers and workers are allowed has to fit together; the defaults are a quarter each.
    asked = {}
    if host in groups.get("master", []):
        asked["redis_maxmemory_mb"] = float(variables.get("redis_maxmemory_mb", memory / 4))
        if "mongodb" in needs["stores"]:
            asked["mongodb_cache_size_gb"] = 1024 * float(
                variables.get("mongodb_cache_size_gb", max(0.25, memory / 4096))
            )
        if "mysql" in needs["stores"]:
            asked["mysql_buffer_pool_mb"] = float(variables.get("mysql_buffer_pool_mb", max(128, memory / 4)))
    if host in groups.get("slaves", []):
        processes = int(variables.get("crawler_processes", facts["processor_nproc"]))
        asked["crawler_processes"] = processes * _PROCESS_MB
    if (most := sum(asked.values())) > memory:
        parts = ", ".join(f"{name} {value:.0f}" for name, value in asked.items())
        yield f"{host} has {memory} MiB of memory, but may use {most:.0f} ({parts}): lower them"


def _port_errors(
    host: str, groups: Mapping[str, list[str]], node: Mapping[str, Any], needs: Mapping[str, Any]
) -> Iterator[str]:
    for group, listeners in needs["ports"].items():
        for port, variable, unit in listeners if host in groups.get(group, []) else []:
            owner = node["listeners"].get(str(port))
            if owner and owner != unit:
                yield f"{host}: port {port} is taken by {owner}: stop it, or set {variable}"


def _address_errors(host: str, variables: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    has = f"; it has {', '.join(node['addresses'])}" if node["addresses"] else ""
    for address in node["foreign"]:
        if address == variables.get("node_address"):
            yield (
                f"{host} does not have the address {address} of node_address{has}: correct it, leave it out, "
                "or give a name that the other machines can look up"
            )
        else:
            yield f"{host} does not have the address {address} of crawler_addresses{has}: correct it"


def _has_own_prometheus(node: Mapping[str, Any]) -> bool:
    """Say whether somebody else has installed Prometheus, and no deployment of ours has changed it."""
    ours = "/etc/systemd/system/prometheus.service.d/tieba.conf" in node["present"]
    return "prometheus" in node["packages"] and "prometheus" not in node["owned"] and not ours


def _process_errors(host: str, variables: Mapping[str, Any]) -> Iterator[str]:
    addresses = variables.get("crawler_addresses", [])
    processes = int(variables.get("crawler_processes", variables["ansible_facts"]["processor_nproc"]))
    if processes < len(addresses):
        yield (
            f"{host} has {processes} crawler_processes for {len(addresses)} crawler_addresses: "
            f"set crawler_processes to {len(addresses)} or more"
        )


def _name_errors(hostvars: Mapping[str, Any], others: str) -> Iterator[str]:
    # hostname -> the first machine that has it, and that one's machine-id
    first: dict[str, tuple[str, str]] = {}
    for host, name, number in re.findall(
        r"^(\S+) \| \w+ \| rc=0 >>\s+([\w-]+)\S* ?(\w*)", others, re.MULTILINE
    ):
        first.setdefault(name, (host, number))
    for host, variables in hostvars.items():
        facts = variables["ansible_facts"]
        name, number = facts["hostname"], facts["node"]["machine_id"]
        other, others_number = first.setdefault(name, (host, number))
        if other == host:
            continue
        if number and number == others_number:
            yield (
                f"{host} is the machine that {other} is (hostname {name}, the same /etc/machine-id): "
                "name each machine once; a copy of a machine needs a hostname and a machine-id of its own"
            )
        else:
            yield (
                f"{host} has the hostname {name}, as {other} has: each machine needs its own "
                "(hostnamectl set-hostname)"
            )


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return name -> function."""
        return {"machine_errors": machine_errors, "peer_addresses": peer_addresses}
