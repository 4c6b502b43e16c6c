"""Running playbooks: every line goes to the log, the user sees which task runs and why one failed."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from control.environment import PYTHON
from control.process import ControlError, log, shown
from control.project import INVENTORY, LOG, ROOT, VENV
from control.terminal import Step

_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*?)\]")
_FAILED = re.compile(r"^(?:fatal|failed): \[([^\]]+?)(?: ->[^\]]*)?\].*?(?:=> (?P<result>\{.*\}))?$")
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)")


def play(step: Step, playbook: str, *, variables: Mapping[str, Any] | None = None) -> None:
    """Run `playbook` (a path from the root) on the containers, and show its tasks in `step`.

    Raises ControlError with what the failed task said.
    """
    command = [str(PYTHON.with_name("ansible-playbook")), "--inventory", str(INVENTORY), playbook]
    if variables:
        command += ["--extra-vars", json.dumps(variables, ensure_ascii=False)]
    environment = {
        **os.environ,
        "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if task := _TASK.match(line):
                step.now(task[1])
    log(command, process.returncode, time.monotonic() - started, "".join(lines))
    if process.returncode:
        raise ControlError(f"{playbook}: {_reason(lines)} (whole output: {shown(LOG)})")
    changed = sum(int(match[3]) for line in lines if (match := _RECAP.match(line)))
    hosts = sum(1 for line in lines if _RECAP.match(line))
    step.result = f"{hosts} machines, {changed} changes"


def _reason(lines: list[str]) -> str:
    """Return, on one line, what the last failed task said: preflight sums up what went wrong before."""
    for line in reversed(lines):
        if match := _FAILED.match(line.rstrip()):
            try:
                result = json.loads(match["result"] or "{}")
            except ValueError:
                result = {}
            message = str(result.get("msg") or match["result"] or "failed")
            return f"{match[1]}: {' '.join(message.split())}"
    errors = [line.strip() for line in lines if line.startswith(("ERROR", "[ERROR]"))]
    return errors[0] if errors else "failed"
