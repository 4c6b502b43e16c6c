"""Checks of settings and machines that argument_specs cannot say; every error is one line for the user."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

_TRUTHS = {"true", "false", "yes", "no", "on", "off", "1", "0"}
_MISSING = object()


def _is_int(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+", str(value).strip()) is not None


def _is_float(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+(\.\d+)?", str(value).strip()) is not None


# type in argument_specs -> (is the value one?, how to say what is expected)
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (_is_int, "a whole number"),
    "float": (_is_float, "a number"),
    "bool": (lambda v: isinstance(v, bool) or str(v).lower() in _TRUTHS, "true or false"),
    # A day without quotes is a date in YAML.
    "str": (lambda v: isinstance(v, (str, int, float, date)) and not isinstance(v, bool), "text"),
    "path": (lambda v: isinstance(v, str), "a path"),
    "list": (lambda v: isinstance(v, (list, tuple)), "a list"),
    "dict": (lambda v: isinstance(v, Mapping), "a dictionary"),
}


def setting_errors(
    hostvars: Mapping[str, Any],
    hosts: Iterable[str],
    roles_dir: str,
    limits: Mapping[str, list[float]],
    shared: Mapping[str, Any],
) -> list[str]:
    """Return one line for each public variable with a wrong type, a value out of range, or an unknown name.

    The roles' argument_specs are read from `roles_dir`; `limits` says the least and greatest value of a
    variable, `shared` holds specifications of variables without a role's prefix.
    """
    options = dict(shared)
    prefixes = ["tieba_"]
    for file in sorted(Path(roles_dir).glob("*/meta/argument_specs.yml")):
        prefixes.append(file.parents[1].name + "_")
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"].values():
            options.update(entry.get("options") or {})
    where: dict[str, list[str]] = {}
    for host in hosts:
        variables = hostvars[host]
        for name in variables:
            if name not in options and name.startswith(tuple(prefixes)):
                close = difflib.get_close_matches(name, options, 1)
                hint = f"did you mean {close[0]}?" if close else "remove it"
                where.setdefault(f"{name}: there is no such variable; {hint}", []).append(host)
        for name, option in options.items():
            if name in variables and (error := _error(name, variables[name], option, limits)):
                where.setdefault(error, []).append(host)
    hosts = list(hosts)
    return [error if names == hosts else f"{error} (on {', '.join(names)})" for error, names in where.items()]


def _error(name: str, value: Any, option: Mapping[str, Any], limits: Mapping[str, list[float]]) -> str | None:
    shown = "(not shown)" if option.get("no_log") else repr(value)
    kind = option.get("type", "str")
    fits, expected = _TYPES[kind]
    choices = option.get("choices")
    if choices and kind == "list":
        expected = f"a list of one or several of {', '.join(choices)}, such as [{choices[0]}]"
        values = value if fits(value) else [_MISSING]
    elif choices:
        expected, values = " or ".join(str(choice) for choice in choices), [value]
    if name in limits:
        low, high = limits[name]
        expected += f" from {low} to {high}"
    expected = option.get("expected", expected)
    wrong = f"{name} is {shown}: it must be {expected}"
    if "pattern" in option and not re.fullmatch(option["pattern"], str(value).strip()):
        return wrong
    if not fits(value) or (choices and not (values and set(values) <= set(choices))):
        return wrong
    if name in limits and not limits[name][0] <= float(value) <= limits[name][1]:
        return wrong
    if kind == "list":
        for item in value:
            if error := _item_error(name, item, option, limits):
                return error
    return None


def _item_error(
    name: str, item: Any, option: Mapping[str, Any], limits: Mapping[str, list[float]]
) -> str | None:
    """Return what is wrong with one entry of the list `name`."""
    fields = option.get("options", {})
    if option.get("elements") != "dict":
        fits, expected = _TYPES[option.get("elements", "str")]
        return None if fits(item) else f"{name} holds {item!r}: each entry must be {expected}"
    if not isinstance(item, Mapping):
        return f"{name} holds {item!r}: each entry must be a dictionary with {', '.join(fields)}"
    for key, entry in item.items():
        if key not in fields:
            return f"{name} holds an entry with the key {key!r}: known are {', '.join(fields)}"
        if error := _error(key, entry, fields[key], limits):
            return f"{name}: {error}"
    return None


def group_errors(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]], target: str) -> list[str]:
    """Return one line for each thing that is wrong with the inventory's groups and addresses."""
    errors = []
    masters, slaves = groups.get("master", []), groups.get("slaves", [])
    if len(masters) != 1:
        errors.append(f"group master holds {', '.join(masters) or 'no machine'}: exactly one is needed")
    if not slaves:
        errors.append("group slaves holds no machine: at least one is needed")
    if target == "replica" and not groups.get("site"):
        errors.append(
            "tieba_target is replica, but group site holds no machine: name one, or use -e tieba_target=live"
        )
    seen: dict[str, str] = {}
    for host in groups["all"]:
        variables = hostvars[host]
        address = next(
            (variables[name] for name in ("node_address", "ansible_host") if name in variables), host
        )
        if address in seen:
            errors.append(
                f"node_address of {host} is {address}, as that of {seen[address]}: each machine needs its own"
            )
        seen[address] = host
    return errors


