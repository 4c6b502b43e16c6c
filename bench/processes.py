"""The processes of a benchmark, on free ports of the loopback: Redis, the site, the proxy, crawls."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bench.crawl import START_URLS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parent.parent
_START_SECONDS = 30
_PINGS = 50
_ENDS = (signal.SIGINT, signal.SIGTERM)


class BenchError(Exception):
    """Something the user can mend, or a measurement that is not valid: one line."""


def end_servers_when_told() -> None:
    """Have SIGTERM and SIGINT, which shells may have ignored, end the blocks that servers run in."""

    def end(number: int, _: object) -> None:
        for other in _ENDS:
            signal.signal(other, signal.SIG_IGN)  # they are being ended
        sys.exit(128 + number)

    for number in _ENDS:
        signal.signal(number, end)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run an empty Redis without persistence; gives its URL."""
    program = os.environ.get("TIEBA_TEST_REDIS") or shutil.which("redis-server")
    if program is None:
        raise BenchError(
            "no redis-server: put it on PATH or name it in TIEBA_TEST_REDIS (make bench-frontier does)"
        )
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _wait_for(url, process)
                yield url
            finally:
                process.kill()


def free_port() -> int:
    """Give a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except RedisConnectionError:  # noqa: PERF203 - it is expected to fail until the server is up
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError("redis-server does not start; see above") from None
                time.sleep(0.02)
            else:
                return


@contextlib.contextmanager
def site(latency: float = 0.0) -> Iterator[str]:
    """Run `bench.site`, which waits `latency` seconds before each answer; gives its address."""
    with _module("bench.site", "--latency", str(latency)) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def distant(redis_url: str, round_trip: float) -> Iterator[str]:
    """Give a URL of the same Redis that is `round_trip` seconds away.

    What passing the proxy costs beyond its delay is measured first and taken off the delay.
    """
    target = redis_url.rpartition(":")[2].partition("/")[0]
    with _module("bench.proxy", target, str(round_trip)) as port:
        overhead = ping(f"redis://127.0.0.1:{port}/0") - round_trip
    with _module("bench.proxy", target, str(round_trip - overhead)) as port:
        yield f"redis://127.0.0.1:{port}/0"


def ping(redis_url: str) -> float:
    """Measure a round trip to Redis: the median of many, in seconds."""
    times = []
    with Redis.from_url(redis_url) as client:
        for _ in range(_PINGS):
            started = time.perf_counter()
            client.ping()
            times.append(time.perf_counter() - started)
    return median(times)


@contextlib.contextmanager
def _module(*arguments: str) -> Iterator[int]:
    """Run a module of `bench` that prints the port it listens on."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise BenchError(f"{arguments[0]}: does not start; see above")
            yield int(line)
        finally:
            process.kill()


class Crawl:
    """One crawl, see `bench.crawl`, in a process of its own."""

    def __init__(self, system: str, **options: Any) -> None:
        """Start it; `options` are those of `bench.crawl`, None for none."""
        arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the crawl
        command = [sys.executable, "-m", "bench.crawl", system, *arguments]
        self._process = subprocess.Popen(
            command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def result(self, timeout: float) -> dict[str, float]:
        """Wait up to `timeout` seconds for the end; raises BenchError if the crawl fails."""
        try:
            output, _ = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError(f"a crawl has not ended after {timeout:.0f} s: {self._last_lines()}") from None
        if self._process.returncode or not output:
            raise BenchError(f"a crawl failed: {self._last_lines()}")
        result: dict[str, float] = json.loads(output)
        return result

    def wait_for(self, line: str, deadline: float) -> None:
        """Wait until it has logged `line`, at most until `deadline` on the monotonic clock."""
        while True:
            self.check()
            self._log.seek(0)
            if line in self._log.read():
                return
            if time.monotonic() > deadline:
                raise BenchError(f"a crawl does not start: {self._last_lines()}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise BenchError if it has ended."""
        if self._process.poll() is not None:
            raise BenchError(f"a crawl ended before its time: {self._last_lines()}")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def _last_lines(self) -> str:
        self._log.seek(0)
        return self._log.read()[-1000:]


def seed(system: str, redis_url: str, url: str) -> str | None:
    """Give the crawl's option `url`; scrapy-redis' spiders get theirs from a list in Redis instead."""
    if system != "scrapy-redis":
        return url
    with Redis.from_url(redis_url) as client:
        client.rpush(START_URLS_KEY, json.dumps({"url": url}))
    return None


def flush(redis_url: str) -> None:
    """Empty Redis."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
