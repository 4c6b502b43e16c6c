"""What stands before every page: whom and what it lets through."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from dashboard.gate import Gate, host_name
from dashboard.sessions import Sessions


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8088", "localhost"),
        ("[::1]:8088", "::1"),
        ("10.0.0.1:8443", "10.0.0.1"),
        ("localhost:80/static/", ""),
        ("localhost/login?", ""),
        ("localhost:x", ""),
        ("localhost:١", ""),
        ("[::1]/static/", ""),
        ("[::1", ""),
        ("localhost\n", ""),
        ("", ""),
    ],
)
def test_a_host_is_a_name_and_a_port(host, name):
    assert host_name(host) == name


@pytest.fixture
def gate(tmp_path):
    return Gate(PlainTextResponse("secret"), Sessions("key", "hash", tmp_path / "ended"), [])


async def nothing():
    return {"type": "http.request", "body": b""}


async def answer(gate, host, method="GET", receive=nothing):
    """Ask for a page; gives the status and the whole body."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": method, "scheme": "http", "path": "/queue", "raw_path": b"/queue",
        "query_string": b"", "root_path": "", "headers": [(b"host", host)], "server": ("127.0.0.1", 80),
        "state": {},
    }  # fmt: skip
    await gate(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("host", [b"localhost/static/x?", b"localhost/login?", b"localhost"])
async def test_a_host_opens_no_page(gate, host):
    status, body = await answer(gate, host)
    assert status in {303, 400}
    assert b"secret" not in body


async def test_who_goes_away_in_the_middle_is_no_fault_of_ours(gate):
    pieces = iter([{"type": "http.request", "body": b"token=", "more_body": True}])

    async def receive():
        return next(pieces, {"type": "http.disconnect"})

    assert await answer(gate, b"localhost", "POST", receive) == (400, b"")


async def test_who_never_sends_the_rest_is_not_waited_for(gate, monkeypatch):
    monkeypatch.setattr("dashboard.gate._BODY_SECONDS", 0.05)
    pieces = iter([b"token="])

    async def receive():
        piece = next(pieces, None)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": True}

    status, body = await asyncio.wait_for(answer(gate, b"localhost", "POST", receive), 5)
    assert status == 408
    assert b"did not come" in body
