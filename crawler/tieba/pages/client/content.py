"""What was written: text, pictures and addressee out of a list of content fragments."""

from __future__ import annotations

import re
from typing import Any

from tieba.pages.values import addressee, identifier, integer, mapping, name, rows, text

# Types of fragments. The others, known (0, 9, 18, 27, 40) or not, are text.
_EMOJI = {2, 11}
_IMAGE = {3, 20}
_MENTION = 4
_VOICE = 10
_PROMOTION = 34
_TIEBA_PLUS = {35, 36, 37}
_VOTE = 52
_IMAGE_FIELDS = ("origin_src", "big_cdn_src", "cdn_src", "src")

_COLON = re.compile(r"\s*[:：]\s*")


def content(value: Any) -> tuple[str | None, tuple[str, ...] | None]:
    """Give text and image URLs of a list of content fragments; None, None where there is no list."""
    if isinstance(value, str):
        return text(value), None
    if not isinstance(value, list):
        return None, None
    parts, images = [], []
    for fragment in rows(value):
        kind = integer(fragment.get("type"))
        words = text(fragment.get("text")) or ""
        if kind in _IMAGE:
            url = next((found for field in _IMAGE_FIELDS if (found := name(fragment.get(field)))), None)
            if url:
                images.append(url)
        elif kind in _EMOJI:
            parts.append(f"[{name(fragment.get('c')) or words}]")
        elif kind in _TIEBA_PLUS:
            parts.append(text(mapping(fragment.get("tiebaplus_info")).get("desc")) or words)
        elif kind not in {_VOICE, _PROMOTION, _VOTE}:
            parts.append(words or text(fragment.get("link")) or "")
    return "".join(parts), tuple(images)


def addressed_content(value: Any) -> tuple[str | None, str | None]:
    """Split a comment's content into the name after "回复" (None where it names nobody) and the text."""
    fragments = rows(value) if isinstance(value, list) else []
    if (
        len(fragments) >= 2
        and (text(fragments[0].get("text")) or "").strip() == "回复"
        and (integer(fragments[1].get("type")) == _MENTION or identifier(fragments[1].get("uid")))
    ):
        reply_to = name((text(fragments[1].get("text")) or "").strip().lstrip("@"))
        rest, _ = content(fragments[2:])
        return reply_to, _COLON.sub("", rest or "", count=1) if _COLON.match(rest or "") else rest
    words, _ = content(value)
    return addressee(words) if words is not None else (None, None)
