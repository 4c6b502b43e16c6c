"""A local site to crawl: trees of small pages, served fast enough never to be what limits a crawl.

`/tree/<pages>/<links>/<number>` is one page of a tree in which every page has ten children, so that there is
one new link a page on average. With `links` = 1 a page carries its children alone; with more, every page
carries that many, the others leading to pages just before it, which a crawl mostly knows already. `/arrivals`
tells when each page was asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import time
from typing import cast

import httptools
import uvloop

CHILDREN = 10  # of every page of a tree that has so many pages left


def page_links(pages: int, links: int, number: int) -> list[int]:
    """Give the pages that page `number` of a tree links to."""
    first_child = number * CHILDREN + 1
    children = list(range(first_child, min(first_child + CHILDREN, pages)))
    # Not the root: a start URL is not in the filter of duplicates, and would be fetched twice.
    known = range(number - 1, max(0, number - 1 - (links - len(children))), -1)
    return [*children, *known] if links > 1 else children


@functools.cache
def _answer(path: bytes) -> bytes:
    _, tree, *numbers = path.split(b"/")
    if tree != b"tree":
        return _http(b"no such page", b"text/plain", b"404 Not Found")
    pages, links, number = map(int, numbers)
    anchors = [
        f'<a href="/tree/{pages}/{links}/{target}">page {target}</a>'
        for target in page_links(pages, links, number)
    ]
    html = f"<html><head><title>{number}</title></head><body>{' '.join(anchors)}</body></html>"
    return _http(html.encode(), b"text/html; charset=utf-8")


def _http(body: bytes, content_type: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, content_type, len(body)) + body


class _Connection(asyncio.Protocol):
    def __init__(self, latency: float, arrivals: list[tuple[float, str]]) -> None:
        self._latency = latency
        self._arrivals = arrivals
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        if self._path == b"/arrivals":
            self._write(_http(json.dumps(self._arrivals).encode(), b"application/json"))
            return
        self._arrivals.append((time.monotonic(), self._path.decode()))
        answer = _answer(self._path)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(latency: float) -> None:
    arrivals: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(latency, arrivals), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the site on a free port, which is printed.")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="wait before each answer"
    )
    uvloop.run(_serve(parser.parse_args().latency))
