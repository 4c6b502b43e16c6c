"""Login, logout, and the choice of language and theme."""

from __future__ import annotations

import asyncio
import math
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request  # noqa: TC002 - Starlette's routes are called with it
from starlette.responses import RedirectResponse, Response

from dashboard import passwords
from dashboard.gate import cookie_name, set_session
from dashboard.pages import LANGUAGE_COOKIE, LANGUAGES, THEME_COOKIE, THEMES, render

_GUESSES_AT_ONCE = asyncio.Semaphore(2)  # each takes 16 MiB and a processor
_LONGEST_PASSWORD = 1_000
_PREFERENCE_SECONDS = 365 * 24 * 3600


async def login_page(request: Request) -> Response:
    """Ask for the password."""
    if request.state.session.is_login:
        return RedirectResponse("/", 303)
    return _ask(request, target=own_target(request.query_params.get("next", "")))


async def login(request: Request) -> Response:
    """Let in who knows the password."""
    app, form = request.app.state, request.state.form
    target = own_target(form.get("next"))
    address = request.client.host if request.client else ""
    wait = app.throttle.take(address)
    if wait:
        page = _ask(request, 429, target=target, wait=math.ceil(wait))
        page.headers["retry-after"] = str(math.ceil(wait))
        return page
    async with _GUESSES_AT_ONCE:
        password = form.get("password")[:_LONGEST_PASSWORD]
        is_right = await run_in_threadpool(passwords.fits, password, app.settings.password_hash)
    if not is_right:
        return _ask(request, 403, target=target, is_wrong=True)
    app.throttle.give_back(address)
    answer = RedirectResponse(target, 303)
    set_session(request, answer, app.sessions, app.sessions.new(is_login=True))
    return answer


async def logout(request: Request) -> Response:
    """End the session, also for copies of its cookie."""
    if request.state.session.is_login:
        await run_in_threadpool(request.app.state.sessions.end, request.state.session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(cookie_name(request), path="/", secure=request.url.scheme == "https", httponly=True)
    return answer


async def preferences(request: Request) -> Response:
    """Remember language and theme in this browser."""
    form = request.state.form
    answer = RedirectResponse(own_target(form.get("next")), 303)
    for field, cookie, choices in (("language", LANGUAGE_COOKIE, LANGUAGES), ("theme", THEME_COOKIE, THEMES)):
        if form.get(field) in choices:
            answer.set_cookie(
                cookie,
                form.get(field),
                max_age=_PREFERENCE_SECONDS,
                secure=request.url.scheme == "https",
                httponly=True,
                samesite="strict",
            )
    return answer


def own_target(target: str) -> str:
    """Give where to go on, on this site alone; the overview for anything else."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_own = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith("//")
    return target if is_own and "\\" not in target and target.isprintable() else "/"


def _ask(
    request: Request, status: int = 200, *, target: str, wait: int = 0, is_wrong: bool = False
) -> Response:
    page = render(request, "login.html", status, target=target, wait=wait, is_wrong=is_wrong)
    if request.state.is_new_session:
        set_session(request, page, request.app.state.sessions, request.state.session)
    return page
