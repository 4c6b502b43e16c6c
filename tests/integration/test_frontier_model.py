"""Model checking: random operations on the real scripts in a real Redis, held against a model in Python.

`HYPOTHESIS_PROFILE=long` tries 20 times as many runs, other ones each time.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from frontier import Limit, Policy, Request, connect_blocking, fingerprint, operations
from frontier.blocking import Frontier, encoded
from frontier.scripts import source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from frontier import Delayed, Stats
    from frontier import Held as Leased
    from frontier.operations import Operation

T = TypeVar("T")
Kind = tuple[str, int, "int | None"]  # of a request: endpoint, priority, fingerprint

settings.register_profile("quick", max_examples=180, stateful_step_count=60, derandomize=True)
settings.register_profile("long", max_examples=3_600, stateful_step_count=60)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

JOB = "{model}:"
REDIS_TIME = "redis.call('TIME')"
ENDPOINTS = ("a", "b:1", "帖子")
PRIORITIES = (-1, 0, 7)
EGRESSES = ("x", "y")
ALIVE, FORGETFUL, DEAD = "w1", "w2", "host/3"  # renews in time; does not; leases and is never heard of again
OWNERS = (ALIVE, FORGETFUL, DEAD)
LEASE_MS, MAX_ATTEMPTS = 30_000, 3
RETRY_MS, LONGEST_RETRY_MS = 1_000, 3_000
OVERDUE_MS = 1_000
YOUNG_MS = 1_000
HELD_MS = 1_000
HOUR_MS = 3_600_000
ROUNDING_MS = 2


@cache
def on_test_clock(name: str) -> str:
    """Give a script with the hash `time` for Redis' clock, and with small steps instead of large ones."""
    script = source(name)
    assert script.count(REDIS_TIME) == 1
    script = script.replace(REDIS_TIME, "redis.call('HMGET', 'time', 'seconds', 'microseconds')")
    for constant in ("SHARD_LOAD", "ENDPOINTS_AT_ONCE"):
        script = re.sub(rf"^local {constant} = \d+$", f"local {constant} = 2", script, flags=re.MULTILINE)
    return script


class ClockedFrontier(Frontier):
    """Runs the scripts on the test's clock."""

    hashes: dict[str, str]

    def run(self, operation: Operation[T]) -> T:
        return operation.read(self.send(self.redis, operation))

    def send(self, redis: Redis, operation: Operation[T]) -> Any:
        """Call the script; `redis` may be a pipeline."""
        name = operation.script
        if name not in self.hashes:
            self.hashes[name] = self.redis.script_load(on_test_clock(name))
        return redis.evalsha(self.hashes[name], 1, self.prefix, *encoded(operation.args))


class Entry(NamedTuple):
    """A request as it lies in a queue."""

    endpoint: str
    priority: int
    attempts: int
    payload: str

    @classmethod
    def parse(cls, text: str, endpoint: str, priority: int) -> Entry | None:
        """Read an entry of a queue; None for what does not belong there."""
        found = re.fullmatch(r"(\S+) (-?\d+) (\d{1,12}) (.*)", text, re.DOTALL | re.ASCII)
        if not found or (found[1], found[2]) != (endpoint, str(priority)):
            return None
        return cls(endpoint, priority, int(found[3]), found[4])

    def __str__(self) -> str:
        return " ".join(map(str, self))


class Letter(NamedTuple):
    entry: Entry
    reason: str


class Held(NamedTuple):
    entry: Entry
    deadline: float


class Bucket:
    """A token bucket: what a slot's budget means."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.tokens = limit.burst
        self.at = 0.0

    def spend(self, at: float) -> None:
        self.tokens = min(self.limit.burst, self.tokens + (at - self.at) * self.limit.rate / 1000)
        self.at = at
        assert self.tokens >= 1 - ROUNDING_MS * self.limit.rate / 1000, "more than the budget"
        self.tokens -= 1

    def next_at(self) -> float:
        return self.at + (1 - self.tokens) * 1000 / self.limit.rate


def payload(text: str, endpoint: str, priority: int) -> str:
    """Give an entry's payload; one that does not belong into its queue is its own."""
    entry = Entry.parse(text, endpoint, priority)
    return entry.payload if entry else text


@dataclass
class Slot:
    paused_until: float = 0.0
    paused_until_real: float = 0.0
    strikes: int = 0
    reason: str = ""


