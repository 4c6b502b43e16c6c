"""Exports: asked for here, made by `tieba export`, fetched from here."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - Starlette's routes are called with it
from starlette.responses import FileResponse, RedirectResponse, Response

from dashboard.exports import AT_ONCE, COLLECTIONS, FORMATS, BusyError
from dashboard.pages import render
from dashboard.views.data import browser_of

_TEXTS = ("forum", "thread", "since", "until")
_CHOICES = ("format", "collection", "no-deleted", "for-spreadsheet")
_LONGEST = 200


async def page(request: Request) -> Response:
    """Show the form, and the exports there are."""
    browser_of(request)
    return await _page(request)


async def start(request: Request) -> Response:
    """Begin an export."""
    browser_of(request)
    form = request.state.form
    what = {name: value for name in _TEXTS if (value := form.get(name).strip()[:_LONGEST])}
    if any("\0" in value for value in what.values()):  # no program takes such an argument
        raise HTTPException(422)
    format_, collection = form.get("format"), form.get("collection")
    if format_ not in FORMATS or collection not in COLLECTIONS:
        raise HTTPException(422)
    what["format"] = format_
    if format_ == "html":
        if "thread" not in what:
            return await _page(request, 422, fault="html")
    else:
        what["collection"] = collection
    if form.get("no-deleted"):
        what["no-deleted"] = ""
    if format_ == "csv" and form.get("for-spreadsheet"):
        what["for-spreadsheet"] = ""
    try:
        await request.app.state.exports.start(what)
    except BusyError:
        return await _page(request, 429, fault="busy")
    return RedirectResponse("/data/export", 303)


async def fetch(request: Request) -> Response:
    """Give the file of an export."""
    path = await run_in_threadpool(request.app.state.exports.path, request.path_params["id"])
    if path is None:
        raise HTTPException(404)
    return FileResponse(path, filename=path.name, media_type="application/octet-stream")


async def remove(request: Request) -> Response:
    """Forget an export, or stop it."""
    await request.app.state.exports.remove(request.state.form.get("id"))
    return RedirectResponse("/data/export", 303)


async def _page(request: Request, status: int = 200, *, fault: str | None = None) -> Response:
    exports = await run_in_threadpool(request.app.state.exports.all)
    # htmx asks for the list alone.
    template = "data/exported.html" if request.headers.get("hx-request") else "data/export.html"
    given = request.state.form if request.method == "POST" else request.query_params
    return render(
        request, template, status, exports=exports, formats=FORMATS, collections=COLLECTIONS, fault=fault,
        at_once=AT_ONCE, given={name: given.get(name, "") for name in (*_TEXTS, *_CHOICES)},
    )  # fmt: skip
