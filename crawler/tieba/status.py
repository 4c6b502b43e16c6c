"""Where the crawl stands: the facts, as `tieba status --json` prints them and the dashboard shows them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from frontier import Frontier, connect
from frontier.connection import ERRORS, cancel
from frontier.job import ALIVE_SECONDS, Job
from tieba.alarms import alarms, unwatched
from tieba.browsing.counting import Pace
from tieba.checks import redis_problem, silent_store
from tieba.lately import Lately
from tieba.phrases import phrase_of
from tieba.records import Post
from tieba.storage import StoreError
from tieba.storage.stores import open_reader
from tieba.wording import shown_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from frontier import Letter, Slot, Stats
    from frontier.job import Facts
    from tieba.config import Config
    from tieba.storage import Store

    Status = dict[str, Any]
    _Crawl = tuple[str | None, ...]  # what is another one at each end of a crawl, and when it goes on
    _Stored = tuple[Mapping[str, int], str | None]  # how many records there are, or why that is not known

_HOUR_SECONDS = 3_600.0
GONE_SECONDS = 86_400.0  # a machine that was silent for longer has been taken away
_STORE_SECONDS = 2.0  # for which one waits for the store's counts
_COUNT_SECONDS = 10.0  # a large store is slow to count: for so long the last counts will do
_CONNECT_SECONDS = 10.0  # for which one does so the first time: a busy machine is slow to connect


class Watcher:
    """Asks Redis and the store for the status, again and again."""

    def __init__(self, config: Config) -> None:
        self.job = Job(Frontier(connect(config.redis_url), config.job))
        self._config = config
        self._redis = self.job.frontier.redis
        self._store: Store | None = None
        self._counting: tuple[_Crawl, float, asyncio.Task[_Stored]] | None = None
        self._has_waited = False  # for the store to connect
        self._store_problem: str | None = None
        self._stored_then: tuple[float, _Crawl, Mapping[str, int]] | None = None
        self._pace = Pace()
        self._lately = Lately()

    async def status(self, store_seconds: float | None = None) -> Status:
        """Gather the status; raises Unusable, or Away, which can pass, where Redis does not tell.

        `store_seconds` are those for which one waits for the store, by default a few.
        """
        in_stock_queue = 0
        try:
            facts = await self.job.facts()
            server = await self._redis.info()
            if self._config.scheduler == "scrapy_redis":
                in_stock_queue = await self._redis.zcard(f"{self._config.job}:requests")
        except ERRORS as error:
            raise redis_problem(error, self._config) from None
        crawl = tuple(facts.crawl.get(name) for name in ("id", "state", "finished_at"))
        stored, store_problem = await self._stored(crawl, store_seconds)
        status = summarize(
            facts,
            self._config,
            server,
            stored,
            store_problem=store_problem,
            in_stock_queue=in_stock_queue,
        )
        return self._lately.refine(status)

    async def _stored(self, crawl: _Crawl, seconds: float | None) -> _Stored:
        """Give how many records there are, or why that cannot be told.

        A store that is slow to answer does not hold up the rest: it may take until the next look. One that
        takes long to count is not asked each time, except when the state of the crawl has changed: at its
        end the numbers are those of the end.
        """
        if self._config.storage == ("jsonl",):
            return {}, None  # they are on the machines of the workers, and only reading them all would tell
        if self._stored_then is not None:
            at, then, stored = self._stored_then
            if then == crawl and time.monotonic() - at < self._pace.rest:
                return stored, None
        if seconds is None:
            seconds = _STORE_SECONDS if self._has_waited else _CONNECT_SECONDS
        self._has_waited = True
        deadline = time.monotonic() + seconds
        while True:
            if self._counting is None:
                self._counting = crawl, time.monotonic(), asyncio.create_task(self._count(crawl))
            counted_for, began, counting = self._counting
            await asyncio.wait({counting}, timeout=max(0.0, deadline - time.monotonic()))
            if not counting.done():
                if self._stored_then and time.monotonic() - began < _COUNT_SECONDS:
                    _, then, stored = self._stored_then
                    if then == crawl:
                        return stored, None
                return {}, self._store_problem or silent_store(self._config, seconds)
            if counted_for == crawl:  # else it began before the crawl changed
                return counting.result()

    async def _count(self, crawl: _Crawl) -> _Stored:
        """Ask the store; what is found is kept for the next look, for nobody may be waiting any more."""
        stored: Mapping[str, int] = {}
        try:
            self._store = self._store or await open_reader(self._config)
            began = time.monotonic()
            stored, self._store_problem = await self._store.counts(), None
            ended = time.monotonic()
            self._pace.note(ended - began)
            self._stored_then = ended, crawl, stored
        except StoreError as error:
            self._stored_then, self._store_problem = None, phrase_of(error)
        finally:
            self._counting = None
        return stored, self._store_problem

    async def dead_letters(self) -> AsyncIterator[Letter]:
        """Give all dead letters; raises Unusable, or Away, which can pass."""
        try:
            async for letter in self.job.frontier.dead():
                yield letter
        except ERRORS as error:
            raise redis_problem(error, self._config) from None

    async def close(self) -> None:
        """Give up the connections."""
        if self._counting is not None:
            await cancel(self._counting[-1])
        if self._store is not None:
            await self._store.close()
        await self._redis.aclose()


def summarize(
    facts: Facts,
    config: Config,
    server: Mapping[str, Any],
    stored: Mapping[str, int],
    *,
    store_problem: str | None = None,
    in_stock_queue: int = 0,
) -> Status:
    """Put the facts into the form that `tieba status --json` prints.

    `server` is what INFO tells, `in_stock_queue` are requests that lie in scrapy-redis' queue.
    """
    requests = facts.requests
    slaves = _slaves(facts, config)
    crawl = _crawl(facts)
    disks, gone_disks = _machines(facts)
    done = sum(facts.pages.values())
    leased = requests.leased if not in_stock_queue else sum(slave["leased"] for slave in slaves)
    queued = requests.queued + facts.waiting_seeds + in_stock_queue
    history = [
        list(sample)
        for sample in facts.history
        if sample[0] >= max(facts.now - _HOUR_SECONDS, crawl["started_at"] or 0.0)
    ]
    is_over = crawl["state"] == "finished"
    posts = facts.totals.get(Post.collection, 0)
    rates = {
        "pages": _rates(_sum(slaves, "rate"), done, crawl, _since(history, 1, facts.now)),
        "posts": _rates(_sum(slaves, "posts_rate"), posts, crawl, _since(history, 2, facts.now)),
    }
    rate = (rates["pages"]["run"] if is_over else rates["pages"]["live"]) or 0.0
    # The frontier knows of every request, the workers' answers only of those that they lived to tell.
    # What is leased may not have been sent.
    made = requests.granted - requests.leased if requests.granted else sum(facts.outcomes.values())
    known = left = queued + leased + requests.delayed
    if requests.max_requests is not None:
        left = min(known, max(leased, requests.max_requests - made))  # the rest stays where it is
    is_working = crawl["state"] == "running" and not crawl["paused"]
    status: Status = {
        "at": facts.now,
        "crawl": crawl,
        "requests": {
            "made": made,
            "done": done,
            "queued": queued,
            "leased": leased,
            "failed": requests.dead,
            "delayed": requests.delayed,
            "retried": requests.retried,
            "expired": requests.expired,
            "max": requests.max_requests,
            "left": left,  # of what is known, what the maximum allows
            "total": done + left,
        },
        "queues": [
            {"endpoint": queue.endpoint, "priority": queue.priority, "count": queue.count}
            for queue in requests.queues
        ],
        "maximum": _maximum(requests) if is_over else None,
        "rate": round(rate, 1),
        "rates": rates,
        "history": history,
        # For what is known to be left; what it leads to comes on top, unless the maximum keeps it out.
        "eta_seconds": round(left / rate, 1) if is_working and rate else None,
        "eta_is_least": left == known,
        "stored": dict(stored),
        "store_problem": store_problem,
        "totals": dict(facts.totals),
        "outcomes": dict(sorted(facts.outcomes.items())),
        "paused": [
            {
                "slot": pause.slot,
                "seconds": round(pause.seconds, 1),
                "until": round(facts.now + pause.seconds, 1),
                "reason": pause.reason,
            }
            for pause in requests.pauses
        ],
        "slots": _slots(facts, config),
        "slaves": slaves,
        "machines": disks,
        "redis": redis_facts(server),
        "errors": [
            {"request": shown_request(letter.payload), "reason": letter.reason} for letter in facts.letters
        ],
        "crawls": [dict(crawl) for crawl in facts.crawls],
    }
    return {**status, "alarms": alarms(status, config), "unwatched": unwatched(status, gone_disks, config)}


def redis_facts(server: Mapping[str, Any]) -> Status:
    """Give what is to be known of Redis, out of what INFO tells; a `max_bytes` of 0 is none."""
    return {
        "used_bytes": server["used_memory"],
        "max_bytes": server["maxmemory"],
        "version": server.get("valkey_version") or server["redis_version"],
        "aof_ok": aof_problem(server) is None,
    }


def aof_problem(server: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the append-only file, without which a restart loses the queue."""
    if not server["aof_enabled"]:
        return "Redis has no append-only file: a restart loses the queue"
    for field in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if server[field] != "ok":
            return f"Redis' append-only file: {field} is {server[field]}; see its log"
    return None


