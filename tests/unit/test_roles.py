"""Roles do nothing where preflight finds what they want: so it must look at all that they write."""

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
# Where roles write what is the same after every run.
TASKS = {
    "base": ["machine"],
    "crawler": ["configure", "service"],
    "dashboard": ["configure", "deploy"],
    "firewall": ["deploy"],
    "mongodb": ["main"],
    "monitoring": ["deploy", "login", "master", "targets"],
    "mysql": ["configure"],
    "redis": ["configure"],
    "replica": ["deploy"],
}
WRITERS = ("ansible.builtin.template", "ansible.builtin.copy")


def variables(role):
    return yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text(encoding="utf-8"))


def wanted(role):
    """Return path or unit -> how `role` wants it, in all of its variables `__ROLE_…present`."""
    return {
        key: how
        for name, value in variables(role).items()
        if name.endswith("present") and isinstance(value, dict)
        for key, how in value.items()
    }


def tasks(role):
    for name in TASKS[role]:
        yield from yaml.safe_load((ROLES / role / "tasks" / f"{name}.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("role", TASKS)
def test_every_file_that_a_role_writes_is_compared_with_what_the_machine_has(role):
    compared, named = wanted(role), variables(role)
    written = [task[module] for task in tasks(role) for module in WRITERS if module in task]
    assert written
    for file in written:
        dest = file["dest"] if file["dest"].startswith("/") else named[file["dest"].strip("{} ")]
        assert compared[dest].startswith(f"{file['owner']}:{file['group']} {file['mode']} "), dest
        assert f"'{file['src']}'" in compared[dest], dest


@pytest.mark.parametrize("role", TASKS)
def test_every_link_and_unit_of_a_role_is_compared_with_what_the_machine_has(role):
    compared = wanted(role)
    for task in tasks(role):
        file, unit = (task.get(f"ansible.builtin.{module}", {}) for module in ("file", "systemd_service"))
        if file.get("state") == "link":
            assert compared[file["path"]] == f"-> {file['src']}"
        if unit.get("state") == "started":
            assert compared[unit["name"]].endswith("enabled")


def test_preflight_asks_for_every_collection_that_is_used():
    root = ROLES.parent
    files = [*ROLES.glob("*/tasks/*.yml"), *root.glob("playbooks/**/*.yml")]
    texts = "".join(file.read_text(encoding="utf-8") for file in files)
    used = set(re.findall(r"^ +((?!ansible\.builtin)\w+\.\w+)\.\w+:$", texts, re.MULTILINE))
    modules = variables("preflight")["__preflight_modules"]
    assert used == {name.rpartition(".")[0] for name in modules}
    assert f"%w[{' '.join(modules)}]" in (root / "vagrant" / "checks.rb").read_text(encoding="utf-8")


def test_preflight_looks_at_all_that_roles_compare():
    preflight = variables("preflight")
    units = [*preflight["__preflight_units"], *preflight["__preflight_unit_settings"]]
    looked_at = {*preflight["__preflight_paths"], *units, "user tieba", "user tieba-dashboard"}
    assert not {key for role in TASKS for key in wanted(role)} - looked_at