def job_errors(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]]) -> list[str]:
    """Return one line for each thing that master and slaves have to agree on, and do not.

    The master's Redis gives the crawler's user the keys of one job, and what the chosen scheduler calls; its
    stores have to be those that the slaves write to.
    """
    masters, slaves = groups.get("master", []), groups.get("slaves", [])
    if not masters:
        return []
    errors = []
    ours = hostvars[masters[0]]
    shared = {"crawler_job": "tieba", "crawler_scheduler": "frontier", "crawler_storage": ["mongodb"]}
    for name, default in shared.items():
        value = ours.get(name, default)
        for host in slaves:
            other = hostvars[host].get(name, default)
            if str(other) != str(value):
                errors.append(
                    f"{name} is {other!r} on {host}, but {value!r} on {masters[0]}: set it for all machines"
                )
    job = str(ours.get("crawler_job", "tieba"))
    prefix = str(ours.get("redis_crawler_prefix", job))
    if not re.fullmatch(r"[\w.:-]+", job):
        errors.append(f"crawler_job is {job!r}: it must be of letters, digits, and . : _ -")
    if prefix != job:
        errors.append(
            f"redis_crawler_prefix is {prefix!r}, but crawler_job is {job!r}: "
            "leave redis_crawler_prefix out, it follows crawler_job"
        )
    return errors


def engine_errors(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]]) -> list[str]:
    """Return one line for each thing that slaves with the engine urllib cannot do.

    Pictures are fetched by the worker that reads the page they are on, so that none may be without Scrapy.
    """
    slaves = groups.get("slaves", [])
    plain = [host for host in slaves if hostvars[host].get("crawler_engine") == "urllib"]
    if not plain:
        return []
    where = f"crawler_engine is 'urllib' on {', '.join(plain)}"
    errors = []
    if any(_truth(hostvars[host].get("crawler_pictures")) for host in slaves):
        errors.append(
            f"crawler_pictures is true, but {where}: only Scrapy fetches them; "
            "set crawler_engine to scrapy, or crawler_pictures to false"
        )
    if any(hostvars[host].get("crawler_scheduler") == "scrapy_redis" for host in plain):
        errors.append(
            f"crawler_scheduler is 'scrapy_redis', but {where}: it is for Scrapy; "
            "set crawler_scheduler to frontier, or crawler_engine to scrapy"
        )
    return errors


