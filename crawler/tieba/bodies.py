"""Bodies as they travel: how large one may be, and how it was compressed."""

from __future__ import annotations

import zlib

MOST_BYTES = 16 * 2**20  # of a body, compressed or not; the largest pages have half a million
ACCEPT_ENCODING = "gzip, deflate"

_GZIP = zlib.MAX_WBITS | 16
_FORMS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


class BodyError(Exception):
    """A body that is too large, cut off or wrongly compressed; the message is one line."""


def decompressed(body: bytes, content_encoding: str) -> bytes:
    """Undo the codings that a Content-Encoding header lists; raises BodyError."""
    for name in reversed(content_encoding.lower().split(",")):
        coding = name.strip()
        if coding in {"", "identity"}:
            continue
        if coding not in _FORMS:
            raise BodyError(f"content-encoding {coding[:40]!r}, which was not asked for")
        body = _inflated(body, coding)
    return body


def _inflated(body: bytes, coding: str) -> bytes:
    # An answer without content has nothing that was compressed.
    if not body:
        return body
    error = ""
    for window in _FORMS[coding]:  # some servers send deflate without its header
        inflate = zlib.decompressobj(window)
        try:
            found = inflate.decompress(body, MOST_BYTES + 1)
        except zlib.error as problem:
            error = error or str(problem)
            continue
        if len(found) > MOST_BYTES:
            raise BodyError(f"more than {MOST_BYTES} bytes when decompressed")
        if not inflate.eof:
            raise BodyError(f"{coding} body that is cut off after {len(found)} bytes")
        return found
    raise BodyError(f"body is not {coding}: {error}")
