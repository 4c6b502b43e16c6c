"""What a person types, and what there is to see afterwards."""

import json
import os
import re
import subprocess
import time

from control.project import CACHE, CLUSTER, INVENTORY, ROOT, VENV

# Under `make test`, GNU make would end its output with "Leaving directory", after a command's last line.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)

LOG = CACHE / "control.log"
SSH_CONFIG = INVENTORY / "secrets" / CLUSTER / "ssh_config"
COMPLETE = "Complete: nothing is missing, nothing is doubled."
SECONDS = 400


def make(*words, **variables):
    return subprocess.run(
        ["make", *words, *(f"{name}={value}" for name, value in variables.items())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def on(node, *command):
    ssh = ["ssh", "-F", str(SSH_CONFIG), node, *command]
    return subprocess.run(ssh, capture_output=True, text=True, timeout=SECONDS, check=False)


def machines_of(output):
    """Give the machines that a playbook has done something on, by its recap."""
    recap = output.rpartition("PLAY RECAP")[2]
    return set(re.findall(r"^(\w+)\s+: ok=[1-9]", recap, re.MULTILINE))


def status_of_the_crawl():
    return json.loads(on("slave1", "tieba", "status", "--json").stdout)


def wait_until_finished():
    deadline = time.monotonic() + SECONDS
    while (status := status_of_the_crawl())["crawl"]["state"] == "running":
        assert time.monotonic() < deadline, status
        time.sleep(1)
    return status


def halt_running_crawl():
    """Stop slave1's workers amid the crawl, so that what comes next needs no haste; return the crawl."""
    deadline = time.monotonic() + SECONDS
    before = status_of_the_crawl()
    while (status := status_of_the_crawl())["requests"]["done"] <= before["requests"]["done"]:
        assert time.monotonic() < deadline, status
    on("slave1", "sudo", "systemctl", "stop", "tieba-crawler@*.service")
    crawl = status_of_the_crawl()["crawl"]
    assert crawl["state"] == "running"
    return crawl


def docker_names(kind, field):
    command = [
        "docker",
        kind,
        "ls",
        *(["--all"] if kind == "container" else []),
        "--format",
        "{{." + field + "}}",
    ]
    names = subprocess.check_output(command, text=True).split()
    return {name for name in names if name.startswith(CLUSTER)}


def playbook(name, *arguments, root=ROOT, **variables):
    """Run a playbook on the containers, of this tree or of another one."""
    command = [
        str(VENV / "bin" / "ansible-playbook"),
        f"--inventory={root / INVENTORY.relative_to(ROOT)}",
        name,
    ]
    command += [*arguments, *(f"--extra-vars={key}={value}" for key, value in variables.items())]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=SECONDS, check=False)
