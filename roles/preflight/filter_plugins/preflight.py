"""Checks of variables and inventory that argument_specs cannot say; every error is one line for the user."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.loader import module_loader

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
    # Anybody may have variables of other names, so that only those are told that are nearly one of these.
    unprefixed = (*_CONNECTION, *(name for name in options if not name.startswith(tuple(prefixes))))
    where: dict[str, list[str]] = {}
    hosts = list(hosts)
    for host in hosts:
        variables = hostvars[host]
        for name in variables:
            if name in options:
                continue
            if name.startswith(tuple(prefixes)):
                close = difflib.get_close_matches(name, options, 1)
                hint = f"did you mean {close[0]}?" if close else "remove it"
                where.setdefault(f"{name}: there is no such variable; {hint}", []).append(host)
            elif meant := _meant(name, unprefixed):
                where.setdefault(f"{name}: there is no such variable; did you mean {meant}?", []).append(host)
        for name, option in options.items():
            if name in variables and (error := _error(name, variables[name], option, limits)):
                where.setdefault(error, []).append(host)
    return [error if names == hosts else f"{error} (on {_few(names)})" for error, names in where.items()]


# How to reach a machine: those of Ansible's variables that are mistyped in inventories.
_CONNECTION = (
    *(f"ansible_{name}" for name in ("connection", "host", "password", "port", "user")),
    *(f"ansible_become{name}" for name in ("", "_method", "_password", "_user")),
    *(f"ansible_ssh_{name}" for name in ("common_args", "extra_args", "private_key_file")),
    "ansible_python_interpreter",
)
_NEARLY = 0.92  # of 1: one letter more, less, or another


@functools.cache
def _meant(name: str, known: tuple[str, ...]) -> str | None:
    """Return the one of `known` that `name` is a misspelling of."""
    close = difflib.get_close_matches(name, known, 1, _NEARLY)
    return close[0] if close and name not in known else None


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
    if not fits(value) or (choices and not (values and all(chosen in choices for chosen in values))):
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
    errors += _misplaced_errors(groups)
    users = [*masters, *(groups.get("site", []) if target == "replica" else [])]
    return errors + _address_errors(hostvars, groups["all"], users)


_GROUPS = ("master", "slaves", "site")


def _misplaced_errors(groups: Mapping[str, list[str]]) -> list[str]:
    """Return one line for each group whose name is nearly one of ours, and one for machines without any."""
    errors = []
    placed = {host for name in _GROUPS for host in groups.get(name, [])}
    loose = [host for host in groups["all"] if host not in placed]
    for name, hosts in groups.items():
        close = difflib.get_close_matches(name, _GROUPS, 1, _CLOSE)
        if name not in {*_GROUPS, "all", "ungrouped"} and close and set(hosts) & set(loose):
            errors.append(f"group {name}: there is no such group; did you mean {close[0]}?")
            loose = [host for host in loose if host not in hosts]
    if loose:
        known = " nor ".join(_GROUPS)
        errors.append(
            f"{_few(loose)}: neither in group {known}; put it into one, or take it out of the inventory"
        )
    return errors


_CLOSE = 0.75  # of 1: alike enough for a slip of the finger
_MOST_NAMED = 3


def _few(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _address_errors(hostvars: Mapping[str, Any], hosts: list[str], servers: list[str]) -> list[str]:
    """Return one line for each address that is none, or that two machines have; slaves go to `servers`."""
    errors = []
    seen: dict[tuple[str, ...], str] = {}
    for host in hosts:
        variables = hostvars[host]
        name = next((name for name in ("node_address", "ansible_host") if name in variables), "the name")
        address = str(variables.get(name, host) or "empty")
        if wrong := _address_error(address, is_server=host in servers, is_alone=len(hosts) == 1):
            errors.append(f"{name} of {host} is {address}: {wrong}")
        is_local = variables.get("ansible_connection") in {"local", "ansible.builtin.local"}
        door = "" if is_local else str(variables.get("ansible_host", host))
        port = str(variables.get("ansible_port", 22))
        if (other := seen.setdefault(("address", address), host)) != host:
            errors.append(f"{name} of {host} is {address}, as that of {other}: each machine needs its own")
        elif (other := seen.setdefault(("door", door, port), host)) != host:
            errors.append(
                f"{host} and {other} are both this machine (ansible_connection: local): leave one out"
                if is_local
                else f"{host} is reached at {door}:{port}, as {other} is: "
                "each machine needs its own ansible_host or ansible_port"
            )
    return errors


def _address_error(address: str, *, is_server: bool, is_alone: bool) -> str | None:
    if address == "empty":
        return "give an address or a name, or leave the variable out"
    version = _ip_version(address)
    if is_server and not is_alone and re.fullmatch(r"127\.[0-9.]+|::1|0\.0\.0\.0|localhost", address):
        return "there each of the others finds itself; give the address that they reach it by in node_address"
    if version is None:
        if re.fullmatch(r"[0-9.]+", address) or not re.fullmatch(r"[A-Za-z0-9._-]+", address):
            return "it must be an address or a name alone, such as 10.0.0.10; a port goes to ansible_port"
    elif version != _IPV4 and is_server:
        return "its servers listen on IPv4 alone; give an IPv4 address in node_address, or a name"
    return None


_IPV4 = 4


def _ip_version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None


def port_errors(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]], target: str) -> list[str]:
    """Return one line for each port that two servers of one machine shall have."""
    errors = []
    for host in groups["all"]:
        variables = hostvars[host]
        stores = variables.get("crawler_storage", ["mongodb"])
        wanted = {"redis_port": 6379} if host in groups.get("master", []) else {}
        wanted |= {f"{name}_port": port for name, port in _STORE_PORTS.items() if wanted and name in stores}
        if host in groups.get("master", []) and _truth(variables.get("dashboard_enabled", True)):
            wanted["dashboard_port"] = 8088
            if variables.get("dashboard_allowed_addresses"):
                wanted["dashboard_tls_port"] = 8443
        if _truth(variables.get("monitoring_enabled")):
            wanted["monitoring_node_exporter_port"] = 9100
            if host in groups.get("master", []):
                wanted |= {"monitoring_prometheus_port": 9090, "monitoring_redis_exporter_port": 9121}
        if target == "replica" and host in groups.get("site", []):
            wanted["replica_port"] = 8080
        taken: dict[str, str] = {}
        for name, default in wanted.items():
            port = str(variables.get(name, default))
            if (other := taken.setdefault(port, name)) != name:
                errors.append(f"{name} of {host} is {port}, as {other} is: each server needs its own port")
    return errors


def egress_errors(hostvars: Mapping[str, Any], hosts: Iterable[str]) -> list[str]:
    """Return one line for each outgoing address that cannot be one."""
    errors = []
    for host in hosts:
        addresses = hostvars[host].get("crawler_addresses", [])
        if not isinstance(addresses, list):  # told by setting_errors
            continue
        if len({str(address) for address in addresses}) < len(addresses):
            errors.append(f"crawler_addresses of {host} is {addresses}: name each address once")
        wanted = "an IPv4 address of that machine"
        errors += [
            f"crawler_addresses of {host} holds {address!r}: it must be {wanted}"
            for address in addresses
            if _ip_version(str(address)) != _IPV4
        ]
    return errors


_STORE_PORTS = {"mongodb": 27017, "mysql": 3306}


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
        if not all(isinstance(store, str) for store in stores):  # neither
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
    names: str,
    variable: str,
    groups: Mapping[str, list[str]],
    hosts: Iterable[str],
    *,
    to_be_removed: bool = False,
) -> list[str]:
    """Return one line for each thing that is wrong with the slaves, "slave1,slave2", that `variable` names.

    `hosts` are the machines that --limit leaves. Slaves that are to be removed must have no other task, and
    must not be all.
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
    # Without a machine a play is skipped, and the run a success.
    errors += [
        f"{variable} is {name}, which --limit leaves out: name it there, too, or give no --limit"
        for name in named
        if name in slaves and name not in hosts
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


_FILES = ("base_ca_file", "dashboard_tls_certificate", "dashboard_tls_key")


def file_errors(hostvars: Mapping[str, Any], hosts: Iterable[str], folders: Iterable[str]) -> list[str]:
    """Return one line for each file that the control machine lacks; `folders` hold relative ones."""
    folders = list(folders)
    errors: dict[str, None] = {}
    for host in hosts:
        for variable in _FILES:
            name = hostvars[host].get(variable, "")
            if name and not _found(name, folders):
                errors[
                    f"{variable} is {name!r}: there is no such file on this machine; "
                    "give the path of a PEM file, or leave it empty"
                ] = None
    return list(errors)


def _found(name: Any, folders: Iterable[str]) -> Path | None:
    """Return the file that a relative path, or an absolute one, means."""
    paths = (Path(folder, Path(str(name)).expanduser()) for folder in folders)
    return next(filter(Path.is_file, paths), None)


def dashboard_errors(
    hostvars: Mapping[str, Any], masters: Iterable[str], folders: Iterable[str]
) -> list[str]:
    """Return one line for each thing that is wrong with who may call the dashboard, and by which names."""
    errors = []
    for host in masters:
        variables = hostvars[host]
        errors += _network_errors("dashboard_allowed_addresses", variables)
        errors += [
            f"dashboard_hosts holds {name!r}: it must be a name or an address alone, such as tieba.example"
            for name in _listed("dashboard_hosts", variables)
            if _ip_version(str(name)) is None and not re.fullmatch(r"[A-Za-z0-9.-]+", str(name))
        ]
        errors += _nameless_errors(host, variables)
        errors += _certificate_errors(variables, list(folders))
        errors += _mail_errors(variables)
    return errors


# As in __dashboard_hosts of role dashboard: such names mean the machine itself, wherever they are used.
_ITSELF = re.compile(r"(localhost|::1)$|127[.]")


def _nameless_errors(host: str, variables: Mapping[str, Any]) -> list[str]:
    """Return one line where others may call the page, but by no name that the inventory has for it."""
    allowed = _listed("dashboard_allowed_addresses", variables)
    own = {variables.get(name, host): None for name in ("ansible_host", "node_address")} | {host: None}
    names = [*_listed("dashboard_hosts", variables), *own]
    is_open = allowed and _truth(variables.get("dashboard_enabled", True))
    if not is_open or not all(_ITSELF.match(str(name)) for name in names):
        return []
    return [
        f"dashboard_hosts: not given, but dashboard_allowed_addresses is, and the inventory calls {host} "
        f"{' and '.join(map(str, own))} alone; name it as browsers elsewhere do, such as [tieba.example]"
    ]


def _listed(name: str, variables: Mapping[str, Any]) -> list[Any]:
    """Return a list; what is none is told by setting_errors."""
    value = variables.get(name, [])
    return value if isinstance(value, list) else []


def monitoring_errors(hostvars: Mapping[str, Any], groups: Mapping[str, list[str]]) -> list[str]:
    """Return one line for each thing that keeps Prometheus from gathering what it shall, and telling it."""
    errors: dict[str, None] = {}
    masters = groups.get("master", [])
    for host in groups["all"]:
        variables = hostvars[host]
        if not _truth(variables.get("monitoring_enabled")):
            continue
        errors.update(dict.fromkeys(_network_errors("monitoring_allowed_addresses", variables)))
        for name in _listed("monitoring_alertmanagers", variables):
            if not re.fullmatch(r"[A-Za-z0-9._-]+:\d+|\[[0-9A-Fa-f:]+\]:\d+", str(name)):
                errors[
                    f"monitoring_alertmanagers holds {name!r}: it must be an address and a port, "
                    "such as 10.0.0.20:9093"
                ] = None
        if host in masters and not _truth(variables.get("dashboard_enabled", True)):
            errors[
                "monitoring_enabled is true, but dashboard_enabled is false: the dashboard tells the crawl's "
                "metrics; set both, or neither"
            ] = None
        if masters and host not in masters and not _truth(hostvars[masters[0]].get("monitoring_enabled")):
            errors[
                f"monitoring_enabled is true on {host}, but not on {masters[0]}: set it for all machines"
            ] = None
    return list(errors)


def _network_errors(name: str, variables: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} holds {address!r}: it must be an address or a network, such as 192.0.2.7 or 10.0.0.0/8"
        for address in _listed(name, variables)
        if not _is_network(str(address))
    ]