def storage_errors(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """Return one line for each thing that cannot be kept, found again, or put where it shall be."""
    errors: dict[str, None] = {}
    for host in hosts:
        variables = hostvars[host]
        stores = variables.get("crawler_storage", ["mongodb"])
        if not isinstance(stores, list):  # told by setting_errors
            continue
        if len(set(stores)) < len(stores):
            errors[f"crawler_storage is {stores}: name each store once"] = None
        if not set(stores) & _INDEXED:
            if schedule := variables.get("crawler_schedule"):
                errors[f"crawler_schedule is {schedule!r}, but {_no_index(stores)}"] = None
            if any(_truth(seed.get("update")) for seed in _seeds(variables)):
                errors[f"crawler_seeds has a seed with update, but {_no_index(stores)}"] = None
        if _truth(variables.get("crawler_pictures")) and (error := _pictures_error(variables)):
            errors[error] = None
    return list(errors)


_INDEXED = {"mongodb", "mysql"}
# The service's sandbox shows it other folders there, or none.
_HIDDEN = ("/home", "/root", "/tmp", "/var/tmp", "/run/user", "/dev", "/proc", "/sys")  # noqa: S108


def _no_index(stores: list[str]) -> str:
    return f"crawler_storage is {stores}: only mongodb and mysql can tell what has changed; add one of them"


def _pictures_error(variables: Mapping[str, Any]) -> str | None:
    store = str(variables.get("crawler_pictures_store", "/var/lib/tieba/pictures"))
    wrong = f"crawler_pictures_store is {store!r}"
    if store.startswith("s3://"):
        if not re.fullmatch(r"s3://[^/]+(/.*)?", store):
            return f"{wrong}: it must be a bucket, and maybe a folder in it, such as s3://bucket/pictures"
        endpoint = str(variables.get("crawler_pictures_s3_endpoint", ""))
        if not re.fullmatch(r"https?://[^/\s]+/?", endpoint):
            return (
                f"{wrong}, but crawler_pictures_s3_endpoint is {endpoint!r}: "
                "give the store's address, such as https://s3.example.com"
            )
    elif not store.startswith("/"):
        return f"{wrong}: it must be a whole path, such as /srv/pictures, or s3://bucket/folder"
    elif any(f"{store}/".startswith(f"{folder}/") for folder in _HIDDEN):
        return f"{wrong}: the service's sandbox hides that folder; use another one, such as /srv/pictures"
    return None


def seed_errors(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """Return one line for each seed that says not what to crawl, or list pages that cannot be meant."""
    errors: dict[str, None] = {}
    for host in hosts:
        variables = hostvars[host]
        for seed in _seeds(variables):
            if not any(seed.get(key) for key in _SEED_TARGETS):
                needed = " or ".join(_SEED_TARGETS)
                errors[f"crawler_seeds holds {dict(seed)}: each seed needs {needed}"] = None
            if "pages" in seed and (error := _pages_error(seed["pages"])):
                errors[f"crawler_seeds: pages is {error}"] = None
        if "crawler_pages" in variables and (error := _pages_error(variables["crawler_pages"])):
            errors[f"crawler_pages is {error}"] = None
    return list(errors)


def _pages_error(pages: Any) -> str | None:
    numbers = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{0,6}))?", str(pages).strip())
    if numbers and 1 <= int(numbers[1]) <= int(numbers[2] or _MOST_PAGES) <= _MOST_PAGES:
        return None
    return f"{pages!r}: it must be a number of list pages, such as 20, or a range of them, such as 3-7"


_SEED_TARGETS = ("forum", "forums", "thread", "threads", "url")
_MOST_PAGES = 100_000  # as in tieba.seeds


