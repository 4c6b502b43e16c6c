"""Preflight of machines: what makes one unusable is one line that names it, and the way out."""

import importlib.util
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


machines = module(ROOT / "roles/preflight/filter_plugins/machines.py")
node_facts = module(ROOT / "roles/preflight/library/node_facts.py")

NEEDS = {
    "systems": ["Ubuntu 24.04", "Debian 12"],
    "machines": ["x86_64", "aarch64"],
    "stores": ["mongodb"],
    "monitoring": True,
    "memory_mb": 900,
    "disk_mb": 2048,
    "ports": {"master": [[6379, "redis_port", "redis-server.service"]], "site": []},
}
GROUPS = {"master": ["master"], "slaves": ["slave1", "slave2"]}


def machine(name, *, node=None, facts=None, **variables):
    """Make the variables of a machine that was looked at; `node` and `facts` are what is different."""
    facts = {
        "distribution": "Debian",
        "distribution_major_version": "12",
        "distribution_version": "12.11",
        "service_mgr": "systemd",
        "architecture": "x86_64",
        "memtotal_mb": 2000,
        "processor_nproc": 2,
        "hostname": name,
        "node": {
            "machine_id": f"id of {name}",
            "disk_free_mb": 9000,
            "release": "",
            "listeners": {"22": "ssh.service"},
            "avx": True,
            "addresses": ["10.0.0.10"],
            "foreign": [],
            "resolved": {},
            "packages": [],
            "owned": [],
            "present": {},
            **(node or {}),
        },
        **(facts or {}),
    }
    return {"__preflight_facts": {"msg": ""}, "ansible_facts": facts, "ansible_user": "me", **variables}


def failed(message, *, unreachable=True, **variables):
    told = {"__preflight_facts": {"unreachable": True, "msg": message}}
    return {**(told if unreachable else {"__preflight_failure": message}), "ansible_user": "me", **variables}


def errors(needs=NEEDS, groups=GROUPS, **hosts):
    hostvars = {name: hosts.get(name, machine(name)) for name in ("master", "slave1", "slave2")}
    return machines.machine_errors(hostvars, groups, list(hostvars), needs)


def test_good_machines_have_no_errors():
    assert errors() == []
    assert errors(master=machine("master", node={"listeners": {"6379": "redis-server.service"}})) == []
    # Deployed already, it needs no room for a first deployment.
    assert errors(slave1=machine("slave1", node={"release": "abc", "disk_free_mb": 5})) == []


@pytest.mark.parametrize(
    ("host", "variables", "said"),
    [
        (
            "slave1",
            machine("slave1", facts={"distribution": "CentOS", "distribution_major_version": "9"}),
            "slave1 runs CentOS 9: supported are Ubuntu 24.04, Debian 12",
        ),
        (
            "slave1",
            machine("slave1", facts={"distribution": "Ubuntu", "distribution_version": "20.04"}),
            "slave1 runs Ubuntu 20.04: supported are Ubuntu 24.04, Debian 12",
        ),
        (
            "slave1",
            machine("slave1", facts={"service_mgr": "sysvinit"}),
            "slave1 is run by sysvinit: systemd is needed",
        ),
        (
            "slave1",
            machine("slave1", facts={"architecture": "riscv64"}),
            "slave1 has a processor of kind riscv64: supported are x86_64, aarch64",
        ),
        (
            "slave1",
            machine("slave1", facts={"memtotal_mb": 500}),
            "slave1 has 500 MiB of memory: 900 is needed (preflight_min_memory_mb)",
        ),
        (
            "slave1",
            machine("slave1", node={"disk_free_mb": 500}),
            "slave1 has 500 MiB of free disk: 2048 is needed (preflight_min_disk_mb)",
        ),
        (
            "master",
            machine("master", node={"listeners": {"6379": "keydb.service"}}),
            "master: port 6379 is taken by keydb.service: stop it, or set redis_port",
        ),
        (
            "master",
            machine("master", node={"avx": False}),
            "master has a processor without AVX, which MongoDB needs: use another machine or CPU model",
        ),
        (
            "master",
            machine("master", node={"foreign": ["10.0.0.99"]}, node_address="10.0.0.99"),
            "master does not have the address 10.0.0.99 of node_address; it has 10.0.0.10: correct it, "
            "leave it "
            "out, or give a name that the other machines can look up",
        ),
        (
            "slave1",
            machine("slave1", node={"foreign": ["10.0.0.99"]}, crawler_addresses=["10.0.0.10", "10.0.0.99"]),
            "slave1 does not have the address 10.0.0.99 of crawler_addresses; it has 10.0.0.10: correct it",
        ),
        (
            "slave1",
            machine("slave1", crawler_addresses=["10.0.0.10", "10.0.0.11"], crawler_processes=1),
            "slave1 has 1 crawler_processes for 2 crawler_addresses: set crawler_processes to 2 or more",
        ),
        (
            "slave2",
            machine("slave2", node={"resolved": {"master": []}}),
            "slave2 cannot look up master: set node_address of that machine to the address that the others "
            "reach it by",
        ),
        (
            "slave2",
            machine("slave2", facts={"hostname": "slave1"}),
            "slave2 has the hostname slave1, as slave1 has: each machine needs its own (hostnamectl "
            "set-hostname)",
        ),
        (
            "slave2",
            machine("slave1"),
            "slave2 is the machine that slave1 is (hostname slave1, the same /etc/machine-id): name each "
            "machine "
            "once; a copy of a machine needs a hostname and a machine-id of its own",
        ),
        (
            "slave1",
            machine("slave1", crawler_processes="20"),
            "slave1 has 2000 MiB of memory, but may use 2400 (crawler_processes 2400): lower them",
        ),
        (
            "master",
            machine("master", redis_maxmemory_mb=1600),
            "master has 2000 MiB of memory, but may use 2100 (redis_maxmemory_mb 1600, "
            "mongodb_cache_size_gb 500): "
            "lower them",
        ),
    ],
)
def test_what_makes_a_machine_unusable_is_told(host, variables, said):
    assert errors(**{host: variables}) == [said]


