"""Redis memory of a URL that was seen and of a request that waits in the queue."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING, Any

from redis import Redis
from rich.table import Table
from scrapy import Request as ScrapyRequest
from scrapy_redis import picklecompat

from bench import processes
from bench.report import Part, Target, note
from frontier.blocking import Frontier
from frontier.connection import connect_blocking
from frontier.fingerprint import fingerprint
from frontier.model import Request
from tieba.codec import pack_plain
from tieba.config import Config
from tieba.pages import Fetch, ThreadPage
from tieba.requests import make_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_COUNT = 1_000_000
_QUICK_COUNT = 100_000
_BATCH = 1_000
_TARGET_SEEN = 10  # bytes
_TARGET_QUEUED = 150
_FIRST_ID = 8_000_000_000


def _url(number: int) -> str:
    return f"https://tieba.baidu.com/p/{_FIRST_ID + number}?pn=2"


# Requests as Scrapy turns them into a dict, with what its DepthMiddleware and RefererMiddleware note in those
# that follow from a page.
_REQUEST = ScrapyRequest(_url(0), meta={"depth": 3}).to_dict() | {"callback": "parse"}
_REQUESTS = {
    "queued": _REQUEST,
    "queued_referer": _REQUEST | {"headers": {b"Referer": [b"https://tieba.baidu.com/f?kw=python&pn=50"]}},
}
_TIEBA = make_request(Fetch(ThreadPage(_FIRST_ID, 2)), Config()).to_dict()


def _payload(request: dict[str, Any]) -> Callable[[int], str]:
    """Give the payload of the request `number` that the frontier keeps, alike but for the thread's number."""
    before, after = pack_plain(request).payload.split(str(_FIRST_ID))
    return lambda number: f"{before}{_FIRST_ID + number}{after}"


def _scrapy_redis_seen(url: str, count: int) -> None:
    """Fill the set that scrapy-redis' filter of duplicates keeps: SHA-1, 40 hexadecimal digits."""

    def command(number: int) -> tuple[str, ...]:
        return "SADD", "s", hashlib.sha1(_url(number).encode(), usedforsecurity=False).hexdigest()

    _pipelined(url, count, command)


def _scrapy_redis_queued(request: dict[str, Any]) -> Callable[[str, int], None]:
    """Fill the sorted set that is scrapy-redis' default queue: pickled requests."""

    def command(number: int) -> tuple[Any, ...]:
        return "ZADD", "q", 0, picklecompat.dumps({**request, "url": _url(number)})

    return lambda url, count: _pipelined(url, count, command)


def _pipelined(url: str, count: int, command: Callable[[int], tuple[Any, ...]]) -> None:
    with Redis.from_url(url) as client:
        for numbers in _batches(range(count)):
            pipeline = client.pipeline(transaction=False)
            for number in numbers:
                pipeline.execute_command(*command(number))
            pipeline.execute()


def _push(url: str, requests: Iterator[Request]) -> None:
    with connect_blocking(url) as client:
        frontier = Frontier(client, "tieba")
        for batch in _batches(requests):
            frontier.push(batch)


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _BATCH)):
        yield batch


def _used(fill: Callable[[str, int], None], count: int) -> float:
    """Give the bytes an entry that `fill` adds to an empty Redis."""
    with processes.redis_server() as url, Redis.from_url(url) as client:
        before = client.info("memory")["used_memory"]
        fill(url, count)
        return float(client.info("memory")["used_memory"] - before) / count


def _requests(number_payload: Callable[[int], str], count: int, *, seen: bool) -> Iterator[Request]:
    for number in range(count):
        yield Request(
            "posts", number_payload(number), fingerprint=fingerprint(_url(number)) if seen else None
        )


def _measure(quick: bool) -> dict[str, Any]:
    count = _QUICK_COUNT if quick else _COUNT

    def measure(what: str, fill: Callable[[str, int], None]) -> float:
        used = _used(fill, count)
        note(f"{what}: {used:.1f} bytes")
        return used

    def pushed(request: dict[str, Any], *, seen: bool = False) -> Callable[[str, int], None]:
        return lambda url, count: _push(url, _requests(_payload(request), count, seen=seen))

    theirs = {"seen": measure("scrapy-redis, seen", _scrapy_redis_seen)}
    ours = {"queued_tieba": measure("frontier, queued_tieba", pushed(_TIEBA))}
    ours["seen"] = measure("frontier, the same and seen", pushed(_TIEBA, seen=True)) - ours["queued_tieba"]
    for key, request in _REQUESTS.items():
        theirs[key] = measure(f"scrapy-redis, {key}", _scrapy_redis_queued(request))
        ours[key] = measure(f"frontier, {key}", pushed(request))
    return {"count": count, "scrapy-redis": theirs, "frontier": ours}


def _tables(figures: dict[str, Any]) -> list[Table]:
    systems = ("scrapy-redis", "frontier")
    table = Table(title=f"Redis memory at {figures['count']:,} entries, bytes each")
    table.add_column("")
    for system in systems:
        table.add_column(system, justify="right")
    for key, what in (
        ("seen", "a URL seen"),
        ("queued", "a request queued"),
        ("queued_referer", "a request queued, with a Referer"),
        ("queued_tieba", "a request of Tieba's API queued"),
    ):
        table.add_row(
            what, *(f"{figures[system][key]:.1f}" if key in figures[system] else "" for system in systems)
        )
    return [table]


def _targets(figures: dict[str, Any]) -> list[Target]:
    ours = figures["frontier"]
    return [
        Target(what, f"≤ {limit}", f"{ours[key]:.1f}", ours[key] <= limit)
        for what, key, limit in (
            ("bytes per seen URL", "seen", _TARGET_SEEN),
            ("bytes per queued request", "queued", _TARGET_QUEUED),
            ("bytes per queued request of Tieba's API", "queued_tieba", _TARGET_QUEUED),
        )
    ]


PART = Part(_measure, _tables, _targets)
