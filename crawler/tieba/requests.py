"""Scrapy requests for what is to be fetched.

A request carries its `Fetch` in `meta`, as JSON, and with it everything that is needed to build it again; the
answer to it comes back in `meta["answer"]`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from scrapy import Request

from tieba.bodies import ACCEPT_ENCODING
from tieba.pages import CommentPage, Fetch, ForumPage, Source, Target, ThreadComments, ThreadPage
from tieba.pages.client import ClientApi
from tieba.pages.web import WebPages

if TYPE_CHECKING:
    from tieba.config import Config

# What a thread leads to comes before the next thread, and threads before lists, so that the queue stays
# short.
_PRIORITIES: dict[type[Target], int] = {CommentPage: 20, ThreadComments: 20, ThreadPage: 10, ForumPage: 0}
_SEED_PRIORITY = 30


@functools.lru_cache(8)
def source_of(config: Config) -> Source:
    """Give the source that a configuration chooses."""
    return WebPages() if config.source == "web" else ClientApi(config.api_format, config.api_client_version)


def make_request(fetch: Fetch, config: Config, *, is_seed: bool = False, attempts: int = 0) -> Request:
    """Build the request for a fetch; `attempts` were made before without success."""
    call = source_of(config).build(fetch)
    base = config.web_url if config.source == "web" else config.api_url
    meta: dict[str, Any] = {"fetch": fetch.to_json(), "endpoint": call.endpoint}
    if is_seed:
        meta["is_seed"] = True
    if attempts:
        meta["attempts"] = attempts
    return Request(
        base.rstrip("/") + call.path,
        method=call.method,
        headers={**call.headers, "Accept-Encoding": ACCEPT_ENCODING},
        body=call.body,
        meta=meta,
        priority=_SEED_PRIORITY if is_seed else _PRIORITIES[type(fetch.target)],
    )


def fetch_of(request: Request) -> Fetch | None:
    """Give what a request fetches, None for one that is not ours (robots.txt, a user's own)."""
    if "fetch" not in request.meta:
        return None
    try:
        return Fetch.from_json(request.meta["fetch"])
    except ValueError:
        return None


def target_of(request: Request) -> Target | None:
    """Give the target of a request, None for one that is not ours."""
    fetch = fetch_of(request)
    return None if fetch is None else fetch.target


def is_seed(request: Request) -> bool:
    """Tell whether a request is the first of a seed."""
    return bool(request.meta.get("is_seed"))


def fresh(request: Request, config: Config, *, attempts: int | None = None) -> Request:
    """Build a request again, to be queued once more, without what Scrapy noted in it on the way."""
    fetch = fetch_of(request)
    if fetch is None:
        return request.replace(dont_filter=True)
    if attempts is None:
        attempts = request.meta.get("attempts", 0)
    again = make_request(fetch, config, is_seed=is_seed(request), attempts=attempts)
    return again.replace(dont_filter=True)
