"""Reads a saved answer of either source, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tieba.pages import outcomes
from tieba.pages.client import ClientApi
from tieba.pages.web import WebPages

if TYPE_CHECKING:
    from tieba.pages.answers import Answer
    from tieba.pages.sources import Received
    from tieba.pages.targets import Target


def read_any(received: Received, target: Target | None = None) -> Answer:
    """Tell what an answer means, of the source that its content belongs to; never raises."""
    source = WebPages() if _is_of_web(received.body) else ClientApi()
    return source.read(received, target)


def _is_of_web(body: bytes) -> bool:
    return outcomes.is_markup(body) or b'"comment_list"' in body
