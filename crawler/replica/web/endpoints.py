"""The addresses of the web pages: what is asked for, and by which page it is answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, quote

from starlette.responses import JSONResponse
from starlette.routing import Route

from replica.faults import (
    HTML,
    NOT_FOUND_PAGE,
    RATE_LIMITED_429,
    RATE_LIMITED_HTML,
    VERIFICATION,
    Answer,
)
from replica.web.comments import comment_page, first_comments
from replica.web.lists import forum_page, missing_forum_page
from replica.web.shown import LIST_PAGE_SIZE
from replica.web.threads import thread_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from replica.world import Thread, World

_JSON = "application/json; charset=utf-8"
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
_MAX_FIELDS = 50  # of a query

_GONE = tuple(
    Answer(
        "deleted",
        404,
        HTML,
        NOT_FOUND_PAGE.replace("很抱歉，您访问的页面暂时无法打开。".encode(), words.encode()),
    )
    for words in ("很抱歉，该贴已被删除。", "抱歉，您访问的贴子被隐藏，暂时无法访问。")
)
_CHECKS = (VERIFICATION, VERIFICATION._replace(status=200), Answer("verification", 302, HTML, b""))
_WHY_DELETED = ("0", "1", "2", "3", "4", "5", "6")

# A logical request's name and what makes its answer.
Asked = tuple[str, "Callable[[], Answer]"]


class Site(Protocol):
    """What the pages need of the stand-in site."""

    world: World

    async def answer_page(
        self, kind: str, client: str, request: str, make: Callable[[], Answer], checks: Sequence[Answer]
    ) -> Answer:
        """Answer one request with what `make` makes, or with a fault."""


def routes(site: Site) -> list[Route]:
    """Give the routes of the web pages."""

    async def why_deleted(request: Request) -> JSONResponse:
        thread = site.world.thread(_number(request.query_params, "tid", 0))
        if thread is None or not thread.is_deleted:
            return JSONResponse({"no": 0, "error": "", "data": []})
        why = _WHY_DELETED[thread.thread_id % len(_WHY_DELETED)]
        return JSONResponse({"no": 0, "error": "", "data": {"type": why}})

    pages = _Pages(site.world)
    return [
        Route("/f", _Endpoint(site, "forum", pages.forum)),
        Route("/f/good", _Endpoint(site, "forum", pages.good)),
        Route("/p/totalComment", _Endpoint(site, "comments", pages.first_comments)),
        Route("/p/comment", _Endpoint(site, "comments", pages.comments)),
        Route("/p/{tid}", _Endpoint(site, "thread", pages.thread)),
        Route("/errorpage/deledErrorInfo", why_deleted),
    ]


class _Pages:
    """Takes a query apart; a parameter that is no number counts as missing."""

    def __init__(self, world: World) -> None:
        self._world = world

    def forum(self, query: Mapping[str, str]) -> Asked:
        return self._forum(query, good=query.get("tab") == "good")

    def good(self, query: Mapping[str, str]) -> Asked:
        return self._forum(query, good=True)

    def _forum(self, query: Mapping[str, str], *, good: bool) -> Asked:
        name = query.get("kw", "")
        page = _number(query, "pn", 0) // LIST_PAGE_SIZE + 1

        def make() -> Answer:
            forum = self._world.forum(name)
            if forum is None:
                return Answer("no_forum", 200, HTML, missing_forum_page(name, self._world.now))
            return Answer("ok", 200, HTML, forum_page(self._world, forum, page, good=good))

        return f"web forum {good} {page} {name}", make

    def thread(self, query: Mapping[str, str]) -> Asked:
        thread_id, page, starter_only = self._of_thread(query)

        def make() -> Answer:
            thread = self._living(thread_id)
            if thread is None:
                return _gone(thread_id)
            return Answer("ok", 200, HTML, thread_page(self._world, thread, page, starter_only=starter_only))

        return f"web thread {thread_id} {starter_only} {page}", make

    def first_comments(self, query: Mapping[str, str]) -> Asked:
        thread_id, page, starter_only = self._of_thread(query)

        def make() -> Answer:
            thread = self._living(thread_id)
            if thread is None:
                return _gone(thread_id)
            body = first_comments(self._world, thread, page, starter_only=starter_only)
            return Answer("ok", 200, _JSON, body)

        return f"web first comments {thread_id} {starter_only} {page}", make

    def comments(self, query: Mapping[str, str]) -> Asked:
        thread_id, page, _ = self._of_thread(query)
        post_id = _number(query, "pid", 0)

        def make() -> Answer:
            thread = self._living(thread_id)
            if thread is None:
                return _gone(thread_id)
            floor = thread.floors_by_id.get(post_id)
            # What the real site says of a floor that is gone is not known; here it has no comments.
            comments = floor.comments if floor else ()
            return Answer("ok", 200, HTML, comment_page(self._world, comments, page))

        return f"web comments {thread_id} {post_id} {page}", make

    def _of_thread(self, query: Mapping[str, str]) -> tuple[int, int, bool]:
        page = max(1, _number(query, "pn", 1))
        return _number(query, "tid", 0), page, query.get("see_lz") == "1"

    def _living(self, thread_id: int) -> Thread | None:
        thread = self._world.thread(thread_id)
        return None if thread is None or thread.is_deleted else thread


def _gone(thread_id: int) -> Answer:
    return _GONE[thread_id % len(_GONE)]


class _Endpoint:
    """ASGI application of one address; plain ASGI, since every layer in between costs time."""

    def __init__(self, site: Site, kind: str, ask: Callable[[Mapping[str, str]], Asked]) -> None:
        self._site = site
        self._kind = kind
        self._ask = ask

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        text = scope["query_string"].decode("utf-8", "replace")
        try:
            query = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:  # too many fields
            query = {}
        query |= scope["path_params"]
        request, make = self._ask(query)
        client = scope.get("client")
        answer = await self._site.answer_page(self._kind, client[0] if client else "", request, make, _CHECKS)
        if answer is RATE_LIMITED_HTML:  # only the client API is known to say it by a page
            answer = RATE_LIMITED_429
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        if answer.status == 302:
            address = quote(f"http://{_host(scope)}{scope['path']}?{text}", safe="")
            headers.append((b"location", f"{_CAPTCHA}&backurl={address}".encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


_CAPTCHA = "https://wappass.baidu.com/static/captcha/tuxing.html?ak=replica&timestamp=1&signature=replica"


def _host(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, "")
    return int(value) if _WHOLE_NUMBER.fullmatch(value) else default
