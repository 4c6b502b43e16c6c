"""Reads a saved answer of either source, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tieba.pages import outcomes
from tieba.pages.client import ClientApi
from tieba.pages.web import WebPages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tieba.pages.answers import Answer
    from tieba.pages.targets import Target


def read_any(
    body: bytes,
    *,
    target: Target | None = None,
    status: int = 200,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> Answer:
    """Tell what an answer means, of the source that its content belongs to; never raises."""
    source = WebPages() if _is_of_web(body) else ClientApi()
    return source.read(body, target=target, status=status, url=url, headers=headers, at=at)


def _is_of_web(body: bytes) -> bool:
    return outcomes.is_markup(body) or b'"comment_list"' in body
