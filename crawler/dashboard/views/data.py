"""What was found: forums, threads with their floors and comments, users."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - Starlette's routes are called with it
from starlette.responses import RedirectResponse, Response

from dashboard.asked import id_of, number
from dashboard.pages import render
from tieba.phrases import phrase_of
from tieba.seeds import SeedError, window
from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from dashboard.patience import Turns
    from dashboard.search import Search
    from tieba.browsing import Browser
    from tieba.storage import Document

    View = Callable[[Request], Coroutine[Any, Any, Response]]

_THREADS = 40
_USERS = 60
_FLOORS = 30
_COMMENTS_EACH = 5
_COMMENTS = 50
_CHART_DAYS, _USUAL_DAYS = (2, 7, 30), 7
_PATIENCE_SECONDS = 5.0
_LONGEST_PORTRAIT = 200


class NothingToShowError(Exception):
    """Only JSON Lines are written: there is no store that could be asked."""


def browser_of(request: Request) -> Browser:
    """Give what reads the store; raises NothingToShowError."""
    browser: Browser | None = request.app.state.browser
    if browser is None:
        raise NothingToShowError
    return browser


async def home(request: Request) -> Response:
    """Show the forums, the newest threads and when posts were written.

    A `part` of it, which was still being counted, is what htmx asks for alone.
    """
    browser = browser_of(request)
    part = request.query_params.get("part")
    if part == "hours":
        return render(request, "data/hours.html", chart=await _chart(request, browser))
    counts = await browser.counts()
    if part == "counts":
        return render(request, "data/counts.html", counts=counts.value if counts else None)
    forums = await browser.forums()
    return render(
        request, "data/home.html",
        counts=counts.value if counts else None,
        forums=forums,
        forum_names=_names(forums),
        chart=await _chart(request, browser),
        **await _threads(request, browser),
    )  # fmt: skip


async def forum(request: Request) -> Response:
    """Show the threads of a forum."""
    browser = browser_of(request)
    forum_id = id_of(request)
    found = await browser.forum(forum_id)
    if found is None:
        raise HTTPException(404)
    threads = await _threads(request, browser, forum_id)
    return render(request, "data/forum.html", forum=found, **threads)


async def thread(request: Request) -> Response:
    """Show a thread's floors with their first comments."""
    browser = browser_of(request)
    found = await browser.thread(id_of(request))
    if found is None:
        raise HTTPException(404)
    page = await browser.floors(found["thread_id"], cursor=_cursor(request), limit=_FLOORS)
    comments = await browser.comments(
        [floor["post_id"] for floor in page.items], limit_each=_COMMENTS_EACH + 1
    )
    of = await browser.forum(found["forum_id"]) if found["forum_id"] is not None else None
    return render(
        request, "data/thread.html", thread=found, forum=of, floors=page.items, following=page.next,
        is_first=_cursor(request) is None, comments=comments, most=_COMMENTS_EACH,
    )  # fmt: skip


async def post(request: Request) -> Response:
    """Show a floor with all its comments."""
    browser = browser_of(request)
    found = await browser.post(id_of(request))
    if found is None:
        raise HTTPException(404)
    page = await browser.comments_of(found["post_id"], cursor=_cursor(request), limit=_COMMENTS)
    of = await browser.thread(found["thread_id"]) if found["thread_id"] is not None else None
    # htmx asks for the comments alone, to put them under their floor.
    template = "data/comments.html" if request.headers.get("hx-request") else "data/post.html"
    return render(
        request, template, floor=found, thread=of, comments=page.items, following=page.next,
        is_first=_cursor(request) is None,
    )  # fmt: skip