def _crawl(facts: Facts) -> Status:
    crawl = facts.crawl
    state = crawl.get("state", "none")
    started, paused_at, stored_at, resumed_at = (
        float(crawl[name]) if name in crawl else None
        for name in ("started_at", "paused_at", "stored_at", "resumed_at")
    )
    ended = float(crawl["finished_at"]) if state == "finished" else facts.now
    return {
        "id": crawl.get("id"),
        "state": state,
        "started_at": started,
        "seconds": round(max(0.0, ended - started), 1) if started else 0.0,
        "seeds": [json.loads(seed) for seed in facts.seeds],
        "paused": None
        if paused_at is None or state != "running"
        else {"at": paused_at, "reason": crawl.get("paused_reason", "")},
        "stored_at": stored_at,  # when records were stored last
        "resumed_at": resumed_at,  # when it went on last, after it was held or had ended
    }


def _since(history: Sequence[Sequence[float]], column: int, now: float) -> tuple[float, float] | None:
    """Give how many seconds ago the history begins, and a count of then."""
    return (now - history[0][0], history[0][column]) if history and now > history[0][0] else None


def _rates(live: float | None, count: int, crawl: Status, since: tuple[float, float] | None) -> Status:
    """Give how many there were a second: lately, within the last hour, and since the crawl began."""
    hour = run = None
    if crawl["state"] == "finished":
        live = 0.0
    elif since is not None:
        seconds, before = since
        hour = round(max(0.0, count - before) / seconds, 2)
    if crawl["seconds"]:
        run = round(count / crawl["seconds"], 2)
    return {"live": None if live is None else round(live, 2), "hour": hour, "run": run}


