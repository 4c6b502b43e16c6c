"""The two forms of the client API: signed JSON, and protobuf, which needs no signature.

Both ask for the same things with the same parameters, and answer with the same content.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

from google.protobuf.message import DecodeError, Message

from clientapi import messages_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

SALT = "tiebaclient!!!"  # of the signature

PATHS = {"forum": "/c/f/frs/page", "thread": "/c/f/pb/page", "comments": "/c/f/pb/floor"}

# Of each kind of answer: the number that the address has to name, the request, the answer.
CALLS: dict[str, tuple[str, type[Message], type[Message]]] = {
    "forum": ("301001", messages.FrsPageReqIdl, messages.FrsPageResIdl),
    "thread": ("302001", messages.PbPageReqIdl, messages.PbPageResIdl),
    "comments": ("302002", messages.PbFloorReqIdl, messages.PbFloorResIdl),
}
_BOUNDARY = re.compile(rb'multipart/form-data;.*\bboundary="?([^";]{1,70})', re.IGNORECASE)


class RefusedError(Exception):
    """The request cannot be answered: outcome, error code, message."""

    def __init__(self, outcome: str, code: int, message: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.code = code
        self.message = message


class Form(Protocol):
    """One of the forms."""

    content_type: str

    def read(self, kind: str, body: bytes) -> Mapping[str, str]:
        """Read a request's parameters; raises RefusedError."""

    def write(self, kind: str, answer: Json) -> bytes:
        """Give the bytes of an answer."""

    def write_error(self, error: RefusedError) -> bytes:
        """Give the bytes of an answer that refuses a request."""


def sign(parameters: Mapping[str, str]) -> str:
    """Signature of a form: MD5 of its sorted fields without `sign`, and the salt."""
    plain = "".join(f"{key}={value}" for key, value in sorted(parameters.items()) if key != "sign")
    return md5((plain + SALT).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


class SignedJson:
    """Form-encoded and signed parameters, answered in JSON."""

    content_type = "application/json; charset=utf-8"

    def read(self, kind: str, body: bytes) -> Mapping[str, str]:
        """Read a request's parameters; raises RefusedError."""
        try:
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100)
        except ValueError:  # too many fields
            fields = []
        parameters = dict(fields)
        if parameters.get("sign", "").lower() != sign(parameters):
            raise RefusedError("bad_sign", 110001, "未知错误")
        return parameters

    def write(self, kind: str, answer: Json) -> bytes:
        """Give the bytes of an answer."""
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

    def write_error(self, error: RefusedError) -> bytes:
        """Give the bytes of an answer that refuses a request."""
        return self.write("", {"error_msg": error.message, "error_code": error.code})


class Protobuf:
    """A message as the part `data` of a multipart body, answered with a message.

    `command` is the parameter `cmd` of the address. What the real server says to a wrong one, or to bytes
    that are no message, is not known.
    """

    content_type = "application/octet-stream"

    def __init__(self, command: str, content_type: bytes) -> None:
        self._command = command
        self._request_type = content_type

    def read(self, kind: str, body: bytes) -> Mapping[str, str]:
        """Read a request's parameters; raises RefusedError."""
        command, request, _ = CALLS[kind]
        if self._command != command:
            raise RefusedError("bad_parameter", 1, f"参数错误: cmd={self._command[:40]}")
        message = request()
        try:
            message.ParseFromString(_part(self._request_type, body))
        except (DecodeError, ValueError):
            raise RefusedError("bad_parameter", 1, "参数错误: data") from None
        data = message.data  # type: ignore[attr-defined]
        return {field.name: str(value) for field, value in data.ListFields() if field.message_type is None}

    def write(self, kind: str, answer: Json) -> bytes:
        """Give the bytes of an answer."""
        response = CALLS[kind][2]
        data = _known({"data": answer}, response.DESCRIPTOR)["data"]
        if "user_list" in answer:
            data.setdefault("user_list", []).append({})  # clients look up there also who has no id
        return response(data=data).SerializeToString()

    def write_error(self, error: RefusedError) -> bytes:
        """Give the bytes of an answer that refuses a request."""
        status = messages.Error(errorno=error.code, errmsg=error.message)
        return messages.FrsPageResIdl(error=status).SerializeToString()  # the same in all answers


def _part(content_type: bytes, body: bytes) -> bytes:
    """Give the part `data` of a multipart body; raises ValueError where there is none."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("no boundary")
    for part in body.split(b"--" + boundary[1]):
        head, separator, content = part.partition(b"\r\n\r\n")
        if separator and b'name="data"' in head:
            return content.removesuffix(b"\r\n")
    raise ValueError("no part `data`")


def _known(value: Json, descriptor: Any) -> Json:
    """Give what of an answer a message has fields for; zeros and empty lists are what is not said."""
    found: Json = {}
    for name, kind in _fields(descriptor):
        item = value.get(name)
        if not item:
            continue
        if kind is not None:
            item = [_known(row, kind) for row in item] if isinstance(item, list) else _known(item, kind)
        found[name] = item
    return found


@lru_cache
def _fields(descriptor: Any) -> list[tuple[str, Any]]:
    return [(field.name, field.message_type) for field in descriptor.fields]
