"""Downloads with the standard library, from servers that behave in every way."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import threading
import time
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.conftest import certificates
from tieba.bodies import MOST_BYTES, BodyError
from tieba.downloading import FAILURES, Download, Downloader

TIMEOUT = 2.0


class Site(BaseHTTPRequestHandler):
    """Answers with what its server's `answers` say of a path, and remembers who asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, self.client_address[1], dict(self.headers), body))
        if self.path == "/trickle":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.1)
        elif self.path == "/hang":
            time.sleep(3 * TIMEOUT)
        elif self.path == "/endless":
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    self.wfile.write(bytes(2**16))
        else:
            self.wfile.write(self.server.answers[self.path])
        self.close_connection = self.path.startswith(("/closes", "/cut", "/trickle", "/hang", "/endless"))

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


def message(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TOO_MUCH = bytes(MOST_BYTES + 1)
ANSWERS = {
    "/": message(b"hello", "Set-Cookie: a", "Set-Cookie: b", "ETag: x"),
    "/closes": message(b"bye"),
    "/gone": message(b"", "Location: http://127.0.0.1:1/", status="302 Found"),
    "/gzip": message(gzip.compress(b"text"), "Content-Encoding: gzip"),
    "/chunks": CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: t\r\n\r\n",
    "/cut": message(b"x" * 100)[:-50],
    "/cut-chunk": CHUNKED + b"5\r\nhe",
    "/large": message(TOO_MUCH),
    "/no-http": b"what?\r\n\r\n",
    "/500": message(b"oh", status="500 Oh"),
    "http://tieba.invalid/f?kw=1": message(b"through"),
}


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.answers, server.seen = ANSWERS, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def downloader():
    made = Downloader(4, TIMEOUT, "tests/1")
    yield made
    made.close()


async def test_an_answer_comes_with_all_that_pages_want_of_it(site, downloader):
    received = await downloader.fetch(Download(f"{site.url}/", "POST", {"X-Own": "1"}, b"sent"))
    assert (received.body, received.status, received.url) == (b"hello", 200, f"{site.url}/")
    assert received.headers == {"content-length": "5", "set-cookie": "a, b", "etag": "x"}
    assert received.at is not None
    ((_, _, headers, body),) = site.seen
    assert body == b"sent"
    assert headers["User-Agent"] == "tests/1"
    assert headers["Accept-Encoding"] == "gzip, deflate"
    assert headers["X-Own"] == "1"


async def test_connections_are_kept(site, downloader):
    for path in ("/", "/gone", "/gzip", "/chunks", "/500", "/"):
        await downloader.fetch(Download(site.url + path))
    assert len({port for _, port, *_ in site.seen}) == 1


async def test_a_connection_that_the_server_has_closed_is_made_anew(site, downloader):
    for _ in range(3):
        assert (await downloader.fetch(Download(f"{site.url}/closes"))).body == b"bye"
    assert len(site.seen) == 3


async def test_several_are_under_way_at_once(site):
    downloader = Downloader(4, TIMEOUT, "tests/1")
    started = time.monotonic()
    results = await asyncio.gather(
        *(downloader.fetch(Download(f"{site.url}/hang")) for _ in range(4)), return_exceptions=True
    )
    assert time.monotonic() - started < 2 * TIMEOUT
    assert all(isinstance(result, TimeoutError) for result in results)
    assert (await downloader.fetch(Download(f"{site.url}/"))).status == 200
    downloader.close()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/gone", 302, b""), ("/500", 500, b"oh"), ("/gzip", 200, b"text"), ("/chunks", 200, b"hello")],
)
async def test_answers_of_every_kind_are_given_as_they_are(site, downloader, path, status, body):
    received = await downloader.fetch(Download(site.url + path))
    assert (received.status, received.body) == (status, body)


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("/trickle", TimeoutError, "no whole answer within 2 s"),
        ("/hang", TimeoutError, "no whole answer within 2 s"),
        ("/cut", BodyError, "cut off: 50 bytes are missing after 50"),
        ("/cut-chunk", HTTPException, "IncompleteRead"),
        ("/large", BodyError, f"more than {MOST_BYTES} bytes"),
        ("/endless", BodyError, f"more than {MOST_BYTES} bytes"),
        ("/no-http", HTTPException, "what"),
    ],
)
async def test_what_is_no_whole_answer_is_a_failure(site, downloader, path, error, told):
    started = time.monotonic()
    with pytest.raises(error, match=told) as caught:
        await downloader.fetch(Download(site.url + path))
    assert isinstance(caught.value, FAILURES)
    assert time.monotonic() - started < 2 * TIMEOUT
    assert (await downloader.fetch(Download(f"{site.url}/"))).body == b"hello"  # the thread lives on


async def test_a_socket_that_times_out_before_the_download_does_is_told_alike(site, downloader):
    task = asyncio.create_task(downloader.fetch(Download(f"{site.url}/hang")))
    await asyncio.sleep(0.1)
    time.sleep(TIMEOUT + 0.5)  # noqa: ASYNC251 - the loop is late: its timer comes after the socket's
    with pytest.raises(TimeoutError, match="no whole answer within 2 s"):
        await task


async def test_a_server_that_is_not_there_is_a_failure(downloader):
    with pytest.raises(ConnectionRefusedError):
        await downloader.fetch(Download("http://127.0.0.1:1/"))


async def test_a_wait_that_is_cancelled_ends_the_download(site, downloader):
    task = asyncio.create_task(downloader.fetch(Download(f"{site.url}/hang")))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(4):  # also by the thread that was busy with it
        await downloader.fetch(Download(f"{site.url}/"))
    assert time.monotonic() - started < TIMEOUT


async def test_https_is_checked_and_can_be_ended(site, downloader, tmp_path, monkeypatch):
    authority = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    site.socket = context.wrap_socket(site.socket, server_side=True)
    url = site.url.replace("http:", "https:")
    with pytest.raises(ssl.SSLCertVerificationError):
        await downloader.fetch(Download(f"{url}/"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for _ in range(2):
        assert (await downloader.fetch(Download(f"{url}/chunks"))).body == b"hello"
    with pytest.raises(TimeoutError):
        await downloader.fetch(Download(f"{url}/trickle"))
    assert (await downloader.fetch(Download(f"{url}/"))).body == b"hello"
    assert len({port for path, port, *_ in site.seen if path == "/chunks"}) == 1


async def test_a_proxy_of_the_environment_is_used(site, downloader, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:se%20cret@127.0.0.1:{site.server_port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert (await downloader.fetch(Download("http://tieba.invalid/f?kw=1"))).body == b"through"
    assert (await downloader.fetch(Download(f"{site.url}/"))).body == b"hello"
    assert [path for path, *_ in site.seen] == ["http://tieba.invalid/f?kw=1", "/"]
    assert site.seen[0][2]["Proxy-Authorization"] == "Basic bWU6c2UgY3JldA=="
    assert "Proxy-Authorization" not in site.seen[1][2]


async def test_https_goes_through_a_proxy_by_a_tunnel(downloader, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")

        def refuse():
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

        asked = []
        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(OSError, match="403"):
            await downloader.fetch(Download("https://tieba.invalid/"))
        thread.join()
        assert asked[0].startswith(b"CONNECT tieba.invalid:443 ")