def _sum(slaves: Sequence[Status], name: str) -> float | None:
    """Add up what slaves tell; None where there is one that does not tell it."""
    values = [slave[name] for slave in slaves if slave["processes"]]
    return None if None in values else sum(values, 0.0)


def _maximum(requests: Stats) -> Status | None:
    """Give the maximum of requests at which a crawl ended, and how many are left; None if it went on."""
    left = requests.queued + requests.delayed
    if requests.max_requests is None or requests.granted < requests.max_requests or not left:
        return None
    return {"requests": requests.max_requests, "left": left}


def _slots(facts: Facts, config: Config) -> list[Status]:
    """Give the slots that this crawl has used, those that are paused, and those of workers that are alive."""
    limits = {**config.limits, "pictures": (config.pictures_rate, float(config.burst))}
    alive = [beat for beat in facts.workers.values() if facts.now - beat["at"] < ALIVE_SECONDS]
    workers: dict[str, int] = defaultdict(int)
    for beat in alive:
        workers[beat.get("egress", "")] += 1
    known = {slot.slot: slot for slot in facts.requests.slots}
    names = {name for name, slot in known.items() if slot.granted or slot.paused_seconds}
    names |= {f"{endpoint}:{egress}" for egress in workers if egress for endpoint in config.limits}
    return [_slot(name, known.get(name), limits, workers, facts.now) for name in sorted(names)]