def test_what_a_master_that_crawls_is_allowed_fits_together():
    both = {"master": ["master"], "slaves": ["master", "slave1", "slave2"]}
    needs = {**NEEDS, "stores": ["mongodb", "mysql"]}
    small = {"memtotal_mb": 1000}
    assert errors(needs, both) == []
    assert errors(groups=both, master=machine("master", facts=small)) == []
    (error,) = errors(needs, both, master=machine("master", facts={"memtotal_mb": 900}))
    assert error == (
        "master has 900 MiB of memory, but may use 946 (redis_maxmemory_mb 225, mongodb_cache_size_gb 256, "
        "mysql_buffer_pool_mb 225, crawler_processes 240): lower them"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("CHANGED | rc=0 >>\nslave1.example 0815\r\n", "slave1 has the hostname slave1, as slave9 has: each"),
        (
            "CHANGED | rc=0 >>\nslave1 abc\n",
            "slave1 is the machine that slave9 is (hostname slave1, the same",
        ),
        ("CHANGED | rc=0 >>\nslave1 \n", "slave1 has the hostname slave1, as slave9 has: each"),
        ("CHANGED | rc=0 >>\nslave9 0815\n", None),
        ('UNREACHABLE! => {\n    "changed": false,\n', None),
    ],
)
def test_a_copy_of_a_machine_that_takes_no_part_is_told(answer, said):
    hostvars = {"slave1": machine("slave1", node={"machine_id": "abc"})}
    others = f"other | CHANGED | rc=0 >>\nother 0816\n\nslave9 | {answer}\n"
    told = machines.machine_errors(hostvars, GROUPS, ["slave1"], NEEDS, others)
    assert [line.startswith(said) for line in told] == ([] if said is None else [True])


SSH = "Task failed: Failed to connect to the host via ssh: "
SUDO = "Task failed: Premature end of stream waiting for become success.\n>>> Standard Error\n"
AT = {"ansible_host": "10.0.0.5", "ansible_port": 2222}
JUMP = {"ansible_ssh_common_args": "-o ProxyJump=jump@203.0.113.5"}


