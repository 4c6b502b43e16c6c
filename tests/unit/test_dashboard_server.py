"""What happens to connections: where they are taken, how many, and for how long."""

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import socket
from pathlib import Path

import pytest

from dashboard.config import Settings
from dashboard.server import Listener, servers
from tests.conftest import free_port

FILES = 200
MANY_FILES = 18_000


@pytest.fixture
def few_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_connections_beyond_what_may_be_open_are_closed_at_once(few_files, caplog):
    listener = Listener(socket.create_server(("127.0.0.1", 0)))
    made = []

    class Idle(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)

    server = await asyncio.get_running_loop().create_server(Idle, sock=listener)
    with contextlib.ExitStack() as stack:
        clients = []
        with caplog.at_level(logging.ERROR), contextlib.suppress(OSError):
            while len(clients) < FILES:  # each has a file here, too
                client = await asyncio.to_thread(socket.create_connection, listener.getsockname(), 5)
                clients.append(stack.enter_context(client))
                await asyncio.sleep(0)
                client.settimeout(0.02)
                try:
                    if not await asyncio.to_thread(client.recv, 1):
                        break
                except TimeoutError:
                    pass
        assert len(clients) > 20
        assert len(made) == len(clients) - 1  # the last one was closed
        assert not caplog.records
        for transport in made:
            transport.abort()
    server.close()


def test_as_many_connections_are_taken_as_may_be_open():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= before[1] < MANY_FILES:
        pytest.skip(f"no more than {before[1]} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES, before[1]))
    try:
        with (
            contextlib.closing(Listener(socket.create_server(("127.0.0.1", 0)))) as listener,
            Path("/dev/null").open() as file,
            contextlib.ExitStack() as stack,
        ):
            while (number := fcntl.fcntl(file, fcntl.F_DUPFD, 0)) < MANY_FILES - 300:
                stack.callback(os.close, number)
            stack.callback(os.close, number)
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            connection, _ = listener.accept()
            stack.enter_context(connection)
            assert connection.fileno() > client.fileno() > MANY_FILES - 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def refuse(*_):
    raise AssertionError("nobody asked for a page")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the machine has no IPv6")
def test_https_listens_at_addresses_of_both_kinds_and_plain_http_at_loopback_alone(capsys):
    settings = Settings(port=free_port(), tls_port=free_port(), tls_certificate="x", tls_key="x")
    plain, encrypted = (server.listener for server in servers(refuse, settings))
    with plain, encrypted:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, settings.tls_port), 5).close()
        socket.create_connection(("127.0.0.1", settings.port), 5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", settings.port), 5)
    assert f"serving at https://[::]:{settings.tls_port}\n" in capsys.readouterr().out


async def answer_slowly(scope, receive, send):
    await asyncio.sleep(0.4)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        ((), 0),
        ((b"GET / HTTP/1.1\r\nHost: loc",), 0),
        ((HEAD,), 1),  # is answered, though that takes longer
        ((HEAD, b"\r\nGET"), 1),
    ],
    ids=["nothing", "half", "whole", "half-of-the-second"],
)
async def test_who_does_not_ask_is_not_waited_for(monkeypatch, sent, answers):
    monkeypatch.setattr("dashboard.server._HEAD_SECONDS", 0.2)
    (server,) = servers(answer_slowly, Settings(port=free_port()))
    server.config.lifespan = "off"
    serving = asyncio.create_task(server.serve([server.listener]))
    reader, writer = await asyncio.open_connection(*server.listener.getsockname())
    for piece in sent:
        writer.write(piece)
        await asyncio.sleep(0.5)
    read = await asyncio.wait_for(reader.read(), 3)
    assert read.count(b"HTTP/1.1 204") == answers
    writer.close()
    server.should_exit = True
    await serving
