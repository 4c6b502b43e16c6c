"""The web page as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboard.exports import Exports
from dashboard.gate import Gate
from dashboard.live import Live
from dashboard.notify import Notifier
from dashboard.pages import FOLDER, render
from dashboard.patience import BusyError, Turns
from dashboard.search import Search
from dashboard.sessions import Sessions, Throttle
from dashboard.views import data, entry, export, overview, queue
from frontier.connection import cancel
from tieba.browsing import open_browser
from tieba.checks import redis_problem
from tieba.files import writable_folder
from tieba.phrases import phrase_of
from tieba.status import Watcher
from tieba.storage import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Scope

    from dashboard.config import Settings

# Not frontier.connection.ERRORS, to which every OSError belongs: that may be this machine's full disk.
_REDIS_ERRORS = (redis_errors.RedisError, redis_errors.RedisClusterException, ConnectionError)
_AT_ONCE = 16  # pages that ask a server; with more each of them comes later, and none sooner
_TURN_SECONDS = 5.0
_FOREVER = "public, max-age=31536000, immutable"

logger = logging.getLogger(__name__)


class _Static(StaticFiles):
    """Files whose address changes with them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = _FOREVER
        return answer


def create_app(settings: Settings) -> tuple[ASGIApp, Live]:
    """Make the application, and what is to be stopped before its streams end; raises OSError for data_dir."""
    config = settings.crawler
    data_dir = Path(settings.data_dir)
    writable_folder(data_dir)
    watcher = Watcher(config)
    notifier = Notifier(settings, data_dir / "told-alarms.json")
    live = Live(watcher, notifier.look)
    browser = open_browser(config)
    search = Search(data_dir / "search.sqlite", browser) if browser else None
    exports = Exports(data_dir / "exports", config)
    sessions = Sessions(settings.session_key, settings.password_hash, data_dir / "ended-sessions.json")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(watcher.close)
            stack.push_async_callback(notifier.close)
            stack.push_async_callback(exports.close)
            await stack.enter_async_context(_in_background(exports.clean()))
            if browser is not None and search is not None:
                stack.push_async_callback(browser.close)
                stack.callback(search.close)
                await stack.enter_async_context(_in_background(search.run()))
            await stack.enter_async_context(live.running())
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", overview.overview),
            Route("/events", overview.events),
            Route("/healthz", overview.healthz),
            Route("/metrics", overview.metrics),
            Route("/login", entry.login_page),
            Route("/login", entry.login, methods=["POST"]),
            Route("/logout", entry.logout, methods=["POST"]),
            Route("/preferences", entry.preferences, methods=["POST"]),
            Route("/queue", queue.in_turn(queue.page)),
            Route("/queue/now", queue.in_turn(queue.now)),
            Route("/queue/dead", queue.in_turn(queue.dead)),
            Route("/queue/letter/{id}", queue.in_turn(queue.letter)),
            Route("/queue/find", queue.in_turn(queue.find)),
            Route("/queue/hold", queue.in_turn(queue.hold), methods=["POST"]),
            Route("/queue/go-on", queue.in_turn(queue.go_on), methods=["POST"]),
            Route("/queue/retry", queue.in_turn(queue.retry), methods=["POST"]),
            Route("/queue/reprioritize", queue.in_turn(queue.reprioritize), methods=["POST"]),
            Route("/data", data.of_store(data.home)),
            Route("/data/forum/{id}", data.of_store(data.forum)),
            Route("/data/thread/{id}", data.of_store(data.thread)),
            Route("/data/post/{id}", data.of_store(data.post)),
            Route("/data/user/{key}", data.of_store(data.user)),
            Route("/data/search", data.of_store(data.search)),
            Route("/data/export", export.page),
            Route("/data/export", export.start, methods=["POST"]),
            Route("/data/export/remove", export.remove, methods=["POST"]),
            Route("/data/export/{id}", export.fetch),
            Mount("/static", _Static(directory=FOLDER / "static")),
        ],
        exception_handlers={
            HTTPException: _refuse,
            StoreError: _without_store,
            BusyError: _busy,
            data.NothingToShowError: _without_data,
            Exception: _fail,
            **dict.fromkeys(_REDIS_ERRORS, _without_redis),
        },
    )
    state = app.state
    state.settings, state.live = settings, live
    state.job, state.frontier = watcher.job, watcher.job.frontier
    state.sessions, state.throttle = sessions, Throttle()
    state.browser, state.search, state.exports, state.queue_views = browser, search, exports, {}
    state.redis_turns, state.store_turns = (Turns(_AT_ONCE, _TURN_SECONDS) for _ in range(2))
    return Gate(app, sessions, [settings.listen, *settings.hosts]), live


@contextlib.asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel(task)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - by the table above
    return render(request, "error.html", error.status_code, problem=None)


async def _without_store(request: Request, error: Exception) -> Response:
    return _away(request, phrase_of(error))


async def _without_data(request: Request, error: Exception) -> Response:
    return render(request, "data/nothing.html")


async def _without_redis(request: Request, error: Exception) -> Response:
    return _away(request, phrase_of(redis_problem(error, request.app.state.settings.crawler)))


async def _busy(request: Request, error: Exception) -> Response:
    snapshot = request.app.state.live.snapshot
    problem = snapshot.problem or (snapshot.status and snapshot.status["store_problem"])
    if problem:  # for which those before still wait
        return _away(request, problem)
    answer = render(request, "error.html", 503, problem=None)
    answer.headers["retry-after"] = str(round(_TURN_SECONDS))
    return answer


def _away(request: Request, problem: str) -> Response:
    return render(request, "error.html", 503, problem=problem)


async def _fail(request: Request, error: Exception) -> Response:
    logger.error("%s %s: %s", request.method, request.url.path, type(error).__name__)
    return render(request, "error.html", 500, problem=None)
