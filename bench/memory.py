"""Redis memory of a URL that was seen and of a request that waits in the queue."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from redis import Redis
from rich.table import Table
from scrapy import Request as ScrapyRequest
from scrapy import Spider
from scrapy_redis import picklecompat

from bench import processes
from bench.report import Part, Target, note
from frontier.blocking import Frontier
from frontier.connection import connect_blocking
from frontier.fingerprint import fingerprint
from frontier.model import Request
from tieba import serializer
from tieba.pages import ThreadPage, target_to_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_COUNT = 1_000_000
_QUICK_COUNT = 100_000
_BATCH = 1_000
_TARGET_SEEN = 10  # bytes
_TARGET_QUEUED = 150


def _url(number: int) -> str:
    return f"https://tieba.baidu.com/p/{8_000_000_000 + number}?pn={number % 9 + 1}"


def _generic(number: int) -> dict[str, Any]:
    """Give a request as a spider yields it, as Scrapy turns it into a dict."""
    return {**_GENERIC, "url": _url(number)}


class _Spider(Spider):
    name = "bench"


_SPIDER = _Spider()
# With what Scrapy's own DepthMiddleware notes in every request that follows from a page.
_GENERIC = ScrapyRequest(_url(0), callback=_SPIDER.parse, meta={"depth": 3}).to_dict(spider=_SPIDER)


def _generic_payload(number: int) -> str:
    return serializer.dumps(_generic(number))


def _tieba_payload(number: int) -> str:
    target = ThreadPage(8_000_000_000 + number, number % 9 + 1)
    return json.dumps(target_to_list(target), separators=(",", ":"))


def _scrapy_redis_seen(url: str, count: int) -> None:
    """Fill the set that scrapy-redis' filter of duplicates keeps: SHA-1, 40 hexadecimal digits."""

    def command(number: int) -> tuple[str, ...]:
        return "SADD", "s", hashlib.sha1(_url(number).encode(), usedforsecurity=False).hexdigest()

    _pipelined(url, count, command)


def _scrapy_redis_queued(url: str, count: int) -> None:
    """Fill the sorted set that is scrapy-redis' default queue: pickled requests."""
    _pipelined(url, count, lambda number: ("ZADD", "q", 0, picklecompat.dumps(_generic(number))))


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

    def pushed(payload: Callable[[int], str], *, seen: bool = False) -> Callable[[str, int], None]:
        return lambda url, count: _push(url, _requests(payload, count, seen=seen))

    figures: dict[str, Any] = {
        "count": count,
        "scrapy-redis": {
            "seen": measure("scrapy-redis, a URL seen", _scrapy_redis_seen),
            "queued": measure("scrapy-redis, a request queued", _scrapy_redis_queued),
        },
    }
    queued = measure("frontier, a request queued", pushed(_generic_payload))
    tieba = measure("frontier, a request of Tieba queued", pushed(_tieba_payload))
    both = measure("frontier, a request queued and its URL seen", pushed(_tieba_payload, seen=True))
    figures["frontier"] = {"seen": both - tieba, "queued": queued, "queued_tieba": tieba}
    return figures


def _tables(figures: dict[str, Any]) -> list[Table]:
    table = Table(title=f"Redis memory at {figures['count']:,} entries, bytes each")
    table.add_column("")
    for system in ("scrapy-redis", "frontier"):
        table.add_column(system, justify="right")
    for key, what in (
        ("seen", "a URL seen"),
        ("queued", "a request queued"),
        ("queued_tieba", "the same, a request of Tieba's API"),
    ):
        cells = (figures[system].get(key) for system in ("scrapy-redis", "frontier"))
        table.add_row(what, *("" if value is None else f"{value:.1f}" for value in cells))
    return [table]


def _targets(figures: dict[str, Any]) -> list[Target]:
    ours = figures["frontier"]
    queued = max(ours["queued"], ours["queued_tieba"])
    return [
        Target(
            "bytes per seen URL", f"≤ {_TARGET_SEEN}", f"{ours['seen']:.1f}", ours["seen"] <= _TARGET_SEEN
        ),
        Target("bytes per queued request", f"≤ {_TARGET_QUEUED}", f"{queued:.1f}", queued <= _TARGET_QUEUED),
    ]


PART = Part(_measure, _tables, _targets)
