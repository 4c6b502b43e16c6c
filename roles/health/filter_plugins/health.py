"""What playbooks/health.yml says of the machines: one line for each check."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_OK, _FAULT, _NOTE = "ok", "FAULT", "note"
_STOPPED = "/etc/tieba/stopped"
_TARGET, _TIMER, _SCHEDULED = "tieba-crawler.target", "tieba-schedule.timer", "tieba-schedule.service"
_Finding = tuple[str, str, str, str]  # state, check, machine, text


def health_findings(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, list[str]],
    hosts: Iterable[str],
    needs: Mapping[str, Any],
) -> list[dict[str, str]]:
    """Return what was found on `hosts`: a dictionary with state (ok, FAULT, note) and line for each check.

    `needs` says the least free disk, and the services that machines of a group have.
    """
    findings: list[_Finding] = []
    answers: dict[str, Mapping[str, Any]] = {}
    reached = []
    for host in hosts:
        variables = hostvars[host]
        gathered = variables["__preflight_facts"]
        if gathered.get("unreachable"):
            reason = str(gathered.get("msg", "no answer")).strip().rpartition("reached over ssh: ")[2]
            findings.append((_FAULT, "machine", host, f"does not answer: {reason.splitlines()[-1]}"))
            continue
        if not all("skipped" in result or "rc" in result for result in _results(variables)):
            findings.append((_FAULT, "machine", host, "stopped answering while it was asked"))
            continue
        reached.append(host)
        findings += _services(host, variables, groups, needs)
        findings += _machine(host, variables, int(needs["disk_mb"]))
        findings += _gathered(host, variables.get("__health_targets", {}))
        if variables["__health_crawl"].get("skipped"):
            continue
        try:
            answers[host] = json.loads(variables["__health_crawl"].get("stdout") or "")
        except ValueError:
            said = variables["__health_crawl"].get("stderr") or variables["__health_crawl"].get("msg", "")
            findings.append((_FAULT, "tieba", host, " ".join(said.split()) or "tieba health says nothing"))
    findings += _releases([host for host in reached if host in groups.get("slaves", [])], hostvars)
    findings += _crawl(answers)
    return [
        {"state": state, "line": f"{state:<5}  {check:<12}  {host:<10}  {text}".rstrip()}
        for state, check, host, text in findings
    ]


def _results(variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results of the commands; empty ones, or without a status, of a machine that was lost."""
    return [variables.get(name, {}) for name in ("__health_services", "__health_crawl")]


def _services(
    host: str, variables: Mapping[str, Any], groups: Mapping[str, list[str]], needs: Mapping[str, Any]
) -> Iterator[_Finding]:
    units = _units(variables["__health_services"].get("stdout", ""))
    wanted = [
        unit for group, names in needs["services"].items() if host in groups.get(group, []) for unit in names
    ]
    if host in groups.get("slaves", []):
        if _STOPPED in variables["ansible_facts"]["node"]["present"]:
            yield (_NOTE, "services", host, "drained or stopped; restart.yml or crawl_start.yml starts it")
        else:
            wanted += [_TARGET, *units.get(_TARGET, {}).get("Wants", "").split()]
    states = {unit: units.get(unit, {}).get("ActiveState") or "not there" for unit in wanted}
    for unit, state in states.items():
        if state != "active":
            yield (_FAULT, "services", host, f"{unit} is {state}; journalctl --unit={unit} says why")
    if states and set(states.values()) == {"active"}:
        yield (_OK, "services", host, ", ".join(sorted(unit.removesuffix(".service") for unit in states)))
    if "/etc/systemd/system/tieba-schedule.timer" in variables["ansible_facts"]["node"]["present"]:
        yield _schedule(host, units)
    if host in groups.get("slaves", []):
        yield from _running(host, units, variables)


def _schedule(host: str, units: Mapping[str, Mapping[str, str]]) -> _Finding:
    state = units.get(_TIMER, {}).get("ActiveState", "not there")
    if state != "active":
        return (_FAULT, "schedule", host, f"{_TIMER} is {state}; site.yml starts it")
    result = units.get(_SCHEDULED, {}).get("Result", "success")
    if result != "success":
        return (_FAULT, "schedule", host, f"its last run ended with {result}; journalctl --unit={_SCHEDULED}")
    return (_OK, "schedule", host, "the timer waits for its time")


