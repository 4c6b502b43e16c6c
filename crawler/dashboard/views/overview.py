"""The overview, and the events that keep every page up to date."""

from __future__ import annotations

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request  # noqa: TC002 - Starlette's routes are called with it
from starlette.responses import JSONResponse, Response, StreamingResponse

from dashboard.live import PARTS
from dashboard.metrics import CONTENT_TYPE
from dashboard.metrics import render as render_metrics
from dashboard.pages import language_of, render


async def overview(request: Request) -> Response:
    """Show whether the cluster is healthy, how far it is and what it found."""
    return render(request, "overview.html")


async def events(request: Request) -> Response:
    """Send the parts of a page that change, as server-sent events."""
    app, session = request.app.state, request.state.session
    page = request.query_params.get("page", "page")
    stream = app.live.stream(
        page if page in PARTS else "page", language_of(request), lambda: app.sessions.is_on(session)
    )
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def healthz(request: Request) -> Response:
    """Say that the page is served, and whether it has numbers: nothing that needs a login."""
    snapshot = request.app.state.live.snapshot
    has_numbers = snapshot.status is not None and snapshot.problem is None
    return JSONResponse({"status": "ok", "has_numbers": has_numbers})


async def metrics(request: Request) -> Response:
    """Give the numbers to Prometheus, which knows the token."""
    app = request.app.state
    if not app.settings.metrics_token:
        raise HTTPException(404)
    expected = f"Bearer {app.settings.metrics_token}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
        return Response(status_code=401, headers={"www-authenticate": "Bearer"})
    snapshot = app.live.snapshot
    return Response(
        render_metrics(snapshot.status, snapshot.problem, is_fault=snapshot.is_fault), media_type=CONTENT_TYPE
    )
