"""`make logs`: the latest lines of the services of all machines, in the order of time."""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from control import cluster, inventory
from control.process import ControlError, last_line, run

_UNITS = ("tieba-*", "redis-server")  # playbooks/logs.yml has those of the stores, which say much, too
_LINES = 50  # of each machine
_PASSWORD = re.compile(r"(://[^:/@ ]*):[^@/ ]+@")  # in addresses that others log; no program of ours does


def latest() -> list[str]:
    """Return the lines; NODE names one machine, LAST is how many of each, INVENTORY whose machines.

    Raises ControlError where none answers.
    """
    last = os.environ.get("LAST") or str(_LINES)
    if not last.isascii() or not last.isdigit():
        raise ControlError(f"LAST={last}: not a number of lines; for example LAST=200")
    node = os.environ.get("NODE", "")
    journal = [
        "journalctl",
        "--no-pager",
        "--quiet",
        "--utc",
        "--output=short-iso-precise",
        f"--lines={last}",
    ]
    journal += [f"--unit={unit}" for unit in _UNITS]
    if os.environ.get("INVENTORY"):
        answers = inventory.ask(node or "all", "ansible.builtin.command", shlex.join(journal), "--become")
        texts = [answer["stdout"] for answer in answers.values()]
    else:
        texts = _of_containers([node] if node else cluster.running(), journal)
    return merged(texts)


def _of_containers(names: Sequence[str], journal: Sequence[str]) -> list[str]:
    """Return what the nodes answer; those that do not are named on standard error, as an inventory's are."""
    with ThreadPoolExecutor() as pool:
        commands = [cluster.ssh(name, "sudo", *journal) for name in names]
        answers = list(pool.map(lambda command: run(*command, check=False), commands))
    told = [
        f"{name}: {last_line(answer.stderr or answer.stdout)}"
        for name, answer in zip(names, answers, strict=True)
        if answer.returncode
    ]
    if len(told) == len(names):
        raise ControlError(told[0])
    for line in told:
        print(line, file=sys.stderr)
    return [answer.stdout for answer in answers if not answer.returncode]


def merged(texts: Iterable[str]) -> list[str]:
    """Return the lines of several journals in the order of time; further lines of an entry stay with it."""
    entries: list[tuple[str, list[str]]] = []
    for text in texts:
        for line in _PASSWORD.sub(r"\1:***@", text).splitlines():
            if line[:1].isdigit() or not entries:
                entries.append((line.partition(" ")[0], [line]))
            else:
                entries[-1][1].append(line)
    return [line for _, lines in sorted(entries, key=lambda entry: entry[0]) for line in lines]
