"""The example inventories: each parses, and passes preflight, as a user copies it."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).resolve().parents[2]
PREFLIGHT = ROOT / "roles" / "preflight"
PLAIN = ROOT / "inventory" / "example"
EXAMPLES = sorted((ROOT / "inventory" / "examples").glob("*.yml"))
PLAYBOOK = """
- hosts: all
  gather_facts: false
  become: false
  any_errors_fatal: true
  tasks:
    - ansible.builtin.import_role: {name: preflight, tasks_from: settings.yml}
"""


def ansible(name, *arguments, stdin=None):
    program = str(Path(sys.executable).with_name(name))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    command = [program, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def variable(inventory, host, name, *options):
    """Ask Ansible for a variable of a host."""
    done = ansible("ansible", "-i", inventory, host, "-m", "debug", "-a", f"var={name}", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.search(rf"{re.escape(name)}: (.+)", done.stdout)[1]


@pytest.fixture
def mine(tmp_path):
    """Copy an example as its first lines say; gives the function."""

    def copy(example=None):
        folder = tmp_path / "mine"
        shutil.copytree(PLAIN, folder)
        if example:
            shutil.copy(example, folder / "hosts.yml")
        return folder

    return copy


@pytest.fixture
def preflight(tmp_path):
    """Check an inventory's settings, as site.yml does first of all; gives the function."""
    playbook = tmp_path / "settings.yml"
    playbook.write_text(PLAYBOOK)
    return lambda inventory, *options: ansible("ansible-playbook", "-i", inventory, playbook, *options)


@pytest.fixture(scope="session")
def setting_errors():
    """Evaluate what preflight does first, without the seconds that a run of Ansible takes; a function."""
    init_plugin_loader()
    filter_loader.add_directory(str(PREFLIGHT / "filter_plugins"))
    (task,) = yaml.safe_load((PREFLIGHT / "tasks" / "settings.yml").read_text())
    expression = trust_as_template(task["vars"]["__preflight_setting_errors"])
    shared = {
        **yaml.safe_load((PREFLIGHT / "vars" / "main.yml").read_text()),
        "role_path": str(PREFLIGHT),
        "playbook_dir": str(ROOT),
    }

    def evaluate(inventory):
        loader = DataLoader()
        hosts = InventoryManager(loader=loader, sources=[str(inventory)])
        manager = VariableManager(loader=loader, inventory=hosts)
        variables = manager.get_vars(host=hosts.get_hosts()[0]) | shared
        variables["hostvars"] = HostVars(hosts, manager, loader)
        return Templar(loader, variables=variables).template(expression)

    return evaluate


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_passes_preflight(mine, setting_errors, path):
    began = time.monotonic()
    assert setting_errors(mine(path)) == []
    assert time.monotonic() - began < 20  # also that of a hundred


def test_the_plain_case_passes_preflight(mine, preflight, setting_errors):
    inventory = mine()
    assert setting_errors(inventory) == []
    done = preflight(inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed=0" in done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_how_it_is_used(path):
    example = f"inventory/examples/{path.name}"
    text = path.read_text(encoding="utf-8")
    assert f"cp -r inventory/example inventory/mine && cp {example} inventory/mine/hosts.yml" in text
    assert f"(../{example})" in (ROOT / "docs" / "servers.md").read_text(encoding="utf-8")


def test_all_addresses_are_reserved_for_examples():
    """RFC 5737 and RFC 1918: a run by mistake reaches nobody."""
    for path in [PLAIN / "hosts.yml", *EXAMPLES]:
        for address in re.findall(r"\d+\.\d+\.\d+\.\d+", path.read_text(encoding="utf-8")):
            assert address.startswith(("192.0.2.", "203.0.113.", "10.0.", "127.0.0.1")), (
                f"{address} in {path}"
            )


def example(name):
    return ROOT / "inventory" / "examples" / f"{name}.yml"


def test_a_hundred_slaves_have_an_address_each(mine):
    inventory = mine(example("hundred_slaves"))
    assert variable(inventory, "slave100", "ansible_host") == "10.0.1.100"
    assert variable(inventory, "slave007", "groups.slaves[99]") == "slave100"


def test_a_password_for_sudo_is_kept_in_a_vault(mine, preflight, tmp_path):
    """As the example says, with a file in place of what is typed."""
    inventory = mine(example("sudo_password"))
    key = tmp_path / "key"
    key.write_text("opens the vault")
    vault = f"--vault-password-file={key}"
    encrypted = ansible(
        "ansible-vault", "encrypt_string", vault, "--stdin-name", "vault_become_password", stdin="pass word"
    )
    assert "pass word" not in encrypted.stdout
    with (inventory / "group_vars" / "all.yml").open("a") as file:
        file.write(encrypted.stdout)
    assert variable(inventory, "slave1", "ansible_become_password", vault) == "pass word"
    assert preflight(inventory, vault).returncode == 0


def test_every_mistake_in_an_inventory_is_told_at_once_and_before_any_machine_is_touched(preflight, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("""
all:
  vars: {crawler_pagse: 3, ansible_usr: me, crawler_storage: mongodb}
  hosts:
    master1: {ansible_host: 192.0.2.10}
    master2: {ansible_host: 192.0.2.10}
    extra: {ansible_host: 192.0.2.13}
  children:
    master: {hosts: {master1: , master2: }}
    slave: {hosts: {slave1: {ansible_host: "192.0.2.11:22"}}}
""")
    done = preflight(inventory)
    told = re.search(r"^fatal: \[.*?msg: \|-\n(.*?)\n\n", done.stdout, re.MULTILINE | re.DOTALL)[1]
    assert [line.strip() for line in told.splitlines()] == [
        "crawler_pagse: there is no such variable; did you mean crawler_pages?",
        "ansible_usr: there is no such variable; did you mean ansible_user?",
        "crawler_storage is 'mongodb': it must be a list of one or several of mongodb, mysql, jsonl, "
        "such as [mongodb]",
        "group master holds master1, master2: exactly one is needed",
        "group slaves holds no machine: at least one is needed",
        "group slave: there is no such group; did you mean slaves?",
        "extra: neither in group master nor slaves nor site; "
        "put it into one, or take it out of the inventory",
        "ansible_host of master2 is 192.0.2.10, as that of master1: each machine needs its own",
        "ansible_host of slave1 is 192.0.2.11:22: it must be an address or a name alone, such as 10.0.0.10; "
        "a port goes to ansible_port",
    ]
    assert done.returncode != 0
    assert done.stdout.count("TASK") == 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "Completely failed to parse inventory source"),
        ("all:\n  hosts:\n    slave1:\n    slave1:\n", "Found duplicate mapping key 'slave1'"),
    ],
)
def test_an_inventory_that_cannot_be_read_is_not_one_without_machines(preflight, tmp_path, text, said):
    inventory = tmp_path / "hosts.yml"
    if text:
        inventory.write_text(text)
    done = preflight(inventory)
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("name", ["preflight", "health"])
def test_an_inventory_without_machines_is_no_success(tmp_path, name):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all:\n  children:\n    master:\n    slaves:\n")
    done = ansible("ansible-playbook", "-i", inventory, ROOT / "playbooks" / f"{name}.yml")
    assert done.returncode != 0
    assert "the inventory has no machines" in done.stdout


