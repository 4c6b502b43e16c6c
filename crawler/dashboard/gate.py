"""What stands before every page: known hosts, small bodies, the login, no forged forms, safe headers."""

from __future__ import annotations

import asyncio
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from dashboard.asked import number
from dashboard.pages import catalog_of, language_of
from dashboard.words import told
from tieba.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dashboard.sessions import Session, Sessions

MOST_BODY_BYTES = 64 * 1024
_MOST_FIELDS = 1_000
_BODY_SECONDS = 10.0
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")
_LOCAL = ("localhost", "127.0.0.1", "::1")
# What can be seen without a login; metrics have a token of their own.
_OPEN = ("/login", "/preferences", "/static/", "/healthz", "/metrics")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: with it browsers name no origin in what they post.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


# A browser that follows a link of another site keeps our cookie back; it sends it when our own page asks.
_ONCE_MORE = (
    '<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="0"><title>Tieba</title>'
)


@dataclass(frozen=True)
class Form:
    """The fields of what was posted, in their order."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """Give the first value of a field."""
        return next((value for key, value in self.fields if key == name), default)

    def all(self, name: str) -> list[str]:
        """Give all values of a field."""
        return [value for key, value in self.fields if key == name]


class Gate:
    """ASGI middleware; puts `session`, `form` and `form_token` into the request's state."""

    def __init__(self, app: ASGIApp, sessions: Sessions, hosts: Iterable[str]) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = frozenset(host.lower() for host in (*_LOCAL, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        app = await self._refusal(request) or self._app
        await app(scope, receive, _with_headers(request, send))

    async def _refusal(self, request: Request) -> Response | None:
        """Give the answer to a request that is not to get through."""
        if request.method not in {"GET", "HEAD", "POST"}:
            return _plain(request, 405, Phrase("This page is read with GET and acts on POST."))
        host = host_name(request.headers.get("host", ""))
        if host not in self._hosts:
            text = Phrase("This page is not known by that host name: name it in dashboard_hosts.")
            return _plain(request, 400, text)
        try:
            body = await asyncio.wait_for(_body(request), _BODY_SECONDS)
        except asyncio.TimeoutError:
            seconds = f"{_BODY_SECONDS:.0f}"
            text = Phrase("What was sent did not come within %(seconds)s seconds.", seconds=seconds)
            return _plain(request, 408, text)
        except ClientDisconnect:
            return Response(status_code=400)  # which nobody reads
        if body is None:
            text = Phrase("Too much was sent: at most %(kib)d KiB.", kib=MOST_BODY_BYTES // 1024)
            return _plain(request, 413, text)
        cookie = request.cookies.get(cookie_name(request))
        if cookie is None and _comes_from_elsewhere(request):
            return HTMLResponse(_ONCE_MORE)
        session = self._sessions.read(cookie) if cookie else None
        is_new = session is None
        session = session or self._sessions.new(is_login=False)
        state = request.state
        state.session, state.is_new_session = session, is_new
        state.form, state.form_token = Form(), self._sessions.form_token(session)
        if request.method == "POST":
            form = _form(body)
            if form is None:
                return _plain(request, 400, Phrase("What was sent is no form."))
            if not _is_same_origin(request) or not hmac.compare_digest(
                form.get("token").encode(), state.form_token.encode()
            ):
                text = Phrase("This form is out of date, or of another site: reload the page.")
                return _plain(request, 403, text)
            state.form = form
        path = request.scope["path"]
        if not session.is_login and not any(path == way or _is_below(way, path) for way in _OPEN):
            return _to_login(request)
        return None


def host_name(host: str) -> str:
    """Give the name of a Host header, without port and brackets; nothing of what is no such header."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def cookie_name(request: Request) -> str:
    """Name the session's cookie.

    Cookies do not tell ports apart, and tunnels to several clusters differ in nothing else.
    """
    port = request.headers.get("host", "").rpartition("]")[2].rpartition(":")[2]
    prefix = "__Host-" if request.url.scheme == "https" else ""
    return f"{prefix}tieba-{port if port.isdecimal() else 'default'}"


def set_session(request: Request, response: Response, sessions: Sessions, session: Session) -> None:
    """Let a browser have a session from now on."""
    response.set_cookie(
        cookie_name(request),
        sessions.cookie(session),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _is_below(way: str, path: str) -> bool:
    return way.endswith("/") and path.startswith(way)


async def _body(request: Request) -> bytes | None:
    """Read what is sent; None if it is too much."""
    length = number(request.headers.get("content-length", "0"))
    if length is None or length > MOST_BODY_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            return None
    return bytes(body)


def _form(body: bytes) -> Form | None:
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return None
    return Form(tuple(fields))


def _is_same_origin(request: Request) -> bool:
    """Tell whether a page of ours sent this; every browser of today names the origin of what it posts."""
    origin = request.headers.get("origin", "")
    return origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def _comes_from_elsewhere(request: Request) -> bool:
    """Tell whether a link of another site led here: Sec-Fetch-Site, which all browsers of today send."""
    return (
        request.method == "GET"
        and request.headers.get("sec-fetch-site") == "cross-site"
        and request.headers.get("sec-fetch-mode") == "navigate"
    )


def _to_login(request: Request) -> Response:
    # Not request.url, which some releases of Starlette make of the Host header.
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    if path == "/events":
        return Response(status_code=401)
    target = path + (f"?{query}" if query else "")
    login = "/login" if request.method != "GET" or target == "/" else f"/login?next={quote(target)}"
    if request.headers.get("hx-request"):  # a part of a page cannot show the login
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    return RedirectResponse(login, 303)


def _plain(request: Request, status: int, text: Phrase) -> Response:
    return PlainTextResponse(f"{told(text, catalog_of(language_of(request)))}\n", status)


def _with_headers(request: Request, send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if not request.scope["path"].startswith("/static/"):
                headers["cache-control"] = "no-store"
        await send(message)

    return send_with_headers
