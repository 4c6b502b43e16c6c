"""`make test-vms`: `vagrant up` on real virtual machines, in a copy of this folder.

The machines are emulated, so that no hardware virtualisation is needed; they crawl the stand-in site on
the master.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from control import box, environment
from control.clone import clone
from control.process import ControlError, apt_install, last_line, log, run, shown, sudo
from control.project import APT_MIRROR, CACHE, LOG, ROOT
from control.terminal import Step

_FOLDER = CACHE / "vms"
_HOME = _FOLDER / "home"  # boxes that Vagrant knows; those of the user are left alone
TREE = _FOLDER / "tieba-vms"  # its name is the prefix of the machines'
_PACKAGES = [
    *("vagrant", "vagrant-libvirt", "libvirt-daemon-system", "libvirt-clients", "dnsmasq-base", "iptables"),
    *("qemu-system-x86", "qemu-utils", "mmdebstrap", "extlinux", "openssh-client"),
]
_URI = "qemu:///system"
_FORUM = "聊天"
_PAGES = 4  # some 400 requests
_SOME = 30  # after which the crawl is in its middle
_SITE = "http://192.168.56.10:8080"
_CONFIG: dict[str, Any] = {
    "box": box.NAME,
    "libvirt_driver": "qemu",
    "master": {"memory": 2048},
    "slaves": {"cpus": 1},
    "variables": {
        "tieba_target": "replica",
        "mongodb_trial_fallback_enabled": True,
        "crawler_seeds": [],
        # Emulated, the machines need seconds for what takes others a moment.
        "crawler_lease_seconds": 120,
        "crawler_download_timeout": 120,
        # The crawl takes long enough for what happens in its middle.
        "crawler_threads_rate": 2,
        "crawler_posts_rate": 2,
        "crawler_comments_rate": 3,
        "replica_config": {"forums": [{"name": _FORUM, "pages": _PAGES, "floors_per_thread": 12}]},
    },
}
_BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
_SLAVES = {"slave1", "slave2"}
_NOTHING: Mapping[str, Any] = {"slaves": []}
_TESTS = ("test_redis.py", "test_mongodb.py", "test_site.py", "test_slave.py")
_LIBVIRT_SECONDS = 30
_TIMED_OUT = 124  # timeout's status
_UP_SECONDS, _PLAY_SECONDS, _CRAWL_SECONDS, _BOOT_SECONDS = 5400, 3600, 2400, 900
_STEPS = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*?)\]|^==> (\w+: .*)")
_MILESTONES = re.compile(r"^==> (\w+: (?:Machine booted and ready|Running provisioner|Removing domain).*)")
_RECAP = re.compile(r"^(?:    \w+: )?(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")


def test(*, keep: bool) -> None:
    """Do it all; raises ControlError at the first thing that is wrong: with `keep` the machines then stay."""
    started = time.monotonic()
    with Step("Programs") as step:
        step.now("virtual environment, Vagrant, libvirt, QEMU")
        apt_install(*_PACKAGES)
        environment.ensure("test")
    with _libvirt():
        with Step("Box") as step:
            _destroy(step)  # what an interrupted run has left
            step.note("no catalog of boxes is asked: Debian 12, built from packages, stands in for Ubuntu")
            built = box.build()
            _copy_tree()
            _run(step, ["vagrant", "box", "add", "--force", "--name", box.NAME, str(built)], 600)
            step.result = shown(built)
        try:
            _checks()
        except ControlError as error:
            if keep:
                where = f"cd {shown(TREE)}; VAGRANT_HOME={_HOME} vagrant ssh master"
                raise ControlError(f"{error}; the machines are kept: {where}") from None
            raise
        finally:
            if not keep:
                with Step("vagrant destroy") as step:
                    _destroy(step)
                    step.result = "machines, networks and box removed"
    print(f"✔ {(time.monotonic() - started) / 60:.1f} min")


def _checks() -> None:
    with Step("vagrant up") as step:
        _run(step, ["vagrant", "up", "--provider=libvirt"], _UP_SECONDS)
        step.result = "master, slave1, slave2 from a copy of this folder"
    with Step("ansible-playbook site.yml, again") as step:
        _play(step, "site.yml", changed=0)
    with Step("Crawl, with a reboot of the master") as step:
        _crawl(step)
    with Step("testinfra over SSH") as step:
        tests = [f"tests/testinfra/deployed/{name}" for name in _TESTS]
        # Without --hosts: each file names its own machines.
        pytest = [str(TREE / ".venv/bin/pytest"), "-q", "--tb=short"]
        step.result = _run(step, [*pytest, "--ansible-inventory=inventory/vagrant", *tests], _PLAY_SECONDS)
    with Step("make image VM=slave2") as step:
        _run(step, ["make", "image", "VM=slave2"], _PLAY_SECONDS)
        _configure(slaves={**_CONFIG["slaves"], "box": box.SLAVE})
    with Step("vagrant destroy slave2, vagrant up") as step:
        _run(step, ["vagrant", "destroy", "--force", "slave2"], 300)
        _run(step, ["vagrant", "up"], _UP_SECONDS)
        seconds = _await_work(step)
        step.result = f"slave2, from its own box, has crawled after {seconds:.0f} s more"
    with Step("vagrant reload") as step:
        _run(step, ["vagrant", "reload"], _UP_SECONDS)
        seconds = _await_work(step)
        step.result = f"all machines; both slaves have crawled after {seconds:.0f} s more"


def _await_work(step: Step) -> float:
    """Begin a crawl, and wait until both slaves have done some of it; return the seconds."""
    _run(step, ["vagrant", "ssh", "slave1", "-c", f"tieba seed --forum {_FORUM} --pages {_PAGES} --new"], 300)
    began = time.monotonic()

    def is_so() -> bool:
        return at_work(json.loads(_ssh("master", "tieba status --json") or "{}")) >= _SLAVES

    _wait(step, _BOOT_SECONDS, is_so)
    return time.monotonic() - began


def at_work(status: Mapping[str, Any], before: Mapping[str, Any] = _NOTHING) -> set[str]:
    """Return the slaves that have done some of the crawl, or more than `before`."""
    done = {slave["host"]: slave["done"] for slave in before["slaves"]}
    return {slave["host"] for slave in status.get("slaves", []) if slave["done"] > done.get(slave["host"], 0)}


def goes_on(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether both slaves have done more since `before`; raises ControlError if that crawl is no more.

    `now` is empty where there was no answer.
    """
    if not now:
        return False
    if now["crawl"]["started_at"] != before["crawl"]["started_at"]:
        raise ControlError("the crawl did not go on after the reboot: another one has begun")
    done, was = now["requests"]["done"], before["requests"]["done"]
    if done < was:
        raise ControlError(f"the crawl did not go on after the reboot: {was} requests were done, now {done}")
    return at_work(now, before) >= _SLAVES


