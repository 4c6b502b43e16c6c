"""Who looks at the page in its benchmark: one that asks for pages, and a thousand that watch."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import resource
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.processes import BenchError
from dashboard.passwords import make_hash
from tests.conftest import free_port, program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_PASSWORD = "for the benchmark"  # noqa: S105
_START_SECONDS = 30
_TIMEOUT_SECONDS = 60
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_CONNECT_AT_ONCE = 200
_READ_BYTES = 1 << 16
_MOST_FILES = 65_536  # as in the unit of role dashboard


@dataclass(frozen=True, slots=True)
class App:
    """The page's process, and a session there."""

    port: int
    pid: int
    cookie: str = ""

    @property
    def resident_mb(self) -> float:
        """How much memory it has now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """How much processor time it has had."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        ticks: float = (int(fields[11]) + int(fields[12])) / 100
        return ticks


@contextlib.contextmanager
def serving(folder: Path, crawler: dict[str, Any]) -> Iterator[App]:
    """Run `tieba-dashboard` with a crawler's configuration, and log in."""
    port = free_port()
    config = folder / "dashboard.json"
    settings = {
        "port": port,
        "data_dir": str(folder / "dashboard"),
        "session_key": secrets.token_hex(),
        "password_hash": make_hash(_PASSWORD),
        "metrics_token": "token",
        "crawler": crawler,
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    _allow_files()
    command = [program("tieba-dashboard"), "serve", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield App(port, process.pid, _log_in(port))
        finally:
            process.terminate()


def _allow_files() -> None:
    """Let this process and those it starts have as many connections as the page has on a master."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), contextlib.closing(_connect(port)) as connection:
            connection.request("GET", "/healthz")
            if json.loads(connection.getresponse().read())["has_numbers"]:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError("tieba-dashboard does not start; see above")
        time.sleep(0.1)


def _connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)


def _log_in(port: int) -> str:
    with contextlib.closing(_connect(port)) as connection:
        connection.request("GET", "/login")
        page = connection.getresponse()
        cookie = (page.getheader("set-cookie") or "").partition(";")[0]
        (token,) = _TOKEN.findall(page.read().decode())[:1]
        headers = {"cookie": cookie, "origin": f"http://127.0.0.1:{port}",
                   "content-type": "application/x-www-form-urlencoded"}  # fmt: skip
        connection.request("POST", "/login", urlencode({"token": token, "password": _PASSWORD}), headers)
        answer = connection.getresponse()
        answer.read()
    if answer.status != http.client.SEE_OTHER:
        raise BenchError(f"the login fails: status {answer.status}")
    return (answer.getheader("set-cookie") or "").partition(";")[0]


class Visitor:
    """Asks for one page after the other."""

    def __init__(self, app: App) -> None:
        self._connection = _connect(app.port)
        self._headers = {"cookie": app.cookie, "authorization": "Bearer token"}

    def get(self, path: str) -> tuple[str, float]:
        """Give a page's text and the milliseconds it took; raises BenchError for a page that is not shown."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1_000
        if answer.status != http.client.OK:
            raise BenchError(f"{path}: status {answer.status}: {body[:300]!r}")
        return body.decode(), took

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass(slots=True)
class Watcher:
    """One that watches: after how many seconds it was told anything, and how often since."""

    first: float | None = None
    events: int = 0
    is_connected: bool = True


@contextlib.asynccontextmanager
async def watching(app: App, count: int) -> AsyncIterator[list[Watcher]]:
    """Let so many watch the overview until the block ends; gives them once all have had something."""
    watchers = [Watcher() for _ in range(count)]
    few = asyncio.Semaphore(_CONNECT_AT_ONCE)
    tasks = [asyncio.create_task(_watch(app, watcher, few)) for watcher in watchers]
    try:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while any(watcher.first is None for watcher in watchers):
            if time.monotonic() > deadline or not all(watcher.is_connected for watcher in watchers):
                missing = sum(watcher.first is None for watcher in watchers)
                raise BenchError(f"{missing} of {count} viewers are told nothing")
            await asyncio.sleep(0.05)
        yield watchers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(app: App, watcher: Watcher, few: asyncio.Semaphore) -> None:
    began = time.perf_counter()
    writer = None
    try:
        async with few:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        lines = ["GET /events?page=overview HTTP/1.1", f"host: 127.0.0.1:{app.port}", f"cookie: {app.cookie}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        while chunk := await reader.read(_READ_BYTES):
            told = chunk.count(b"event: ")
            if told and watcher.first is None:
                watcher.first = time.perf_counter() - began
            watcher.events += told
    finally:
        watcher.is_connected = False
        if writer is not None:
            writer.close()
