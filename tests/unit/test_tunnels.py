"""`make dashboard`, `status` and `logs` with inventories of one's own: the way there is Ansible's."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from control import cluster, dashboard, inventory, logs
from control.inventory import Machine
from control.process import ControlError
from control.settings import Settings
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "inventory" / "examples"


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Name an inventory: a copy of an example, with further variables for all; gives the function."""

    def name(example=None, variables=""):
        folder = tmp_path / "mine"
        shutil.copytree(ROOT / "inventory" / "example", folder)
        if example:
            shutil.copy(EXAMPLES / f"{example}.yml", folder / "hosts.yml")
        with (folder / "group_vars" / "all.yml").open("a") as file:
            file.write(variables)
        monkeypatch.setenv("INVENTORY", str(folder))
        return folder

    return name


def test_the_way_to_the_master_is_the_inventorys(use):
    jump = '-J {{ jump }} -o "A=b c"'
    folder = use(variables=f"jump: me@192.0.2.1\nansible_ssh_common_args: {jump}\nansible_port: 2222\n")
    master = inventory.master(*dashboard._VARIABLES)
    assert master.command("tieba", "a b", tty=True) == [
        *("ssh", "-t", "-p", "2222", "-l", "ubuntu"),
        *("-J", "me@192.0.2.1", "-o", "A=b c", "192.0.2.10", "--", "tieba", "'a b'"),
    ]
    told = {
        name: master.variables[name]
        for name in ("secrets_dir", "is_given", "is_enabled", "port", "is_monitored")
    }
    secrets_dir = str(folder / "secrets")
    assert told == {
        "secrets_dir": secrets_dir, "is_given": False, "is_enabled": True, "port": 8088, "is_monitored": False
    }  # fmt: skip


def test_on_the_master_itself_nothing_is_tunnelled(use):
    use("this_machine")
    master = inventory.master()
    assert master.is_this
    assert master.command("tieba", "status") == ["tieba", "status"]


def test_a_cluster_without_a_dashboard_is_told(use):
    use(variables="dashboard_enabled: false\n")
    with pytest.raises(ControlError, match="dashboard_enabled is false"):
        dashboard.show()


def test_an_inventory_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("INVENTORY", str(tmp_path / "none"))
    with pytest.raises(ControlError, match="INVENTORY=") as caught:
        inventory.master()
    assert "\n" not in str(caught.value)
    (tmp_path / "empty.yml").write_text("all:\n  hosts:\n    one:\n")
    monkeypatch.setenv("INVENTORY", str(tmp_path / "empty.yml"))
    with pytest.raises(ControlError, match="no machines in group master"):
        inventory.master()


def test_the_tunnel_ends_with_what_ssh_says(monkeypatch):
    """Where ssh cannot connect, it has said why itself."""
    variables = {"ansible_connection": "ssh", "is_enabled": True, "port": 8088, "is_monitored": False}
    monkeypatch.setattr(inventory, "master", lambda *_: Machine("m", variables))
    monkeypatch.setattr(Machine, "ssh", lambda *_: [sys.executable, "-c", "raise SystemExit(255)"])
    with pytest.raises(ControlError, match="ssh to the master has ended with status 255"):
        dashboard.show()


def test_a_port_that_is_taken_is_not_used():
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            port = int(re.search(r"port (\d+)", server.stdout.readline())[1])
            assert dashboard._free_port(port) != port
        finally:
            server.kill()


def test_lines_of_all_machines_are_in_the_order_of_time():
    one = "2026-01-01T00:00:01.000000+0000 one a[1]: x\n  of x\n2026-01-01T00:00:03.000000+0000 one a[1]: z\n"
    two = "2026-01-01T00:00:02.000000+0000 two b[2]: redis://crawler:secret@master:6379/0\n"
    merged = logs.merged([one, two, ""])
    assert [line.split()[-1] for line in merged] == ["x", "x", "redis://crawler:***@master:6379/0", "z"]
    assert merged[1] == "  of x"


def test_a_machine_that_is_down_does_not_hide_what_the_others_say(tmp_path, monkeypatch, capsys):
    hosts = tmp_path / "hosts.yml"
    down = f"ansible_host: 127.0.0.1, ansible_port: {free_port()}, ansible_ssh_common_args: -F none"
    hosts.write_text(f"all:\n  hosts:\n    one: {{ansible_connection: local}}\n    two: {{{down}}}\n")
    monkeypatch.setenv("INVENTORY", str(hosts))
    answers = inventory.ask("all", "ansible.builtin.command", "echo here")
    assert {name: answer["stdout"] for name, answer in answers.items()} == {"one": "here"}
    assert re.match(r"two: .*Connection refused", capsys.readouterr().err)
    with pytest.raises(ControlError, match=r"two: .*Connection refused"):
        inventory.ask("two", "ansible.builtin.command", "echo here")


def test_a_container_that_does_not_answer_does_not_hide_what_the_others_say(monkeypatch, capsys):
    says = {"one": "echo 2026-01-01 one", "two": "echo Connection refused >&2; exit 255"}
    monkeypatch.delenv("INVENTORY", raising=False)
    monkeypatch.delenv("NODE", raising=False)
    monkeypatch.setattr(cluster, "running", lambda: list(says))
    monkeypatch.setattr(cluster, "ssh", lambda name, *_: ["sh", "-c", says[name]])
    assert logs.latest() == ["2026-01-01 one"]
    assert capsys.readouterr().err == "two: Connection refused\n"
    del says["one"]
    with pytest.raises(ControlError, match="two: Connection refused"):
        logs.latest()


@pytest.mark.parametrize(
    ("names", "asked"),
    [(["master", "slave1", "site"], "master"), (["slave2", "site"], "slave2")],
)
def test_the_status_comes_from_a_node_that_runs(tmp_path, monkeypatch, capfd, names, asked):
    fake = tmp_path / "ssh"
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("INVENTORY", raising=False)
    monkeypatch.setattr(cluster, "SSH_CONFIG", tmp_path / "config")
    monkeypatch.setattr(
        cluster, "nodes", lambda: [cluster.Node(name, True, 22, Settings()) for name in names]
    )
    monkeypatch.setattr(sys, "argv", ["control", "status", "--json"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("control", run_name="__main__")
    assert capfd.readouterr().out.split()[2:] == [asked, "tieba", "status", "--json"]


def test_a_number_of_lines_is_a_number(monkeypatch):
    monkeypatch.setenv("LAST", "many")
    with pytest.raises(ControlError, match="LAST=many: not a number of lines"):
        logs.latest()