@dataclass
class Model:
    """What a frontier is."""

    real: int  # Redis' clock in ms
    now: float = 0.0  # the frontier's clock when last moved
    moved_at: int | None = None
    longest_step: float = float("inf")
    queues: defaultdict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    index: dict[str, set[int]] = field(default_factory=dict)  # queues in which there is something
    served_at: dict[str, float] = field(default_factory=dict)
    leases: dict[tuple[str, str], Held] = field(default_factory=dict)
    delayed: list[tuple[float, str, Entry]] = field(default_factory=list)  # due, serial
    dead: list[Letter] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)  # payloads; an undecodable entry is its own
    seen: set[int] = field(default_factory=set)
    serial: int = 0
    retried: int = 0
    expired: int = 0
    granted: int = 0
    max_requests: int | None = None
    granted_of: Counter[str] = field(default_factory=Counter)  # by slot
    is_held: bool = False
    crawl: tuple[str, str] = ("none", "")
    begun_at: int = 0
    slots: defaultdict[tuple[str, str], Slot] = field(default_factory=lambda: defaultdict(Slot))

    def clock(self) -> float:
        if self.moved_at is None:
            return float(self.real)
        return self.now + min(max(self.real - self.moved_at, 0), self.longest_step)

    def tick(self) -> None:
        self.now = self.clock()
        self.moved_at = self.real
        self.longest_step = LEASE_MS / 3

    def paused_ms(self, slot: Slot) -> float:
        left = min(slot.paused_until - self.clock(), slot.paused_until_real - self.real)
        return max(0.0, left)

    def enqueue(self, entry: Entry, *, first: bool = False) -> None:
        queue = self.queues[entry.endpoint, entry.priority]
        queue.insert(0 if first else len(queue), str(entry))
        self.index.setdefault(entry.endpoint, set()).add(entry.priority)
        self.served_at.setdefault(entry.endpoint, self.clock())

    def push(self, requests: Iterable[Request]) -> int:
        added = 0
        for request in requests:
            if request.fingerprint is None or request.fingerprint not in self.seen:
                self.enqueue(Entry(request.endpoint, request.priority, 0, request.payload))
                self.accepted[request.payload] += 1
                added += 1
            if request.fingerprint is not None:
                self.seen.add(request.fingerprint)
        self.reopen(added)
        return added

    def reopen(self, added: int) -> None:
        if added and self.crawl[0] == "finished":
            self.crawl = "running", self.crawl[1]

    def queue_due(self) -> None:
        due = sorted((d for d in self.delayed if d[0] <= self.now), key=lambda d: (d[0], f"{d[1]} {d[2]}"))
        for item in reversed(due):
            self.delayed.remove(item)
            self.enqueue(item[2], first=True)

    def waiting(self, endpoint: str) -> list[tuple[int, str]]:
        """Give an endpoint's entries in the order in which they are to be leased."""
        priorities = sorted(self.index[endpoint], reverse=True)
        return [(priority, text) for priority in priorities for text in self.queues[endpoint, priority]]

    def unqueue(self, endpoint: str, count: int) -> None:
        for priority, _ in self.waiting(endpoint)[:count]:
            self.queues[endpoint, priority].pop(0)
            if not self.queues[endpoint, priority]:
                self.index[endpoint].discard(priority)
        if not self.index[endpoint]:
            del self.index[endpoint], self.served_at[endpoint]

    def bury(self, entry: Entry, reason: str) -> None:
        self.serial += 1
        self.dead.append(Letter(entry, reason))

    def reap(self) -> list[tuple[str, str]]:
        """Let leases run out; gives owners and ids."""
        order = sorted(self.leases, key=lambda key: (self.leases[key].deadline, "/".join(key)))
        expired = [key for key in order if self.leases[key].deadline <= self.now]
        for key in reversed(expired):
            entry = self.leases.pop(key).entry
            entry = entry._replace(attempts=entry.attempts + 1)
            if entry.attempts >= MAX_ATTEMPTS:
                self.bury(entry, f"its worker, {key[0]}, died or did not renew the lease")
            else:
                self.enqueue(entry, first=True)
        self.expired += len(expired)
        return expired

    def left(self, count: int) -> int:
        """Give how many of so many requests the crawl's maximum still allows."""
        return count if self.max_requests is None else max(0, min(count, self.max_requests - self.granted))

    def is_finished(self) -> bool:
        return not self.leases and not (self.left(1) and (self.index or self.delayed))

    def forget_crawl(self, crawl: tuple[str, str]) -> None:
        kept = {"real", "now", "moved_at", "longest_step", "slots"}
        strangers = {
            key: queue for key, queue in self.queues.items() if key[1] not in self.index.get(key[0], ())
        }
        blank = Model(self.real, crawl=crawl, begun_at=self.real)
        for name, value in vars(blank).items():
            if name not in kept:
                setattr(self, name, value)
        for key, queue in strangers.items():  # nobody knows of them
            self.queues[key] = queue
            self.accepted.update(payload(text, *key) for text in queue)


