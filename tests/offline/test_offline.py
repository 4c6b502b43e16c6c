"""A cluster that reaches nothing outside, deployed out of a bundle; then through a proxy and a mirror.

The nodes' way out ends in a device that counts what is sent into it, and so does that of the control machine:
a copy of the project, without .venv and .cache, in the network of a node.  In the order of the file; as root.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from control import cluster
from control.clone import clone
from control.engine import docker
from control.process import sudo
from control.project import CLUSTER, INVENTORY, ROOT
from control.settings import Settings
from tests.certificates import make_certificates

NODES = ("master", "slave1", "site")
STORES = "mongodb,mysql"
CONTROL = "site"  # whose network the control machine is in
SECONDS = 1800
# The way out is one that swallows everything, as a firewall does: whoever asks, waits.
CUT = """
ip link show void >/dev/null 2>&1 || {
    ip link add void arp off type veth peer name nowhere
    echo 1 | tee /proc/sys/net/ipv6/conf/void/disable_ipv6 /proc/sys/net/ipv6/conf/nowhere/disable_ipv6
    ip link set nowhere up
    ip link set void up
    ip route show default >/run/way-out
}
ip route replace default dev void
"""
OPEN_AGAIN = "ip route replace $(cat /run/way-out)"
SENT = "cat /sys/class/net/void/statistics/tx_packets"
OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
LISTS = "/etc/apt/sources.list /etc/apt/sources.list.d/*"
ARCHIVES = f"sed -En 's|^deb .*(https?://[^ ]+).*|\\1|p; s|^URIs: *||p' {LISTS} 2>/dev/null || true"
PROXY = "/var/tmp/archive_proxy.py"
ASKED = "/var/tmp/asked"


def on(node, script, *, check=True):
    return docker("exec", cluster.container(node), "sh", "-c", script, check=check)


def sent():
    return {node: int(on(node, SENT)) for node in NODES}


def ran(command, folder, **variables):
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, "HOME": str(Path.home()), "CLUSTER": CLUSTER, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def play(folder, playbook, *words, prefix=()):
    command = [*prefix, str(folder / ".venv/bin/ansible-playbook"), "-i", "inventory/containers", playbook]
    secrets = ["-e", json.dumps({"crawler_storage": STORES.split(","), "monitoring_enabled": True})]
    return ran([*command, *secrets, *words], folder)


def changes(done):
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return {
        name: int(count)
        for name, count in re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)
    }


@pytest.fixture(scope="module", autouse=True)
def _machines():
    cluster.create(NODES, Settings(storage=STORES))
    yield
    if not os.environ.get("KEEP"):
        cluster.destroy()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Make the bundle, while there is a way out."""
    folder = tmp_path_factory.mktemp("offline") / "bundle"
    done = ran([*python(), "bundle"], ROOT, BUNDLE=str(folder), **own_sources())
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder
    shutil.rmtree(folder)  # large: pytest would keep it


def python():
    return [sys.executable, "-m", "control"]


def own_sources():
    """Return the variables by which this machine's pip finds its index."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}


@pytest.fixture(scope="module")
def air(bundle, tmp_path_factory):
    """Cut the nodes off; give the control machine's project folder and what runs a command there."""
    folder = tmp_path_factory.mktemp("air") / "project"
    clone(folder)
    (folder / "inventory/containers/secrets").symlink_to(INVENTORY / "secrets")
    for node in NODES:
        on(node, CUT)
    process = docker("inspect", "--format", "{{.State.Pid}}", cluster.container(CONTROL))
    prefix = [*sudo(), "nsenter", f"--net=/proc/{process}/ns/net", "--"]
    where = '{{(index .NetworkSettings.Networks "' + CLUSTER + '").IPAddress}}'
    addresses = {node: docker("inspect", "--format", where, cluster.container(node)) for node in NODES}
    reach = {
        "addresses": addresses,
        "ansible_host": "{{ addresses[inventory_hostname] }}",
        "ansible_port": 22,
    }
    words = ["-e", json.dumps(reach), "-e", f"base_bundle={bundle}"]
    yield folder, prefix, words
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def before(air):
    """Give how much was sent into the void before anything was deployed."""
    return sent()


def test_the_bundle_is_for_the_running_machines(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    release = on("master", ". /etc/os-release; echo $VERSION_CODENAME-$(uname -m)")
    assert list(manifest["systems"]) == [release]
    assert set(manifest["systems"][release]["stores"]) == set(STORES.split(","))


def test_nobody_reaches_the_outside_and_whoever_tries_is_counted(air):
    _, prefix, _ = air
    for node in NODES:
        count = sent()[node]
        assert on(node, f'python3 -c "{OUTSIDE}" 2>&1', check=False).endswith("timed out")
        assert sent()[node] > count
    assert "timed out" in ran([*prefix, "/usr/bin/python3", "-c", OUTSIDE], ROOT).stderr


def test_the_control_side_comes_out_of_the_bundle(air, bundle, before):
    folder, prefix, _ = air
    done = ran([*prefix, *python(), "setup"], folder, BUNDLE=str(bundle))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / ".venv/bin/ansible-playbook").exists()


def test_a_damaged_bundle_is_refused_before_anything_changes(air, bundle):
    folder, prefix, words = air
    package = next(bundle.glob("apt/*/redis-server_*.deb"))
    whole = package.read_bytes()
    package.write_bytes(whole[:-1] + b"?")
    done = play(folder, "site.yml", *words, prefix=prefix)
    package.write_bytes(whole)
    assert done.returncode != 0
    assert f"{package} is damaged" in done.stdout
    assert "Deploy" not in done.stdout


