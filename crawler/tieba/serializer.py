"""Turns Scrapy requests into JSON and back.

Nothing that is read from Redis is unpickled or evaluated. Bytes, which JSON lacks, become {"b64": "..."},
and objects whose keys are not texts become {"pairs": [[key, value], ...]}. Values that a request leaves at
their defaults are not written.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

from scrapy import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

_BYTES = "b64"
_PAIRS = "pairs"
# What Request.to_dict() gives for a request that says nothing of it.
_DEFAULTS: dict[str, Any] = {
    "callback": None,
    "errback": None,
    "headers": {},
    "method": "GET",
    "body": b"",
    "cookies": {},
    "meta": {},
    "encoding": "utf-8",
    "priority": 0,
    "dont_filter": False,
    "flags": [],
    "cb_kwargs": {},
    "verbatim_url": False,
}
# json.dumps makes a new encoder for arguments like these in every call, and a crawl calls it for every link.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_PLAIN_TYPES = {str, int, float, bool, type(None)}


def dumps(request: dict[str, Any]) -> str:
    """Serialize `Request.to_dict()`; raises TypeError for values that JSON cannot hold."""
    known = {key: value for key, value in request.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}
    if "headers" in known:
        known["headers"] = _headers(known["headers"])
    return _encode(_encoded(known))


def loads(data: bytes | str) -> dict[str, Any]:
    """Undo `dumps`, for Scrapy's `request_from_dict`; raises ValueError where the data is something else."""
    return from_json(json.loads(data))


def from_json(value: Any) -> dict[str, Any]:
    """Do the same for JSON that was read."""
    request = _read(value)
    if "_class" in request:
        _check_class(str(request["_class"]))
    return request


def read(data: bytes | str) -> dict[str, Any]:
    """Undo `dumps`, for those who make no request of it."""
    return _read(json.loads(data))


def _read(value: Any) -> dict[str, Any]:
    request = _decoded(value)
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise ValueError("not a serialized request")
    return request


def _check_class(path: str) -> None:
    """Raise ValueError unless a class is one of requests; Scrapy would import and call whatever is named."""
    module, _, name = path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Request)):
        raise ValueError(f"{path} is no class of requests that the spider uses")


def _headers(headers: Mapping[bytes, list[bytes]]) -> Mapping[Any, Any]:
    """Give headers as texts, from which Scrapy makes the same bytes, or as they are where it would not."""
    try:
        return {
            name.decode("ascii"): [value.decode("ascii") for value in values]
            for name, values in headers.items()
        }
    except (AttributeError, UnicodeDecodeError):
        return headers


def _encoded(value: Any) -> Any:
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _BYTES not in value and _PAIRS not in value:
            return {key: _encoded(item) for key, item in value.items()}
        return {_PAIRS: [[_encoded(key), _encoded(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        if set(value) == {_PAIRS}:
            return {_decoded(key): _decoded(item) for key, item in value[_PAIRS]}
        return {key: _decoded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value
