"""Fetches in the frontier: a request for a target is kept as its fetch alone.

E.g. `{"target":["thread",7777,1]}`: what is signed, versioned or addressed in a request is made anew when it
is sent, by whichever engine has leased it.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import frontier
from tieba.pages import (
    CommentPage,
    Fetch,
    ForumPage,
    Source,
    Target,
    ThreadComments,
    ThreadPage,
    target_to_list,
)
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


def site_of(config: Config) -> str:
    """Give scheme, host and port of the source that a configuration chooses."""
    return (config.web_url if config.source == "web" else config.api_url).rstrip("/")


def priority_of(fetch: Fetch, *, is_seed: bool = False) -> int:
    """Give a fetch's priority in the frontier."""
    return _SEED_PRIORITY if is_seed else _PRIORITIES[type(fetch.target)]


def pack(fetch: Fetch, config: Config, *, is_seed: bool = False) -> frontier.Request:
    """Give what the frontier keeps of a fetch."""
    return frontier.Request(
        source_of(config).build(fetch).endpoint,
        payload(fetch, is_seed=is_seed),
        priority_of(fetch, is_seed=is_seed),
        frontier.fingerprint(identity(fetch, is_seed=is_seed)),
    )


def payload(fetch: Fetch, *, is_seed: bool = False) -> str:
    """Give a fetch as the text that is kept of it."""
    kept = fetch.to_json()
    if is_seed:
        kept["is_seed"] = True
    return _dumps(kept)


def unpack(kept: Any) -> tuple[Fetch, bool]:
    """Give the fetch of a payload's JSON value, and whether it is a seed's; raises ValueError."""
    return Fetch.from_json(kept), bool(kept.get("is_seed"))


def identity(fetch: Fetch, *, is_seed: bool = False) -> str:
    """Give the identity of a fetch: its target, and what its scope makes another page of it.

    Seeds of one forum that reach differently far are different, too.
    """
    values: list[Any] = target_to_list(fetch.target)
    if not isinstance(fetch.target, ForumPage):
        if fetch.scope.left_out:
            values.append(fetch.scope.left_out)
    elif is_seed:
        values.append(fetch.scope.to_json())
    elif fetch.scope.good:
        values.append("good")
    return _dumps(values)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