def test_check_mode_passes_on_empty_machines(air):
    folder, prefix, words = air
    done = play(folder, "site.yml", "--check", "--diff", *words, prefix=prefix)
    assert sum(changes(done).values()) > 0
    assert on("master", "ls -d /opt/tieba", check=False) == ""


def test_the_cluster_comes_out_of_the_bundle(air):
    folder, prefix, words = air
    assert min(changes(play(folder, "site.yml", *words, prefix=prefix)).values()) > 0
    assert set(on("slave1", "ls /opt/tieba/apt").split()) < set(on("master", "ls /opt/tieba/apt").split())


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_a_second_run_changes_nothing(air, words):
    folder, prefix, more = air
    assert set(changes(play(folder, "site.yml", *words, *more, prefix=prefix)).values()) == {0}


def test_the_crawl_is_complete():
    on("slave1", "tieba seed --forum=聊天 --pages=2")
    deadline = time.monotonic() + SECONDS
    while '"state": "running"' in on("slave1", "tieba status --json"):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert "Complete: nothing is missing" in on("master", "tieba report --truth=http://site:8080")


def test_nobody_has_asked_the_outside_for_anything(before):
    assert sent() == before


def test_what_came_out_of_the_bundle_goes_again():
    done = play(ROOT, "playbooks/reset.yml", "-e", "reset_confirmation=yes", "-e", "reset_data=true")
    changes(done)
    for node in NODES:
        assert on(node, "ls -d /opt/tieba /etc/tieba 2>/dev/null", check=False) == ""
        assert on(node, "dpkg-query -W -f '${Status}' redis-server", check=False) in (
            "",
            "unknown ok not-installed",
        )


def start_proxy(*words):
    script = (Path(__file__).parent / "archive_proxy.py").read_text()
    docker("exec", "--interactive", cluster.container("site"), "sh", "-c", f"cat >{PROXY}", stdin=script)
    on("site", f"rm -f {ASKED}; touch {ASKED}")
    docker("exec", "--detach", cluster.container("site"), "python3", PROXY, ASKED, *words)


@pytest.fixture(scope="module")
def gateway(air):
    """Let the site out again, for the others to go through."""
    on("site", OPEN_AGAIN)


def test_apt_goes_through_a_proxy(gateway):
    start_proxy("3142")
    count = {node: sent()[node] for node in ("master", "slave1")}
    words = ["-e", "base_apt_proxy=http://site:3142", "-e", '{"crawler_storage": ["jsonl"]}']
    assert min(changes(play(ROOT, "site.yml", *words)).values()) > 0
    asked = on("site", f"cat {ASKED}").splitlines()
    assert [url for url in asked if url.startswith("http://") and "/redis-server_" in url]
    assert {node: sent()[node] for node in count} == count
    assert set(changes(play(ROOT, "site.yml", *words)).values()) == {0}
    without = play(ROOT, "site.yml", "--skip-tags", "redis", "-e", '{"crawler_storage": ["jsonl"]}')
    assert set(changes(without).values()) == {1}  # the file with the proxy's address
    assert on("master", "ls /etc/apt/apt.conf.d/80tieba", check=False) == ""


def test_apt_uses_a_mirror_whose_certificate_an_authority_of_ones_own_has_signed(gateway, tmp_path):
    changes(play(ROOT, "playbooks/reset.yml", "-e", "reset_confirmation=yes", "-e", "reset_data=true"))
    authority, certificate = make_certificates(tmp_path, "site")
    there = "/var/tmp/site.pem"
    docker(
        "exec",
        "--interactive",
        cluster.container("site"),
        "sh",
        "-c",
        f"cat >{there}",
        stdin=certificate.read_text(),
    )
    archives = sorted(set(on("site", ARCHIVES).split()))
    start_proxy("8443", there, *archives)
    main = next(url for url in archives if not url.endswith("security")).rstrip("/").rpartition("/")[2]
    count = {node: sent()[node] for node in ("master", "slave1")}
    words = ["-e", '{"crawler_storage": ["jsonl"]}', "-e", f"base_apt_mirror=https://site:8443/{main}"]
    words += [
        "-e",
        f"base_apt_security_mirror=https://site:8443/{main}-security",
        "-e",
        f"base_ca_file={authority}",
    ]
    on("master", "apt-get clean")  # what came through the proxy would not be asked for again
    # Even where the authorities that everybody knows are not installed.
    on("master", "dpkg --purge --force-depends ca-certificates")
    assert min(changes(play(ROOT, "site.yml", *words)).values()) > 0
    asked = on("site", f"cat {ASKED}").splitlines()
    assert [path for path in asked if path.startswith(f"/{main}") and "/redis-server_" in path]
    assert {node: sent()[node] for node in count} == count
    assert set(changes(play(ROOT, "site.yml", *words)).values()) == {0}


def test_resetting_puts_the_machines_own_archives_back():
    changes(play(ROOT, "playbooks/reset.yml", "-e", "reset_confirmation=yes", "-e", "reset_data=true"))
    assert "site:8443" not in on("slave1", f"cat {LISTS} 2>/dev/null", check=False)
    assert (
        on("slave1", "ls /etc/apt/apt.conf.d/80tieba /usr/local/share/ca-certificates/*", check=False) == ""
    )
