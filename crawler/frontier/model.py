"""What goes into the frontier and what comes out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDPOINT = re.compile(r"\S+")
_HIGHEST_PRIORITY = 10**9  # an entry keeps at most 12 digits of a number


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be queued.

    `endpoint` names what is rate-limited as one; it has no white space. `payload` is any text, for the worker
    to make a download of. A higher `priority` comes first. Requests of equal `fingerprint` (see
    `frontier.fingerprint`) are queued once in a job; without one, always.
    """

    endpoint: str
    payload: str
    priority: int = 0
    fingerprint: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what Redis cannot be given."""
        if not _ENDPOINT.fullmatch(self.endpoint):
            raise ValueError(f"an endpoint is a text without white space, not {self.endpoint!r}")
        check_priority(self.priority)
        if not self.payload.isascii():
            self.payload.encode("utf-8", "surrogateescape")


def check_priority(priority: int) -> None:
    """Raise ValueError for one that Redis cannot be given."""
    if abs(priority) > _HIGHEST_PRIORITY:
        raise ValueError(
            f"a priority is between -{_HIGHEST_PRIORITY} and {_HIGHEST_PRIORITY}, not {priority}"
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """A request in the hands of a worker; `attempts` are those that failed before.

    It may be sent after `wait` seconds. `strikes` is the number of pauses of its slot since the last success.
    """

    id: str
    endpoint: str
    priority: int
    attempts: int
    payload: str
    wait: float = 0.0
    strikes: int = 0


@dataclass(frozen=True, slots=True)
class Leased:
    """The answer to `lease`, with what is to be known of the crawl.

    `wait` is in seconds, after which more may be had; None where only others can change that: nothing is
    queued or delayed, or the crawl's maximum is reached. `is_finished`: nothing is leased by anybody either.
    """

    leases: tuple[Lease, ...]
    state: str
    crawl_id: str
    wait: float | None
    is_finished: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A slot's budget: `rate` requests a second, of which `burst` may start at once."""

    rate: float
    burst: float = 1.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to asking for a turn: if granted, go after `wait` seconds, else ask again after them."""

    is_granted: bool
    wait: float
    strikes: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: a request that was given up after `attempts`, `at` in Unix seconds, and why."""

    id: str
    endpoint: str
    priority: int
    attempts: int
    payload: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A slot, `endpoint:egress`, that nobody may use for some more seconds, and why."""

    slot: str
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot, `endpoint:egress`: requests that were `granted` to it since the crawl began.

    `strikes` is the number of pauses since its last success; `paused_seconds` are left of one, 0 for none.
    """

    slot: str
    paused_seconds: float = 0.0
    reason: str = ""
    strikes: int = 0
    granted: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A request in the hands of `owner` since the Unix time `since`, None where its lease does not tell."""

    owner: str
    id: str
    since: float | None
    seconds_left: float
    endpoint: str
    priority: int
    attempts: int
    payload: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """A request that is tried again after `due` seconds; `attempts` are those that failed."""

    due: float
    endpoint: str
    priority: int
    attempts: int
    payload: str


@dataclass(frozen=True, slots=True)
class Queued:
    """How many requests of an endpoint wait at a priority."""

    endpoint: str
    priority: int
    count: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts at one moment.

    Since the crawl began: `retried` attempts that failed and came back, `expired` leases that ran out,
    `granted` leases that were not given back unsent, of which there may be `max_requests`.
    """

    queues: tuple[Queued, ...]
    leased: int
    delayed: int
    dead: int
    owners: Mapping[str, int] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    seen: int = 0
    shards: int = 0
    retried: int = 0
    expired: int = 0
    granted: int = 0
    max_requests: int | None = None

    @property
    def queued(self) -> int:
        """Everything that waits to be leased."""
        return sum(queue.count for queue in self.queues)

    @property
    def pauses(self) -> tuple[Pause, ...]:
        """The slots that nobody may use now."""
        return tuple(
            Pause(slot.slot, slot.paused_seconds, slot.reason) for slot in self.slots if slot.paused_seconds
        )
