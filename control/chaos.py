"""`make chaos`: a whole crawl while workers, machines and servers fail, held against the truth at its end.

The faults follow from a seed.  Each is one script that runs inside its node and also heals there, so an
interrupted run leaves nothing broken.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from control import ansible, cluster, records, settings, up
from control.engine import docker
from control.process import ControlError, shown
from control.project import CLUSTER, LOG
from control.settings import Settings
from control.terminal import Step

_FORUM = "聊天"
_SITE_URL = "http://site:8080"
# The site counts what it answers twice from here on.
_RESET_SITE = (
    "import urllib.request as url; "
    "url.urlopen(url.Request('http://127.0.0.1:8080/replica/reset', method='POST'))"
)
_WORKERS = 2  # on each slave
# Requests/s of the whole crawl to each endpoint.  Slow enough to leave two cores some room, and in the
# proportion of the requests to each: comments are the most, so that their rate is the crawl's.
_RATES = {"crawler_threads_rate": 10, "crawler_posts_rate": 10, "crawler_comments_rate": 15}
_COMMENTS_PER_PAGE = 133  # requests for comments that one page of the site leads to, measured
_SITE_PAGE = 50  # threads
_LIST_PAGE = {"api": 100, "web": 50}  # threads, by source
_PAUSE_SECONDS = (0.5, 3.0)  # between two faults, at least
_WORK = 25  # requests done between two faults, at least
_RECOVERY_SECONDS = 3.5  # from a fault's end until that work is done, as a rule
_RUNS_SECONDS = 120  # until a worker runs again; systemd restarts it after 5 s, later after up to 60 s
_STALL_SECONDS = 180  # without one request done
_FINISH_SECONDS = 900  # after the last fault
_DIFFERENCES = {"missing": "lost", "wrong": "lost", "doubled": "doubled", "unexpected": "doubled"}


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    target: str  # worker, slave or master
    script: str  # sh, in the node; knows $unit, the worker's, and $seconds, how long the fault lasts
    weight: int = 1  # how often it is drawn
    lasts: tuple[float, float] = (0, 0)  # shortest and longest, in leases
    store: str = ""  # the only one that it befalls


_WHEN_RUNNING = (
    f"timeout {_RUNS_SECONDS} sh -c 'until systemctl is-active --quiet $unit; do sleep 0.2; done'\n"
)
_FROZEN = "systemctl kill --signal=STOP {0}; sleep $seconds; systemctl kill --signal=CONT {0}"
_AWAY = "systemctl kill --signal=KILL {0}; systemctl stop {0}; sleep $seconds; systemctl start {0}"
# A power cut takes what was written since the last fsync, up to one second ago; SIGKILL alone takes nothing,
# for the kernel has it.  Redis is stopped while its file is cut, and started again by systemd.
_POWER_CUT = """
log=$(ls -t /var/lib/redis/appendonlydir/*.incr.aof /var/lib/redis/appendonly.aof 2>/dev/null | head -n 1)
size=$(stat --format=%s "$log")
sleep 1
systemctl kill --signal=STOP redis-server
truncate --size="$size" "$log"
systemctl kill --signal=KILL redis-server
"""
KINDS = {
    "worker_kill": Kind("worker", _WHEN_RUNNING + "systemctl kill --signal=KILL $unit", weight=3),
    # Comes back and finds its leases gone.
    "worker_pause": Kind("worker", _WHEN_RUNNING + _FROZEN.format("$unit"), lasts=(1.1, 1.5)),
    # A queue without room drops every packet that the machine sends, and tells nobody.
    "network_cut": Kind(
        "slave",
        "tc qdisc add dev eth0 root pfifo limit 0; sleep $seconds; tc qdisc del dev eth0 root",
        lasts=(0.2, 1.5),
    ),
    "slave_reboot": Kind("slave", ""),  # the engine's work
    "redis_kill": Kind("master", _AWAY.format("redis-server"), lasts=(0, 0.5)),
    "redis_power_cut": Kind("master", _POWER_CUT),
    "mongodb_restart": Kind("master", "systemctl restart mongod", store="mongodb"),
    "mongodb_kill": Kind("master", _AWAY.format("mongod"), lasts=(0, 0.5), store="mongodb"),
    "mariadb_restart": Kind("master", "systemctl restart mariadb", store="mysql"),
    "mariadb_kill": Kind("master", _AWAY.format("mariadb"), lasts=(0, 0.5), store="mysql"),
}


@dataclass(frozen=True)
class Fault:
    """One fault that is to come; times are in seconds."""

    kind: str
    node: str
    worker: int | None  # number of the slave's process; None where the whole node is meant
    seconds: float
    pause: float  # after it

    def __str__(self) -> str:
        worker = f" worker {self.worker}" if self.worker else ""
        return f"{self.kind} {self.node}{worker}{f', {self.seconds:.1f} s' if self.seconds else ''}"


class _CrawlError(Exception):
    """The crawl does not go on as it should."""


def kinds_of(stores: Collection[str]) -> list[str]:
    """Return the names of the kinds of faults that can befall a cluster with these stores."""
    return [name for name, kind in KINDS.items() if not kind.store or kind.store in stores]


def plan(seed: int, count: int, slaves: int, lease_seconds: int, stores: Collection[str]) -> list[Fault]:
    """Return `count` faults, the same for the same arguments; every kind comes before any comes twice."""
    random = Random(seed)  # noqa: S311 - repeatable on purpose
    names = kinds_of(stores)
    random.shuffle(names)
    more = random.choices(names, [KINDS[name].weight for name in names], k=max(0, count - len(names)))
    faults = []
    for name in (names + more)[:count]:
        kind = KINDS[name]
        slave, worker = f"slave{random.randint(1, slaves)}", random.randint(1, _WORKERS)
        shortest, longest = kind.lasts
        faults.append(
            Fault(
                name,
                "master" if kind.target == "master" else slave,
                worker if kind.target == "worker" else None,
                round(random.uniform(shortest, longest) * lease_seconds, 1),
                round(random.uniform(*_PAUSE_SECONDS), 1),
            )
        )
    return faults


def site_pages(faults: Sequence[Fault]) -> int:
    """Return how many pages the site needs, so that a crawl of them outlasts the faults, as a rule."""
    seconds = sum(fault.seconds + fault.pause + _RECOVERY_SECONDS for fault in faults)
    return math.ceil(seconds * _RATES["crawler_comments_rate"] / _COMMENTS_PER_PAGE)


def summarize(
    reports: Sequence[Mapping[str, Any]], faults: Mapping[str, int], seed: int, seconds: float
) -> dict[str, Any]:
    """Return the result, from what `tieba report --truth` found; a record stored wrong counts as lost."""
    truth = [found for report in reports for found in report["truth"].values()]
    differences = {"lost": 0, "doubled": 0}
    for kind, counted_as in _DIFFERENCES.items():
        differences[counted_as] += sum(found[kind]["count"] for found in truth)
    return {
        "expected": sum(found["true"] for found in truth),
        "stored": sum(found["stored"] for found in truth),
        **differences,
        "fetched_again": sum(report["site"]["repeats"] for report in reports),
        "faults": dict(faults),
        "seed": seed,
        "seconds": round(seconds, 1),
    }


def explain(report: Mapping[str, Any]) -> list[str]:
    """Return, a line each, what is wrong with the crawl."""
    lines = [
        f"{kind} {name}: {json.dumps(example, ensure_ascii=False)}"
        for name, found in report["truth"].items()
        for kind in _DIFFERENCES
        for example in found[kind]["examples"]
    ]
    lines += [f"failed {error['request']}: {error['reason']}" for error in report["errors"]]
    if report["crawl"]["state"] != "finished":
        lines.append(f"the crawl is {report['crawl']['state']}, not finished")
    return lines


def chaos(seed: int, count: int, slaves: int, lease_seconds: int) -> int:
    """Crawl under `count` faults and return 0 if the crawl has finished, with nothing lost or doubled.

    Removes the cluster after a success, unless it was there before.
    """
    up.prepare()
    there = cluster.nodes()
    made_for = settings.settle(settings.given(), there[0].settings if there else None)
    if made_for.target != "replica":
        raise ControlError(
            f"TARGET={made_for.target}: chaos needs the stand-in site, in a cluster of its own: CLUSTER=chaos"
        )
    faults = plan(seed, count, slaves, lease_seconds, made_for.stores)
    up.check_room(slaves, slaves - len(cluster.slaves()))
    kept = f"cluster {CLUSTER} is kept for a look; `make down CLUSTER={CLUSTER}` removes it"
    try:
        _deploy(slaves, made_for, lease_seconds, site_pages(faults))
        is_complete, result = _crawl(faults, seed, made_for)
    except KeyboardInterrupt:
        print(f"\ninterrupted; what is broken heals by itself; {kept}")
        return 130
    except ControlError as error:
        raise ControlError(f"{error}; {kept}") from None
    if is_complete and not there:
        up.down()
    elif not is_complete:
        again = f"SEED={seed} FAULTS={count} LEASE={lease_seconds} SLAVES={slaves}"
        words = " ".join(f"{name.upper()}={value}" for name, value in made_for.to_json().items())
        print(f"{kept}; the same again: make chaos {again} {words}")
    print(json.dumps(result))
    return 0 if is_complete else 1


def _deploy(slaves: int, made_for: Settings, lease_seconds: int, pages: int) -> None:
    with Step("Machines") as step:
        names = [f"slave{number}" for number in range(1, slaves + 1)]
        new = cluster.create(["master", *names, "site"], made_for)
        step.result = f"master, {', '.join(names)}, site ({len(new)} new)"
    variables = {
        **up.site_variables(made_for),
        **_RATES,
        "crawler_processes": _WORKERS,
        "crawler_lease_seconds": lease_seconds,
        "replica_config": {"forums": [{"name": _FORUM, "pages": pages, "floors_per_thread": 28}]},
    }
    with Step("site.yml") as step:
        ansible.play(step, "site.yml", variables=variables)


def _crawl(faults: Sequence[Fault], seed: int, made_for: Settings) -> tuple[bool, dict[str, Any]]:
    """Crawl under the faults; return whether all is as it should be, and the result.

    Where the control side is slow, a crawl can end before the last fault: then another one begins.
    """
    left = list(faults)
    reports: list[dict[str, Any]] = []
    trouble: list[str] = []
    started = time.time()
    with Step("Crawl") as step:
        while left and not trouble:
            pages = math.ceil(site_pages(left) * _SITE_PAGE / _LIST_PAGE[made_for.source])
            count = len(left)
            step.note(f"{count} faults, seed {seed}; forum {_FORUM}, {pages} list pages")
            _exec("site", "python3", "-c", _RESET_SITE)
            _exec("slave1", "tieba", "seed", f"--forum={_FORUM}", f"--pages={pages}", "--new")
            try:
                while left and (requests := _await_work()):
                    number, seconds = len(faults) - len(left) + 1, time.time() - started
                    note = f"{number:3}/{len(faults)} {seconds:6.1f} s {requests:6} requests done  {left[0]}"
                    step.note(note)
                    _inflict(left[0])
                    time.sleep(left.pop(0).pause)
                if len(left) == count:
                    raise _CrawlError("finished at once, before any fault")
                step.now("waiting for the end")
                _await_end()
            except _CrawlError as error:
                trouble.append(str(error))
            if "jsonl" in made_for.stores:
                records.gather(step)
            reports.append(_report(made_for.stores))
            trouble += explain(reports[-1])
        seconds = time.time() - started
        answers, repeats = (
            sum(report["site"][name] for report in reports) for name in ("answers", "repeats")
        )
        step.result = f"{answers} requests, {repeats / max(1, answers):.2%} again"
    for line in trouble:
        print(f"✘ {line}")
    for line in _tracebacks(started):
        print(f"  traceback: {line}")
    done = Counter(fault.kind for fault in faults[: len(faults) - len(left)])
    is_complete = not trouble and all(report["complete"] for report in reports)
    return is_complete, summarize(reports, done, seed, seconds)


def _report(stores: Sequence[str]) -> dict[str, Any]:
    """Return the report of the crawl, with what is true of every store."""
    report: dict[str, Any] = {}
    for store in stores:
        command = ["env", f"TIEBA_STORAGE={store}", "tieba", "report", f"--truth={_SITE_URL}", "--json"]
        answer = _exec("master", *command, check=False)
        if not answer:
            raise ControlError(f"tieba report: no answer from the master about {store} (see {shown(LOG)})")
        of_store = json.loads(answer)
        truth = {f"{name} in {store}": found for name, found in of_store["truth"].items()}
        truth.update(report.get("truth", {}))
        is_complete = of_store["complete"] and report.get("complete", True)
        report = {**of_store, "truth": truth, "complete": is_complete}
    return report


def _tracebacks(since: float) -> list[str]:
    """Return what the crawlers' logs say before each traceback: no loss, but worth a look."""
    journal = f"journalctl --quiet --no-pager --output=cat --since=@{since:.0f} --unit='tieba-*'"
    find = f"{journal} | grep --before-context=1 ^Traceback | grep --invert-match -e ^Traceback -e ^--"
    return [
        f"{slave}: {line[:200]}"
        for slave in cluster.slaves()
        for line in _exec(slave, "sh", "-c", find, check=False).splitlines()
    ]


def _inflict(fault: Fault) -> None:
    """Do the fault and wait until it is healed."""
    if fault.kind == "slave_reboot":
        docker("restart", "-t", "0", cluster.container(fault.node))
        return
    environment = [f"--env=unit=tieba-crawler@{fault.worker}.service", f"--env=seconds={fault.seconds}"]
    script = f"set -e\n{KINDS[fault.kind].script}"
    docker("exec", *environment, cluster.container(fault.node), "sh", "-c", script)


def _await_work() -> int:
    """Wait until some more requests are done, and return how many are.

    Returns 0 when the crawl ends before; raises _CrawlError.
    """
    first: int | None = None
    for status in _looks():
        done: int = status["requests"]["done"]
        first = done if first is None else first
        if done >= first + _WORK:
            return done
        if status["crawl"]["state"] == "finished":
            return 0
    raise AssertionError("looks without end")


def _await_end() -> None:
    """Wait until the crawl is finished; raises _CrawlError."""
    deadline = time.monotonic() + _FINISH_SECONDS
    for status in _looks():
        if status["crawl"]["state"] == "finished":
            return
        if time.monotonic() > deadline:
            raise _CrawlError(
                f"not finished within {_FINISH_SECONDS} s after the last fault: {status['requests']}"
            )


def _looks() -> Iterator[dict[str, Any]]:
    """Give the crawl's status every second, as long as it changes; raises _CrawlError."""
    last: object = None
    changed = time.monotonic()
    while True:
        # Empty while Redis or the store is away.
        answer = _exec("master", "tieba", "status", "--json", check=False)
        if answer:
            status = json.loads(answer)
            if status["requests"]["done"] != last:
                last, changed = status["requests"]["done"], time.monotonic()
            yield status
        if time.monotonic() - changed > _STALL_SECONDS:
            raise _CrawlError(f"stalled: no request was done within {_STALL_SECONDS} s: {answer}")
        time.sleep(1)


def _exec(node: str, *command: str, check: bool = True) -> str:
    """Run a command in a node, past its network, and return what it printed."""
    return docker("exec", cluster.container(node), *command, check=check, timeout=300)
