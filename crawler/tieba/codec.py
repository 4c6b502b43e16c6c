"""Turns Scrapy requests into what the frontier keeps, and back.

A request for a target is kept as its target alone, e.g. `{"target":["thread",7777,1]}`: what is signed, versioned
or addressed in it is made anew when it is sent. Any other request is kept as `tieba.serializer` writes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.request import request_from_dict

import frontier
from tieba import serializer
from tieba.pages import Scope, target_from_list
from tieba.requests import is_seed, make_request, scope_of, target_of

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler

    from frontier import Lease
    from tieba.config import Config

LEASE = "lease"  # in a request's meta: the id of its lease


class Codec:
    """The codec of one crawler."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._config: Config | None = crawler.settings.get("TIEBA_CONFIG")

    def pack(self, request: Request) -> frontier.Request:
        """Give what the frontier keeps of a request; raises ValueError or TypeError if it cannot be kept."""
        if target_of(request) is not None:
            return self._pack_target(request)
        meta = {key: value for key, value in request.meta.items() if key != LEASE}
        plain = request.replace(meta=meta).to_dict(spider=self._crawler.spider)
        plain.pop("priority", None)
        identity = None if request.dont_filter else self._fingerprint(request)
        endpoint = request.meta.get("download_slot") or urlparse_cached(request).hostname or "-"
        return frontier.Request(str(endpoint), serializer.dumps(plain), request.priority, identity)

    def unpack(self, lease: Lease) -> Request:
        """Make the request that a lease is for; raises ValueError for what no codec has written."""
        value = json.loads(lease.payload)
        if isinstance(value, dict) and "target" in value:
            request = self._unpack_target(value)
        else:
            request = request_from_dict(serializer.from_json(value), spider=self._crawler.spider)
            request = request.replace(priority=lease.priority)
        request.meta[LEASE] = lease.id
        return request

    def _pack_target(self, request: Request) -> frontier.Request:
        target = request.meta["target"]
        scope = scope_of(request)
        kept: dict[str, Any] = {"target": target}
        identity = list(target)
        if scope.pages is not None:
            kept["pages"] = scope.pages
        if is_seed(request):
            kept["is_seed"] = True
            if target[0] == "forum":
                identity += [
                    "pages",
                    scope.pages,
                ]  # seeds of one forum that reach differently far are different
        return frontier.Request(
            request.meta["endpoint"],
            json.dumps(kept, ensure_ascii=False, separators=(",", ":")),
            request.priority,
            None
            if request.dont_filter
            else frontier.fingerprint(json.dumps(identity, separators=(",", ":"))),
        )

    def _unpack_target(self, value: dict[str, Any]) -> Request:
        target = target_from_list(value["target"])
        pages = value.get("pages")
        if pages is not None and not isinstance(pages, int):
            raise ValueError(f"pages is not a number: {pages!r}")
        if self._config is None:
            raise ValueError("a request for Tieba in a crawl without its configuration")
        return make_request(target, Scope(pages), self._config, is_seed=bool(value.get("is_seed")))

    def _fingerprint(self, request: Request) -> int:
        assert self._crawler.request_fingerprinter is not None  # noqa: S101 - set before any request is made
        return frontier.fingerprint(self._crawler.request_fingerprinter.fingerprint(request).hex())
