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
    from collections.abc import Mapping

_VERIFICATION = tuple(
    sign.encode()
    for sign in ("百度安全验证", "seccaptcha.baidu.com", "BIOC_OPTIONS", "wappass.baidu.com/static/captcha")
)
_DELETED = tuple(sign.encode() for sign in ("该贴已被删除", "您访问的贴子被隐藏", "您所访问的贴子无法显示"))
_CLOSED = "本吧暂不开放".encode()
_TITLE = re.compile(rb"<title[^>]*>\s*(.*?)\s*(?:</title|$)", re.IGNORECASE | re.DOTALL)
_TITLE_404 = "贴吧404".encode()
_TITLE_VERIFICATION = "安全验证".encode()
_TITLE_LENGTH = 80

_DELETED_CODE = 4
_RATE_LIMITED_CODE = 239103
_LOGIN_CODE = 110000
_LOGIN_WORD = "登录"
_CLOSED_WORD = "暂不开放"

Verdict = tuple[Outcome, str | None]  # the outcome, and why it is not ok


def classify(status: int, url: str | None, headers: Mapping[str, str], body: bytes, payload: Any) -> Verdict:
    """Tell the outcome of an answer.

    `headers` have lower-case names; `payload` is the body's JSON value, None where it is not JSON. An ok
    says only that nothing is wrong with the answer, not that it holds what was asked for.
    """
    if _is_captcha_address(url):
        return Outcome.VERIFICATION, "redirected to a captcha (wappass)"
    if 300 <= status < 400:
        location = headers.get("location", "")
        if _is_captcha_address(location):
            return Outcome.VERIFICATION, "redirect to a captcha (wappass)"
        return Outcome.UNKNOWN, f"HTTP {status}, redirect to {location or 'nowhere'}"
    if status == 429:
        return Outcome.RATE_LIMITED, "HTTP 429"
    if isinstance(payload, dict):
        return _classify_json(status, payload)
    if not _is_markup(body):
        # What people wrote in an answer that is broken must not pass for the site's own words.
        found = f"{len(body)} bytes of no known form" if body.strip() else "empty body"
        return Outcome.UNKNOWN, f"HTTP {status}, {found}"
    return _classify_page(status, url, body)


def decode(body: bytes) -> Any:
    """Give the JSON value of a body, or None where it is not JSON."""
    if _is_markup(body):
        return None
    try:
        # Names and texts can hold bytes of another encoding and control characters.
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def _is_markup(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds of a Retry-After header; its other form, a date, is not used by the site."""
    seconds = integer(headers.get("retry-after", "").strip())
    return None if seconds is None else float(seconds)


def _is_captcha_address(url: str | None) -> bool:
    if not url:
        return False
    try:
        return (urlsplit(url).hostname or "").startswith("wappass.")
    except ValueError:
        return False


def _classify_json(status: int, payload: dict[str, Any]) -> Verdict:
    code = error_code(payload)
    message = text(payload.get("error_msg")) or text(payload.get("errmsg")) or ""
    message = message or text(mapping(payload.get("error")).get("errmsg")) or ""
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
    title = found.group(1)[:_TITLE_LENGTH] if found else b""
    if _TITLE_VERIFICATION in title or any(sign in body for sign in _VERIFICATION):
        return Outcome.VERIFICATION, "safety verification page"
    if any(sign in body for sign in _DELETED):
        return Outcome.DELETED, "page says that the thread was deleted"
    if _CLOSED in body:
        return Outcome.CLOSED, "page says that the forum is not open"
    if _TITLE_404 in title:
        path = _path(url)
        if path.startswith("/c/"):  # the client API
            return Outcome.RATE_LIMITED, "page 贴吧404 in place of an API answer"
        if path.startswith("/p/"):
            return Outcome.DELETED, "page 贴吧404 in place of a thread"
    shown = f"titled {title.decode(errors='replace')!r}" if title else f"of {len(body)} bytes"
    return Outcome.UNKNOWN, f"HTTP {status}, page {shown}"


def _path(url: str | None) -> str:
    try:
        return urlsplit(url or "").path
    except ValueError:
        return ""
