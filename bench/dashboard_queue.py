"""The queue and the workers that the dashboard's benchmark looks at: a crawl that goes on meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bench.report import note
from frontier import Request, fingerprint, operations
from frontier.blocking import Frontier
from frontier.connection import connect_blocking
from frontier.model import Limit
from frontier.operations import Policy
from tieba.fetches import identity, payload, priority_of
from tieba.pages import CommentPage, Fetch, ForumPage, ThreadPage
from tieba.seeds import make_seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tieba.pages import Target

JOB = "tieba"
REASON = "answer that is none of the known ones; see the sample"
FIRST_QUEUED = 9_000_000_000  # the first thread of the queue
_FORUMS = ("python", "显卡", "考研")
_BATCH = 1_000
_WORKERS = 12
_SLAVES = 4
_AT_ONCE = 20  # requests that a worker takes and finishes at each beat
_BEAT_SECONDS = 1.0
_HELD_SECONDS = 3_600.0


def fill(url: str, queued: int, dead: int, leased: int) -> None:
    """Put requests into an empty Redis: queued, given up, held by workers; and some that wait."""
    with connect_blocking(url) as client:
        frontier = Frontier(client, JOB, Policy(lease_seconds=_HELD_SECONDS))
        frontier.begin()
        client.sadd(f"{frontier.prefix}seeds", *(str(make_seeds({"forum": name})[0]) for name in _FORUMS))
        requests = _requests()
        pushed = 0
        while pushed < queued + leased:
            pushed += frontier.push(itertools.islice(requests, min(_BATCH, queued + leased - pushed)))
            if pushed % 250_000 == 0:
                note(f"{pushed:,} requests")
        for request in itertools.islice(requests, dead):
            frontier.run(operations.bury(request.endpoint, request.payload, REASON))
        while leased:
            leased -= len(_lease(frontier, leased % _WORKERS, min(leased, _BATCH)))
        for lease in _lease(frontier, 0, 50):
            frontier.fail(_name(0), lease.id, "timeout", 600.0)
        client.config_set("slowlog-max-len", 1_000)


def _requests() -> Iterator[Request]:
    """Give requests for pages of threads, for comments, and some for lists."""
    for number in itertools.count():
        thread = FIRST_QUEUED + number
        yield _request("posts", ThreadPage(thread, 1 + number % 3))
        if number % 10 == 0:
            yield _request("comments", CommentPage(thread, thread * 20))
        if number % 1_000 == 0:
            list_page = number // 1_000
            yield _request("threads", ForumPage(_FORUMS[list_page % len(_FORUMS)], 1 + list_page))


def _request(endpoint: str, target: Target) -> Request:
    fetch = Fetch(target)
    return Request(endpoint, payload(fetch), priority_of(fetch), fingerprint(identity(fetch)))


def _name(worker: int) -> str:
    return f"slave{worker % _SLAVES + 1}:{worker // _SLAVES + 1}"


def _lease(frontier: Frontier, worker: int, count: int) -> tuple[Any, ...]:
    limits = {"*": Limit(1e6, 1e6)}
    egress = f"192.0.2.{worker % _SLAVES + 1}"
    return frontier.lease(count, _name(worker), egress=egress, limits=limits).leases


@contextlib.contextmanager
def working(url: str) -> Iterator[None]:
    """Let workers beat, take requests and finish them until the block ends."""
    is_over = threading.Event()
    thread = threading.Thread(target=_work, args=(url, is_over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _work(url: str, is_over: threading.Event) -> None:
    done = [0] * _WORKERS
    crawl_id = ""
    with connect_blocking(url) as client:
        frontier = Frontier(client, JOB)
        while not is_over.is_set():
            began = time.monotonic()
            for worker in range(_WORKERS):
                leases = _lease(frontier, worker, _AT_ONCE)
                frontier.complete(
                    _name(worker), [(lease.id, []) for lease in leases], counted_as=_host(worker)
                )
                done[worker] += len(leases)
                _, crawl_id = frontier.run(_beat(worker, done[worker], crawl_id))
            is_over.wait(max(0.0, _BEAT_SECONDS - (time.monotonic() - began)))


def _host(worker: int) -> str:
    return f"slave{worker % _SLAVES + 1}"


def _beat(worker: int, done: int, crawl_id: str) -> operations.Operation[tuple[str, str]]:
    state = {
        "host": _host(worker),
        "engine": "lean",
        "version": version("tieba"),
        "scheduler": "frontier",
        "done": done,
        "rate": float(_AT_ONCE),
        "leased": 2_000 // _WORKERS,
        "outcomes": {"ok": done},
        "egress": f"192.0.2.{worker % _SLAVES + 1}",
        "posts_rate": 30.0 * _AT_ONCE,
        "memory_mb": 90,
        "disk_free_mb": 50_000,
        "disk_path": "/var/lib/tieba",
    }
    totals = {"posts": 30 * _AT_ONCE, "bytes": 40_000 * _AT_ONCE}
    return operations.beat(
        _name(worker), state, crawl_id, _host(worker), 0, {"ok": _AT_ONCE}, totals, "posts", has_stored=True
    )
