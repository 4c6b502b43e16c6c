"""Measures deployments of clusters in containers: where nothing is new, and of one more slave.

The machines share this machine's cores, so that twelve of them have less each than three: figures of machines
of their own grow less. Nothing is requested from tieba.baidu.com. Seconds; medians where there are several.

example: CLUSTER=tieba-bench python -m bench.provision --quick
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report import Target, machine, note
from control import ansible, bake, cluster, up
from control.engine import docker
from control.process import ControlError, run
from control.project import CLUSTER
from control.settings import Settings
from control.terminal import Step

_RESULTS = Path(__file__).parent / "results" / "provision.json"
_NODES, _QUICK_NODES = (3, 6, 12), (3,)
_ROUNDS = 3
_SLAVES = 3  # before the fourth one
_CRAWL_PAGES = 60  # of the forum: more than the measurement lasts
_LEASE_SECONDS = 120  # until a deployed slave has done its first request, at most
_NO_CHANGE_SECONDS, _GROWTH, _PLAIN_SECONDS, _IMAGE_SECONDS = 15, 2, 40, 15


def main() -> int:
    """Measure, print what came of it and write the figures. 1 if a target is missed."""
    description, _, example = (__doc__ or "").rpartition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m bench.provision", description=description, epilog=example
    )
    parser.add_argument("--quick", action="store_true", help="three machines alone; for trying")
    arguments = parser.parse_args()
    up.prepare()
    if cluster.nodes():
        sys.exit(f"error: cluster {CLUSTER} is there; `make down` first, or use another CLUSTER")
    began = machine("ansible-core")
    try:
        runs = [_no_change(nodes) for nodes in (_QUICK_NODES if arguments.quick else _NODES)]
        cluster.destroy()
        slave = _one_more_slave()
    finally:
        up.down()
    targets = _targets(runs, slave)
    _print(runs, slave, targets)
    if not arguments.quick:
        figures = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": began}
        _RESULTS.write_text(json.dumps({**figures, "no_change": runs, "slave": slave}, indent=1) + "\n")
        note(f"written: {os.path.relpath(_RESULTS)}")
    return 0 if all(target.met for target in targets) else 1


def _no_change(nodes: int) -> dict[str, Any]:
    """Deploy a master and slaves, then again, when there is nothing to do."""
    note(f"{nodes} machines")
    # Without the stand-in site, and without a seed, so that nothing is crawled.
    names = ["master", *(f"slave{number}" for number in range(1, nodes))]
    cluster.create(names, Settings(target="live"))
    _deploy(Settings(target="live"))
    rounds = []
    for _ in range(_ROUNDS):
        seconds, result = _deploy(Settings(target="live"))
        if not result.endswith(" 0 changes"):
            raise ControlError(f"site.yml, once more, has changed something: {result}")
        rounds.append(seconds)
    return {"machines": nodes, "seconds": round(statistics.median(rounds), 1), "rounds": rounds}


def _one_more_slave() -> dict[str, float]:
    """Add a fourth slave to a crawl, then a fifth one, from an image of the first."""
    note("one more slave")
    os.environ["SLAVES"] = str(_SLAVES)
    up.up(up.Work(pages=1, slaves=_SLAVES, settings={}))
    run(*cluster.ssh("slave1", "tieba", "seed", "--forum", "聊天", "--pages", str(_CRAWL_PAGES)))
    figures = {}
    figures["plain"], figures["plain_from_its_start_to_a_lease"] = _scale(_SLAVES + 1)
    began = time.monotonic()
    bake.make()
    figures["making_the_image"] = round(time.monotonic() - began, 1)
    figures["from_the_image"], figures["image_from_its_start_to_a_lease"] = _scale(_SLAVES + 2)
    return figures


def _scale(slaves: int) -> tuple[float, float]:
    """Return how long adding a slave takes, and how long it takes from its start to its first request."""
    for name in cluster.slaves():  # so that the new one has this machine's cores for itself
        run(*cluster.ssh(name, "sudo", "systemctl", "stop", "tieba-crawler@*.service"))
    began = time.monotonic()
    up.scale(slaves)
    seconds = round(time.monotonic() - began, 1)
    return seconds, first_lease(f"slave{slaves}")


def first_lease(slave: str) -> float:
    """Wait until a slave has done a request; return the seconds since its container started."""
    started = docker("inspect", "--format", "{{.State.StartedAt}}", cluster.container(slave))
    began = datetime.fromisoformat(started).timestamp()
    deadline = time.time() + _LEASE_SECONDS
    while time.time() < deadline:
        status = json.loads(run(*cluster.ssh("slave1", "tieba", "status", "--json")).stdout)
        if any(found["host"] == slave and found["done"] for found in status["slaves"]):
            return round(time.time() - began, 1)
    raise ControlError(f"{slave} has done nothing for {_LEASE_SECONDS} s")


def _deploy(settings: Settings) -> tuple[float, str]:
    with Step("site.yml") as step:
        ansible.play(step, "site.yml", variables=up.site_variables(settings))
    return round(step.seconds, 1), step.result


def _targets(runs: list[dict[str, Any]], slave: dict[str, float]) -> list[Target]:
    fewest, most = runs[0], runs[-1]
    growth = most["seconds"] / fewest["seconds"]
    rows = [
        (f"no change, {fewest['machines']} machines", _NO_CHANGE_SECONDS, fewest["seconds"], "s"),
        (f"{most['machines']} machines beside {fewest['machines']}", _GROWTH, growth, "times"),
        ("a fourth slave", _PLAIN_SECONDS, slave["plain"], "s"),
        (
            "a slave from the image: from its start to a request",
            _IMAGE_SECONDS,
            slave["image_from_its_start_to_a_lease"],
            "s",
        ),
    ]
    return [
        Target(what, f"at most {limit} {unit}", f"{value:.1f} {unit}", value <= limit)
        for what, limit, value, unit in rows
    ]


def _print(runs: list[dict[str, Any]], slave: dict[str, float], targets: list[Target]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    for run_ in runs:
        console.print(f"{run_['machines']} machines, nothing to do: {run_['seconds']} s")
    for what, seconds in slave.items():
        console.print(f"{what.replace('_', ' ')}: {seconds} s")
    table = Table("figure", "target", "measured", "met")
    for target in targets:
        table.add_row(target.figure, target.target, target.measured, "yes" if target.met else "NO")
    console.print(table)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ControlError as error:
        sys.exit(f"error: {error}")
