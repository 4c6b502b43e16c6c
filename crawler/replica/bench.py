"""Measures how many answers per second the stand-in site gives, which must never be what limits a crawl.

The server runs in a process of its own; this one drives it over keep-alive connections with the requests
of a whole crawl in a crawl's order: list pages, then each thread's pages and comment pages. The client
needs a core too, so the figure that counts is answers per second of the server's processor time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from replica.config import Config, ConfigError
from replica.content import THREAD_PAGE_SIZE
from replica.forms import CALLS, PATHS, sign
from replica.world import COMMENT_PAGE_SIZE, MOST_THREADS, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_MAX_PAGES = 10  # list pages of the forum that is crawled
_START_SECONDS = 20


@dataclass(frozen=True)
class Result:
    """One measurement."""

    answers: int
    seconds: float
    server_cpu_seconds: float
    bytes: int
    requests_of_one_crawl: int
    by_kind: dict[str, int]
    by_outcome: dict[str, int]

    @property
    def answers_per_second(self) -> float:
        """Answers per second of wall-clock time."""
        return self.answers / self.seconds

    @property
    def answers_per_core_second(self) -> float:
        """Answers per second of the server's processor time."""
        return self.answers / self.server_cpu_seconds

    def to_json(self) -> str:
        """One JSON object."""
        figures = {
            "answers_per_second": round(self.answers_per_second),
            "answers_per_core_second": round(self.answers_per_core_second),
        }
        return json.dumps({**figures, **asdict(self)})

    def to_text(self) -> str:
        """Lines for people."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in {**self.by_kind, **self.by_outcome}.items())
        return (
            f"{self.answers_per_second:,.0f} answers/s over {self.seconds:.1f} s ({kinds};"
            f" {self.bytes / self.answers / 1_000:.1f} kB each)\n"
            f"{self.answers_per_core_second:,.0f} answers per second of one core"
            f" ({self.server_cpu_seconds / self.answers * 1_000:.2f} ms of processor time each)"
        )


def run(config: Config, config_file: Path | None, seconds: float, connections: int, form: str) -> Result:
    """Measure for `seconds` in one of FORMS; raises ConfigError when the server does not start."""
    command = [sys.executable, "-m", "replica.cli", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--seed", str(config.seed)]
    if config_file:
        command += ["--config", str(config_file)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    try:
        line = server.stdout.readline() if server.stdout else ""  # printed once it listens; '' if it ended
        if " at http://" not in line:
            raise ConfigError("the server did not start; see the line above")
        port = int(line.split(" at http://")[1].split()[0].rsplit(":", 1)[1])
        return asyncio.run(_drive(list(_requests(config, FORMS[form])), port, seconds, connections))
    finally:
        server.terminate()
        server.wait(_START_SECONDS)


async def _drive(requests: Sequence[bytes], port: int, seconds: float, connections: int) -> Result:
    await _exchange_once(port, _head("POST", "/replica/reset", b""))
    position = 0
    received = 0
    started = time.monotonic()
    deadline = started + seconds

    async def work() -> None:
        nonlocal position, received
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < deadline:
            request = requests[position % len(requests)]
            position += 1
            writer.write(request)
            body = await _read_body(reader)
            received += len(body)
        writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    elapsed = time.monotonic() - started
    stats = json.loads(await _exchange_once(port, _head("GET", "/replica/stats", b"")))
    if stats["answers"] == 0:
        raise ConfigError("no answer came within the measured time; set latency_ms lower or measure longer")
    return Result(
        stats["answers"],
        round(elapsed, 3),
        stats["cpu_seconds"],
        received,
        len(requests),
        stats["by_kind"],
        stats["by_outcome"],
    )


def _requests(config: Config, call: Callable[..., bytes]) -> Iterator[bytes]:
    """Every request of a whole crawl of the first forum, in a crawl's order."""
    forum = World(config.seed, config.forums).forums[0]
    entries = forum.entries[: _MAX_PAGES * MOST_THREADS]
    for page in range(1, -(-len(entries) // MOST_THREADS) + 1):
        yield call("forum", kw=forum.name, pn=page, rn=MOST_THREADS)
    for thread in forum.listed(entries):
        thread_pages = 1 if thread.is_deleted else -(-len(thread.slots) // THREAD_PAGE_SIZE)
        for page in range(1, thread_pages + 1):
            yield call("thread", kz=thread.thread_id, pn=page, rn=THREAD_PAGE_SIZE, with_floor=1, floor_rn=10)
        for floor in () if thread.is_deleted else thread.floors:
            if len(floor.comments) > floor.inline:
                for page in range(1, -(-len(floor.comments) // COMMENT_PAGE_SIZE) + 1):
                    yield call("comments", kz=thread.thread_id, pid=floor.post_id, pn=page)


def _signed_json(kind: str, **parameters: object) -> bytes:
    form = {name: str(value) for name, value in parameters.items()}
    form |= {"_client_type": "2", "_client_version": "12.20.1.0"}
    return _head("POST", PATHS[kind], urlencode({**form, "sign": sign(form)}).encode())


def _protobuf(kind: str, **parameters: object) -> bytes:
    command, request, _ = CALLS[kind]
    part = b'Content-Disposition: form-data; name="data"; filename="file"\r\n\r\n'
    data = request(data=parameters).SerializeToString()
    body = b"--x\r\n" + part + data + b"\r\n--x--\r\n"
    return _head(
        "POST",
        f"{PATHS[kind]}?cmd={command}",
        body,
        "multipart/form-data; boundary=x\r\nx_bd_data_type: protobuf",
    )


FORMS = {"json": _signed_json, "protobuf": _protobuf}


def _head(
    method: str, path: str, body: bytes, content_type: str = "application/x-www-form-urlencoded"
) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: replica\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _exchange_once(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    body = await _read_body(reader)
    writer.close()
    return body


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
    return await reader.readexactly(int(length))
