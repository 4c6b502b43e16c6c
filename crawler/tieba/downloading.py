"""Downloads with the standard library: `http.client` in threads, on connections that are kept.

A redirect is an answer like any other; `tieba.pages` tells what it means. Proxies are those of the
environment, as `urllib.request` understands it (http_proxy, https_proxy, no_proxy).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import queue
import select
import socket
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from tieba.bodies import ACCEPT_ENCODING, MOST_BYTES, BodyError, decompressed
from tieba.pages import Received

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADERS = {  # Scrapy's, so that the site answers both engines alike
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en",
    "Accept-Encoding": ACCEPT_ENCODING,
}
# What a server that has closed a kept connection causes, before it has answered the next request.
_STALE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
_PIECE = 2**18  # bytes that are read at once

FAILURES = (OSError, HTTPException, BodyError)  # what a download can end with in place of an answer


@dataclass(frozen=True, slots=True)
class Download:
    """What to ask for: an http or https URL."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Downloader:
    """At most `threads` downloads at once, each within `timeout` seconds once it is connected.

    Connecting has as many for each address of the site, since it cannot be broken off.
    They go out by `bind_address`, an address of this machine; None: by that which the system chooses.
    """

    def __init__(
        self, threads: int, timeout: float, user_agent: str, bind_address: str | None = None
    ) -> None:
        self._most_threads = threads
        self._timeout = timeout
        self._source = (bind_address, 0) if bind_address else None  # with any port
        self._headers = {"User-Agent": user_agent, **_HEADERS}
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    async def fetch(self, download: Download) -> Received:
        """Give an answer, its body decompressed; raises one of FAILURES."""
        loop = asyncio.get_running_loop()
        task = _Task(download, loop.create_future(), loop)
        if self._busy == self._threads < self._most_threads:
            self._threads += 1
            # Daemons: a worker that has to end at once does not wait for what is under way.
            threading.Thread(target=self._work, name=f"download-{self._threads}", daemon=True).start()
        self._busy += 1
        self._tasks.put(task)
        timer = loop.call_later(self._timeout, task.abort)
        try:
            return await task.future
        except FAILURES as error:
            # A socket's own limit, which has no errno, may end just before that of the whole download.
            if task.is_aborted or (isinstance(error, TimeoutError) and error.errno is None):
                raise TimeoutError(f"no whole answer within {self._timeout:g} s") from error
            raise
        finally:
            timer.cancel()
            task.abort()  # where the wait was cancelled
            self._busy -= 1

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._threads):
            self._tasks.put(None)

    def _work(self) -> None:
        connections = _Connections(self._timeout, self._source)
        while (task := self._tasks.get()) is not None:
            try:
                task.succeed(_fetch(task, connections, self._headers))
            except BaseException as error:  # noqa: BLE001, PERF203 - whatever it is, somebody waits for it
                connections.drop()
                task.fail(error)
        connections.drop()