def _slot(
    name: str,
    slot: Slot | None,
    limits: Mapping[str, tuple[float, float]],
    workers: Mapping[str, int],
    now: float,
) -> Status:
    endpoint, _, egress = name.rpartition(":")
    rate, burst = limits.get(endpoint, (None, None))
    paused = slot.paused_seconds if slot is not None and slot.paused_seconds else None
    return {
        "slot": name,
        "endpoint": endpoint,
        "egress": egress,
        "rate": rate,
        "burst": burst,
        "used": None,  # which takes more than one look
        "granted": slot.granted if slot else 0,
        "strikes": slot.strikes if slot else 0,
        "paused_seconds": None if paused is None else round(paused, 1),
        "until": None if paused is None else round(now + paused, 1),
        "reason": None if paused is None or slot is None else slot.reason,
        "workers": workers.get(egress, 0),
    }


def _slaves(facts: Facts, config: Config) -> list[Status]:
    by_host: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for beat in facts.workers.values():
        by_host[beat["host"]].append(beat)
    for host in facts.pages:
        by_host.setdefault(host, [])
    slaves = [_slave(host, beats, facts, config) for host, beats in sorted(by_host.items())]
    present = [_code(slave) for slave in slaves if slave["processes"]]
    most = {code for code, count in Counter(present).items() if count > len(present) / 2}
    return [{**slave, "differs": bool(slave["processes"]) and _code(slave) not in most} for slave in slaves]


def _code(slave: Status) -> tuple[str | None, str | None]:
    return slave["version"], slave["code"]


def _slave(host: str, beats: Sequence[Mapping[str, Any]], facts: Facts, config: Config) -> Status:
    alive = [beat for beat in beats if facts.now - beat["at"] < ALIVE_SECONDS]
    last = max(beats, key=lambda beat: float(beat["at"]), default=None)
    silent = max(0.0, facts.now - last["at"]) if last else None
    longest = max(config.alarm_silent_seconds, ALIVE_SECONDS)
    posts_rates = [beat.get("posts_rate") for beat in alive]
    memory = [beat["memory_mb"] for beat in alive if beat.get("memory_mb") is not None]
    return {
        "host": host,
        "processes": len(alive),
        "engines": sorted({beat["engine"] for beat in alive if "engine" in beat}),
        "done": facts.pages.get(host, 0),
        "rate": round(sum(beat.get("rate", 0.0) for beat in alive), 1),
        # Workers of an older release do not tell theirs.
        "posts_rate": None if None in posts_rates else round(sum(map(float, posts_rates)), 1),  # type: ignore[arg-type]
        "leased": sum(beat.get("leased", 0) for beat in alive),
        "last_seen_seconds": None if silent is None else round(silent, 1),
        # Who leaves is no more among the workers, and not missed.
        "is_silent": silent is not None and longest < silent < GONE_SECONDS,
        "is_gone": silent is not None and silent >= GONE_SECONDS,
        "version": last.get("version") if last else None,
        "code": last.get("code") if last else None,  # workers of an older release tell none
        # Also those of workers that died: they are missed, and so are their addresses.
        "egress": sorted(
            {beat["egress"] for beat in beats if "egress" in beat and facts.now - beat["at"] < GONE_SECONDS}
        ),
        "memory_mb": sum(memory) if memory else None,
        "disk_free_mb": last.get("disk_free_mb") if last else None,
    }


def _machines(facts: Facts) -> tuple[list[Status], list[Status]]:
    """Give what is known of the machines' disks; a machine can have several.

    The second list is of those that nobody tells of any more, and `why`.
    """
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for beat in sorted(
        (*facts.workers.values(), *facts.machines.values()), key=lambda beat: float(beat["at"])
    ):
        if beat.get("disk_free_mb") is not None:
            newest[beat["host"], beat.get("disk_path", "")] = beat
    watched, gone = [], []
    for (host, path), beat in sorted(newest.items()):
        disk = {
            "host": host,
            "disk_free_mb": beat["disk_free_mb"],
            "disk_path": path,
            "at": float(beat["at"]),
        }
        if beat.get("has_left"):
            gone.append({**disk, "why": "its workers have left"})
        elif facts.now - disk["at"] >= GONE_SECONDS:
            gone.append({**disk, "why": "it has been silent for a day"})
        else:
            watched.append(disk)
    return watched, gone
