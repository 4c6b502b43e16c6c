"""Turns Scrapy requests into what the frontier keeps, and back.

A request for a target is kept as its fetch alone (`tieba.fetches`), any other one as `tieba.serializer`
writes it.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from scrapy import Request
from scrapy.utils.httpobj import urlparse_cached
from scrapy.utils.request import RequestFingerprinter, request_from_dict
from scrapy_redis.dupefilter import RFPDupeFilter

import frontier
from tieba import fetches, serializer
from tieba.requests import fetch_of, is_seed, make_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrapy.crawler import Crawler

    from frontier import Lease
    from tieba.config import Config
    from tieba.pages import Fetch

LEASE = "_frontier_lease"  # in a request's meta: its id
_LINKS_REMEMBERED = 20_000  # pages of a site carry much the same links, and canonical addresses take time
_NAMES_OF_METHODS = {"callback", "errback"}


class Codec:
    """The codec of one crawler."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._config: Config | None = crawler.settings.get("TIEBA_CONFIG")

    def pack(self, request: Request) -> frontier.Request:
        """Give what the frontier keeps of a request; raises ValueError or TypeError if it cannot be kept."""
        fetch = fetch_of(request)
        if fetch is not None:
            return _pack_fetch(fetch, request)
        return _pack_other(request, self._to_dict(request), self._identity(request))

    def unpack(self, lease: Lease) -> Request:
        """Make the request that a lease is for; raises ValueError for what no codec has written."""
        value = json.loads(lease.payload)
        if isinstance(value, dict) and "target" in value:
            if self._config is None:
                raise ValueError("a request for Tieba in a crawl without its configuration")
            fetch, is_first = fetches.unpack(value)
            request = make_request(fetch, self._config, is_seed=is_first)
        else:
            plain = serializer.from_json(value) | {"priority": lease.priority}
            request = request_from_dict(plain, spider=self._crawler.spider)
        request.meta[LEASE] = lease.id
        return request

    def _to_dict(self, request: Request) -> dict[str, Any]:
        """Give `Request.to_dict()` without the lease; a subclass' own, else without what is not set.

        It is called for every link of every page, and Scrapy's looks through all members of the spider for
        the names of callbacks.
        """
        spider = self._crawler.spider
        if type(request) is not Request:
            plain = request.to_dict(spider=spider)
        else:
            plain = {name: value for name in Request.attributes if (value := getattr(request, name))}
            for name in _NAMES_OF_METHODS & plain.keys():
                method = getattr(plain[name], "__name__", "")
                is_its = getattr(spider, method, None) == plain[name]
                plain[name] = method if is_its else request.to_dict(spider=spider)[name]
        if LEASE in request.meta:
            plain["meta"] = {key: value for key, value in request.meta.items() if key != LEASE}
        return plain

    def _identity(self, request: Request) -> str:
        fingerprinter = self._crawler.request_fingerprinter
        assert fingerprinter is not None  # noqa: S101 - set before any request is made
        if type(fingerprinter) is RequestFingerprinter and not request.meta.get("verbatim_url"):
            return identity(request)  # tells the same requests apart as the fingerprinter
        return fingerprinter.fingerprint(request).hex()


def pack_plain(plain: Mapping[str, Any]) -> frontier.Request:
    """Give what the frontier keeps of a request that others wrote down with `Request.to_dict()`.

    Raises ValueError or TypeError for anything else. The names of class and methods in it stay names.
    """
    fields = {name: plain[name] for name in Request.attributes if name in plain}
    request = Request(**{name: value for name, value in fields.items() if name not in _NAMES_OF_METHODS})
    fetch = fetch_of(request)
    if fetch is not None:
        return _pack_fetch(fetch, request)
    return _pack_other(request, dict(plain), identity(request))


def identity(request: Request) -> str:
    """Give what is equal for requests that are the same: that of the fetch, else what scrapy-redis keeps."""
    fetch = fetch_of(request)
    if fetch is None:
        if request.method == "GET" and not request.body:
            return _identity_of_get(request.url)
        return str(RFPDupeFilter.request_fingerprint(None, request))
    return fetches.identity(fetch, is_seed=is_seed(request))


@functools.lru_cache(_LINKS_REMEMBERED)
def _identity_of_get(url: str) -> str:
    return str(RFPDupeFilter.request_fingerprint(None, Request(url)))


def _pack_fetch(fetch: Fetch, request: Request) -> frontier.Request:
    seed = is_seed(request)
    known_by = fetches.identity(fetch, is_seed=seed)
    return frontier.Request(
        request.meta["endpoint"],
        fetches.payload(fetch, is_seed=seed),
        request.priority,
        _fingerprint(request, known_by),
    )


def _pack_other(request: Request, plain: dict[str, Any], known_by: str) -> frontier.Request:
    plain.pop("priority", None)
    host = request.meta.get("download_slot") or urlparse_cached(request).hostname or "-"
    endpoint = "_".join(str(host).split())  # hosts of bad links can have white space
    payload = serializer.dumps(plain)
    return frontier.Request(endpoint or "-", payload, request.priority, _fingerprint(request, known_by))


def _fingerprint(request: Request, known_by: str) -> int | None:
    return None if request.dont_filter else frontier.fingerprint(known_by)
