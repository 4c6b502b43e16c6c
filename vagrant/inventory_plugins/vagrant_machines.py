"""The virtual machines that Vagrant has made in this folder, as an Ansible inventory."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible import context
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = r"""
name: vagrant_machines
short_description: The virtual machines that Vagrant has made in this folder
description:
  - Names, addresses and variables come from vagrant/config.yml and vagrant/config.local.yml.
  - Machines that Vagrant has not made are left out, so that no playbook talks to somebody else's address.
options:
  plugin:
    description: vagrant_machines.
    required: true
    choices: [vagrant_machines]
author: The authors of this project
"""

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "vagrant" / "config.yml"


class InventoryModule(BaseInventoryPlugin):
    """See DOCUMENTATION."""

    NAME = "vagrant_machines"
    trusted_by_default = True  # the settings are the user's own

    def verify_file(self, path: str) -> bool:
        """Say whether `path` may be this plugin's."""
        return super().verify_file(path) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory`; ends the program, with one line, where there are no machines."""
        super().parse(inventory, loader, path, cache)
        if context.CLIARGS.get("syntax"):  # needs no machines
            return
        data = Path(os.environ.get("VAGRANT_DOTFILE_PATH") or ROOT / ".vagrant")
        try:
            machines, variables = read(CONFIG)
            made = {name: made_key(data, name) for name in machines}
        except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError):
            _end("vagrant/config.yml or config.local.yml is wrong; `vagrant validate` says where")
        if half_made := [name for name, key in made.items() if key and not key.exists()]:
            _end(f"{', '.join(half_made)}: made in half; `vagrant up` goes on with it")
        if not any(made.values()):
            _end("no virtual machines in this folder; `vagrant up` makes them")
        # Hosts come before groups: while there is a group master, that is what the name means.
        there = {name: key for name, key in made.items() if key}
        for name, key in there.items():
            inventory.add_host(name)
            known = {"ansible_host": machines[name], "ansible_ssh_private_key_file": str(key)}
            for variable, value in (known | variables).items():
                inventory.set_variable(name, variable, value)
        # The master also plays tieba.baidu.com when tieba_target is replica.
        for group in ("master", "slaves", "site"):
            inventory.add_group(group)
            for name in there:
                if (name == "master") != (group == "slaves"):
                    inventory.add_host(name, group)


def read(config: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the machines, name -> address, and Ansible's variables for them, as settings.rb does."""
    local = config.with_name("config.local.yml")
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    if local.exists():
        settings = _merge(settings, yaml.safe_load(local.read_text(encoding="utf-8")) or {})
    slaves = settings["slaves"]
    first = ipaddress.IPv4Address(slaves["first_address"])
    machines = {"master": settings["master"]["address"]}
    machines |= {f"slave{number + 1}": str(first + number) for number in range(slaves["count"])}
    return machines, dict(settings["variables"])


def made_key(data: Path, name: str) -> Path | None:
    """Return where the key of a machine is that Vagrant has made, and None if it has not."""
    for identity in data.glob(f"machines/{name}/*/id"):
        if identity.read_text():
            return identity.with_name("private_key")
    return None


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value
    return merged


def _end(line: str) -> None:
    # An exception would become a warning, and the playbook a success on no machine.
    sys.exit(f"inventory/vagrant: {line}")
