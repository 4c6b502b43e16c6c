"""Where answers come from: how a target is asked for, and how the answer is read.

There are two: the client API (`tieba.pages.client`) and the web pages (`tieba.pages.web`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tieba.pages.answers import Answer
    from tieba.pages.targets import Fetch, Target


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request: the endpoint whose rate limit holds for it, and what to send.

    `path` has the query, too.
    """

    endpoint: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Received:
    """What came as an answer, its body decompressed; `headers` have lower-case names.

    `at` is when it came: web pages give times relative to it.
    """

    body: bytes
    status: int = 200
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None


class Source(Protocol):
    """One of the ways to ask the site."""

    threads_per_page: int
    comments_per_page: int
    # Whether comments come with their floors; else a ThreadComments is to be fetched for a thread page.
    has_inline_comments: bool

    def build(self, fetch: Fetch) -> Call:
        """Build the request; the same fetch always gives the same bytes."""

    def read(self, received: Received, target: Target | None = None) -> Answer:
        """Tell what an answer means; never raises, whatever the bytes are.

        Without `target` the kind is told from the content; with it, an answer of another kind is unknown.
        """
