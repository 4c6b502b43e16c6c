"""Deployments do what is to be done and no more; slaves start from images of others."""

import json
import re
import subprocess

from bench.provision import first_lease
from control import bake, cluster
from control.engine import docker
from tests.end_to_end.commands import SSH_CONFIG, make, on, playbook

# Tasks that a slave takes part in that needs no change: its facts, its release, checks of settings.
FEW = 6
LEASE_SECONDS = 15
# What somebody, or a run that broke off, may have left behind.
ALTERED = {
    "slave1": [
        "chmod 0644 /etc/tieba/crawler.json",
        "sed --in-place s/KillMode/#KillMode/ /etc/systemd/system/tieba-crawler@.service",
        "rm /usr/local/bin/tieba",
        "chown nobody: /usr/local/bin/scrapy",
        "systemctl disable tieba-crawler.target",
        "systemctl stop tieba-crawler@1.service",
    ],
    "master": [
        "sed --in-place 's/^protected-mode no/protected-mode yes/' /etc/redis/redis.conf",
        "sed --in-place '/^include /d' /etc/redis/redis.conf",
        "sh -c 'echo maxclients 20 >>/etc/redis/tieba.conf'",
        "sed --in-place s/27017/27018/ /etc/mongod.conf",
        "systemctl disable mongod",
        "chgrp root /etc/tieba",
        "chmod 0644 /etc/tieba/dashboard.json",
        "sed --in-place s/Restart=always/Restart=no/ /etc/systemd/system/tieba-dashboard.service",
        "systemctl stop tieba-dashboard",
    ],
    "site": [
        "ln --symbolic --force /bin/false /usr/local/bin/tieba-replica",
        "sh -c 'echo {} >/etc/tieba/replica.json'",
        "systemctl stop tieba-replica",
    ],
}
LOOK = """
set -- /etc/tieba /etc/tieba/*.json /etc/systemd/system/tieba-* /usr/local/bin/[st]* /etc/redis/*
set -- "$@" /etc/mongod.conf
for path in "$@"; do
  [ ! -e $path ] || stat --format='%n %F %U:%G %a' $path
  [ ! -f $path ] || sha1sum $path
  readlink $path
done
units='redis-server mongod tieba-dashboard tieba-replica tieba-crawler.target tieba-crawler@1'
for unit in $units; do systemctl show --property=Id,ActiveState,UnitFileState $unit; done
true
"""


def look(node):
    return on(node, "sudo", "sh", "-c", f"'{LOOK.replace(chr(39), chr(34))}'").stdout


def recap(output):
    """Give machine -> the numbers of the tasks that were ok, and that changed something."""
    lines = re.findall(r"^(\w+)\s+: ok=(\d+)\s+changed=(\d+)", output, re.MULTILINE)
    return {machine: (int(ok), int(changed)) for machine, ok, changed in lines}


def test_a_deployment_puts_back_what_was_altered():
    before = {node: look(node) for node in ALTERED}
    for node, commands in ALTERED.items():
        for command in commands:
            done = on(node, f"sudo {command}")
            assert done.returncode == 0, (node, command, done.stderr)
    done = playbook("site.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    for node, looked in before.items():
        assert looked.count("\n") > 10
        assert look(node) == looked


def test_a_deployment_looks_once_at_machines_that_are_as_they_shall_be():
    done = playbook("site.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = recap(done.stdout)
    assert set(numbers) >= set(ALTERED)
    assert {changed for _, changed in numbers.values()} == {0}
    assert max(ok for machine, (ok, _) in numbers.items() if machine != "master") <= FEW, numbers


def passwords():
    names = ("crawler", "admin", "dashboard")
    return [path.read_bytes().strip() for path in SSH_CONFIG.parent.iterdir() if path.name.endswith(names)]


def found_in(command, words):
    """Give those of the words that are in what a command prints, which may be much."""
    found, rest = set(), b""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while chunk := process.stdout.read(1 << 24):
            found |= {word for word in words if word in rest + chunk}
            rest = chunk[-max(map(len, words)) :]
    assert process.returncode == 0
    return found


def test_an_image_has_nothing_of_the_slave_that_it_was_made_of():
    id_of_slave1 = on("slave1", "cat", "/etc/machine-id").stdout.strip().encode()
    done = make("image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(passwords()) >= 3
    # All layers: what one of them removes would still be in those below it.
    assert not found_in(["docker", "save", bake.TAG], [*passwords(), id_of_slave1])
    left = (
        "cat /etc/machine-id; find /etc/tieba /etc/ssh/ssh_host* /var/lib/tieba /home/*/.ssh /var/log -type f"
    )
    assert docker("run", "--rm", bake.TAG, "sh", "-c", f"{left} 2>&-; true") == ""


def test_a_slave_from_an_image_crawls_within_seconds():
    others = cluster.slaves()
    slave = f"slave{len(others) + 1}"
    on("slave1", "tieba", "seed", "--forum=聊天", "--pages=20")
    # So that the new one has this machine's cores for itself.
    for other in others:
        on(other, "sudo", "systemctl", "stop", "tieba-crawler@*.service")
    try:
        done = make("scale", SLAVES=slave.removeprefix("slave"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert first_lease(slave) <= LEASE_SECONDS
    finally:
        for other in others:
            on(other, "sudo", "systemctl", "restart", "tieba-crawler.target")
    details = json.loads(docker("inspect", cluster.container(slave)))[0]
    assert details["Config"]["Image"] == bake.TAG
    ids = {on(node, "cat", "/etc/machine-id").stdout for node in ("slave1", slave)}
    assert len(ids) == 2


def test_an_image_of_another_release_is_named_and_not_used(monkeypatch):
    said = []
    monkeypatch.setattr(bake, "_releases", lambda _: ["another"])
    assert bake.usable(said.append) is None
    (line,) = said
    assert line.startswith(f"image {bake.TAG} (release ")


def test_a_baked_slave_has_nothing_that_makes_it_that_slave():
    slave = cluster.slaves()[-1]
    done = playbook("playbooks/bake.yml", bake_slave=slave)
    assert done.returncode == 0, done.stdout + done.stderr
    look = "cat /etc/machine-id; find /etc/tieba /etc/ssh/ssh_host* /var/lib/tieba -type f; pgrep scrapy"
    assert docker("exec", cluster.container(slave), "sh", "-c", f"{look} 2>&-; true") == ""
    # What starts from it has keys and an id of its own.
    docker("restart", cluster.container(slave))
    until = "until systemctl is-active --quiet ssh; do sleep 0.2; done"
    until += "; wc --bytes </etc/machine-id; ls /etc/ssh/*_key"
    started = docker("exec", cluster.container(slave), "timeout", "60", "sh", "-c", until).split()
    assert started[0] == "33"
    assert "/etc/ssh/ssh_host_ed25519_key" in started
    cluster.remove([slave])