def _is_network(text: str) -> bool:
    if not re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]+)?", text):  # nft knows neither masks nor zones
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _certificate_errors(variables: Mapping[str, Any], folders: list[str]) -> list[str]:
    names = {part: variables.get(f"dashboard_tls_{part}", "") for part in ("certificate", "key")}
    if not any(names.values()):
        return []
    if missing := [f"dashboard_tls_{part}" for part, name in names.items() if not name]:
        return [f"{missing[0]}: not given; a certificate and its key belong together"]
    files = [_found(name, folders) for name in names.values()]
    if not all(files):  # told by file_errors
        return []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*map(str, files), password=lambda: b"")
    except OSError as error:
        reason = str(getattr(error, "reason", None) or "they cannot be read").replace("_", " ").lower()
        return [
            f"dashboard_tls_certificate is {names['certificate']!r}, dashboard_tls_key is {names['key']!r}: "
            f"{reason}; give the PEM files of a certificate and of its key, without a password"
        ]
    return []


def _mail_errors(variables: Mapping[str, Any]) -> list[str]:
    errors = []
    useless = [
        f"dashboard_mail_{part}" for part in ("from", "server") if variables.get(f"dashboard_mail_{part}")
    ]
    if useless and not variables.get("dashboard_mail_to"):
        errors.append(f"dashboard_mail_to: not given, but {', '.join(useless)}; name who shall get mails")
    server = str(variables.get("dashboard_mail_server", ""))
    if server and not re.fullmatch(r"smtps?://([^@/\s]+@)?[^@:/\s]+(:\d+)?", server):
        errors.append(
            "dashboard_mail_server is (not shown): it must be such as smtp://user:password@mail.example:587"
        )
    webhook = str(variables.get("dashboard_webhook_url", ""))
    if webhook and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", webhook):
        errors.append("dashboard_webhook_url is (not shown): it must be an address such as https://host/path")
    return errors


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


def collection_errors(modules: Iterable[str]) -> list[str]:
    """Return one line if Ansible lacks collections; of each that roles use, `modules` has a module."""
    missing = [name.rpartition(".")[0] for name in modules if not module_loader.has_plugin(name)]
    if not missing:
        return []
    return [
        f"Ansible on this machine is without {', '.join(missing)}: use that of `make setup` (.venv/bin), "
        f"which has all, or ansible-galaxy collection install {' '.join(missing)}"
    ]


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {
            "setting_errors": setting_errors,
            "group_errors": group_errors,
            "monitoring_errors": monitoring_errors,
            "port_errors": port_errors,
            "egress_errors": egress_errors,
            "job_errors": job_errors,
            "engine_errors": engine_errors,
            "storage_errors": storage_errors,
            "seed_errors": seed_errors,
            "slave_errors": slave_errors,
            "dashboard_errors": dashboard_errors,
            "file_errors": file_errors,
            "source_errors": source_errors,
            "bundle_nodes": bundle_nodes,
            "collection_errors": collection_errors,
        }
