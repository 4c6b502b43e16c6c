"""Requests of the client API: what is asked, and its two forms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from clientapi.messages_pb2 import FrsPageReqIdl, PbFloorReqIdl, PbPageReqIdl
from tieba.pages.sources import Call
from tieba.pages.targets import CommentPage, ForumPage, ThreadPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tieba.pages.targets import Fetch

SIGN_SALT = "tiebaclient!!!"

# The largest that the API takes, according to aiotieba 4.8.2.
THREADS_PER_PAGE = 100
POSTS_PER_PAGE = 30
COMMENTS_INLINE = 50  # of each floor; the server gives fewer as it likes

# By last reply, in every forum (in some, 0 and 3 to 5 sort by popularity): the order in which the server
# lists most threads (100,000; by creation only 10,000), and in which what changed comes first.
_BY_REPLY = 6

_ANDROID = 2
_LARGEST_PAGE = 2**31 - 1  # of an int32
_BOUNDARY = "-*_r1999"  # the apps' own


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in the names of both forms: `fields` that are 0 are left out."""

    endpoint: str  # the name of its rate limit
    path: str
    command: int
    message: type[FrsPageReqIdl | PbPageReqIdl | PbFloorReqIdl]
    fields: Mapping[str, str | int]


def question(fetch: Fetch) -> Question:
    """Say what to ask for a fetch."""
    target, scope = fetch.target, fetch.scope
    page = min(target.page, _LARGEST_PAGE)
    if isinstance(target, ForumPage):
        fields: dict[str, str | int] = {
            "kw": target.forum,
            "pn": page,
            "rn": THREADS_PER_PAGE,
            # A few more than rn, as clients have it, for entries that the server drops.
            "rn_need": THREADS_PER_PAGE + 5,
            "sort_type": _BY_REPLY,
            "is_good": int(scope.good),
        }
        return Question("threads", "/c/f/frs/page", 301001, FrsPageReqIdl, fields)
    if isinstance(target, ThreadPage):
        fields = {"kz": target.thread_id, "pn": page, "rn": POSTS_PER_PAGE, "lz": int(scope.starter)}
        if scope.comments:
            fields |= {"with_floor": 1, "floor_rn": COMMENTS_INLINE}
        return Question("posts", "/c/f/pb/page", 302001, PbPageReqIdl, fields)
    if isinstance(target, CommentPage):
        fields = {"kz": target.thread_id, "pid": target.post_id, "pn": page}
        return Question("comments", "/c/f/pb/floor", 302002, PbFloorReqIdl, fields)
    raise TypeError(f"the client API has no {target}: comments come with their floors")


def as_json(asked: Question, client_version: str) -> Call:
    """Give the form that is answered with JSON: form-encoded and signed."""
    form = {key: str(value) for key, value in asked.fields.items() if value}
    form |= {"_client_type": str(_ANDROID), "_client_version": client_version}
    form["sign"] = sign(form)
    return Call(
        asked.endpoint,
        asked.path,
        "POST",
        {"Content-Type": "application/x-www-form-urlencoded"},
        urlencode(form).encode(),
    )


def as_protobuf(asked: Question, client_version: str) -> Call:
    """Give the form that is answered with protobuf: a message in the only part of a multipart body."""
    message = asked.message()
    message.data.common._client_type = _ANDROID
    message.data.common._client_version = client_version
    for name, value in asked.fields.items():
        setattr(message.data, name, value)
    if isinstance(message, FrsPageReqIdl) and message.data.pn == 1:
        message.data.pn = 0  # the first list page is 0 here, the second 2
    body = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="data"; filename="file"\r\n\r\n'.encode()
        + message.SerializeToString()
        + f"\r\n--{_BOUNDARY}--\r\n".encode()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "x_bd_data_type": "protobuf"}
    return Call(asked.endpoint, f"{asked.path}?cmd={asked.command}", "POST", headers, body)


def sign(form: Mapping[str, str]) -> str:
    """Give the signature that the API wants: MD5 over the sorted, unescaped "key=value" texts and a salt."""
    plain = "".join(f"{key}={form[key]}" for key in sorted(form) if key != "sign")
    return hashlib.md5((plain + SIGN_SALT).encode(), usedforsecurity=False).hexdigest()
