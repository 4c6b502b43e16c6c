"""One server that is everything, as its own example has it: what preflight says of it, and a whole crawl.

The machine is a container; the files come before test_chaos.py and test_make.py, which remove the node image.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from control import cluster, image, release
from control.process import run
from control.project import ROOT, VENV

SECONDS = 600
# What another administrator has done to the machine: a user whom sudo asks for a password, a foreign service.
STRANGE = """
set -eu
useradd --create-home --shell /bin/bash --groups sudo clerk
echo 'clerk:right' | chpasswd
echo 'clerk ALL=(ALL) ALL' >/etc/sudoers.d/clerk
cp -r /home/admin/.ssh /home/clerk/ && chown -R clerk: /home/clerk/.ssh
systemd-run --quiet --unit=foreign python3 -m http.server 6379
until ss -tln | grep -q :6379; do sleep 0.1; done
"""
# What a run leaves that was killed: a package that is unpacked alone, a journal of dpkg's, half a release.
BROKEN = """
set -eu
systemctl stop foreign
mkdir -p /tmp/half/DEBIAN
printf 'Package: half-there\\nVersion: 1\\nArchitecture: all\\nMaintainer: nobody\\nDescription: none\\n' \
    >/tmp/half/DEBIAN/control
dpkg-deb --build /tmp/half /tmp/half.deb >/dev/null
dpkg --unpack /tmp/half.deb >/dev/null
sed -n '/^Package: half-there$/,/^$/p' /var/lib/dpkg/status >/var/lib/dpkg/updates/0000
mkdir -p "/opt/tieba/releases/$1/bin" "/opt/tieba/releases/.$1/wheels" /opt/tieba/releases/.0123/wheels
echo torn >"/opt/tieba/releases/$1/bin/tieba"
apt-get install --yes rsync 2>&1 | grep -q 'dpkg was interrupted'
"""


def on(*command):
    return run(*cluster.ssh("server", *command), timeout=SECONDS).stdout


def root(script, *arguments):
    return on("sudo", "sh", "-c", script, "sh", *arguments)


def playbook(name, inventory, *options):
    command = [str(VENV / "bin" / "ansible-playbook"), f"--inventory={inventory}", str(name), *options]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def server():
    """Make the machine; give the variables that Ansible reaches it with."""
    image.ensure(print)
    cluster.create(["server"])
    yield cluster.inventory()["_meta"]["hostvars"]["server"]
    cluster.destroy()


@pytest.fixture(scope="module")
def mine(server, tmp_path_factory):
    """Give the example of one machine, with the machine's address and the stand-in site."""
    folder = tmp_path_factory.mktemp("inventory") / "mine"
    shutil.copytree(ROOT / "inventory" / "example", folder)
    hosts = yaml.safe_load((ROOT / "inventory" / "examples" / "one_machine.yml").read_text())
    addresses = [on("hostname", "--ip-address").split()[0], "127.0.0.2"]
    hosts["all"]["hosts"]["tieba"] = {
        **server,
        "node_address": addresses[0],
        "crawler_addresses": addresses,
        "crawler_processes": 2,
    }
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    settings = yaml.safe_load((ROOT / "inventory" / "containers" / "group_vars" / "all.yml").read_text())
    settings |= {"crawler_seeds": [{"forum": "聊天", "pages": 2}], "secrets_dir": str(folder / "secrets")}
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump(settings, allow_unicode=True))
    return folder


def test_every_machine_that_cannot_be_used_is_one_line_with_the_way_out(server, tmp_path):
    """All are the one container, by names and doors of all kinds."""
    root(STRANGE)
    clerk = {**server, "ansible_user": "clerk"}
    hosts = {
        "tieba": {**server, "node_address": "203.0.113.9"},
        "gone": {**server, "ansible_port": 9},
        "stranger": {**server, "ansible_user": "stranger"},
        "unknown": {**server, "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null"},
        "asked": clerk,
        "wrong": {**clerk, "ansible_become_password": "wrong"},
        "right": {**clerk, "ansible_become_password": "right"},
    }
    # Not through the connection that another name has opened already.
    hosts["unknown"]["ansible_ssh_common_args"] += " -o StrictHostKeyChecking=yes -o ControlPath=none"
    groups = {"master": {"hosts": {"tieba": None}}, "slaves": {"hosts": dict.fromkeys(hosts)}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))
    play = {
        "hosts": "all",
        "gather_facts": False,
        "become": True,
        "tasks": [{"import_role": {"name": "preflight", "tasks_from": "machines.yml"}}],
    }
    (tmp_path / "machines.yml").write_text(yaml.safe_dump([play]))
    done = playbook(tmp_path / "machines.yml", tmp_path / "hosts.yml")
    assert done.returncode != 0
    told = done.stdout.rpartition("Check them]")[2].partition("msg: |-")[2].partition("\n\n")[0]
    lines = sorted(line.strip() for line in told.strip().splitlines())
    port = server["ansible_port"]
    starts = [
        "asked does not let clerk use sudo without a password; give it with -K",
        "gone does not answer at 127.0.0.1:9: Connection refused; start it,",
        f"stranger does not let stranger in at 127.0.0.1:{port}: Permission denied (publickey",
        "tieba does not have the address 203.0.113.9 of node_address; it has ",
        "tieba is the machine that right is (hostname server, ",
        "tieba: port 6379 is taken by foreign.service: stop it, or set redis_port",
        f"unknown does not answer at 127.0.0.1:{port}: its host key is not the known one; compare it",
        "wrong does not let clerk use sudo: the password is wrong; correct",
    ]
    assert len(lines) == len(starts), done.stdout
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start), done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "changed=1" not in done.stdout


def test_a_whole_crawl_on_a_machine_that_a_broken_run_has_left(mine):
    platform = "import os, sys; print('%d.%d' % sys.version_info[:2], os.uname().machine)"
    python, machine = on("python3", "-c", platform).split()
    half = release.identify(python, machine, ["export"])
    root(BROKEN, half)
    done = playbook("site.yml", mine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert on("ls", "-A", "/opt/tieba/releases").split() == [half]
    assert on("dpkg-query", "--show", "--showformat=${Status}", "half-there") == "install ok installed"
    on("tieba", "status", "--watch", "--until-finished")
    report = on("tieba", "report", "--truth", "http://127.0.0.1:8080")
    assert "Complete: nothing is missing, nothing is doubled." in report


def test_processes_share_the_work_by_an_address_each(mine):
    settings = json.loads(on("sudo", "cat", "/etc/tieba/crawler.json"))
    shown = on("sudo", "systemctl", "show", "--property=Environment", "tieba-crawler@2.service")
    assert "TIEBA_PROCESS=2" in shown
    assert settings["addresses"][1] == "127.0.0.2"


def test_the_second_run_changes_nothing(mine):
    done = playbook("site.yml", mine)
    assert done.returncode == 0, done.stdout + done.stderr
    (recap,) = re.findall(r"^tieba\s+: (.+)$", done.stdout, re.MULTILINE)
    assert "changed=0" in recap