async def user(request: Request) -> Response:
    """Show what a user wrote."""
    browser = browser_of(request)
    key = request.path_params["key"]
    if len(key) > _LONGEST_PORTRAIT:
        raise HTTPException(404)
    user_id = number(key)
    found = await browser.user(key if user_id is None else user_id)
    if found is None and user_id is None:
        raise HTTPException(404)
    page = threads = None
    titles: dict[int, str | None] = {}
    if user_id is not None:
        page = await browser.posts_by(user_id, cursor=_cursor(request), limit=_FLOORS)
        threads = await browser.threads(author_id=user_id, by="begun", limit=_THREADS // 2)
        wrote_in = {floor["thread_id"] for floor in page.items if floor["thread_id"] is not None}
        titles = {item["thread_id"]: item["title"] for item in await browser.many("threads", list(wrote_in))}
        if found is None and not page.items and not threads.items:
            raise HTTPException(404)
    return render(
        request, "data/user.html", user=found, key=key,
        posts=page.items if page else [], following=page.next if page else None,
        threads=threads.items if threads else [], titles=titles, is_first=_cursor(request) is None,
    )  # fmt: skip


async def search(request: Request) -> Response:
    """Find by id, and by words of titles and names; without words, threads that began at some time."""
    wanted = request.query_params.get("q", "").strip()
    times = _times(request)
    if not wanted:
        given = {name: value for name, value in times.asked.items() if value}
        return RedirectResponse(f"/data?{urlencode({'by': 'begun', **given})}" if given else "/data", 303)
    browser, index = browser_of(request), request.app.state.search
    before = number(request.query_params.get("before"))
    is_first = before is None
    threads, following = await _with_words(browser, index, wanted, times, before=before)
    forums = await browser.forums()
    others: dict[str, Any] = {"by_id": {}, "users": [], "found_forums": []}
    if is_first:
        others = {
            "by_id": await _of_id(browser, wanted),
            "users": await browser.many("users", await index.users(wanted, limit=_USERS)),
            "found_forums": [forum for forum in forums if _is_called(forum, wanted)],
        }
    return render(
        request, "data/search.html", wanted=wanted, threads=threads, following=following,
        is_first=is_first, asked=times.asked, fault=times.fault, progress=await index.progress(),
        forum_names=_names(forums), **others,
    )  # fmt: skip


def _is_called(forum: Document, wanted: str) -> bool:
    """Tell whether a text is part of a forum's name, with 吧 or without, in any width and case."""
    name, part = (unicodedata.normalize("NFKC", text).casefold() for text in (forum["name"] or "", wanted))
    return part in f"{name}吧"


async def _with_words(
    browser: Browser, index: Search, wanted: str, times: _Times, *, before: int | None
) -> tuple[list[Document], int | None]:
    """Give threads whose title or author has some words, begun at these times, newest ids first.

    Also the id before which the search goes on: None after the last.
    """
    ids = await index.threads(wanted, limit=_THREADS + 1, before=before, since=times.since, until=times.until)
    following = ids[_THREADS - 1] if len(ids) > _THREADS else None
    return await browser.many("threads", ids[:_THREADS]), following


async def _of_id(browser: Browser, wanted: str) -> dict[str, Document]:
    """Give what has this number; nothing where it is none."""
    id_ = number(wanted)
    if id_ is None:
        return {}
    found = {
        "thread": await browser.thread(id_),
        "post": await browser.post(id_),
        "comment": await browser.comment(id_),
        "user": await browser.user(id_),
    }
    return {name: record for name, record in found.items() if record is not None}


async def _threads(request: Request, browser: Browser, forum_id: int | None = None) -> dict[str, Any]:
    """Give a page of a list of threads, as the address says: order, times, cursor."""
    by: Literal["begun", "replied"] = "begun" if request.query_params.get("by") == "begun" else "replied"
    times = _times(request)
    page = await browser.threads(
        forum_id=forum_id, since=times.since, until=times.until, by=by, cursor=_cursor(request),
        limit=_THREADS,
    )  # fmt: skip
    return {"threads": page.items, "following": page.next, "by": by, "asked": times.asked,
            "fault": times.fault, "is_first": _cursor(request) is None}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Times:
    """Times that were asked for, as they were given, and what is wrong with them."""

    asked: Mapping[str, str]
    since: datetime | None = None
    until: datetime | None = None
    fault: str | None = None


def _times(request: Request) -> _Times:
    asked = {name: request.query_params.get(name, "").strip() for name in ("since", "until")}
    try:
        return _Times(asked, *window(asked["since"] or None, asked["until"] or None, str))
    except SeedError as error:
        return _Times(asked, fault=phrase_of(error))


def _names(forums: list[Document]) -> dict[int, str]:
    return {forum["forum_id"]: forum["name"] for forum in forums if forum["name"]}


async def _chart(request: Request, browser: Browser) -> dict[str, Any] | None:
    """Give how many posts were written in each hour of the last days of which there are some.

    What is dated later than now tells of no days that there were.
    """
    days = number(request.query_params.get("days"))
    chosen = days if days in _CHART_DAYS else _USUAL_DAYS
    span = await browser.span(datetime.now(timezone.utc) + timedelta(hours=1))
    if span is None:
        return None
    until = span[1] + timedelta(hours=1)
    hours = await browser.posts_per_hour(until - timedelta(days=chosen), until)
    if hours is None:
        return {"days": chosen, "choices": _CHART_DAYS, "points": None}
    counts = [count for _, count in hours.value]
    return {
        "days": chosen,
        "choices": _CHART_DAYS,
        "points": [[hour.timestamp() for hour, _ in hours.value], counts],
        "most": max(counts, default=0),
        "total": sum(counts),
    }


def _cursor(request: Request) -> str | None:
    return request.query_params.get("cursor") or None


def of_store(view: View) -> View:
    """Answer in time also while the store does not, and let a cursor that is none of ours be no address.

    Raises BusyError where too many ask.
    """

    async def answer(request: Request) -> Response:
        state = request.app.state
        try:
            turns: Turns = state.store_turns
            return await turns.run(lambda: view(request), _PATIENCE_SECONDS, state.settings.crawler)
        except StoreError:
            raise
        except ValueError:
            raise HTTPException(404) from None

    return answer
