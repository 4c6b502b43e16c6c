"""The page's servers: where they listen, how many connections they take, and for how long."""

from __future__ import annotations

import contextlib
import resource
import socket
from typing import TYPE_CHECKING, Any, Literal

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tieba.config import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from dashboard.config import Settings

_BACKLOG = 2048
_SPARE_FILES = 256  # for what is not a viewer: stores, files, exports
# Of IPv4 and IPv6; who may come in from elsewhere is the firewall's affair.
_EVERYWHERE = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
_HEAD_SECONDS = 10.0  # for what is asked to be there as a whole, but for its body
_LAST_SECONDS = 5  # for answers that are under way when the page is stopped


def servers(app: ASGIApp, settings: Settings) -> list[Server]:
    """Make a server of plain HTTP, and one of HTTPS where it is wanted, that share the application.

    Raises ConfigError.
    """
    found = [Server(_options(app, lifespan="on"), settings.listen, settings.port)]
    if settings.tls_port is not None:
        options = _options(app, ssl_certfile=settings.tls_certificate, ssl_keyfile=settings.tls_key)
        found.append(Server(options, _EVERYWHERE, settings.tls_port))
    for server in found:
        print(f"tieba-dashboard: serving at {server.address}", flush=True)
    return found


def _options(app: ASGIApp, *, lifespan: Literal["on", "off"] = "off", **tls: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        **tls,  # type: ignore[arg-type]
        http=Connection,
        ws="none",
        lifespan=lifespan,  # the application's is entered once, for both
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands in front who could be believed
        timeout_graceful_shutdown=_LAST_SECONDS,
    )


class Connection(HttpToolsProtocol):
    """A connection, encrypted where it is to be, that is closed if nothing whole is asked for in time.

    uvicorn would wait for ever.
    """

    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next head."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._closing is not None:
            self._closing.cancel()

    def _wait(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = self.loop.call_later(_HEAD_SECONDS, self._close_unless_asked)

    def _close_unless_asked(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Listener(socket.socket):
    """A listening socket that closes connections at once while about as many files are open as may be.

    Without it asyncio would try to accept them for ever, and log each attempt.
    """

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(fileno=listening.detach())
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = limit - min(_SPARE_FILES, limit // 4)

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raises ConnectionAbortedError where it is one too many."""
        connection, address = super().accept()
        if connection.fileno() >= self._most:  # the lowest number that is free
            connection.close()
            raise ConnectionAbortedError
        return connection, address


class Server(uvicorn.Server):
    """A server that listens, from the beginning, and leaves signals to others; raises ConfigError."""

    def __init__(self, options: uvicorn.Config, host: str, port: int) -> None:
        super().__init__(options)
        family, shown = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
        self.address = f"{'https' if options.ssl_certfile else 'http'}://{shown}:{port}"
        both = host == "::"
        try:
            listening = socket.create_server(
                (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
            )
            self.listener = Listener(listening)
        except OSError as error:
            raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from None
        # Connections inherit it. asyncio does so only for sockets made with the number of the protocol, and
        # without it browsers wait 40 ms for the end of every page.
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