class _Task:
    """A download on its way between the event loop and a thread."""

    def __init__(
        self, download: Download, future: asyncio.Future[Received], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.download = download
        self.future = future
        self.is_aborted = False
        self._loop = loop
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_done = False

    def uses(self, sock: socket.socket | None) -> None:
        """Note the socket that `abort` shall shut down."""
        with self._lock:
            self._socket = sock
            if self.is_aborted:
                raise TimeoutError

    def abort(self) -> None:
        """End the download, whatever its thread waits for, unless it is done."""
        with self._lock:
            if self._is_done:
                return
            self.is_aborted = True
            if self._socket is not None:
                # That of the class: an SSLSocket's own would forget its encryption while a thread reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def succeed(self, received: Received) -> None:
        """Hand the answer over."""
        self._finish(partial(self._set, received, None))

    def fail(self, error: BaseException) -> None:
        """Hand over why there is none."""
        self._finish(partial(self._set, None, error))

    def _finish(self, tell: partial[None]) -> None:
        with self._lock:
            self._is_done = True
            self._socket = None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(tell)

    def _set(self, received: Received | None, error: BaseException | None) -> None:
        if self.future.done():  # nobody waits any more
            return
        if received is None:
            self.future.set_exception(error or AssertionError("neither an answer nor an error"))
        else:
            self.future.set_result(received)


class _Connection:
    """A connection to a site, through a proxy where the environment says so."""

    def __init__(self, scheme: str, host: str, timeout: float, source: tuple[str, int] | None) -> None:
        self.site = scheme, host
        self.headers: dict[str, str] = {}  # for the proxy
        self.wants_whole_urls = False
        make: type[HTTPConnection] = HTTPSConnection if scheme == "https" else HTTPConnection
        proxy = getproxies().get(scheme)
        if not proxy or proxy_bypass(host):
            self.http = make(host, timeout=timeout, source_address=source)
            return
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        self.http = make(parts.hostname or "", parts.port, timeout=timeout, source_address=source)
        login = {}
        if parts.username is not None:
            words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            login = {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
        if scheme == "https":
            self.http.set_tunnel(host, headers=login)
        else:
            self.headers, self.wants_whole_urls = login, True

    @property
    def is_usable(self) -> bool:
        """Whether it is open, with nothing to read: its end, or what nobody has asked for."""
        if self.http.sock is None:
            return False
        poll = select.poll()
        poll.register(self.http.sock, select.POLLIN)
        return not poll.poll(0)


class _Connections:
    """The connections of one thread: the one that it has used last."""

    def __init__(self, timeout: float, source: tuple[str, int] | None) -> None:
        self._timeout = timeout
        self._source = source
        self._last: _Connection | None = None

    def get(self, scheme: str, host: str) -> tuple[_Connection, bool]:
        """Give a connection to a site, and whether it was used before."""
        if self._last is not None:
            if self._last.site == (scheme, host) and self._last.is_usable:
                return self._last, True
            self.drop()
        self._last = _Connection(scheme, host, self._timeout, self._source)
        return self._last, False

    def drop(self) -> None:
        """Close it."""
        if self._last is not None:
            self._last.http.close()
            self._last = None


def _fetch(task: _Task, connections: _Connections, headers: Mapping[str, str]) -> Received:
    """Make a download; on a kept connection that turns out to be closed, once more on a new one."""
    parts = urlsplit(task.download.url)
    while True:
        connection, was_used = connections.get(parts.scheme, parts.netloc)
        try:
            response = _ask(task, connection, headers)
        except _STALE:
            connections.drop()
            if not was_used:
                raise
        else:
            return _receive(task, connection, response)


def _ask(task: _Task, connection: _Connection, headers: Mapping[str, str]) -> HTTPResponse:
    """Send a request; gives the answer, of which the body has not been read."""
    download, http = task.download, connection.http
    if http.sock is None:
        http.connect()
    task.uses(http.sock)
    parts = urlsplit(download.url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    http.request(
        download.method,
        download.url if connection.wants_whole_urls else path,
        download.body or None,
        {**headers, **connection.headers, **download.headers},
    )
    return http.getresponse()


def _receive(task: _Task, connection: _Connection, response: HTTPResponse) -> Received:
    body = _read(response)
    task.uses(None)
    if response.will_close:
        connection.http.close()
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    body = decompressed(body, found.get("content-encoding", ""))
    return Received(body, response.status, task.download.url, found, datetime.now(timezone.utc))


def _read(response: HTTPResponse) -> bytes:
    """Read a body to its end; raises BodyError for one that is cut off or too large."""
    pieces = []
    size = 0
    while piece := response.read(_PIECE):
        size += len(piece)
        if size > MOST_BYTES:
            raise BodyError(f"more than {MOST_BYTES} bytes")
        pieces.append(piece)
    if response.length:
        raise BodyError(f"cut off: {response.length} bytes are missing after {size}")
    return b"".join(pieces)
