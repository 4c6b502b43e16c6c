"""`make up`: from nothing to a finished crawl, going on where an interrupted run stopped."""

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from control import ansible, cluster, engine, environment, image
from control.process import ControlError, run, shown
from control.project import APT_MIRROR, CACHE, ROOT
from control.terminal import Step

_MEMORY_GIB_BASE, _MEMORY_GIB_SLAVE = 1.0, 0.5  # measured: master and site; one slave with two workers
_DISK_GIB_BASE, _DISK_GIB_SLAVE = 3.0, 0.5
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
    pages: int = 20
    slaves: int | None = None  # None: as many as there are, or 2
    target: str = "replica"

    @classmethod
    def from_environment(cls) -> "Work":
        """Read FORUM, PAGES, SLAVES and TARGET; raises ControlError for a value that cannot be meant."""
        target = os.environ.get("TARGET") or cls.target
        if target not in ("replica", "live"):
            raise ControlError(f"TARGET={target}: use replica (the stand-in site) or live (tieba.baidu.com)")
        slaves = os.environ.get("SLAVES")
        return cls(
            forum=os.environ.get("FORUM", "").strip() or cls.forum,
            pages=whole_number("PAGES", os.environ.get("PAGES") or str(cls.pages), 1, 10_000),
            slaves=whole_number("SLAVES", slaves, 1, 50) if slaves else None,
            target=target,
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
    prepare("control")
    slaves = work.slaves or len(cluster.slaves()) or 2
    if surplus := _surplus(slaves):
        raise ControlError(
            f"SLAVES={slaves}: there is {', '.join(surplus)} too; `make scale SLAVES={slaves}` removes it"
        )
    check_room(slaves)
    with Step("Machines") as step:
        new = cluster.create(_names(slaves, work.target))
        step.result = f"{', '.join(node.name for node in cluster.nodes())} ({len(new)} new)"
    variables = site_variables(work.target)
    with Step("site.yml") as step:
        ansible.play(step, "site.yml", variables=variables)
    return crawl(work)


def crawl(work: Work) -> int:
    """Start the crawl or join the one that runs, show it until it is finished, and report."""
    with Step("Crawl") as step:
        if work.target == "replica" and not _is_running():
            run(*cluster.ssh("site", "python3", "-c", _RESET_SITE))
        run(*cluster.ssh("slave1", "tieba", "seed", "--forum", work.forum, "--pages", str(work.pages)))
        step.result = f"forum {work.forum}, {work.pages} list pages"
    watch = cluster.ssh("slave1", "tieba", "status", "--watch", "--until-finished", tty=os.isatty(1))
    if subprocess.run(watch, check=False).returncode:
        raise ControlError("the view of the crawl broke off; `make up` shows it again and goes on with it")
    truth = ["--truth", _SITE_URL] if work.target == "replica" else []
    done = subprocess.run(cluster.ssh("slave1", "tieba", "report", *truth), check=False)
    print(
        "Next: make status | logs | ssh NODE=slave1 | down; make help lists more. "
        f"Passwords: {shown(cluster.SECRETS)}/"
    )
    return done.returncode


def scale(count: int) -> None:
    """Have `count` slaves, touching only those that come or go, while the crawl goes on."""
    if not cluster.slaves():
        raise ControlError(f"SLAVES={count}: nothing to scale; `make up SLAVES={count}` makes a cluster")
    target = "replica" if any(node.name == "site" for node in cluster.nodes()) else "live"
    if surplus := _surplus(count):
        with Step("Draining") as step:
            with ThreadPoolExecutor() as pool:
                stop = ("sudo", "systemctl", "stop", "tieba-crawler.target")
                stops = [cluster.ssh(name, *stop) for name in surplus]
                list(pool.map(lambda command: run(*command, timeout=120), stops))
            cluster.remove(surplus)
            step.result = f"{', '.join(surplus)} removed"
    check_room(count)
    with Step("Machines") as step:
        new = cluster.create(_names(count, target))
        step.result = f"{', '.join(new) or 'none'} new"
    # Also those that an interrupted run made and left.
    if idle := [name for name in cluster.slaves() if name in new or not _crawls(name)]:
        with Step("site.yml") as step:
            ansible.play(step, "site.yml", limit=idle, variables=site_variables(target))


def down() -> None:
    """Remove what `make up` made in Docker, and stop the engine if `make up` started it."""
    try:
        engine.docker_command()
    except ControlError as error:
        print(f"nothing to remove: {error}")
        return
    with Step("Removing") as step:
        names = cluster.destroy()
        image.remove()
        stopped = engine.stop()
        what = [", ".join(names) or "no nodes", "network, node image, keys and passwords"]
        step.result = "; ".join([*what, *(["engine stopped"] if stopped else [])])


def prepare(purpose: str) -> None:
    """Set up the virtual environment, the engine and the node image, side by side."""
    with Step("Control side") as step, ThreadPoolExecutor() as pool:
        step.now("virtual environment, Docker engine, node image")
        # apt comes first in the environment only where venv is missing: both then wait for its lock.
        virtualenv = pool.submit(environment.ensure, purpose)
        version = engine.ensure()
        tag = image.ensure(step.note)
        virtualenv.result()
        step.result = f"engine {version}, image {tag}"


def check_room(slaves: int) -> None:
    """Raise ControlError where memory or disk cannot hold the nodes that are still to be made."""
    more = max(0, slaves - len(cluster.slaves()))
    if not more:
        return
    memory = _MEMORY_GIB_BASE + _MEMORY_GIB_SLAVE * more
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) for line in meminfo if line.startswith("MemAvailable")) / 2**20
    disk = _DISK_GIB_BASE + _DISK_GIB_SLAVE * more
    CACHE.mkdir(exist_ok=True)
    places = [path for path in (CACHE, Path("/var/lib/docker")) if path.exists()]
    free = min(shutil.disk_usage(path).free for path in places) / 2**30
    for what, have, need in (("memory", available, memory), ("disk", free, disk)):
        if have < need:
            raise ControlError(
                f"{what}: {have:.1f} GiB free, {need:.1f} GiB needed for {slaves} slaves; "
                f"free some, or use fewer (make up SLAVES=1)"
            )


def site_variables(target: str) -> dict[str, str]:
    """Return the variables that `make` sets for site.yml."""
    variables = {"tieba_target": target}
    if APT_MIRROR:
        variables["base_apt_mirror"] = APT_MIRROR
    if ca_file := os.environ.get("CA_FILE"):
        variables["base_ca_file"] = str(ROOT / ca_file)
    return variables


def _names(slaves: int, target: str) -> list[str]:
    site = ["site"] if target == "replica" else []
    return ["master", *(f"slave{number}" for number in range(1, slaves + 1)), *site]


def _surplus(slaves: int) -> list[str]:
    return [name for name in cluster.slaves() if int(name.removeprefix("slave")) > slaves]


def _crawls(slave: str) -> bool:
    return (
        run(*cluster.ssh(slave, "systemctl", "is-active", "tieba-crawler.target"), check=False).returncode
        == 0
    )


def _is_running() -> bool:
    status = run(*cluster.ssh("slave1", "tieba", "status", "--json"))
    return '"state": "running"' in status.stdout
