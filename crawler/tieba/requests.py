"""Scrapy requests for targets.

A request carries its target in `meta`, and with it everything that is needed to build it again; the answer
to it comes back in `meta["answer"]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy import Request

from tieba.pages import (
    CommentPage,
    ForumPage,
    Scope,
    Target,
    ThreadPage,
    api,
    target_from_list,
    target_to_list,
)

if TYPE_CHECKING:
    from tieba.config import Config

# What a thread leads to comes before the next thread, and threads before lists, so that the queue stays
# short.
_PRIORITIES: dict[type[Target], int] = {CommentPage: 20, ThreadPage: 10, ForumPage: 0}
_SEED_PRIORITY = 30
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


def make_request(
    target: Target, scope: Scope, config: Config, *, is_seed: bool = False, attempts: int = 0
) -> Request:
    """Build the request for a target; `attempts` were made before without success."""
    call = api.build(target, config.api_client_version)
    meta: dict[str, Any] = {"target": target_to_list(target), "endpoint": call.endpoint}
    if scope.pages is not None:
        meta["pages"] = scope.pages
    if is_seed:
        meta["is_seed"] = True
    if attempts:
        meta["attempts"] = attempts
    return Request(
        config.api_url.rstrip("/") + call.path,
        method="POST",
        headers=_HEADERS,
        body=call.body,
        meta=meta,
        priority=_SEED_PRIORITY if is_seed else _PRIORITIES[type(target)],
    )


def target_of(request: Request) -> Target | None:
    """Give the target of a request, None for one that is not ours (robots.txt, a user's own)."""
    try:
        return target_from_list(request.meta.get("target"))
    except ValueError:
        return None


def scope_of(request: Request) -> Scope:
    """How far the crawl goes from a request."""
    return Scope(request.meta.get("pages"))


def is_seed(request: Request) -> bool:
    """Tell whether a request is the first of a seed."""
    return bool(request.meta.get("is_seed"))


def fresh(request: Request, config: Config, *, attempts: int | None = None) -> Request:
    """Build a request again, to be queued once more, without what Scrapy noted in it on the way."""
    target = target_of(request)
    if target is None:
        return request.replace(dont_filter=True)
    if attempts is None:
        attempts = request.meta.get("attempts", 0)
    again = make_request(
        target, scope_of(request), config, is_seed=request.meta.get("is_seed", False), attempts=attempts
    )
    return again.replace(dont_filter=True)