def _crawl(step: Step) -> None:
    """Crawl the stand-in site while the master reboots, and compare what is stored with the truth."""
    _run(step, ["vagrant", "ssh", "slave1", "-c", f"tieba seed --forum {_FORUM} --pages {_PAGES}"], 300)

    def status() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_ssh("slave1", "tieba status --json") or "{}")
        step.now(f"{found['requests']['done']} requests done" if found else "no answer")
        return found

    before: dict[str, Any] = {}

    def is_amid() -> bool:
        before.update(status())
        return bool(before) and before["requests"]["done"] >= _SOME

    _wait(step, _CRAWL_SECONDS, is_amid)
    boot = _ssh("master", _BOOT_ID)
    step.note(f"master reboots after {before['requests']['done']} requests")
    _ssh("master", "sudo systemctl reboot")
    _wait(step, _BOOT_SECONDS, lambda: _ssh("master", _BOOT_ID) not in ("", boot))
    _wait(step, _BOOT_SECONDS, lambda: goes_on(before, status()))
    # By hand, as a user would: it joins the crawl, and ends with it.
    by_hand = f"cd / && scrapy crawl tieba -a forum={_FORUM} -a pages={_PAGES}"
    _run(step, ["vagrant", "ssh", "slave1", "-c", by_hand], _CRAWL_SECONDS)
    report = json.loads(_ssh("master", f"tieba report --json --truth {_SITE}") or "{}")
    if not report.get("complete"):
        raise ControlError(f"the crawl is not complete: {json.dumps(report, ensure_ascii=False)[:2000]}")
    stored = sum(found["stored"] for found in report["truth"].values())
    step.result = f"{stored} records, as the site has them"


def _play(step: Step, playbook: str, *, changed: int) -> None:
    command = [str(TREE / ".venv/bin/ansible-playbook"), playbook]
    output: list[str] = []
    _run(step, command, _PLAY_SECONDS, output)
    recap = [match for line in output if (match := _RECAP.match(line))]
    if not recap or sum(int(match[3]) for match in recap) != changed:
        lines = "; ".join(line.strip() for line in output if line.startswith("changed: "))
        raise ControlError(
            f"{playbook}: a second run changes something: {lines} (whole output: {shown(LOG)})"
        )
    step.result = f"{len(recap)} machines, changed={changed}"


def _ssh(machine: str, command: str) -> str:
    """Return what `command` prints on `machine`; nothing where it fails."""
    ssh = ["ssh", "-F", str(TREE / ".vagrant/ssh_config"), "-o", "ConnectTimeout=20", machine, command]
    return run(*ssh, check=False, timeout=300).stdout.strip()


