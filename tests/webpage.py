"""The web page as tests start it, and a browser for those that need no real one."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sys
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dashboard import passwords
from tests.conftest import free_port, program, running

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

PASSWORD = "correct horse"
PASSWORD_HASH = passwords.make_hash(PASSWORD)
SESSION_KEY = "key of the tests"
_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


def write_settings(folder: Path, crawler: dict[str, Any], **settings: Any) -> tuple[Path, int]:
    """Write a dashboard.json; gives it and the port."""
    port = free_port()
    path = folder / "dashboard.json"
    values = {
        "port": port,
        "password_hash": PASSWORD_HASH,
        "session_key": SESSION_KEY,
        "metrics_token": "token",
        "data_dir": str(folder / "dashboard-data"),
        "crawler": crawler,
        **settings,
    }
    path.write_text(json.dumps(values))
    return path, port


@contextlib.contextmanager
def serving(folder: Path, crawler: dict[str, Any], **settings: Any) -> Iterator[int]:
    """Serve the page until the block ends; gives its port. Nothing may end in a traceback."""
    path, port = write_settings(folder, crawler, **settings)
    log = folder / "dashboard.log"
    with running([program("tieba-dashboard"), "serve", "--config", str(path)], port, log):
        yield port
        said = log.read_text()
        sys.stdout.write(said)
        assert "Traceback" not in said, said


def pid_of(folder: Path) -> int:
    """Give the process of the page that is served from a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder / "dashboard.json").encode() in (process / "cmdline").read_bytes():
                return int(process.name)
    raise AssertionError("the page does not run")


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.location = response.headers.get("location", "")
        self.text = response.read().decode()

    @property
    def token(self) -> str:
        found = _TOKEN.search(self.text)
        assert found, self.text[:500]
        return found[1]

    @property
    def shown(self) -> str:
        """The text without tags, as people read it."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.text)).split())


class Visitor:
    """Keeps cookies, and knows the token of the last page."""

    def __init__(
        self,
        port: int,
        host: str = "localhost",
        address: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.host = f"{host}:{port}"
        self.cookies: dict[str, str] = {}
        self.token = ""
        self._address = address
        self._tls = tls

    def get(self, path: str, **headers: str) -> Answer:
        answer = self._ask("GET", path, None, headers)
        if found := _TOKEN.search(answer.text):
            self.token = found[1]
        return answer

    def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> Answer:
        values = {"token": self.token, **(fields or {})}
        scheme = "https" if self._tls else "http"
        sent = {"origin": f"{scheme}://{self.host}", "content-type": "application/x-www-form-urlencoded"}
        return self._ask("POST", path, urlencode(values, doseq=True).encode(), sent | headers)

    def raw(self, method: str, path: str, body: bytes | None, **headers: str) -> Answer:
        return self._ask(method, path, body, headers)

    def log_in(self, password: str = PASSWORD) -> Answer:
        self.get("/login")
        return self.post("/login", {"password": password})

    @contextlib.contextmanager
    def events(self, page: str = "page") -> Iterator[http.client.HTTPResponse]:
        """Give the stream of a page's events, to be read line by line."""
        with self._response("GET", f"/events?page={page}", None, {}) as response:
            yield response

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        with self._response(method, path, body, headers) as response:
            return Answer(response)

    @contextlib.contextmanager
    def _response(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        connection: http.client.HTTPConnection
        if self._tls:  # certificates are of names
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=self._tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if self._address != "127.0.0.1":
            connection.source_address = (self._address, 0)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"host": self.host, **({"cookie": cookies} if cookies else {}), **named}
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            for line in response.headers.get_all("set-cookie") or ():
                for name, morsel in SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
            yield response
