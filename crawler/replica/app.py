"""The stand-in site as an ASGI application: the client API, robots.txt, /replica/ for people and tests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from replica import api, truth
from replica.content import INLINE_COMMENTS, THREAD_PAGE_SIZE
from replica.faults import HTML, NOT_FOUND_PAGE, VERIFICATION, Answer, FaultPlan
from replica.forms import PATHS, Form, Protobuf, RefusedError, SignedJson
from replica.web import endpoints as web
from replica.world import LIST_PAGE_SIZE, MOST_THREADS, Forum, Thread, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from replica.config import Config
    from replica.forms import Json

MAX_BODY = 65_536  # bytes of a request

_SIGNED_JSON = SignedJson()
_MAX_NUMBER = 2**63 - 1
_ROBOTS = "User-agent: *\nAllow: /c/f/\nAllow: /f\nAllow: /p/\nAllow: /robots.txt\nDisallow: /replica/\n"
_GONE = (4, "贴子可能已被删除")


def _number(given: Mapping[str, str], name: str, default: int | None = None) -> int:
    """Read a parameter as a number from 0; what the real server says to other values is not known."""
    value = given.get(name, "")
    if not value and default is not None:
        return default
    if value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= _MAX_NUMBER:
        return int(value)
    raise RefusedError("bad_parameter", 1, f"参数错误: {name}={value[:40]}")


class Site:
    """State of one stand-in site: content, faults and counters."""

    def __init__(self, config: Config) -> None:
        self.world = World(config.seed, config.forums, hostile=config.hostile)
        self._latency = config.latency_ms / 1_000
        self._faults = FaultPlan(config.faults, config.seed)
        self.reset()

    def reset(self) -> None:
        """Zero the counters; forget which requests were answered before. The content stays as it is."""
        self._since = time.monotonic()
        self._cpu_since = time.process_time()
        self._by_kind = Counter({"forum": 0, "thread": 0, "comments": 0})
        self._by_outcome: Counter[str] = Counter({"ok": 0})
        self._repeats = 0
        self._attempts: Counter[str] = Counter()
        self._answered: set[str] = set()

    def stats(self) -> dict[str, object]:
        """Give the counters since the last reset."""
        return {
            "answers": self._by_kind.total(),
            "repeats": self._repeats,
            "by_kind": dict(self._by_kind),
            "by_outcome": dict(self._by_outcome),
            "seconds": round(time.monotonic() - self._since, 3),
            "cpu_seconds": round(time.process_time() - self._cpu_since, 3),
        }

    async def answer(self, kind: str, body: bytes, client: str, form: Form = _SIGNED_JSON) -> Answer:
        """Answer one request of the client API."""
        return await self._count(kind, client, partial(self._answer, kind, body, form))

    async def answer_page(
        self, kind: str, client: str, request: str, make: Callable[[], Answer], checks: Sequence[Answer]
    ) -> Answer:
        """Answer one request for a web page with what `make` makes, or with a fault (one of `checks`)."""
        return await self._count(kind, client, lambda: self._unless_fault(request, make, checks))

    async def _count(self, kind: str, client: str, answer_it: Callable[[], Answer]) -> Answer:
        if self._latency:
            await asyncio.sleep(self._latency)
        answer = self._faults.over_limit(kind, client, time.monotonic()) or answer_it()
        self._by_kind[kind] += 1
        self._by_outcome[answer.outcome] += 1
        return answer

    def _answer(self, kind: str, body: bytes, form: Form) -> Answer:
        def refuse(error: RefusedError) -> Answer:
            return Answer(error.outcome, 200, form.content_type, form.write_error(error))

        def make() -> Answer:
            try:
                return Answer("ok", 200, form.content_type, form.write(kind, content()))
            except RefusedError as error:
                return refuse(error)

        try:
            request, content = self._route(kind, form.read(kind, body))
        except RefusedError as error:
            return refuse(error)
        return self._unless_fault(request, make)

    def _unless_fault(
        self, request: str, make: Callable[[], Answer], checks: Sequence[Answer] = (VERIFICATION,)
    ) -> Answer:
        """Answer a logical request, or let it go wrong."""
        self._attempts[request] += 1
        answer = self._faults.fault(request, self._attempts[request], checks) or make()
        if answer.outcome in {"ok", "deleted"}:
            self._repeats += request in self._answered
            self._answered.add(request)
        return answer

    def _route(self, kind: str, given: Mapping[str, str]) -> tuple[str, Callable[[], Json]]:
        """Check the parameters; give the logical request's name and what makes its answer.

        Lists are always in the order of the last replies, floors in that of their numbers.
        """
        page = max(1, _number(given, "pn", 1))  # the first page is 1, or 0 for some clients
        if kind == "forum":
            size = min(MOST_THREADS, max(1, _number(given, "rn", LIST_PAGE_SIZE)))
            name, is_good = given.get("kw", ""), _number(given, "is_good", 0) > 0
            return f"forum {size} {page} {is_good} {name}", lambda: api.forum_page(
                self._forum(name), page, size, is_good=is_good
            )
        thread_id = _number(given, "kz")
        if kind == "thread":
            size = min(THREAD_PAGE_SIZE, max(2, _number(given, "rn", THREAD_PAGE_SIZE)))
            inline = min(INLINE_COMMENTS, _number(given, "floor_rn", INLINE_COMMENTS))
            if not _number(given, "with_floor", 0):
                inline = 0
            of_starter = _number(given, "lz", 0) > 0
            return f"thread {thread_id} {size} {inline} {page} {of_starter}", lambda: api.thread_page(
                self._thread(thread_id), page, size, inline, of_starter=of_starter
            )
        post_id = _number(given, "pid")
        return f"comments {thread_id} {post_id} {page}", lambda: self._comment_page(thread_id, post_id, page)

    def _forum(self, name: str) -> Forum:
        forum = self.world.forum(name)
        if forum is None:
            # No capture of the real answer exists: code and message are invented.
            raise RefusedError("no_forum", 340001, f"您访问的贴吧不存在: {name[:40]}")
        return forum

    def _thread(self, thread_id: int) -> Thread:
        thread = self.world.thread(thread_id)
        if thread is None or thread.is_deleted:
            raise RefusedError("deleted", *_GONE)
        return thread

    def _comment_page(self, thread_id: int, post_id: int, page: int) -> Json:
        thread = self._thread(thread_id)
        floor = thread.floors_by_id.get(post_id)
        if floor is None:
            raise RefusedError("deleted", *_GONE)
        return api.comment_page(thread, floor, page)


class _Endpoint:
    """ASGI application of one API endpoint; plain ASGI, since every layer in between costs time."""

    def __init__(self, site: Site, kind: str) -> None:
        self._site = site
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if len(body) <= MAX_BODY:
                body += message.get("body", b"")
            more = message.get("more_body", False)
        client = scope.get("client")
        answer = await self._site.answer(
            self._kind, body[:MAX_BODY], client[0] if client else "", _form(scope)
        )
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _form(scope: Scope) -> Form:
    headers = dict(scope["headers"])
    if headers.get(b"x_bd_data_type") != b"protobuf":
        return _SIGNED_JSON
    command = dict(parse_qsl(scope["query_string"].decode("ascii", "replace"))).get("cmd", "")
    return Protobuf(command, headers.get(b"content-type", b""))


def create_app(config: Config) -> Starlette:
    """Make the stand-in site with these settings."""
    site = Site(config)

    async def robots(_: Request) -> Response:
        return PlainTextResponse(_ROBOTS)

    async def stats(_: Request) -> Response:
        return JSONResponse(site.stats())

    async def reset(_: Request) -> Response:
        site.reset()
        return JSONResponse(site.stats())

    async def advance(request: Request) -> Response:
        given = request.query_params.get("share", "0.05")
        try:
            share = float(given)
        except ValueError:
            share = 0
        if not 0 < share <= 1:
            return JSONResponse(
                {"error": f"share={given[:40]!r} is not a number above 0, up to 1"}, status_code=400
            )
        forums = site.world.advance(share)
        return JSONResponse({"generation": site.world.generation, "forums": forums})

    async def ground_truth(request: Request) -> Response:
        name = request.query_params.get("forum", "")
        forum = site.world.forum(name)
        if forum is None:
            known = ", ".join(item.name for item in site.world.forums)
            return JSONResponse(
                {"error": f"forum {name!r} does not exist; there are {known}"}, status_code=404
            )
        try:
            part = truth.Part.parse(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return StreamingResponse(_truth_lines(forum, part), media_type="application/x-ndjson")

    async def not_found(_: Request, __: Exception) -> Response:
        return Response(NOT_FOUND_PAGE, status_code=404, media_type=HTML)

    return Starlette(
        routes=[
            *(Route(path, _Endpoint(site, kind), methods=["POST"]) for kind, path in PATHS.items()),
            *web.routes(site),
            Route("/robots.txt", robots),
            Route("/replica/truth", ground_truth),
            Route("/replica/advance", advance, methods=["POST"]),
            Route("/replica/stats", stats),
            Route("/replica/reset", reset, methods=["POST"]),
        ],
        exception_handlers={404: not_found},
    )


async def _truth_lines(forum: Forum, part: truth.Part) -> AsyncIterator[str]:
    lines: list[str] = []
    for record in truth.records(forum, part):
        lines.append(truth.encode(record))
        if len(lines) >= 200:
            yield "".join(lines)
            lines.clear()
            await asyncio.sleep(0)  # other clients go on being served
    yield "".join(lines)
