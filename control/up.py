"""`make up`: from nothing to a finished crawl, going on where an interrupted run stopped."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control import ansible, bake, bundle, cluster, engine, environment, image, records, settings
from control.process import ControlError, run, shown
from control.project import APT_MIRROR, APT_PROXY, CACHE, CLUSTER, INVENTORY, VENV
from control.settings import Settings
from control.terminal import Step

# Measured, with some room: the environment, the image, the master and the site; each slave with two workers.
_MEMORY_GIB_BASE, _MEMORY_GIB_SLAVE = 1.5, 0.5
_DISK_GIB_BASE, _DISK_GIB_SLAVE = 4.0, 0.5
_SLAVES = 2
_MAX_FORUM_NAME = 100  # characters, as in tieba.seeds
_INTERRUPTED = 130  # a shell's status for a program that Ctrl-C has ended
_SITE_URL = "http://site:8080"
# The site counts what it answers twice from here on.
_RESET_SITE = (
    "import urllib.request as url; "
    "url.urlopen(url.Request('http://127.0.0.1:8080/replica/reset', method='POST'))"
)


@dataclass(frozen=True)
class Work:
    """What to crawl, and with how many machines."""

    forum: str = "聊天"
    pages: int = 10
    slaves: int | None = None  # None: as many as there are, or _SLAVES
    settings: Mapping[str, str] = field(default_factory=dict)  # those that were given

    @classmethod
    def from_environment(cls) -> "Work":
        """Read what the user gave; raises ControlError for a value that cannot be meant."""
        slaves = os.environ.get("SLAVES")
        forum = os.environ.get("FORUM", "").strip() or cls.forum
        if len(forum) > _MAX_FORUM_NAME or not forum.isprintable():
            raise ControlError(f"FORUM={forum[:20]}…: not the name of a forum; for example FORUM=聊天")
        return cls(
            forum=forum,
            pages=whole_number("PAGES", os.environ.get("PAGES") or str(cls.pages), 1, 10_000),
            slaves=whole_number("SLAVES", slaves, 1, 50) if slaves else None,
            settings=settings.given(),
        )


def whole_number(name: str, value: str, low: int, high: int) -> int:
    """Return `value` as an int; raises ControlError unless it is a whole number in low..high."""
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise ControlError(f"{name}={value}: not a whole number from {low} to {high}; for example {name}=2")
    return int(value)


def up(work: Work) -> int:
    """Bring the cluster up, crawl, and return the exit status of the report."""
    if platform.system() != "Linux":
        raise ControlError(
            f"system {platform.system()}: containers with systemd need Linux (Debian 12+, Ubuntu 22.04+); "
            "use `vagrant up` here"
        )
    if not engine.answers():  # say what is short before anything is installed
        check_room(work.slaves or _SLAVES, work.slaves or _SLAVES)
    prepare()
    there = cluster.nodes()
    made_for = settings.settle(work.settings, there[0].settings if there else None)
    have = cluster.slaves()
    slaves = work.slaves or len(have) or _SLAVES
    if surplus := _surplus(have, slaves):
        raise ControlError(
            f"SLAVES={slaves}: there is {', '.join(surplus)} too; `make scale SLAVES={slaves}` removes it"
        )
    check_room(slaves, slaves - len(have))
    with Step("Machines") as step:
        new = cluster.create(_names(slaves, made_for.target), made_for, bake.usable(step.note))
        step.result = f"{', '.join(node.name for node in cluster.nodes())} ({len(new)} new)"
    with Step("site.yml") as step:
        ansible.play(step, "site.yml", variables=site_variables(made_for))
    return crawl(work, made_for)


def crawl(work: Work, made_for: Settings) -> int:
    """Start the crawl or join the one that runs, show it until it is finished, and report."""
    with Step("Crawl") as step:
        if not any(map(_crawls, cluster.slaves())):
            raise ControlError(
                "no slave crawls, since all were stopped; start them: "
                f"{shown(VENV)}/bin/ansible-playbook -i {shown(INVENTORY)} playbooks/crawl_start.yml"
            )
        if made_for.target == "replica" and not _is_running():
            run(*cluster.ssh("site", "python3", "-c", _RESET_SITE))
        run(*cluster.ssh("slave1", "tieba", "seed", "--forum", work.forum, "--pages", str(work.pages)))
        step.result = f"forum {work.forum}, {work.pages} list pages"
    watch = cluster.ssh("slave1", "tieba", "status", "--watch", "--until-finished", tty=os.isatty(1))
    status = subprocess.run(watch, check=False).returncode
    if status == _INTERRUPTED:  # on a terminal, Ctrl-C goes to the other end
        raise KeyboardInterrupt
    if status:
        raise ControlError("the view of the crawl broke off; `make up` shows it again and goes on with it")
    truth = ["--truth", _SITE_URL] if made_for.target == "replica" else []
    if made_for.storage == "jsonl":
        with Step("Records") as step:
            records.gather(step)
    done = subprocess.run(cluster.ssh("master", "tieba", "report", *truth), check=False)
    print(
        "Next: make dashboard | status | logs | ssh NODE=slave1 | down; make help lists more. "
        f"Passwords: {shown(cluster.SECRETS)}/"
    )
    return done.returncode


def scale(count: int) -> None:
    """Have `count` slaves, touching only those that come or go, while the crawl goes on."""
    there = cluster.nodes()
    have = cluster.slaves()
    if not have:
        raise ControlError(f"SLAVES={count}: nothing to scale; `make up SLAVES={count}` makes a cluster")
    made_for = there[0].settings
    if surplus := _surplus(have, count):
        with Step("Draining") as step:
            if drained := [
                node.name for node in there if node.name in surplus and node.running and _crawls(node.name)
            ]:
                names = {"drain_slave": ",".join(drained)}
                ansible.play(step, "playbooks/drain.yml", variables=names)
            if "jsonl" in made_for.stores:
                records.gather(step)
            cluster.remove(surplus)
            step.result = f"{', '.join(surplus)} removed"
    check_room(count, count - len(have))
    with Step("Machines") as step:
        new = cluster.create(_names(count, made_for.target), made_for, bake.usable(step.note))
        step.result = f"{', '.join(new) or 'none'} new"
    # Also those that an interrupted run made and left.
    if idle := [name for name in cluster.slaves() if name in new or not _crawls(name)]:
        with Step("scale_out.yml") as step:
            new_slaves = {"scale_slaves": ",".join(idle)}
            ansible.play(
                step, "playbooks/scale_out.yml", variables={**site_variables(made_for), **new_slaves}
            )


def down() -> None:
    """Remove what `make up` made in Docker, and stop the engine if `make up` started it."""
    if not engine.answers():
        if cluster.SECRETS.exists():
            raise ControlError(
                f"docker: no engine answers, so cluster {CLUSTER} cannot be removed; start it first"
            )
        print("nothing to remove")
        return
    with Step("Removing") as step:
        names = cluster.destroy()
        records.forget()
        bake.remove()
        image.remove()
        stopped = engine.stop()
        what = [", ".join(names) or "no nodes", "network, images, keys and passwords"]
        step.result = "; ".join([*what, *(["engine stopped"] if stopped else [])])


def prepare() -> None:
    """Set up the virtual environment, the engine and the node image, side by side."""
    with Step("Control side") as step, ThreadPoolExecutor() as pool:
        step.now("virtual environment, Docker engine, node image")
        # apt comes first in the environment only where venv is missing: both then wait for its lock.
        virtualenv = pool.submit(environment.ensure, "control", bundle.given())
        version = engine.ensure()
        tag = image.ensure(step.note)
        virtualenv.result()
        step.result = f"engine {version}, image {tag}"


def check_room(slaves: int, more: int) -> None:
    """Raise ControlError where memory or disk cannot hold `slaves` of which `more` are still to be made."""
    if more <= 0:
        return
    is_first = slaves == more
    memory = _MEMORY_GIB_BASE * is_first + _MEMORY_GIB_SLAVE * more
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable")) / 2**20
    disk = _DISK_GIB_BASE * is_first + _DISK_GIB_SLAVE * more
    CACHE.mkdir(exist_ok=True)
    places = [path for path in (CACHE, Path("/var/lib/docker")) if path.exists()]
    free = min(shutil.disk_usage(path).free for path in places) / 2**30
    for what, have, need in (("memory", available, memory), ("disk", free, disk)):
        if have < need:
            fewer = ", or use fewer slaves: SLAVES=1" if slaves > 1 else ""
            raise ControlError(f"{what}: {have:.1f} GiB free, {need:.1f} GiB needed; free some{fewer}")


def site_variables(made_for: Settings) -> dict[str, Any]:
    """Return the variables that `make` sets for site.yml."""
    variables = made_for.variables()
    if APT_MIRROR:
        variables["base_apt_mirror"] = APT_MIRROR
    if APT_PROXY:
        variables["base_apt_proxy"] = APT_PROXY
    if there := bundle.given():
        variables["base_bundle"] = str(there.folder)
    if ca_file := os.environ.get("CA_FILE"):
        variables["base_ca_file"] = str(Path(ca_file).resolve())
    return variables


def _names(slaves: int, target: str) -> list[str]:
    site = ["site"] if target == "replica" else []
    return ["master", *(f"slave{number}" for number in range(1, slaves + 1)), *site]


def _surplus(slaves: list[str], count: int) -> list[str]:
    return [name for name in slaves if int(name.removeprefix("slave")) > count]


def _crawls(slave: str) -> bool:
    return (
        run(*cluster.ssh(slave, "systemctl", "is-active", "tieba-crawler.target"), check=False).returncode
        == 0
    )


def _is_running() -> bool:
    status = run(*cluster.ssh("slave1", "tieba", "status", "--json"))
    return '"state": "running"' in status.stdout