def _wait(step: Step, seconds: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise ControlError(f"{step.title}: not so within {seconds:.0f} s (see {shown(LOG)})")
        time.sleep(2)


def _copy_tree() -> None:
    """Copy this folder as a clone has it, so that the machines of a `vagrant up` here are left alone."""
    shutil.rmtree(TREE, ignore_errors=True)
    clone(TREE)
    (TREE / ".venv").symlink_to(ROOT / ".venv")
    (TREE / ".cache").symlink_to(CACHE)
    _configure()


def _configure(**changes: Any) -> None:
    """Write the copy's own settings."""
    variables = dict(_CONFIG["variables"])
    if APT_MIRROR:
        variables["base_apt_mirror"] = APT_MIRROR
    # YAML understands JSON.
    local = json.dumps({**_CONFIG, "variables": variables, **changes}, ensure_ascii=False, indent=1)
    (TREE / "vagrant" / "config.local.yml").write_text(local, encoding="utf-8")


def _environment() -> Mapping[str, str]:
    return {
        **os.environ,
        "PATH": f"{TREE / '.venv/bin'}:{os.environ['PATH']}",
        "VAGRANT_HOME": str(_HOME),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_TIMEOUT": "60",
        "PYTHONUNBUFFERED": "1",
        "LC_ALL": "C.UTF-8",
    }


def _run(step: Step, command: Sequence[str], seconds: float, output: list[str] | None = None) -> str:
    """Run a program in the copy, show in `step` what it does, return its last line; raises ControlError."""
    started = time.monotonic()
    lines: list[str] = [] if output is None else output
    with subprocess.Popen(
        ["timeout", f"{seconds:.0f}", *command],
        cwd=TREE,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if match := _MILESTONES.match(line):
                step.note(f"{step.seconds:5.0f} s  {match[1]}")
            elif match := _STEPS.match(line.strip()):
                step.now(match[1] or match[2])
    log(command, process.returncode, time.monotonic() - started, "".join(lines))
    if process.returncode == _TIMED_OUT:
        raise ControlError(f"{shlex.join(command)[:80]}: no end within {seconds:.0f} s (see {shown(LOG)})")
    if process.returncode:
        raise ControlError(f"{shlex.join(command)[:80]}: {_reason(lines)} (whole output: {shown(LOG)})")
    return last_line("".join(lines)).strip("= ")


def _reason(lines: list[str]) -> str:
    telling = ("fatal: ", "failed: ", "FAILED ", "ERROR", "E  ")
    found = [line.strip() for line in lines if line.strip().startswith(telling)]
    return found[-1][:500] if found else last_line("".join(lines))


def _destroy(step: Step) -> None:
    """Remove the machines, their networks, and what Vagrant knows and holds of the box."""
    if (TREE / ".vagrant").exists():
        _run(step, ["vagrant", "destroy", "--force"], 600)
    # A run that was killed may have left machines that Vagrant has forgotten.
    for domain in _virsh("list", "--all", "--name").split():
        if domain.startswith(f"{TREE.name}_"):
            _virsh("destroy", domain)
            _virsh("undefine", domain, "--remove-all-storage")
    for network in _virsh("net-list", "--all", "--name").split():
        if re.fullmatch(rf"{TREE.name}\d+", network):
            _virsh("net-destroy", network)
            _virsh("net-undefine", network)
    boxes = tuple(f"{name.replace('/', '-VAGRANTSLASH-')}_" for name in (box.NAME, box.SLAVE))
    for volume in _virsh("vol-list", "default").split():
        if volume.startswith(boxes):
            _virsh("vol-delete", volume, "default")
    for folder in (TREE, _HOME):
        shutil.rmtree(folder, ignore_errors=True)


def _virsh(*words: str) -> str:
    return run("virsh", "--quiet", "--connect", _URI, *words, check=False).stdout


@contextlib.contextmanager
def _libvirt() -> Iterator[None]:
    """Have libvirt run during the block; where systemd does not run it, it is started, and ended after it."""
    started: list[str] = []
    if "QEMU" not in _virsh("version"):
        if Path("/run/systemd/system").is_dir():
            run(*sudo(), "systemctl", "start", "libvirtd")
        else:
            for daemon in ("virtlogd", "libvirtd"):
                if run("pidof", daemon, check=False).returncode:
                    run(*sudo(), daemon, "--daemon")
                    started.append(daemon)
        deadline = time.monotonic() + _LIBVIRT_SECONDS
        while "QEMU" not in (answer := _virsh("version")):
            if time.monotonic() > deadline:
                raise ControlError(
                    f"libvirt: no answer at {_URI} ({last_line(answer)}); "
                    "start libvirtd, and be root or in the group libvirt"
                )
            time.sleep(0.5)
    try:
        yield
    finally:
        for daemon in reversed(started):
            pids = run("pidof", daemon, check=False).stdout.split()
            run(*sudo(), "kill", *pids, check=False)