def _seeds(variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    seeds = variables.get("crawler_seeds", [])
    return [seed for seed in seeds if isinstance(seed, Mapping)] if isinstance(seeds, list) else []


def _truth(value: Any) -> bool:
    return str(value).lower() in {"true", "yes", "on", "1"}


def slave_errors(
    names: str, variable: str, groups: Mapping[str, list[str]], *, to_be_removed: bool = False
) -> list[str]:
    """Return one line for each thing that is wrong with the slaves, "slave1,slave2", that `variable` names.

    Those that are to be removed must have no other task, and must not be all.
    """
    slaves = groups.get("slaves", [])
    example = f"for example -e {variable}={slaves[-1] if slaves else 'slave1'}"
    named = [name.strip() for name in str(names).split(",") if name.strip()]
    if not named:
        return [f"{variable}: not given; {example}"]
    errors = [
        f"{variable} is {name}: no such slave is in the inventory; there is {', '.join(slaves) or 'none'}"
        for name in named
        if name not in slaves
    ]
    if to_be_removed:
        errors += [
            f"{variable} is {name}, which is in group {group}, too: the cluster needs it; "
            f"drain.yml -e drain_slave={name} takes its workers out of the crawl"
            for name in named
            for group in ("master", "site")
            if name in slaves and name in groups.get(group, [])
        ]
        if not set(slaves) - set(named):
            errors.append(
                f"{variable} is {','.join(named)}: no slave would be left; crawl_stop.yml stops the crawl, "
                "reset.yml removes the cluster"
            )
    return errors


def file_errors(hostvars: Mapping[str, Any], hosts: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Return one line for each base_ca_file that the control machine lacks; `folders` hold relative ones."""
    folders = list(folders)
    errors = {}
    for host in hosts:
        name = hostvars[host].get("base_ca_file", "")
        paths = [Path(folder, Path(str(name)).expanduser()) for folder in folders]
        if name and not any(map(os.path.isfile, paths)):
            errors[name] = (
                f"base_ca_file is {name!r}: there is no such file on this machine; "
                "give the path of a PEM file, or leave it empty"
            )
    return list(errors.values())


def source_errors(hostvars: Mapping[str, Any], hosts: Iterable[str], project: str) -> list[str]:
    """Return one line for each mirror, proxy or bundle that cannot be one; `project` is the root folder."""
    errors: dict[str, None] = {}
    for host in hosts:
        variables = hostvars[host]
        for name in ("base_apt_mirror", "base_apt_security_mirror", "base_apt_proxy"):
            value = str(variables.get(name, ""))
            if value and not re.fullmatch(r"https?://[^\s/\"]+(/[^\s\"]*)?", value):
                errors[f"{name} is {value!r}: it must be an address such as {_ADDRESSES[name]}"] = None
        bundle = str(variables.get("base_bundle", ""))
        if bundle and not Path(project, Path(bundle).expanduser(), "manifest.json").is_file():
            errors[
                f"base_bundle is {bundle!r}: there is no manifest.json in that folder; give the path of one "
                "that `make bundle` has made, from the project's folder"
            ] = None
    return list(errors)


_ADDRESSES = {
    "base_apt_mirror": "http://mirror.example/debian",
    "base_apt_security_mirror": "http://mirror.example/debian-security",
    "base_apt_proxy": "http://proxy.example:3142",
}


def bundle_nodes(
    hostvars: Mapping[str, Any], groups: Mapping[str, list[str]], hosts: Iterable[str]
) -> list[dict[str, Any]]:
    """Return what control/bundle.py asks of each of `hosts`: its system, and the stores that run on it."""
    nodes = []
    for host in hosts:
        variables = hostvars[host]
        facts = variables["ansible_facts"]
        stores = variables.get("crawler_storage", ["mongodb"]) if host in groups.get("master", []) else []
        nodes.append(
            {
                "host": host,
                "release": facts["distribution_release"],
                **facts["node"]["platform"],
                "stores": [store for store in stores if store in _INDEXED],
                "trial": _truth(variables.get("mongodb_trial_fallback_enabled")),
            }
        )
    return nodes


def machine_errors(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, list[str]],
    hosts: Iterable[str],
    needs: Mapping[str, Any],
) -> list[str]:
    """Return one line for each of `hosts` that cannot be used, and why; their facts are in `hostvars`.

    `needs` names the supported systems, the least memory and disk, and, for each group, its ports and
    the units that may have them.
    """
    errors = []
    hostnames: dict[str, str] = {}
    for host in hosts:
        variables = hostvars[host]
        gathered = variables["__preflight_setup"]
        if gathered.get("unreachable"):
            address = f"{variables.get('ansible_host', host)}:{variables.get('ansible_port', 22)}"
            message = str(gathered.get("msg", "no answer")).strip().rpartition("reached over ssh: ")[2]
            reason = message.splitlines()[-1].removeprefix("ssh: ")
            errors.append(
                f"{host} does not answer at {address}: {reason}; start it, check its address, user "
                f"and key, or leave it out: --limit 'all:!{host}'"
            )
            continue
        facts = variables["ansible_facts"]
        version = facts[
            "distribution_version" if facts["distribution"] == "Ubuntu" else "distribution_major_version"
        ]
        system = f"{facts['distribution']} {version}"
        if system not in needs["systems"]:
            errors.append(f"{host} runs {system}: supported are {', '.join(needs['systems'])}")
        if facts["service_mgr"] != "systemd":
            errors.append(f"{host} is run by {facts['service_mgr']}: systemd is needed")
        memory, least = facts["memtotal_mb"], int(needs["memory_mb"])
        if memory < least:
            errors.append(f"{host} has {memory} MiB of memory: {least} is needed (preflight_min_memory_mb)")
        node = facts["node"]
        free, least = node["disk_free_mb"], int(needs["disk_mb"])
        if not node["release"] and free < least:
            errors.append(f"{host} has {free} MiB of free disk: {least} is needed (preflight_min_disk_mb)")
        for group, listeners in needs["ports"].items():
            for port, variable, unit in listeners if host in groups.get(group, []) else []:
                owner = node["listeners"].get(str(port))
                if owner and owner != unit:
                    errors.append(f"{host}: port {port} is taken by {owner}: stop it, or set {variable}")
        if variables.get("__preflight_calendar", {}).get("rc"):
            errors.append(
                f"crawler_schedule is {variables['crawler_schedule']!r}: systemd knows no such time; use one "
                "such as daily or Mon 04:00 (systemd-analyze calendar says what a time means)"
            )
        if needs["avx"] and host in groups.get("master", []) and not node["avx"]:
            errors.append(
                f"{host} has a processor without AVX, which MongoDB needs: use another machine or CPU model"
            )
        if (name := facts["hostname"]) in hostnames:
            errors.append(
                f"{host} has the hostname {name}, as {hostnames[name]} has: each machine needs its own"
            )
        hostnames[facts["hostname"]] = host
    return errors


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {
            "setting_errors": setting_errors,
            "group_errors": group_errors,
            "job_errors": job_errors,
            "engine_errors": engine_errors,
            "storage_errors": storage_errors,
            "seed_errors": seed_errors,
            "slave_errors": slave_errors,
            "file_errors": file_errors,
            "source_errors": source_errors,
            "bundle_nodes": bundle_nodes,
            "machine_errors": machine_errors,
        }