@pytest.mark.parametrize(
    ("message", "variables", "what", "way"),
    [
        (
            "Make sure this host can be reached over ssh: ssh: connect to host 10.0.0.5: Connection refused",
            AT,
            "does not answer at 10.0.0.5:2222: Connection refused",
            "start it, or check ansible_host and ansible_port",
        ),
        (
            f"{SSH}ssh: connect to host 10.0.0.5 port 22: Connection timed out",
            {},
            "does not answer at slave1:22: Connection timed out",
            "start it, or check ansible_host, the network and its firewalls",
        ),
        (
            f"{SSH}ssh: Could not resolve hostname slave1: Name or service not known",
            {},
            "does not answer at slave1:22: slave1 cannot be looked up",
            "correct ansible_host",
        ),
        (
            f"{SSH}me@10.0.0.5: Permission denied (publickey,password).",
            AT,
            "does not let me in at 10.0.0.5:2222: Permission denied (publickey,password)",
            "check ansible_user and ansible_ssh_private_key_file: ssh -p 2222 -i KEY me@10.0.0.5",
        ),
        (
            f"{SSH}no such identity: /me/none: No such file\nme@x: Permission denied (publickey)",
            AT,
            "does not let me in at 10.0.0.5:2222: there is no key /me/none",
            "correct ansible_ssh_private_key_file",
        ),
        (
            f"{SSH}No ED25519 host key is known for 10.0.0.5\nHost key verification failed.",
            AT,
            "does not answer at 10.0.0.5:2222: its host key is not the known one",
            "compare it, log in once by hand: ssh -p 2222 me@10.0.0.5 (ssh-keygen -R removes an old one)",
        ),
        (
            f"{SSH}jump@203.0.113.5: Permission denied (publickey).\nConnection closed by UNKNOWN port 65535",
            JUMP,
            "does not let me in at slave1:22: Permission denied (publickey)",
            "check ansible_user and ansible_ssh_private_key_file: ssh -p 22 -i KEY me@slave1 "
            "(the way leads through jump@203.0.113.5: check that, too)",
        ),
    ],
)
def test_a_machine_that_cannot_be_reached_is_one_line_with_the_way_out(message, variables, what, way):
    (error,) = errors(slave1=failed(message, **variables))
    leave = ", or leave it out: --limit 'all:!slave1'"
    assert error.replace(leave, "") == f"slave1 {what}; {way}"
    assert (leave in error) == ("does not answer" in what)
    (error,) = errors(master=failed(message, **variables))
    assert "leave it out" not in error


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            f"{SUDO}sudo: a password is required",
            "does not let me use sudo without a password; "
            "give it with -K, or set ansible_become_password (best from a vault)",
        ),
        (
            f"{SUDO}[sudo via ansible, key=x] password:\nSorry, try again.",
            "does not let me use sudo: the password is wrong; "
            "correct ansible_become_password, or what you type with -K",
        ),
        (
            f"{SUDO}me is not in the sudoers file.",
            "does not let me use sudo; "
            "allow it there (usermod -aG sudo me), or name another user in ansible_user",
        ),
        (
            "/bin/sh: 1: sudo: not found",
            "has no sudo; install it there, or log in as root (ansible_user: root)",
        ),
        ("/bin/sh: 1: /usr/bin/python3: not found", "has no Python; install it there: apt install python3"),
        (
            "Task failed: something\n\nnobody has seen",
            "cannot be looked at as me at slave1:22: something nobody has seen",
        ),
    ],
)
def test_a_machine_that_cannot_be_looked_at_is_one_line_with_the_way_out(message, said):
    assert errors(slave1=failed(message, unreachable=False)) == [f"slave1 {said}"]


DROP_IN = "/etc/systemd/system/prometheus.service.d/tieba.conf"


@pytest.mark.parametrize(
    ("node", "is_refused"),
    [
        ({"packages": ["prometheus"]}, True),
        ({"packages": ["prometheus"], "owned": ["prometheus"]}, False),
        ({"packages": ["prometheus"], "present": {DROP_IN: "root:root 0644 x"}}, False),
        ({"packages": ["prometheus-node-exporter"]}, False),
    ],
)
def test_a_prometheus_of_somebody_else_is_not_taken_over(node, is_refused):
    said = "master has a Prometheus of its own, which monitoring_enabled would take over: leave that off"
    assert [error[: len(said)] for error in errors(master=machine("master", node=node))] == [
        said
    ] * is_refused
    slave = {"master": machine("master"), "slave1": machine("slave1", node=node)}
    assert errors(**slave) == []


def test_a_machine_that_does_not_answer_is_not_also_one_that_others_cannot_look_up():
    away = failed("Connection refused", node_address="master")
    cannot = {"resolved": {"master": []}}
    (error,) = errors(master=away, slave1=machine("slave1", node=cannot))
    assert error.startswith("master does not answer")


def test_a_hundred_machines_take_no_time():
    hostvars = {f"slave{number}": machine(f"slave{number}") for number in range(100)}
    began = time.monotonic()
    assert machines.machine_errors(hostvars, {"slaves": list(hostvars)}, list(hostvars), NEEDS) == []
    assert time.monotonic() - began < 1


def test_peers_are_those_that_servers_run_on():
    groups = {"master": ["m"], "site": ["t"], "slaves": ["s"]}
    hostvars = {"m": {"node_address": "10.0.0.1", "ansible_host": "192.0.2.1"}, "t": {}, "s": {}}
    assert machines.peer_addresses(hostvars, groups, "replica") == ["10.0.0.1", "t"]
    assert machines.peer_addresses(hostvars, groups, "live") == ["10.0.0.1"]
    assert machines.peer_addresses({}, {}, "live") == []


def test_a_machine_knows_its_addresses_and_names():
    assert node_facts.foreign(["127.0.0.1", "a.name", "203.0.113.77"]) == ["203.0.113.77"]
    found = node_facts.resolved(["localhost", "127.0.0.1", "no-such-name.invalid"])
    assert "127.0.0.1" in found.pop("localhost")
    assert found == {"127.0.0.1": ["127.0.0.1"], "no-such-name.invalid": []}
    assert node_facts.resolved(["fe80::1%lo"]) == {"fe80::1%lo": ["fe80::1"]}
