"""The nodes: systemd containers with their own addresses on one Docker host, reached over SSH."""

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from control import image
from control.engine import docker
from control.process import ControlError, apt_install, run
from control.project import CLUSTER, INVENTORY
from control.settings import Settings

USER = "admin"  # the SSH user of every node; may use sudo, as a cloud image's user
SECRETS = INVENTORY / "secrets" / CLUSTER
_KEY = SECRETS / "id_ed25519"
_KNOWN_HOSTS = SECRETS / "known_hosts"
SSH_CONFIG = SECRETS / "ssh_config"
_LABEL, _SETTINGS_LABEL, _TARGET_LABEL = "tieba.cluster", "tieba.settings", "tieba.target"
_NO_PORT = 9  # the discard service, which no machine runs
_BOOT_SECONDS = 90
_DEFAULT = Settings()

# Gives a new node its own host keys (those of the image would be everybody's) and the SSH user.
_FIRST_BOOT = f"""
set -eu
until systemctl is-system-running 2>/dev/null | grep -Eqx 'running|degraded'; do sleep 0.2; done
id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {USER}
echo '{USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{USER}
install -d -m 0700 -o {USER} -g {USER} /home/{USER}/.ssh
cat >/home/{USER}/.ssh/authorized_keys
chown {USER}: /home/{USER}/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_*
ssh-keygen -A >/dev/null
echo 'UseDNS no' >/etc/ssh/sshd_config.d/nodns.conf
# It may have given up: slave images have no host keys.
systemctl reset-failed ssh
systemctl restart ssh
cat /etc/ssh/ssh_host_ed25519_key.pub
"""


@dataclass(frozen=True)
class Node:
    """One container of the cluster."""

    name: str  # master, slave1, …, site
    running: bool
    port: int  # of its SSH server, on the host's 127.0.0.1; one where nobody answers while it is stopped
    settings: Settings  # of its cluster


def nodes() -> list[Node]:
    """Return the cluster's nodes: the master, the slaves, the site."""
    ids = docker("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={CLUSTER}").split()
    if not ids:
        return []
    found = []
    for details in json.loads(docker("inspect", *ids)):
        ports = details["NetworkSettings"]["Ports"].get("22/tcp") or []
        config = details["Config"]
        port = int(ports[0]["HostPort"]) if ports else _NO_PORT
        found.append(Node(config["Hostname"], details["State"]["Running"], port, _settings(config["Labels"])))
    return sorted(found, key=lambda node: (node.name == "site", len(node.name), node.name))


def running() -> list[str]:
    """Return the names of the nodes that run; raises ControlError where there is none."""
    names = [node.name for node in nodes() if node.running]
    if not names:
        raise ControlError("there is no cluster: `make up` makes one")
    return names


def slaves() -> list[str]:
    """Return the names of the slaves."""
    return [node.name for node in nodes() if node.name.startswith("slave")]


def create(names: Iterable[str], settings: Settings = _DEFAULT, slave_image: str | None = None) -> list[str]:
    """Make the nodes that are missing, start those that are stopped; return the names of the new ones.

    New slaves are made from `slave_image`, where there is one, and not from the plain node image.
    """
    have = {node.name: node for node in nodes()}
    SECRETS.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _KEY.exists():
        if not shutil.which("ssh-keygen"):
            apt_install("openssh-client")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", CLUSTER, "-f", str(_KEY))
    if not docker("network", "ls", "--quiet", "--filter", f"label={_LABEL}={CLUSTER}"):
        docker("network", "create", "--label", f"{_LABEL}={CLUSTER}", CLUSTER)
    known = _KNOWN_HOSTS.read_text() if _KNOWN_HOSTS.exists() else ""
    new = [name for name in names if name not in have or f"{_alias(name)} " not in known]
    # A node without a known host key was interrupted in its first boot, which may still go on in it.
    if half_made := [container(name) for name in new if name in have]:
        docker("rm", "--force", "--volumes", *half_made)
    stopped = [name for name in names if name not in new and not have[name].running]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: docker("start", container(name)), stopped))
        list(pool.map(lambda name: _run_node(name, settings, slave_image), new))
        keys = list(pool.map(_first_boot, new))
    kept = [line for line in known.splitlines() if line.split()[0] not in {_alias(name) for name in new}]
    _KNOWN_HOSTS.write_text("".join(f"{line}\n" for line in [*kept, *keys]))
    _write_ssh_config()
    return new


def remove(names: Iterable[str]) -> None:
    """Remove nodes with all they hold."""
    names = list(names)
    if names:
        docker("rm", "--force", "--volumes", *map(container, names))
    if _KNOWN_HOSTS.exists():
        gone = {_alias(name) for name in names}
        kept = [line for line in _KNOWN_HOSTS.read_text().splitlines() if line.split()[0] not in gone]
        _KNOWN_HOSTS.write_text("".join(f"{line}\n" for line in kept))
        _write_ssh_config()


