"""Turns Scrapy requests into JSON and back.

Nothing that is read from Redis is unpickled or evaluated. Bytes, which JSON lacks, become {"b64": "..."},
and objects whose keys are not texts become {"pairs": [[key, value], ...]}. Values that a request leaves at
their defaults are not written.
"""

from __future__ import annotations

import base64
import json
from typing import Any

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


def dumps(request: dict[str, Any]) -> str:
    """Serialize `Request.to_dict()`; raises TypeError for values that JSON cannot hold."""
    known = {key: value for key, value in request.items() if key not in _DEFAULTS or value != _DEFAULTS[key]}
    return json.dumps(_encoded(known), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def loads(data: bytes | str) -> dict[str, Any]:
    """Undo `dumps`, for Scrapy's `request_from_dict`; raises ValueError where the data is something else."""
    return from_json(json.loads(data))


def from_json(value: Any) -> dict[str, Any]:
    """Undo `dumps` for a JSON value that is read already."""
    request = _decoded(value)
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        raise ValueError("not a serialized request")
    return request


def _encoded(value: Any) -> Any:
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