def test_this_machine_is_not_counted_among_those_of_the_inventory(tmp_path):
    """`make up` and tests count the machines in the recap."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all:\n  hosts:\n    here:\n      ansible_connection: local\n")
    done = ansible("ansible-playbook", "-i", inventory, ROOT / "playbooks" / "inventory.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "localhost" not in done.stdout


def test_an_ansible_without_collections_is_told_and_where_there_is_one(mine, preflight, monkeypatch):
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_SCAN_SYS_PATH", "false")  # ansible-core alone
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", "/nonexistent")
    done = preflight(mine())
    assert done.returncode != 0
    (line,) = re.findall(r"msg: [>'-]*(.+?)\n\n", done.stdout, re.DOTALL)
    names = "ansible.posix, community.mongodb, community.mysql"
    assert f"Ansible on this machine is without {names}: use that of `make setup`" in " ".join(line.split())


CHECKED_BY_ANOTHER = {"cluster", "seed", "status"}  # which are parts of others, or tell what they have found


def test_every_playbook_refuses_an_inventory_without_machines():
    playbooks = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "playbooks").glob("*.yml")}
    first = re.compile(r"import_playbook: (inventory|preflight)\.yml")
    assert {name for name, text in playbooks.items() if not first.search(text)} == {
        "inventory",
        *CHECKED_BY_ANOTHER,
    }


@pytest.mark.parametrize("name", ["site.yml", "playbooks/crawl_start.yml", "playbooks/status.yml"])
def test_what_any_slave_can_do_is_done_without_the_first_one(name):
    limit = ("--limit", "all:!slave1", "--list-hosts")
    done = ansible("ansible-playbook", "-i", PLAIN, ROOT / name, *limit)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, last = re.findall(r"^    hosts \(\d+\):((?:\n +\S+)*)", done.stdout, re.MULTILINE)
    assert last.split() == ["slave2"], done.stdout


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("drain", "drain_slave"),
        ("bake", "bake_slave"),
        ("scale_in", "scale_slaves"),
        ("scale_out", "scale_slaves"),
    ],
)
def test_a_slave_that_is_named_and_left_out_is_no_success(name, variable):
    playbook = ROOT / "playbooks" / f"{name}.yml"
    done = ansible("ansible-playbook", "-i", PLAIN, playbook, "-e", f"{variable}=slave1", "--limit", "slave2")
    assert done.returncode != 0, done.stdout
    said = f"{variable} is slave1, which --limit leaves out: name it there, too, or give no --limit"
    assert said in " ".join(done.stdout.split())


def test_records_of_slaves_that_are_left_out_are_restored_to_the_first_of_the_others(tmp_path):
    *_, task = yaml.safe_load((ROOT / "playbooks" / "tasks" / "restore_records.yml").read_text())
    backup = [{"path": f"/backup/records/{name}"} for name in ("gone", "slave1", "slave2", "slave3")]
    told = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} gets {{ brought | sort }}"}}
    variables = task["vars"] | {"brought": task["loop"], "__restore_slaves": {"files": backup}}
    play = {"hosts": "slaves", "gather_facts": False, "vars": variables, "tasks": [told]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text("slaves: {hosts: {slave1: , slave2: , slave3: }}")
    limit = ("--limit", "all:!slave1")
    done = ansible("ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml", *limit)
    gets = dict(re.findall(r"msg: (\w+) gets (.+)", done.stdout))
    assert gets == {"slave2": "['gone', 'slave1', 'slave2']", "slave3": "['slave3']"}, done.stdout
