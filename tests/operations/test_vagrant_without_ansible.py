"""`vagrant up` where there is no Ansible, as on Windows: it runs in the master, in a copy of this folder.

The machines are containers.  What Vagrant does on them comes out of the Vagrantfile, done as it does it.
In the order of the file; it comes last, since it makes a cluster of its own.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from control import cluster
from control.clone import clone
from control.process import apt_install, run
from control.project import APT_MIRROR, APT_PROXY
from tests.end_to_end.commands import COMPLETE

SECONDS = 1800
HOME = "/home/vagrant/tieba"
STEPS = Path(__file__).with_name("steps.rb")
# As boxes have it: sudo asks for no password, but as a member of its group for one's own.
USER = """
set -eu
useradd --create-home --shell /bin/bash --groups sudo vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vagrant
install -d -m 0700 -o vagrant -g vagrant /home/vagrant/.ssh
echo "$1" >/home/vagrant/.ssh/authorized_keys
chown vagrant: /home/vagrant/.ssh/authorized_keys
hostname --ip-address
"""
VARIABLES = {
    "tieba_target": "replica",
    "mongodb_trial_fallback_enabled": True,
    "crawler_seeds": [{"forum": "聊天", "pages": 2}],
    **{f"crawler_{endpoint}_rate": 80 for endpoint in ("threads", "posts", "comments")},
    **({"base_apt_mirror": APT_MIRROR} if APT_MIRROR else {}),
    **({"base_apt_proxy": APT_PROXY} if APT_PROXY else {}),
}
# Where this machine's pip gets packages from, and whom it trusts, under the names that the Vagrantfile knows.
SOURCES = {"PIP_INDEX_URL": "PYPI_MIRROR", "SSL_CERT_FILE": "CA_FILE"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Give this folder as a clone on Windows, where files have no permissions, with the machines made."""
    folder = tmp_path_factory.mktemp("inside") / "tieba"
    clone(folder, copy=shutil.copyfile)
    for path in ("inventory/mine/secrets/redis_admin", "backups/tieba", "records/tieba"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("nothing of the master's")
    if not shutil.which("ruby"):
        apt_install("ruby")
    cluster.destroy()
    cluster.create(["master", "slave1"])
    master, slave1 = (made(folder, name) for name in ("master", "slave1"))
    settings = {
        "master": {"address": master},
        "slaves": {"count": 1, "first_address": slave1},
        "variables": VARIABLES,
    }
    (folder / "vagrant" / "config.local.yml").write_text(json.dumps(settings), encoding="utf-8")
    yield folder
    cluster.destroy()


def made(folder, name):
    """Do what Vagrant does when it has made a machine; return its address."""
    data = folder / ".vagrant" / "machines" / name / "libvirt"
    data.mkdir(parents=True)
    key = data / "private_key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    public = key.with_suffix(".pub")
    told = run(*cluster.ssh(name, "sudo", "sh", "-c", USER, "sh", public.read_text())).stdout
    public.unlink()
    (data / "id").write_text(f"{name}-id")
    return told.split()[0]


def on(folder, machine, script):
    """Run a script in a shell as Vagrant does."""
    ssh = ["ssh", "-F", str(folder / ".vagrant" / "ssh_config"), machine, "bash", "-l"]
    return subprocess.run(ssh, input=script, capture_output=True, text=True, timeout=SECONDS, check=False)


def upload(folder, step):
    source, destination = Path(step["source"]), step["destination"]
    on(folder, step["machine"], f"mkdir -p {destination if source.is_dir() else Path(destination).parent}")
    scp = ["scp", "-q", "-r", "-F", str(folder / ".vagrant" / "ssh_config")]
    contents = f"{source}/." if source.is_dir() else str(source)
    return run(*scp, contents, f"{step['machine']}:{destination}", timeout=SECONDS)


def shell(folder, step):
    assert not step["privileged"]
    script, there = folder / ".vagrant" / "script", "/tmp/vagrant-shell"
    script.write_text(step.get("inline") or (folder / step["path"]).read_text())
    upload(folder, {**step, "source": script, "destination": there})
    sources = " ".join(f'{name}="{value}"' for name, value in step.get("env", {}).items())
    words = shlex.join(step.get("args", []))
    return on(folder, step["machine"], f"chmod +x {there} && {sources} {there} {words}")


def ansible_local(folder, step):
    assert not step["install"]
    command = f"ansible --version >&2 && cd {step['provisioning_path']} && ANSIBLE_NOCOLOR=true "
    command += (
        f"{step['playbook_command']} --limit={step['limit']} --inventory-file={step['inventory_path']} "
    )
    return on(folder, step["machine"], command + step["playbook"])


def vagrant(folder, *words):
    """Do what the command does once the machines are there, to the first fault."""
    there = {name: os.environ[known] for known, name in SOURCES.items() if os.environ.get(known)}
    do = {"file": upload, "shell": shell, "ansible_local": ansible_local}
    for step in json.loads(run("ruby", str(STEPS), str(folder), *words, env=there).stdout):
        done = do[step["type"]](folder, step)
        if done.returncode:
            break
    return done


def test_up_deploys_and_crawls_everything(folder):
    done = vagrant(folder, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    finished = on(folder, "slave1", "tieba status --watch --until-finished")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    report = on(folder, "master", "tieba report --truth http://127.0.0.1:8080")
    assert COMPLETE in report.stdout, report.stdout + report.stderr


def test_what_is_not_the_masters_stays_here(folder):
    found = on(
        folder, "master", f"cd {HOME} && ls -d inventory/* backups records; grep -rl 'nothing of the m' ."
    )
    assert found.stdout.split() == ["inventory/vagrant"]


def test_again_it_changes_nothing_and_what_is_gone_here_goes_there(folder):
    left = f"{HOME}/roles/gone"
    assert on(folder, "master", f"touch {left}").returncode == 0
    done = vagrant(folder, "provision")
    assert done.returncode == 0, done.stdout + done.stderr
    recap = re.findall(r"^(\w+)\s+: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
    assert dict(recap) == {"master": "0", "slave1": "0"}
    assert on(folder, "master", f"test -e {left}").returncode != 0


def test_without_its_last_slave_it_says_so_in_one_line(folder):
    shutil.rmtree(folder / ".vagrant" / "machines" / "slave1")
    done = vagrant(folder, "provision", "master")
    assert done.returncode != 0
    told = re.findall(r"^ *msg: (.+)$", done.stdout, re.MULTILINE)
    assert told == ["'group slaves holds no machine: at least one is needed'"], done.stdout + done.stderr