def destroy() -> list[str]:
    """Remove all nodes, their network and their secrets; return the names of the removed nodes."""
    names = [node.name for node in nodes()]
    remove(names)
    for network in docker("network", "ls", "--quiet", "--filter", f"label={_LABEL}={CLUSTER}").split():
        docker("network", "rm", network)
    shutil.rmtree(SECRETS, ignore_errors=True)
    if SECRETS.parent.is_dir() and not any(SECRETS.parent.iterdir()):
        SECRETS.parent.rmdir()
    return names


def inventory() -> dict[str, Any]:
    """Return the nodes as Ansible's inventory scripts print them; stopped ones too, for preflight to name."""
    listed = nodes()
    slaves = [node.name for node in listed if node.name.startswith("slave")]
    hostvars = {
        node.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": node.port,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(_KEY),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={_KNOWN_HOSTS} "
            f"-o HostKeyAlias={_alias(node.name)}",
            # Nodes reach each other by name, through the network's own resolver.
            "node_address": node.name,
            **({"crawler_engine": node.settings.engine_of(node.name)} if node.name in slaves else {}),
        }
        for node in listed
    }
    names = [node.name for node in listed]
    return {
        "_meta": {"hostvars": hostvars},
        "master": {"hosts": [name for name in names if name == "master"]},
        "slaves": {"hosts": slaves},
        "site": {"hosts": [name for name in names if name == "site"]},
    }


def ssh(node: str, *command: str, tty: bool = False) -> list[str]:
    """Return the command line that runs `command` (or a shell) on `node`.

    Raises ControlError when there is no such node.
    """
    have = running()
    if node not in have:
        raise ControlError(f"node {node!r} does not run; there are {', '.join(have)}")
    _write_ssh_config()
    return ["ssh", "-F", str(SSH_CONFIG), *(["-t"] if tty else []), node, *map(shlex.quote, command)]


def _run_node(name: str, settings: Settings, slave_image: str | None) -> None:
    docker(
        "run",
        "--detach",
        f"--name={container(name)}",
        f"--hostname={name}",
        f"--network={CLUSTER}",
        f"--network-alias={name}",
        f"--label={_LABEL}={CLUSTER}",
        f"--label={_SETTINGS_LABEL}={json.dumps(settings.to_json())}",
        "--publish=127.0.0.1::22",
        "--tmpfs=/run",
        "--tmpfs=/run/lock",
        *_systemd_options(),
        (slave_image if name.startswith("slave") else None) or image.TAG,
        "/sbin/init",
    )


def _settings(labels: Mapping[str, str]) -> Settings:
    """Read what a node was made for; those made before there was a choice know their target alone."""
    stored = {"target": labels.get(_TARGET_LABEL, "replica"), **json.loads(labels.get(_SETTINGS_LABEL, "{}"))}
    return Settings(**{name: value for name, value in stored.items() if name in asdict(Settings())})


def _systemd_options() -> list[str]:
    """Return what lets systemd, and the sandboxes of its units, work inside a container."""
    if docker("info", "--format", "{{.CgroupVersion}}") == "2":
        return ["--privileged", "--cgroupns=private"]
    # --privileged asks for every capability that the engine knows, which fails on machines that lack
    # one themselves: grant the machine's own instead.
    return [
        *(f"--cap-add={name}" for name in _own_capabilities()),
        *(f"--security-opt={what}=unconfined" for what in ("seccomp", "apparmor", "systempaths")),
        "--cgroupns=host",
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    ]


# Bit numbers as in linux/capability.h; engines before 20.10.22 know them up to AUDIT_READ.
_CAPABILITIES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
"""


def _own_capabilities() -> list[str]:
    status = Path("/proc/self/status").read_text()
    bounding = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:")), 16)
    return [name for bit, name in enumerate(_CAPABILITIES.split()) if bounding >> bit & 1]


def _first_boot(name: str) -> str:
    public_key = _KEY.with_suffix(".pub").read_text()
    command = ("exec", "--interactive", container(name), "sh", "-c", _FIRST_BOOT)
    host_key = docker(*command, stdin=public_key, timeout=_BOOT_SECONDS)
    return f"{_alias(name)} {' '.join(host_key.split()[:2])}"


def _write_ssh_config() -> None:
    """Write the file behind `ssh -F`: ports change when the engine restarts, so it is written anew."""
    hosts = [
        f"Host {node.name}\n"
        f"  HostName 127.0.0.1\n  Port {node.port}\n  User {USER}\n"
        f"  IdentityFile {_KEY}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {_KNOWN_HOSTS}\n  HostKeyAlias {_alias(node.name)}\n"
        f"  StrictHostKeyChecking yes\n  LogLevel ERROR\n  ConnectTimeout 20\n"
        for node in nodes()
        if node.running
    ]
    partial = SSH_CONFIG.with_suffix(".part")
    partial.write_text("\n".join(hosts))
    partial.replace(SSH_CONFIG)


def container(node: str) -> str:
    """Return the name of a node's container."""
    return f"{CLUSTER}-{node}"


_alias = container  # the name of its host key
