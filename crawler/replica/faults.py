"""What goes wrong on purpose: rate limits, verification pages, server errors."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica.config import Faults

_MAX_BUCKETS = 4_096

# Invented pages with the marks by which the real ones are recognised.
NOT_FOUND_PAGE = (
    '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="UTF-8">\n<title>贴吧404</title>\n</head>\n'
    '<body><div id="errorText"><h1 class="main-title">很抱歉，您访问的页面暂时无法打开。</h1></div></body>\n'
    "</html>\n"
).encode()
VERIFICATION_PAGE = (
    '<!DOCTYPE html>\n<html lang="zh">\n<head>\n<meta charset="UTF-8">\n<title>百度安全验证</title>\n'
    "</head>\n<body>\n"
    '<script>window.BIOC_OPTIONS = {"host": "https://seccaptcha.baidu.com", "page": "replica"};</script>\n'
    "</body>\n</html>\n"
).encode()


class Answer(NamedTuple):
    """One answer and how it counts in the statistics."""

    outcome: str
    status: int
    content_type: str
    body: bytes


HTML = "text/html; charset=utf-8"
RATE_LIMITED_429 = Answer("rate_limited", 429, HTML, b"")
RATE_LIMITED_HTML = Answer("rate_limited", 200, HTML, NOT_FOUND_PAGE)
VERIFICATION = Answer("verification", 403, HTML, VERIFICATION_PAGE)
SERVER_ERROR = Answer("server_error", 500, HTML, b"Internal Server Error\n")


@dataclass
class _Bucket:
    tokens: float
    at: float


class FaultPlan:
    """Decides for each request whether it goes wrong."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._seed = seed.to_bytes(8, "big")
        self._rates = {
            "forum": faults.threads_rate,
            "thread": faults.posts_rate,
            "comments": faults.comments_rate,
        }
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._limited = 0

    def over_limit(self, kind: str, client: str, now: float) -> Answer | None:
        """Take one token of the client's budget for this kind; the answer that refuses if there is none."""
        rate = self._rates[kind]
        if not rate:
            return None
        key = (kind, client)
        bucket = self._buckets.pop(key, None) or _Bucket(self._faults.burst, now)
        self._buckets[key] = bucket
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._faults.burst, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return None
        self._limited += 1
        answer = self._faults.rate_limit_answer
        if answer == "mixed":
            answer = "429" if self._limited % 2 else "html"
        return RATE_LIMITED_429 if answer == "429" else RATE_LIMITED_HTML

    def fault(self, request: str, attempt: int, checks: Sequence[Answer] = (VERIFICATION,)) -> Answer | None:
        """Decide over attempt `attempt` (from 1) of a logical request; `checks` ask for a verification."""
        faults = self._faults
        if attempt > 1 or not (faults.error_share or faults.verification_share):
            return None
        digest = blake2b(request.encode(), digest_size=8, key=self._seed).digest()
        if int.from_bytes(digest[:4], "big") < faults.error_share * 2**32:
            return SERVER_ERROR
        if int.from_bytes(digest[4:], "big") < faults.verification_share * 2**32:
            return checks[int.from_bytes(digest, "big") % len(checks)]
        return None