def _running(
    host: str, units: Mapping[str, Mapping[str, str]], variables: Mapping[str, Any]
) -> Iterator[_Finding]:
    """Tell of workers that nobody hears of, and of those that run another release than the installed one."""
    workers = [
        properties
        for unit, properties in units.items()
        if unit.startswith("tieba-crawler@") and properties["ActiveState"] == "active"
    ]
    try:
        heard = json.loads(variables["__health_crawl"].get("stdout") or "")["workers_here"]
    except ValueError:
        heard = None
    if heard is not None and heard < len(workers):  # where it is not known, the reason is told elsewhere
        yield (_FAULT, "workers", host, f"{heard} of the {len(workers)} that run are heard of; restart.yml")
    current = variables["ansible_facts"]["node"]["release"]
    found = (re.search(r"/releases/(\w+)/", properties.get("ExecStart", "")) for properties in workers)
    old = {release[1] for release in found if release} - {current}
    if old:
        text = f"workers run {', '.join(sorted(old))}, but {current} is installed; upgrade.yml or site.yml"
        yield (_FAULT, "release", host, text)


def _machine(host: str, variables: Mapping[str, Any], least_mb: int) -> Iterator[_Finding]:
    node = variables["ansible_facts"]["node"]
    free = node["disk_free_mb"]
    if free < least_mb:
        yield (_FAULT, "disk", host, f"{free} MiB free, less than {least_mb} (health_min_disk_mb)")
    else:
        yield (_OK, "disk", host, f"{free} MiB free")
    for unit in node["stale"]:
        yield (_FAULT, "settings", host, f"{unit} runs with older ones than its files hold; site.yml")


def _gathered(host: str, answer: Mapping[str, Any]) -> Iterator[_Finding]:
    """Tell what Prometheus does not reach; nothing where there is none, or where its service is told of."""
    if "json" not in answer:
        return
    targets = answer["json"]["data"]["activeTargets"]
    for target in targets:
        if target["health"] != "up":
            reason = target["lastError"] or "not asked yet"
            yield (_FAULT, "metrics", host, f"Prometheus does not reach {target['scrapeUrl']}: {reason}")
    if not targets:
        yield (_FAULT, "metrics", host, "Prometheus gathers nothing (yet, if it has just started)")
    elif all(target["health"] == "up" for target in targets):
        yield (_OK, "metrics", host, f"Prometheus reaches all of its {len(targets)} targets")


def _releases(slaves: list[str], hostvars: Mapping[str, Any]) -> Iterator[_Finding]:
    """Compare the slaves' releases; those for different kinds of machines have different names."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for host in slaves:
        node = hostvars[host]["ansible_facts"]["node"]
        kind = " ".join(map(str, node["platform"].values()))
        kinds.setdefault(kind, {}).setdefault(node["release"] or "none", []).append(host)
    for releases in kinds.values():
        told = "; ".join(f"{release} on {', '.join(names)}" for release, names in releases.items())
        if len(releases) > 1 or "none" in releases:
            yield (_FAULT, "release", "slaves", f"{told}; upgrade.yml makes them equal")
        else:
            yield (_OK, "release", "slaves", told)


def _crawl(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[_Finding]:
    """Tell what every machine sees by itself, and once what all see: the most that one has seen."""
    for host, answer in answers.items():
        for check in answer["checks"]:
            if check["is_own"]:
                yield (check["state"], check["name"], host, check["text"])
    fullest = max(answers.values(), key=lambda answer: len(answer["checks"]), default={"checks": []})
    for check in fullest["checks"]:
        if not check["is_own"]:
            yield (check["state"], check["name"], "cluster", check["text"])


def _units(shown: str) -> dict[str, dict[str, str]]:
    """Return unit -> its properties, as `systemctl show` prints them."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in shown.split("\n\n")]
    return {properties["Id"]: properties for properties in blocks if "Id" in properties}


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, str]]]]:
        """Return name -> function."""
        return {"health_findings": health_findings}
