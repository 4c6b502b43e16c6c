"""Tells from an answer's status, headers and body what the site did with the request.

The signs come from public reports, since the site documents none of them: the safety page of 2025, the
redirect to wappass of 2020 to 2022, and the page titled 贴吧404 by which the client API replaces HTTP 429.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tieba.pages.answers import Outcome
from tieba.pages.values import integer, mapping, text

if TYPE_CHECKING:
    from tieba.pages.sources import Received

_VERIFICATION = tuple(
    sign.encode()
    for sign in ("百度安全验证", "seccaptcha.baidu.com", "BIOC_OPTIONS", "wappass.baidu.com/static/captcha")
)
_DELETED = {
    sign.encode(): reason
    for sign, reason in {
        "该贴已被删除": "the thread was deleted",
        "该帖已被删除": "the thread was deleted",
        "您访问的贴子被隐藏": "the thread is hidden",
        "您所访问的贴子无法显示": "the thread went when its forum was merged",
        "您访问的贴子不存在": "there is no such thread",
    }.items()
}
# Of the page that offers to create a forum there is no capture. These words and those of a forum that is not
# open are looked for outside of scripts, in which a page can hold what it shows in another case.
_NO_FORUM = ("吧尚未建立".encode(), "欢迎创建".encode())
_SCRIPT = re.compile(rb"<script\b.*?(?:</script|\Z)", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(rb"<title\b[^>]{0,200}>([^<]{0,200})", re.IGNORECASE)
_TITLE_404 = "贴吧404".encode()
_TITLE_VERIFICATION = "安全验证".encode()
_TITLE_LOGIN = "登录".encode()

_DELETED_CODE = 4
_RATE_LIMITED_CODE = 239103
_LOGIN_CODE = 110000
_LOGIN_WORD = "登录"
_CLOSED_WORD = "暂不开放"
_CLOSED = re.compile(rb"%s[^<]{0,60}%s" % ("吧".encode(), _CLOSED_WORD.encode()))

Verdict = tuple[Outcome, str | None]  # the outcome, and why it is not ok


def classify(received: Received, payload: Any, *, is_content: bool = False) -> Verdict:
    """Tell the outcome of an answer.

    `payload` is the body's JSON value, None where it is not JSON. `is_content` says that the body is a page
    with the site's content, in which no words of users may be taken for the site's own. An ok says only that
    nothing is wrong with the answer, not that it holds what was asked for.
    """
    status, url, body = received.status, received.url, received.body
    if outcome := _outcome_of_address(url):
        return outcome, f"redirected to {_host(url)}"
    if 300 <= status < 400:
        location = received.headers.get("location", "")
        outcome = _outcome_of_address(location) or Outcome.UNKNOWN
        return outcome, f"HTTP {status}, redirect to {location or 'nowhere'}"
    if status == 429:
        return Outcome.RATE_LIMITED, "HTTP 429"
    if isinstance(payload, dict):
        return _classify_json(status, payload)
    if is_content and status < 300:
        return Outcome.OK, None
    if not is_markup(body):
        # What people wrote in an answer that is broken must not pass for the site's own words.
        found = f"{len(body)} bytes of no known form" if body.strip() else "empty body"
        return Outcome.UNKNOWN, f"HTTP {status}, {found}"
    return _classify_page(status, url, body)


def decode(body: bytes) -> Any:
    """Give the JSON value of a body, or None where it is not JSON."""
    if is_markup(body):
        return None
    try:
        # Names and texts can hold bytes of another encoding and control characters.
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def is_markup(body: bytes) -> bool:
    """Tell whether a body begins as HTML does."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def retry_after(received: Received) -> float | None:
    """Give the seconds of a Retry-After header; its other form, a date, is not used by the site."""
    seconds = integer(received.headers.get("retry-after", "").strip())
    return None if seconds is None else float(seconds)


def _outcome_of_address(url: str | None) -> Outcome | None:
    host = _host(url)
    if host.startswith("wappass."):
        return Outcome.VERIFICATION
    return Outcome.LOGIN_REQUIRED if host.startswith("passport.") else None


def _host(url: str | None) -> str:
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:
        return ""


def _classify_json(status: int, payload: dict[str, Any]) -> Verdict:
    code = error_code(payload)
    message = text(payload.get("error_msg")) or text(payload.get("errmsg")) or ""
    message = message or text(mapping(payload.get("error")).get("errmsg")) or text(payload.get("error")) or ""
    reason = f"error {code} {message}".rstrip()
    if status >= 500:
        return Outcome.UNKNOWN, f"HTTP {status}, {reason}"
    if code is None:
        return Outcome.UNKNOWN, f"HTTP {status}, JSON without an error code"
    if code == 0:
        return (Outcome.OK, None) if status < 400 else (Outcome.UNKNOWN, f"HTTP {status}, JSON")
    if code == _RATE_LIMITED_CODE:
        return Outcome.RATE_LIMITED, reason
    if code == _LOGIN_CODE or _LOGIN_WORD in message:
        return Outcome.LOGIN_REQUIRED, reason
    if code == _DELETED_CODE:
        return Outcome.DELETED, reason
    if _CLOSED_WORD in message:
        return Outcome.CLOSED, reason
    return Outcome.REFUSED, reason


def error_code(payload: dict[str, Any]) -> int | None:
    """Give the API's error code in any of its spellings; 0 is success, a negative code becomes positive."""
    for value in (
        payload.get("error_code"),
        payload.get("errno"),
        payload.get("no"),
        mapping(payload.get("error")).get("errno"),
    ):
        if isinstance(value, str):
            value = value.lstrip("-")
        elif isinstance(value, int):
            value = abs(value)
        code = integer(value)
        if code is not None:
            return code
    return None


def _classify_page(status: int, url: str | None, body: bytes) -> Verdict:
    found = _TITLE.search(body)
    title = found[1].strip() if found else b""
    path = path_of(url)
    if _TITLE_VERIFICATION in title or any(sign in body for sign in _VERIFICATION):
        return Outcome.VERIFICATION, "safety verification page"
    if _TITLE_404 in title and path.startswith("/c/"):  # the client API, which tells of deletion in JSON
        return Outcome.RATE_LIMITED, "page 贴吧404 in place of an API answer"
    for sign, reason in _DELETED.items():
        if sign in body:
            return Outcome.DELETED, f"page says that {reason}"
    shown = _SCRIPT.sub(b"", body)
    if _CLOSED.search(shown):
        return Outcome.CLOSED, "page says that the forum is not open"
    if path in {"", "/f", "/f/good"} and all(sign in shown for sign in _NO_FORUM):
        return Outcome.REFUSED, "page says that there is no such forum"
    # Where it has no words, only the status tells a deleted thread's page from that of a crawl too fast.
    if _TITLE_404 in title and status == 404 and (path.startswith("/p/") or not path):
        return Outcome.DELETED, "page 贴吧404 in place of a thread"
    if _TITLE_LOGIN in title:
        return Outcome.LOGIN_REQUIRED, "page to log in"
    known = f"titled {title.decode(errors='replace')!r}" if title else f"of {len(body)} bytes"
    return Outcome.UNKNOWN, f"HTTP {status}, page {known}"


def path_of(url: str | None) -> str:
    """Give a URL's path, '' where there is none."""
    try:
        return urlsplit(url or "").path
    except ValueError:
        return ""
