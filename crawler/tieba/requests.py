"""Scrapy requests for what is to be fetched.

A request carries its `Fetch` in `meta`, as JSON, and with it everything that is needed to build it again; the
answer to it comes back in `meta["answer"]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy import Request

from tieba.bodies import ACCEPT_ENCODING
from tieba.fetches import priority_of, site_of, source_of
from tieba.pages import Fetch

if TYPE_CHECKING:
    from tieba.config import Config
    from tieba.pages import Target


def make_request(fetch: Fetch, config: Config, *, is_seed: bool = False, attempts: int = 0) -> Request:
    """Build the request for a fetch; `attempts` were made before without success."""
    call = source_of(config).build(fetch)
    meta: dict[str, Any] = {"fetch": fetch.to_json(), "endpoint": call.endpoint}
    if is_seed:
        meta["is_seed"] = True
    if attempts:
        meta["attempts"] = attempts
    return Request(
        site_of(config) + call.path,
        method=call.method,
        headers={**call.headers, "Accept-Encoding": ACCEPT_ENCODING},
        body=call.body,
        meta=meta,
        priority=priority_of(fetch, is_seed=is_seed),
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
