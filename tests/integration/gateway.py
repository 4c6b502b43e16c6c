"""A server before the stand-in site, which compresses its answers and has a robots.txt of its own."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSED_ON = {"content-type", "x_bd_data_type"}


class Gateway(ThreadingHTTPServer):
    """What it does can be changed while it runs."""

    daemon_threads = True

    def __init__(self, site: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.site = site
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.robots = (404, b"")
        self.robots_asked = 0
        self.compresses = False
        self.held = threading.Event()  # set: answers are kept back
        self.held_back = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_GET(self) -> None:
        if self.path == "/robots.txt":
            self.server.robots_asked += 1
            self._answer(*self.server.robots, "text/plain")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
        request = urllib.request.Request(self.server.site + self.path, body, headers, method=self.command)
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read()
            if self.server.held.is_set():
                self.server.held_back += 1
                while self.server.held.is_set():
                    time.sleep(0.05)
            self._answer(answer.status, content, answer.headers.get("Content-Type", "text/plain"))

    do_POST = do_GET  # noqa: N815

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        with contextlib.suppress(OSError):  # of a worker that was killed
            self.send_response(status)
            if self.server.compresses:
                content = gzip.compress(content)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def gateway(site: str) -> Iterator[Gateway]:
    """Run a server before a site."""
    server = Gateway(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
