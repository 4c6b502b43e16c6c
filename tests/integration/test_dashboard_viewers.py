"""A thousand people look at the web page at once: all see what happens, and none of them costs much."""

import asyncio
import contextlib
import itertools
import re
import resource
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from frontier import Request, connect_blocking
from frontier.blocking import Frontier
from tests.webpage import Visitor, pid_of, serving

VIEWERS = 1_000
STARING = 20  # of them read nothing
SECONDS = 180
SEEN = 3  # changes that each viewer has to see
MOST_MB = 60  # of which the viewers' share grows the process
USUAL_FILES = 1_024  # how many systemd and shells let a program open


class Viewer:
    def __init__(self):
        self.counts = set()

    async def look(self, port, headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(writer):
            writer.write(f"GET /events?page=queue HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            while len(self.counts) < SEEN:
                line = await reader.readline()
                assert line, "the stream ended"
                if found := re.search(rb"<dt>Queued</dt><dd>([\d,]+)", line):
                    self.counts.add(found[1])


def test_a_thousand_viewers_see_live_numbers(tmp_path, redis_url, mongodb_url):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_FILES, hard))
    try:
        with serving(tmp_path, {"redis_url": redis_url, "mongodb_url": mongodb_url}) as port:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            visitor = Visitor(port)
            visitor.log_in()
            visitor.get("/")
            before = _memory_mb(tmp_path)
            asyncio.run(_watch(visitor, redis_url))
            grown = _memory_mb(tmp_path) - before
            assert grown < MOST_MB, f"{grown:.0f} MB more"
            began = time.monotonic()
            assert visitor.get("/").status == 200
            assert time.monotonic() - began < 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "paths",
    [
        ("/queue", "/queue/now", "/queue/now?start=25", "/queue/dead", "/queue/letter/1", "/queue/find?q=1"),
        ("/data", "/data/search?q=1", "/data/search?q=x", "/data/thread/1"),
    ],
    ids=["queue", "data"],
)
def test_a_thousand_pages_at_once_are_given_or_refused_as_too_many(tmp_path, redis_url, mongodb_url, paths):
    with contextlib.closing(connect_blocking(redis_url)) as client:
        frontier = Frontier(client, "tieba")
        frontier.begin()
        frontier.push([Request("posts", str(number)) for number in range(5_000)])
    with serving(tmp_path, {"redis_url": redis_url, "mongodb_url": mongodb_url}) as port:
        visitor = Visitor(port)
        visitor.log_in()
        visitor.get("/")
        answers = asyncio.run(_ask_at_once(visitor, list(itertools.islice(itertools.cycle(paths), VIEWERS))))
        heads = [answer.partition(b"\r\n\r\n")[0].lower() for answer in answers]
        statuses = Counter(head[9:12].decode() for head in heads)
        assert statuses.keys() <= {"200", "404", "503"}, statuses
        assert statuses["200"] > 16
        for head, answer in zip(heads, answers, strict=True):
            assert b"does not answer" not in answer, answer.decode()
            if head[9:12] == b"503":
                assert b"retry-after" in head
                assert b"Too many pages are asked for at once" in answer
        assert [visitor.get(path).status for path in ("/", "/queue", "/data")] == [200] * 3


async def _ask_at_once(visitor, paths):
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = f"Host: {visitor.host}\r\nCookie: {cookies}\r\nConnection: close"

    async def ask(path):
        reader, writer = await asyncio.open_connection("127.0.0.1", visitor.port)
        with contextlib.closing(writer):
            writer.write(f"GET {path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
            return await reader.read()

    return await asyncio.wait_for(asyncio.gather(*map(ask, paths)), SECONDS)


async def _watch(visitor, redis_url):
    """Let all look until each has seen SEEN counts of the queue, which grows meanwhile."""
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = f"Host: {visitor.host}\r\nCookie: {cookies}"
    over = threading.Event()
    growing = asyncio.create_task(asyncio.to_thread(_grow, redis_url, over))
    try:
        staring = [await asyncio.open_connection("127.0.0.1", visitor.port) for _ in range(STARING)]
        for _, writer in staring:
            writer.write(f"GET /events?page=overview HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        viewers = [Viewer() for _ in range(VIEWERS)]
        looking = asyncio.gather(*(viewer.look(visitor.port, headers) for viewer in viewers))
        await asyncio.wait_for(looking, SECONDS)
    finally:
        over.set()
        await growing
    for _, writer in staring:
        writer.close()


def _grow(redis_url, over):
    with contextlib.closing(connect_blocking(redis_url)) as client:
        frontier = Frontier(client, "tieba")
        frontier.begin()
        number = 0
        while not over.is_set():
            frontier.push([Request("posts", f"{number} {item}") for item in range(10)])
            number += 1
            time.sleep(0.1)


def _memory_mb(folder):
    """Give the memory of the page that serves from a folder."""
    status = Path(f"/proc/{pid_of(folder)}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
