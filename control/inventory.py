"""Any inventory's machines, as Ansible knows them: reached over SSH, or asked all at once."""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control import environment
from control.process import ControlError, run, shown
from control.project import CLUSTER, INVENTORY, ROOT, VENV

_SECONDS = 120
# Ansible's variables of how to reach a machine -> the option of ssh; templates are filled in by Ansible.
_OPTIONS = {"ansible_port": "-p", "ansible_user": "-l", "ansible_ssh_private_key_file": "-i"}
_WORDS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")


@dataclass(frozen=True)
class Machine:
    """A machine, and what the inventory says of it."""

    name: str
    variables: Mapping[str, Any]

    @property
    def is_this(self) -> bool:
        """Whether it is the machine that this runs on."""
        return str(self.variables["ansible_connection"]).endswith("local")

    def ssh(self, *options: str) -> list[str]:
        """Return the words of an ssh to it, to which a command can be added."""
        words = ["ssh", *options]
        for name, option in _OPTIONS.items():
            if value := self.variables.get(name):
                words += [option, os.path.expanduser(str(value))]  # noqa: PTH111 - it may be no path
        for name in _WORDS:
            words += shlex.split(str(self.variables.get(name) or ""))
        return [*words, str(self.variables.get("ansible_host") or self.name)]

    def command(self, *command: str, tty: bool = False) -> list[str]:
        """Return the words that run `command` on it."""
        if self.is_this:
            return list(command)
        return [*self.ssh(*(["-t"] if tty else [])), "--", *map(shlex.quote, command)]


def given() -> str:
    """Return the inventory that INVENTORY names, else that of the containers."""
    return os.environ.get("INVENTORY") or str(INVENTORY)


def master(*variables: str) -> Machine:
    """Return the master, with those of its variables, or expressions, that are asked for.

    Raises ControlError where there is none.
    """
    known = (*_OPTIONS, *_WORDS, "ansible_host")
    wanted = ", ".join(
        [
            "'ansible_connection': ansible_connection | default('ssh')",
            *(f"'{name}': {name} | default('')" for name in known),
            *variables,
        ]
    )
    answers = ask("master", "ansible.builtin.debug", f"msg={{{{ {{{wanted}}} }}}}")
    if len(answers) != 1:
        raise ControlError(
            f"INVENTORY={_place()}: {len(answers) or 'no'} machines in group master; one is needed"
        )
    ((name, answer),) = answers.items()
    return Machine(name, answer["msg"])


def ask(pattern: str, module: str, arguments: str, *options: str) -> dict[str, Any]:
    """Have the machines run a module, and return name -> what it answers.

    Those that fail are named on standard error. Raises ControlError where all do.
    """
    environment.ensure()
    command = [str(VENV / "bin" / "ansible"), pattern, "--inventory", given(), *options]
    variables = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "CLUSTER": CLUSTER,
        "LC_ALL": "C.UTF-8",
    }
    done = run(*command, "-m", module, "-a", arguments, env=variables, timeout=_SECONDS, check=False)
    try:
        tasks = [task for play in json.loads(done.stdout)["plays"] for task in play["tasks"]]
    except ValueError:
        errors = [line for line in done.stderr.splitlines() if "rror" in line] or ["Ansible says nothing"]
        raise ControlError(f"INVENTORY={_place()}: {errors[0].strip()}") from None
    answers: dict[str, Any] = tasks[0]["hosts"] if tasks else {}
    failed = {
        name: " ".join(str(answer.get("stderr") or answer.get("msg")).split())
        for name, answer in answers.items()
        if answer.get("failed") or answer.get("unreachable")
    }
    told = [f"{name}: {reason}" for name, reason in failed.items()]
    if told and len(failed) == len(answers):
        raise ControlError(told[0])
    for line in told:
        print(line, file=sys.stderr)
    return {name: answer for name, answer in answers.items() if name not in failed}


def _place() -> str:
    return shown(Path(given()).resolve())
