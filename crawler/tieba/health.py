"""Whether the cluster is well, as this machine sees it: one check after the other, each in one line."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import defaultdict
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from frontier import Frontier, connect
from frontier.connection import ERRORS
from frontier.job import ALIVE_SECONDS, Job
from tieba.checks import check_redis, check_store, place, redis_problem
from tieba.errors import Unusable
from tieba.status import GONE_SECONDS, aof_problem, summarize
from tieba.wording import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from frontier.job import Facts
    from tieba.config import Config

    State = Literal["ok", "FAULT", "note"]

_MOST_SKEW_SECONDS = 5.0
_WORKERS_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_MIB = 2**20
_NOTED_ALARMS = {"nothing_stored", "address_blocked"}  # the other ones are among the checks


@dataclass(frozen=True, slots=True)
class Check:
    """What one check has found; a note is no fault, but good to know.

    `is_own` says that it is about this machine alone; the others find the same on every machine.
    """

    name: str
    state: State
    text: str
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """What all checks have found, and how many workers of this machine are heard of, if Redis can tell."""

    checks: tuple[Check, ...]
    workers_here: int | None

    @property
    def is_well(self) -> bool:
        """Tell whether there is no fault."""
        return all(check.state != "FAULT" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Give it as `tieba health --json` prints it."""
        return {
            "is_well": self.is_well,
            "workers_here": self.workers_here,
            "checks": [asdict(check) for check in self.checks],
        }


async def examine(config: Config, dead_letters: int = 0) -> Health:
    """Run all checks; so many dead letters are no fault. Servers that are away are faults, no errors."""
    (checks, workers_here), stores = await asyncio.gather(_redis(config, dead_letters), _stores(config))
    return Health((*checks, *stores), workers_here)


async def wait_for_workers(config: Config, count: int) -> None:
    """Wait until `count` workers of this machine are heard of; raises Unusable after a minute."""
    deadline = time.monotonic() + _WORKERS_SECONDS
    heard = 0
    problem = ""
    async with aclosing(connect(config.redis_url)) as client:
        job = Job(Frontier(client, config.job))
        while heard < count:
            if time.monotonic() > deadline:
                raise Unusable(
                    f"{socket.gethostname()}: {heard} of {count} workers are heard of after "
                    f"{_WORKERS_SECONDS:.0f} s{problem}; journalctl --unit='tieba-crawler@*' says why"
                )
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                heard = _alive(await job.workers(), await job.now())[socket.gethostname()]
                problem = ""
            except ERRORS as error:
                problem = f" ({redis_problem(error, config)})"


async def _stores(config: Config) -> list[Check]:
    checks = []
    # Each by itself, so that one that is away does not hide another. JSON Lines need no more than disk.
    for name in config.storage:
        if name != "jsonl":
            try:
                await check_store(replace(config, storage=(name,)))
            except Unusable as error:
                checks.append(Check("store", "FAULT", str(error), is_own=True))
            else:
                checks.append(Check("store", "ok", f"{name} can be written to", is_own=True))
    return checks


async def _redis(config: Config, dead_letters: int) -> tuple[list[Check], int | None]:
    try:
        await check_redis(config)
        async with aclosing(connect(config.redis_url)) as client:
            info = await client.info()
            job = Job(Frontier(client, config.job))
            asked = time.time()
            now = await job.now()
            skew = (asked + time.time()) / 2 - now
            facts = await job.facts()
    except ERRORS as error:
        return [Check("redis", "FAULT", str(redis_problem(error, config)), is_own=True)], None
    except Unusable as error:
        return [Check("redis", "FAULT", str(error), is_own=True)], None
    checks = [
        Check("redis", "ok", f"Redis at {place(config.redis_url)} answers and permits", is_own=True),
        _clock(skew),
        _memory(info, config),
        _file(info),
        *_workers(facts),
        _letters(facts, dead_letters),
        *_pauses(facts),
        *_notes(facts, config, info),
    ]
    return checks, _alive(facts.workers, facts.now)[socket.gethostname()]


def _clock(skew: float) -> Check:
    text = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} Redis' clock"
    if abs(skew) > _MOST_SKEW_SECONDS:
        return Check("clock", "FAULT", f"{text}; let NTP set both: timedatectl set-ntp true", is_own=True)
    return Check("clock", "ok", text, is_own=True)


def _memory(info: Mapping[str, Any], config: Config) -> Check:
    used, most = info["used_memory"], info["maxmemory"]
    if not most:
        return Check("memory", "ok", f"Redis uses {used / _MIB:.0f} MiB, without a maximum")
    text = f"Redis uses {used / _MIB:.0f} of {most / _MIB:.0f} MiB"
    if used * 100 >= most * config.alarm_redis_percent:
        return Check("memory", "FAULT", f"{text}: when it is full the crawl waits; raise redis_maxmemory_mb")
    return Check("memory", "ok", text)


def _file(info: Mapping[str, Any]) -> Check:
    if problem := aof_problem(info):
        return Check("aof", "FAULT", problem)
    return Check("aof", "ok", "Redis' append-only file is written")


def _workers(facts: Facts) -> Iterator[Check]:
    alive = _alive(facts.workers, facts.now)
    last: dict[str, float] = defaultdict(float)
    for beat in facts.workers.values():
        last[beat["host"]] = max(last[beat["host"]], float(beat["at"]))
    for host, at in sorted(last.items()):
        silent = facts.now - at
        if alive[host]:
            yield Check("workers", "ok", f"{host}: {alive[host]} are heard of")
        elif silent < GONE_SECONDS:
            yield Check("workers", "FAULT", f"{host}: none was heard of for {silent:.0f} s")
    if not alive:
        yield Check("workers", "note", "no machine has workers that are heard of")


def _alive(workers: Mapping[str, Mapping[str, Any]], now: float) -> dict[str, int]:
    """Count the workers of every machine that are heard of."""
    alive: dict[str, int] = defaultdict(int)
    for beat in workers.values():
        if now - beat["at"] < ALIVE_SECONDS:
            alive[beat["host"]] += 1
    return alive


def _letters(facts: Facts, most: int) -> Check:
    dead = facts.requests.dead
    if dead > most:
        told = f"{dead} requests were given up: see tieba queue peek --dead, tieba queue retry"
        return Check("dead letters", "FAULT", told)
    return Check("dead letters", "ok", f"{dead} requests were given up")


def _pauses(facts: Facts) -> Iterator[Check]:
    for pause in facts.requests.pauses:
        yield Check("pauses", "note", f"{pause.slot} pauses for {pause.seconds:.0f} s: {pause.reason}")


def _notes(facts: Facts, config: Config, info: Mapping[str, Any]) -> Iterator[Check]:
    status = summarize(facts, config, info, {})
    if held := status["crawl"]["paused"]:
        yield Check("held", "note", f"the crawl is held since {moment(held['at'])}: tieba queue go-on")
    for alarm in status["alarms"]:
        if alarm["name"] in _NOTED_ALARMS:
            yield Check("alarm", "note", alarm["text"])
