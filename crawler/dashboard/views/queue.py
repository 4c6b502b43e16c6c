"""The queue: what is next, what is held, what waits, what was given up, and what can be done about it.

Everything is read in bounded pieces, however long the queue is.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - Starlette's routes are called with it
from starlette.responses import RedirectResponse, Response

from dashboard.asked import id_of, number, signed
from dashboard.pages import is_stock, render
from dashboard.patience import in_time
from dashboard.words import thread_of
from tieba.finding import find as find_requests
from tieba.finding import find_url
from tieba.phrases import phrase_of
from tieba.samples import sample_name
from tieba.seeds import is_address, make_seeds
from tieba.storage import StoreError
from tieba.wording import shown_request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from frontier import Frontier, Held, Letter
    from frontier.job import Job

    View = Callable[[Request], Coroutine[Any, Any, Response]]

_ROWS = 25
_MOST_HELD = 1_000
_LETTERS = 50
_MATCHES = 20  # after which a search does not look on by itself
_MOST_START = 10**7
_TITLES_SECONDS = 1.0
_KEPT_SECONDS = 1.0  # so many viewers ask Redis once
_MOVED_AT_ONCE = 1_000
_MOST_MOVED_SECONDS = 20.0
_SAMPLE = re.compile(r"; (?:saved as|like) \S+$")
_LONGEST_REASON = 200


def in_turn(view: View) -> View:
    """Let so many ask Redis at once; raises BusyError where too many do."""

    async def answer(request: Request) -> Response:
        async with request.app.state.redis_turns.taken():
            return await view(request)

    return answer


async def page(request: Request) -> Response:
    """Show the queue."""
    return render(request, "queue/page.html", **await _now(request), **_told(request))


async def now(request: Request) -> Response:
    """Show the part of the page that changes all the time."""
    if is_stock(request):
        raise HTTPException(404)
    return render(request, "queue/now.html", **await _now(request))


async def dead(request: Request) -> Response:
    """Show dead letters, newest first."""
    asked = request.query_params.get("before")
    before = number(asked)
    if asked is not None and before is None:
        raise HTTPException(404)
    letters = await request.app.state.frontier.dead_page(
        None if before is None else str(before), _LETTERS + 1
    )
    rows = [_letter(letter) for letter in letters[:_LETTERS]]
    following = rows[-1]["id"] if len(letters) > _LETTERS else None
    causes = {row["cause"]: row["id"] for row in rows}
    return render(
        request, "queue/dead.html", letters=rows, before=before, following=following, causes=causes,
        titles=await _titles(request.app.state, rows), **_told(request),
    )  # fmt: skip


async def letter(request: Request) -> Response:
    """Show one dead letter with its sample."""
    found = await request.app.state.frontier.letter(str(id_of(request)))
    if found is None:
        raise HTTPException(404)
    row = _letter(found)
    sample = await request.app.state.job.sample(row["sample"]) if row["sample"] else None
    return render(request, "queue/letter.html", letter=row, sample=sample)


async def find(request: Request) -> Response:
    """Tell what the queue knows of a thread, a forum or an address.

    With a place to look on `after`, it is a further piece of the page's list, which htmx asks for alone.
    """
    if is_stock(request):
        return render(request, "queue/find.html", fault=None, found=None)
    asked = request.query_params
    wanted, after, found, problem = asked.get("q", "").strip(), asked.get("after"), None, None
    kind = "forum" if asked.get("kind") == "forum" else _kind(wanted)
    looked_at, before = (number(asked.get(name)) or 0 for name in ("looked_at", "matches"))
    matches = before
    if wanted:
        try:
            found = await _find(request.app.state.job, kind, wanted, after)
            looked_at, matches = looked_at + found["looked_at"], before + len(found["queued"])
        except ValueError as error:
            problem = phrase_of(error)
    lists = (found[kind] for kind in ("leased", "queued", "delayed", "dead")) if found else ()
    return render(
        request, "queue/found.html" if found and request.headers.get("hx-request") else "queue/find.html",
        422 if problem else 200, wanted=wanted, kind=kind, found=found, fault=problem, looked_at=looked_at,
        matches=matches, is_enough=matches // _MATCHES > before // _MATCHES, is_first=after is None,
        titles=await _titles(request.app.state, *lists),
    )  # fmt: skip


async def hold(request: Request) -> Response:
    """Let workers lease nothing for now."""
    _need_frontier(request)
    reason = " ".join(request.state.form.get("reason").split())[:_LONGEST_REASON]
    return await _done(request, "held", await request.app.state.frontier.hold(reason))


async def go_on(request: Request) -> Response:
    """Let workers go on."""
    _need_frontier(request)
    return await _done(request, "let_go", await request.app.state.frontier.let_go())


async def retry(request: Request) -> Response:
    """Queue dead letters again: those that are named, those of one cause, or all."""
    _need_frontier(request)
    form, frontier = request.state.form, request.app.state.frontier
    match form.get("which"):
        case "all":
            count = frontier.retry_dead()
        case "cause":
            # Not the cause itself: forms change the ends of its lines.
            id_ = number(form.get("like"))
            like = None if id_ is None else await frontier.letter(str(id_))
            if like is None:
                raise HTTPException(404)
            cause = _cause(like.reason)
            count = frontier.retry_dead(lambda letter: _cause(letter.reason) == cause)
        case _:
            count = frontier.retry([id_ for id_ in form.all("id") if number(id_) is not None])
    return await _done(request, "retried", await count, "/queue/dead")


async def reprioritize(request: Request) -> Response:
    """Move a queue to another priority, in pieces, so that nothing waits for it long."""
    _need_frontier(request)
    form, frontier = request.state.form, request.app.state.frontier
    old, new = signed(form.get("old")), signed(form.get("new"))
    if old is None or new is None:
        raise HTTPException(422)

    moved, are_all, end = 0, old == new, time.monotonic() + _MOST_MOVED_SECONDS
    try:
        while not are_all and time.monotonic() < end:
            count = await frontier.reprioritize(form.get("endpoint"), old, new, _MOVED_AT_ONCE)
            moved += count
            are_all = not count
    except ValueError:
        raise HTTPException(422) from None
    return await _done(request, "moved" if are_all else "moved_some", moved)


async def _done(request: Request, what: str, result: int, path: str = "/queue") -> Response:
    """Go to where it is seen what was done."""
    await request.app.state.live.refresh()
    return RedirectResponse(f"{path}?{urlencode({'did': what, 'count': int(result)})}", 303)


def _told(request: Request) -> dict[str, Any]:
    """Give what was done, as the address of the page says; of the hold, while it is still so."""
    did, count = request.query_params.get("did"), number(request.query_params.get("count"))
    is_known = did in {"held", "let_go", "retried", "moved", "moved_some"} and count is not None
    if did in {"held", "let_go"} and count:
        status = request.app.state.live.snapshot.status
        is_known = status is not None and bool(status["crawl"]["paused"]) == (did == "held")
    return {"did": did if is_known else None, "count": count}


async def _now(request: Request) -> dict[str, Any]:
    app = request.app.state
    if is_stock(request):
        return {}
    status = app.live.snapshot.status
    queues = (
        [(item["endpoint"], item["priority"], item["count"]) for item in status["queues"]] if status else []
    )
    endpoint = request.query_params.get("endpoint", queues[0][0] if queues else "")
    priority = signed(request.query_params.get("priority"))
    if priority is None:
        priority = queues[0][1] if queues else 0
    start, held_start, delayed_start = (
        min(number(request.query_params.get(name)) or 0, _MOST_START) for name in ("start", "held", "later")
    )

    async def ask() -> dict[str, Any]:
        frontier = app.frontier
        leases, are_all = await _leases(frontier)
        held = leases[held_start : held_start + _ROWS]
        following = await frontier.queue(endpoint, priority, start, _ROWS + 1) if endpoint else ()
        delayed = await frontier.delayed(delayed_start, _ROWS + 1)
        rows = {
            "following": [_row(lease) for lease in following[:_ROWS]],
            "held": [
                {**_row(lease), "owner": lease.owner, "since": lease.since, "left": lease.seconds_left}
                for lease in held
            ],
            "delayed": [{**_row(item), "due": item.due} for item in delayed[:_ROWS]],
        }
        return {
            **rows,
            "has_more": len(following) > _ROWS,
            "has_more_held": len(leases) > held_start + _ROWS,
            "has_others_held": not are_all,
            "has_more_delayed": len(delayed) > _ROWS,
            "titles": await _titles(app, *rows.values()),
            "now": await app.job.now(),
        }

    chosen = {
        "endpoint": endpoint,
        "priority": priority,
        "start": start,
        "held": held_start,
        "later": delayed_start,
    }
    shown = await _kept(app, tuple(chosen.values()), ask)
    return {"queues": queues, "chosen": chosen, "rows": _ROWS, **shown}


async def _leases(frontier: Frontier) -> tuple[list[Held], bool]:
    """Give what workers hold, held longest first; of very much a part, and whether it is all."""
    found: dict[tuple[str, str], Held] = {}
    cursor = "0"
    while True:
        cursor, held = await frontier.leases(cursor, _MOST_HELD)
        found |= {(lease.owner, lease.id): lease for lease in held}
        if cursor == "0" or len(found) >= _MOST_HELD:
            return sorted(found.values(), key=lambda lease: lease.since or 0), cursor == "0"


def _need_frontier(request: Request) -> None:
    """Refuse what workers of scrapy-redis would not notice: they read another queue."""
    if is_stock(request):
        raise HTTPException(409)


async def _kept(
    app: Any, key: tuple[Any, ...], ask: Callable[[], Coroutine[Any, Any, dict[str, Any]]]
) -> dict[str, Any]:
    """Ask, unless somebody did a moment ago, or still waits for the answer."""
    at = time.monotonic()
    kept: dict[tuple[Any, ...], tuple[float, asyncio.Task[dict[str, Any]]]] = app.queue_views
    for old in [old for old, (when, task) in kept.items() if task.done() and at - when > _KEPT_SECONDS]:
        del kept[old]
    if key not in kept or _has_failed(kept[key][1]):
        kept[key] = (at, asyncio.create_task(ask()))
    return await asyncio.shield(kept[key][1])  # one who leaves takes nothing from the others


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _row(item: Any) -> dict[str, Any]:
    return {
        "endpoint": item.endpoint,
        "priority": item.priority,
        "attempts": item.attempts,
        "request": shown_request(item.payload),
    }


def _letter(letter: Letter) -> dict[str, Any]:
    return {
        **_row(letter),
        "id": letter.id,
        "at": letter.at,
        "reason": letter.reason,
        "cause": _cause(letter.reason),
        "sample": sample_name(letter.reason),
    }


def _cause(reason: str) -> str:
    """Give the reason without what only one letter has: its sample's name."""
    return _SAMPLE.sub("", reason)


async def _titles(app: Any, *lists: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Give the titles of the threads that requests are for, as far as the store has them."""
    status, config = app.live.snapshot.status, app.settings.crawler
    if app.browser is None or status is None or status["store_problem"]:
        return {}
    found = (thread_of(row["request"]) for rows in lists for row in rows)
    ids = {thread_id for thread_id in found if thread_id is not None}
    try:
        threads = (
            await in_time(app.browser.many("threads", list(ids)), _TITLES_SECONDS, config) if ids else []
        )
    except (StoreError, ValueError):
        return {}  # the queue is shown without them
    return {thread["thread_id"]: thread["title"] for thread in threads if thread["title"]}


def _kind(wanted: str) -> str:
    """Guess what somebody looks for: forums can be named as threads are, too, hence the page says what."""
    if is_address(wanted):
        return "url"
    return "forum" if number(wanted) is None else "thread"


async def _find(job: Job, kind: str, wanted: str, after: str | None) -> dict[str, Any]:
    """Find a thread by its number, a forum by its name, or what has an address; raises ValueError."""
    if kind == "url":
        return await find_url(job, wanted, after)
    return await find_requests(job, make_seeds({kind: wanted})[0].target, after)