fingerprints = st.integers(0, 20).map(lambda number: fingerprint(str(number)))
endpoints = st.sampled_from(ENDPOINTS)
priorities = st.sampled_from(PRIORITIES)
owners = st.sampled_from(OWNERS)
numbers = st.integers(0, 9)
rarely = st.sampled_from([False] * 9 + [True])
slots = st.tuples(endpoints, st.sampled_from(EGRESSES))
picks = st.lists(numbers, min_size=1, max_size=4)
passing = st.sampled_from([0, 1, 400, 1_500, LEASE_MS // 3])
jumps = st.sampled_from([0] * 9 + [-HOUR_MS, -1, LEASE_MS, HOUR_MS])
pauses = st.sampled_from([0, 400, 3_000, 40_000])
kinds = st.lists(st.tuples(endpoints, priorities, st.none() | fingerprints), max_size=4)
limits = st.none() | st.builds(Limit, st.sampled_from([0.5, 1, 7, 20]), st.sampled_from([1, 2, 5]))


def has_leases(machine: FrontierMachine) -> bool:
    return bool(machine.model.leases)


class FrontierMachine(RuleBasedStateMachine):
    def __init__(self, redis: Redis) -> None:
        super().__init__()
        redis.flushdb()
        self.redis = redis
        self.numbers = itertools.count()
        self.calls: dict[str, tuple[int, int, str]] = {}  # of each owner the last: number, count, egress
        self.model = Model(real=1_700_000_000_000)
        self.set_clock(self.model.real)

    @initialize(
        most=st.sampled_from([1, 3, 1_000, 1_000]),
        horizon=st.sampled_from([0, 500, 2_000]),
        each=st.tuples(limits, limits),
        others=limits,
        begins=st.booleans(),
    )
    def configure(
        self, most: int, horizon: int, each: tuple[Limit | None, ...], others: Limit | None, begins: bool
    ) -> None:
        self.most = most
        self.policy = Policy(
            lease_seconds=LEASE_MS / 1000,
            max_attempts=MAX_ATTEMPTS,
            retry_delay=RETRY_MS / 1000,
            longest_retry_delay=LONGEST_RETRY_MS / 1000,
            horizon=horizon / 1000,
        )
        self.horizon = horizon
        self.limits = {name: limit for name, limit in zip(ENDPOINTS, each, strict=False) if limit}
        if others:
            self.limits["*"] = others
        self.buckets = {
            (endpoint, egress): Bucket(limit)
            for endpoint in ENDPOINTS
            for egress in EGRESSES
            if (limit := self.limits.get(endpoint) or others)
        }
        self.frontier = ClockedFrontier(self.redis, "model", self.policy)
        if begins:
            self.begin(abandon=False)

    def set_clock(self, ms: int) -> None:
        self.model.real = ms
        self.redis.hset("time", mapping={"seconds": ms // 1000, "microseconds": ms % 1000 * 1000})

    def make(self, kinds: Iterable[Kind]) -> list[Request]:
        """Make requests with payloads of their own, no more than this run may have at a time."""
        queued = sum(map(len, self.model.queues.values()))
        room = max(0, self.most - queued - len(self.model.leases) - len(self.model.delayed))
        return [
            Request(endpoint, f'{{"n": {number},\n"é": "\\u0000"}}', priority, known_as)
            for (endpoint, priority, known_as), number in zip(list(kinds)[:room], self.numbers, strict=False)
        ]

    def pick(self, numbers: Sequence[int], is_wrong: bool) -> tuple[str, list[str]]:
        """Give a worker, and ids of its leases or, where `is_wrong`, also of others and unknown ones."""
        holders = sorted({who for who, _ in self.model.leases}, key=OWNERS.index)
        owners = OWNERS if is_wrong else [who for who in holders if who != DEAD] or holders
        owner = owners[numbers[0] % len(owners)]
        ids = [id_ for who, id_ in self.model.leases if who == owner or is_wrong] + ["99.1"] * is_wrong
        return owner, [ids[number % len(ids)] for number in numbers]

    # Operations

    @rule(
        kinds=kinds,
        owner=owners,
        egress=st.sampled_from(EGRESSES),
        outcome=st.sampled_from(["complete", "fail", "give up", "release", "keep"]),
        number=numbers,
        ms=passing,
        jump=jumps,
    )
    def work(
        self, kinds: list[Kind], owner: str, egress: str, outcome: str, number: int, ms: int, jump: int
    ) -> None:
        """What workers do most of the time."""
        self.push(kinds)
        self.lease(owner, number % 6, egress)
        if outcome != "keep" and self.model.leases:
            owner, ids = self.pick(range(number, number + 3), False)
            if outcome == "complete":
                self.complete(owner, [(id_, self.make(kinds[:1])) for id_ in ids])
            elif outcome == "release":
                self.release(owner, ids, were_sent=number < 3)
            else:
                self.fail(owner, ids[0], number // 5 * 2_000, outcome == "give up")
        self.pass_time(1, ms, jump)
        self.finish(is_own=True)

    work_2 = work_3 = work_4 = work  # chosen more often

    @precondition(has_leases)
    @rule(
        how=st.sampled_from(["renew", "complete", "release", "fail"]),
        numbers=picks,
        kinds=kinds,
        retry_after=st.sampled_from([0, 2_000]),
    )
    def settle_wrongly(self, how: str, numbers: list[int], kinds: list[Kind], retry_after: int) -> None:
        """A worker takes leases for its own that are another's, settled, or nobody's."""
        owner, ids = self.pick(numbers, True)
        if how == "renew":
            self.renew(owner, ids)
        elif how == "complete":
            self.complete(owner, [(id_, self.make(kinds)) for id_ in ids])
        elif how == "release":
            self.release(owner, ids, were_sent=retry_after > 0)
        else:
            self.fail(owner, ids[0], retry_after, False)

    @rule(
        what=st.sampled_from(["pause", "pause", "resume", "succeeded", "turn", "turn"]),
        slot=slots,
        first=pauses,
        least=pauses,
    )
    def mind_slot(self, what: str, slot: tuple[str, str], first: int, least: int) -> None:
        if what == "pause":
            self.pause(slot, first, least)
        elif what == "turn":
            self.turn(slot)
        else:
            self.resume(slot, what == "resume")

    @rule(
        what=st.sampled_from(["retry", "forget", "see", "begin", "finish another", "abandon", "empty"]),
        values=st.lists(fingerprints, min_size=1, max_size=5, unique=True),
        endpoint=endpoints | st.none(),
        is_sure=rarely,
    )
    def manage(self, what: str, values: list[int], endpoint: str | None, is_sure: bool) -> None:
        """A person does something."""
        if what == "retry":
            self.retry_dead(endpoint)
        elif what in ("forget", "see"):
            self.know(values, what == "forget")
        elif what == "finish another":
            self.finish(is_own=False)
        elif what == "begin":
            self.begin(abandon=False)
        elif is_sure and what == "abandon":  # little is left of a crawl then
            self.begin(abandon=True)
        elif is_sure:
            self.empty()

    def push(self, kinds: list[Kind]) -> None:
        requests = self.make(kinds)
        assert self.frontier.push(requests) == self.model.push(requests)

    def lease(self, owner: str, count: int, egress: str) -> None:
        model = self.model
        model.tick()
        if not model.is_held:
            model.queue_due()
        before = {endpoint: model.waiting(endpoint) for endpoint in model.index}
        ranks = {endpoint: self.rank(endpoint) for endpoint in before}
        known_letters = len(model.dead)
        left = model.left(count)
        call = self.calls.get(owner, (0,))[0] + 1
        self.calls[owner] = call, count, egress

        leased = self.frontier.run(operations.lease(call, owner, count, egress, self.limits, self.policy))

        letters = list(self.frontier.dead())[known_letters:]
        popped = {}
        for endpoint, order in before.items():
            given = [lease for lease in leased.leases if lease.endpoint == endpoint]
            buried = [letter for letter in letters if letter.endpoint == endpoint]
            popped[endpoint] = len(given) + len(buried)
            taken = order[: popped[endpoint]]
            entries = [(Entry.parse(text, endpoint, priority), priority, text) for priority, text in taken]
            assert [Entry(*lease_fields(lease)) for lease in given] == [
                entry for entry, *_ in entries if entry
            ]
            assert [letter.payload for letter in buried] == [text for entry, _, text in entries if not entry]
            slot = model.slots[endpoint, egress]
            for lease in given:
                assert not model.paused_ms(slot), "leased from a paused slot"
                assert lease.strikes == slot.strikes
                assert 0 <= lease.wait * 1000 <= self.horizon
                if bucket := self.buckets.get((endpoint, egress)):
                    bucket.spend(model.now + lease.wait * 1000)
                else:
                    assert lease.wait == 0
                entry = Entry(*lease_fields(lease))
                assert (owner, lease.id) not in model.leases
                model.leases[owner, lease.id] = Held(entry, model.now + lease.wait * 1000 + LEASE_MS)
            model.unqueue(endpoint, popped[endpoint])
            if given and endpoint in model.index:
                model.served_at[endpoint] = model.now
        for letter in letters:
            model.bury(Entry(*lease_fields(letter)), "not an entry of this queue")
        assert sum(popped.values()) <= count
        assert len(leased.leases) <= left
        assert len(leased.leases) + len(letters) == sum(popped.values())
        model.granted += len(leased.leases)
        model.granted_of.update(f"{lease.endpoint}:{egress}" for lease in leased.leases)
        if model.is_held:
            assert not any(popped.values()), "leased while the crawl is held"
            assert leased.wait == (HELD_MS / 1000 if model.left(1) else None)
        else:
            self.check_rotation(count, egress, popped, ranks)
        if not model.is_held and (leased.wait != 0 or sum(popped.values()) < count):
            self.check_wait(leased.wait, egress)
        assert (leased.state, leased.crawl_id, leased.is_finished) == (*model.crawl, model.is_finished())

    def rank(self, endpoint: str) -> tuple[float, ...]:
        served_at = self.model.served_at[endpoint]
        if self.model.now - served_at > OVERDUE_MS:
            return (0, served_at)
        return (1, -max(self.model.index[endpoint]), served_at)

    def may_give_at(self, endpoint: str, egress: str) -> float:
        """Tell from when on an endpoint gives its next entry."""
        slot = self.model.slots[endpoint, egress]
        if paused_ms := self.model.paused_ms(slot):
            return self.model.now + paused_ms
        bucket = self.buckets.get((endpoint, egress))
        return bucket.next_at() - self.horizon if bucket else 0

    def check_rotation(
        self, count: int, egress: str, popped: dict[str, int], ranks: dict[str, tuple[float, ...]]
    ) -> None:
        """Nobody gets a second one before others had a first, or any while one waits that comes before it."""
        for endpoint in self.model.index:
            if self.may_give_at(endpoint, egress) > self.model.now - ROUNDING_MS:
                continue
            assert sum(popped.values()) == count or not self.model.left(1), "less than there was"
            for other in popped:
                ahead = popped[other] - popped[endpoint]
                assert ahead <= 1, "an unfair share"
                assert ahead < 1 or ranks[other] <= ranks[endpoint], (
                    "not in the order of waiting and priority"
                )

    def check_wait(self, wait: float | None, egress: str) -> None:
        times = [self.may_give_at(endpoint, egress) for endpoint in self.model.index]
        times += [due for due, _, _ in self.model.delayed]
        if not self.model.left(1):
            assert wait is None
        elif wait is None:
            assert not times
        else:
            assert wait * 1000 == pytest.approx(max(0, min(times) - self.model.now), abs=ROUNDING_MS)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def lease_again(self, data: st.DataObject) -> None:
        """A client that had no answer repeats its call."""
        owner = data.draw(st.sampled_from(sorted(self.calls)))
        call, count, egress = self.calls[owner]
        expected = {
            id_: held.entry
            for (who, id_), held in self.model.leases.items()
            if who == owner and id_.startswith(f"{call}.")
        }
        if expected:
            self.model.tick()
            again = self.frontier.run(operations.lease(call, owner, count, egress, self.limits, self.policy))
            assert {lease.id: Entry(*lease_fields(lease)) for lease in again.leases} == expected

    def renew(self, owner: str, ids: list[str]) -> None:
        self.model.tick()
        kept = {id_ for id_ in ids if (owner, id_) in self.model.leases}
        for id_ in kept:
            held = self.model.leases[owner, id_]
            self.model.leases[owner, id_] = held._replace(deadline=self.model.now + LEASE_MS)
        assert self.frontier.renew(owner, ids) == kept

    def complete(self, owner: str, batch: list[tuple[str, list[Request]]]) -> None:
        accepted = set()
        for id_, follow_ups in batch:
            if held := self.model.leases.pop((owner, id_), None):
                self.model.done[held.entry.payload] += 1
                self.model.push(follow_ups)
                accepted.add(id_)
        assert self.frontier.complete(owner, batch) == accepted

    def release(self, owner: str, ids: list[str], *, were_sent: bool) -> None:
        released = 0
        for id_ in reversed(ids):
            if held := self.model.leases.pop((owner, id_), None):
                self.model.enqueue(held.entry, first=True)
                released += 1
        if not were_sent:
            self.model.granted -= released
        assert self.frontier.release(owner, ids, were_sent=were_sent) == released

    def fail(self, owner: str, id_: str, retry_after: int, final: bool) -> None:
        model = self.model
        expected = "refused"
        if held := model.leases.pop((owner, id_), None):
            entry = held.entry._replace(attempts=held.entry.attempts + 1)
            if final or entry.attempts >= MAX_ATTEMPTS:
                model.bury(entry, "no: 错误")
                expected = "dead"
            else:
                delay = max(retry_after, min(RETRY_MS * 2 ** (entry.attempts - 1), LONGEST_RETRY_MS))
                model.serial += 1
                model.delayed.append((model.clock() + delay, str(model.serial), entry))
                model.retried += 1
                expected = "delayed"
        assert self.frontier.fail(owner, id_, "no: 错误", retry_after / 1000, is_final=final) == expected

    @rule(times=st.sampled_from([1, 1, 1, 4]), ms=passing, jump=jumps)
    def pass_time(self, times: int, ms: int, jump: int) -> None:
        """Some time passes; then Redis is away, or its clock steps, before the live workers renew."""
        for _ in range(times):
            self.set_clock(self.model.real + ms)
            self.reap()
            if jump:
                self.set_clock(self.model.real + jump)
                self.reap()
            self.renew(ALIVE, [id_ for who, id_ in self.model.leases if who == ALIVE])

    def reap(self) -> None:
        """Let leases run out: what live workers hold stays theirs."""
        self.model.tick()
        expired = self.model.reap()
        assert ALIVE not in {owner for owner, _ in expired}, "a live worker lost its lease"
        assert self.frontier.reap() == len(expired)

    def pause(self, slot: tuple[str, str], first: int, least: int) -> None:
        state, now, longest = self.model.slots[slot], self.model.clock(), 2 * first
        left = self.model.paused_ms(state)
        is_paused = left > 0
        has_effect = not is_paused or least > left
        if has_effect:
            state.strikes += not is_paused
            wait = 0 if is_paused else min(first * 2 ** (state.strikes - 1), longest)
            left = max(wait, least)
            state.paused_until, state.paused_until_real = now + left, self.model.real + left
            state.reason = f"HTTP 429 {least}"
        seconds, began = self.frontier.pause(
            ":".join(slot), first / 1000, f"HTTP 429 {least}", longest=longest / 1000, least=least / 1000
        )
        assert seconds == pytest.approx(left / 1000, abs=0.001)
        assert began == has_effect

    def resume(self, slot: tuple[str, str], at_once: bool) -> None:
        state = self.model.slots[slot]
        if at_once:
            assert self.frontier.resume(":".join(slot)) == (state != Slot())
            state.paused_until, state.paused_until_real, state.reason = 0.0, 0.0, ""
        else:
            self.frontier.succeeded(":".join(slot))
        state.strikes = 0

    def retry_dead(self, endpoint: str | None) -> None:
        wanted = [letter for letter in self.model.dead if endpoint in (None, letter.entry.endpoint)]
        for letter in wanted:
            self.model.dead.remove(letter)
            self.model.enqueue(letter.entry._replace(attempts=0))
        self.model.reopen(len(wanted))
        assert self.frontier.retry_dead(lambda letter: endpoint in (None, letter.endpoint)) == len(wanted)

    def know(self, values: list[int], forgets: bool) -> None:
        """Forget that requests were seen, or see some that are not queued."""
        known = self.model.seen & set(values)
        if forgets:
            assert self.frontier.forget(*values) == len(known)
            self.model.seen -= known
        else:
            assert self.frontier.see(*values) == len(values) - len(known)
            self.model.seen |= set(values)
        generation, shards = self.redis.hmget(f"{JOB}seen", "generation", "shards")
        names = [f"{JOB}seen:{generation or 0}:{number}" for number in range(int(shards or 0))]
        members = [int(value) for name in names for value in self.redis.smembers(name)]
        assert sorted(members) == sorted(self.model.seen)

    def begin(self, *, abandon: bool) -> None:
        begins = abandon or self.model.crawl[0] != "running"
        assert self.frontier.begin(abandon=abandon) == begins
        if begins:
            self.model.forget_crawl(("running", self.redis.hget(f"{JOB}crawl", "id")))

    def finish(self, *, is_own: bool) -> None:
        state, crawl_id = self.model.crawl
        is_young = 0 <= self.model.real - self.model.begun_at < YOUNG_MS
        finishes = is_own and state == "running" and self.model.is_finished() and not is_young
        assert self.frontier.finish(crawl_id if is_own else "another") == finishes
        if finishes:
            self.model.crawl = "finished", crawl_id
            self.model.is_held = False

    @rule(more=st.sampled_from([None, None, None, -1, 1, 2, 5]))
    def limit(self, more: int | None) -> None:
        """Let the crawl have some more requests, or any number."""
        max_requests = None if more is None else max(0, self.model.granted + more)
        self.model.max_requests = max_requests
        self.model.reopen(not self.model.is_finished())
        self.frontier.set_max_requests(max_requests)

    @rule(holds=st.sampled_from([True, False, False, False]))
    def hold(self, holds: bool) -> None:
        """Somebody holds the crawl, or lets it go."""
        model = self.model
        if holds:
            assert self.frontier.hold("later") == (model.crawl[0] == "running")
            model.is_held = model.is_held or model.crawl[0] == "running"
        else:
            assert self.frontier.let_go() == model.is_held
            model.is_held = False

    @rule(endpoint=endpoints, old=priorities, new=priorities, count=st.sampled_from([1, 2, 100]))
    def reprioritize(self, endpoint: str, old: int, new: int, count: int) -> None:
        """Somebody has some requests of a queue fetched earlier or later."""
        if old == new:
            return
        model = self.model
        queue = model.queues[endpoint, old]
        taken = queue[:count]
        del queue[: len(taken)]
        for text in taken:
            if entry := Entry.parse(text, endpoint, old):
                model.enqueue(entry._replace(priority=new))
            else:
                model.bury(Entry(endpoint, old, 0, text), "not an entry of this queue")
        if not queue and endpoint in model.index:
            model.index[endpoint].discard(old)
            if not model.index[endpoint]:
                del model.index[endpoint], model.served_at[endpoint]
        assert self.frontier.reprioritize(endpoint, old, new, count) == len(taken)

    def empty(self) -> None:
        model = self.model
        for endpoint in list(model.index):
            entries = model.waiting(endpoint)
            model.accepted.subtract(payload(text, endpoint, priority) for priority, text in entries)
            model.unqueue(endpoint, len(entries))
        model.accepted.subtract(entry.payload for _, _, entry in model.delayed)
        model.delayed.clear()
        assert self.frontier.empty() == len(model.leases)

    def turn(self, slot: tuple[str, str]) -> None:
        """Take a turn without a lease."""
        model = self.model
        bucket = self.buckets.get(slot)
        if bucket is None:
            return
        model.now, model.moved_at = model.clock(), model.real
        may_give_at = self.may_give_at(*slot)
        turn = self.frontier.run(operations.turn(":".join(slot), bucket.limit, self.policy))
        assert turn.strikes == model.slots[slot].strikes
        if turn.is_granted:
            assert may_give_at < model.now + ROUNDING_MS
            bucket.spend(model.now + turn.wait * 1000)
            model.granted_of[":".join(slot)] += 1
        else:
            assert turn.wait * 1000 == pytest.approx(may_give_at - model.now, abs=ROUNDING_MS)

    @rule(
        endpoint=endpoints,
        priority=priorities,
        text=st.sampled_from(["{e} {p} 2 ", "{e} 3 0 ", "z {p} 0 ", "{e} {p} 1234567890123 ", "\udcff\0 "]),
    )
    def stranger(self, endpoint: str, priority: int, text: str) -> None:
        """Somebody writes into a queue."""
        text = text.format(e=endpoint, p=priority) + f"stranger's {next(self.numbers)}"
        self.redis.rpush(f"{JOB}queue:{endpoint}:{priority}", *encoded([text]))
        self.model.queues[endpoint, priority].append(text)
        self.model.accepted[payload(text, endpoint, priority)] += 1

    # What holds at any time

    @invariant()
    def same_as_model(self) -> None:
        model = self.model
        names = [(endpoint, priority) for endpoint in ENDPOINTS for priority in PRIORITIES]
        pipeline = self.redis.pipeline(transaction=False)
        for endpoint, priority in names:
            pipeline.lrange(f"{JOB}queue:{endpoint}:{priority}", 0, -1)
        for endpoint in ENDPOINTS:
            pipeline.zrange(f"{JOB}priorities:{endpoint}", 0, -1)
        pipeline.zrange(f"{JOB}endpoints", 0, -1, withscores=True)
        pipeline.hgetall(f"{JOB}leases")
        pipeline.zrange(f"{JOB}deadlines", 0, -1, withscores=True)
        pipeline.zrange(f"{JOB}delayed", 0, -1, withscores=True)
        pipeline.zrange(f"{JOB}dead", 0, -1, withscores=True)
        asked = [
            operations.is_finished(),
            operations.stats(),
            operations.peek(2),
            operations.leases("0", 1_000),
            operations.delayed(0, 1_000),
        ]
        for operation in asked:
            self.frontier.send(pipeline, operation)
        found = pipeline.execute()
        *lists, served_at, leases, deadlines, delayed, dead = found[: -len(asked)]
        finished, stats, shown, held, waiting = found[-len(asked) :]
        queues = dict(zip(names, lists, strict=False))
        letters = [(Entry(*lease_fields(letter)), letter.reason) for letter in operations.letters(dead)]

        found = Counter(model.done)
        for (endpoint, priority), queue in queues.items():
            found.update(payload(text, endpoint, priority) for text in queue)
        found.update(entry.split(" ", 3)[3] for entry in leases.values())
        found.update(item.split(" ", 4)[4] for item, _ in delayed)
        found.update(entry.payload for entry, _ in letters)
        assert found == model.accepted, "a request has vanished, or is in two places"

        assert queues == {name: model.queues[name] for name in names}
        index = dict(zip(ENDPOINTS, lists[len(names) :], strict=True))
        assert {k: {int(p) for p in v} for k, v in index.items() if v} == model.index
        assert dict(served_at) == times(model.served_at)
        assert leases == {"/".join(key): str(held.entry) for key, held in model.leases.items()}
        assert dict(deadlines) == times({"/".join(k): held.deadline for k, held in model.leases.items()})
        assert dict(delayed) == times({f"{s} {entry}": due for due, s, entry in model.delayed})
        assert letters == model.dead
        assert asked[0].read(finished) == model.is_finished()
        self.check_stats(asked[1].read(stats))
        self.check_peek([lease.payload for lease in asked[2].read(shown)])
        self.check_views(asked[3].read(held)[1], asked[4].read(waiting))

    def check_stats(self, stats: Stats) -> None:
        model = self.model
        assert {(q.endpoint, q.priority): q.count for q in stats.queues} == {
            (endpoint, priority): len(model.queues[endpoint, priority])
            for endpoint, some in model.index.items()
            for priority in some
        }
        assert (stats.leased, stats.delayed, stats.dead) == (
            len(model.leases),
            len(model.delayed),
            len(model.dead),
        )
        assert stats.owners == Counter(owner for owner, _ in model.leases)
        assert (stats.seen, stats.retried, stats.expired) == (len(model.seen), model.retried, model.expired)
        assert (stats.granted, stats.max_requests) == (model.granted, model.max_requests)
        assert {slot.slot: slot.granted for slot in stats.slots if slot.granted} == dict(+model.granted_of)
        strikes = {":".join(key): slot.strikes for key, slot in model.slots.items() if slot.strikes}
        assert {slot.slot: slot.strikes for slot in stats.slots if slot.strikes} == strikes
        paused = {":".join(k): s for k, s in model.slots.items() if model.paused_ms(s)}
        assert {pause.slot: pause.reason for pause in stats.pauses} == {
            k: s.reason for k, s in paused.items()
        }
        for pause in stats.pauses:
            left = model.paused_ms(paused[pause.slot])
            assert pause.seconds * 1000 == pytest.approx(left, abs=ROUNDING_MS)

    def check_views(self, leases: Sequence[Leased], delayed: Sequence[Delayed]) -> None:
        model, now = self.model, self.model.clock()
        assert {(held.owner, held.id): Entry(*lease_fields(held)) for held in leases} == {
            key: held.entry for key, held in model.leases.items()
        }
        for held in leases:
            left = model.leases[held.owner, held.id].deadline - now
            assert held.seconds_left * 1000 == pytest.approx(left, abs=ROUNDING_MS)
        waiting = sorted(model.delayed, key=lambda item: (item[0], f"{item[1]} {item[2]}"))
        assert [Entry(*lease_fields(item)) for item in delayed] == [entry for _, _, entry in waiting]
        for item, (due, _, _) in zip(delayed, waiting, strict=True):
            assert item.due * 1000 == pytest.approx(max(0, due - now), abs=ROUNDING_MS)

    def check_peek(self, shown: list[str]) -> None:
        expected = [
            payload(text, endpoint, priority)
            for endpoint in self.model.index
            for priority, text in self.model.waiting(endpoint)[:2]
        ]
        assert len(shown) == len(expected)
        assert all(text in expected or "stranger" in text for text in shown)

    def teardown(self) -> None:
        for endpoint, priority in self.model.queues:  # a stranger's that nobody knows of
            if priority not in self.model.index.get(endpoint, ()):
                self.redis.delete(f"{JOB}queue:{endpoint}:{priority}")
        if hasattr(self, "frontier"):
            self.frontier.drop_job()
            assert self.redis.keys() == ["time"]


def times(expected: dict[str, float]) -> Any:
    """Give Unix times in ms to compare with, as exact as Redis keeps them."""
    return pytest.approx(expected, abs=0.01)


def lease_fields(lease: Any) -> Iterator[Any]:
    return (getattr(lease, name) for name in Entry._fields)


def test_frontier_is_as_its_model(redis_url: str) -> None:
    ClockedFrontier.hashes = {}
    with connect_blocking(redis_url) as redis:
        run_state_machine_as_test(
            lambda: FrontierMachine(redis),
            settings=settings(
                PROFILE,
                database=None,
                deadline=None,
                report_multiple_bugs=False,
                phases=set(Phase) - {Phase.explain},
                suppress_health_check=list(HealthCheck),
            ),
        )
