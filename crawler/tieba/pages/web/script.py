"""Objects that stand in pages, in JSON or in JavaScript's notation.

The notations were learnt from captured pages of 2015 to 2024.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tieba.pages.values import mapping
from tieba.pages.web import markup

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_SCRIPT_SIZE = 4096  # bytes, characters; of longer objects what is wanted stands at the beginning


def fields(source: str | None) -> dict[str, Any]:
    """Give the object of a `data-field`: JSON, or JavaScript such as {'pid':'1'} and {total_num:1}."""
    if not source or source == "{}":
        return {}
    is_quoted_once = '"' not in source and "\\" not in source
    try:
        return mapping(json.loads(source.replace("'", '"') if is_quoted_once else source))
    except (ValueError, RecursionError):
        return script_object(source[:_SCRIPT_SIZE])


def node_fields(node: LexborNode | None) -> dict[str, Any]:
    """Give the object of a node's `data-field`; see `fields`."""
    return fields(markup.attribute(node, "data-field"))


def page_data(body: bytes, part: bytes) -> dict[str, Any]:
    """Give `PageData.<part>`, an object that a script of the page assigns; empty where there is none."""
    found = re.search(rb"PageData\.%s\s{0,9}=\s{0,9}(?=\{)" % part, body)
    if found is None or body.rfind(b"<script", 0, found.start()) <= body.rfind(b"</script", 0, found.start()):
        return {}
    return script_object(body[found.end() : found.end() + _SCRIPT_SIZE].decode(errors="ignore"))


# An apostrophe inside '…' ends it only before what can follow a text. What is not closed ends with the
# source, so that nothing is looked at twice.
_TOKEN = re.compile(
    r"""\s+ | /\*.*?(?:\*/|\Z) | //[^\n]*
    | (?P<text> "(?:[^"\\]|\\.?)*(?:"|\Z) | '(?:[^'\\]|\\.?|'(?!\s*(?:[,}\]:]|\Z)))*(?:'|\Z) )
    | (?P<open>[{\[]) | (?P<close>[}\]]) | (?P<comma>,) | :
    | (?P<word>[^\s{}\[\]:,"'/]+|/)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}


def script_object(source: str) -> dict[str, Any]:
    """Read an object in JavaScript's notation: unquoted keys, either quote, comments. Numbers stay texts.

    Takes what there is of a broken one; what follows its end is left alone.
    """
    stack: list[Any] = []
    key: str | None = None
    for token in _TOKEN.finditer(source):
        kind, value = token.lastgroup, token.group()
        if kind is None:
            continue
        if kind == "comma":
            key = None
        elif kind == "close":
            key = None
            if len(stack) > 1:
                stack.pop()
            elif stack:
                break
        elif not stack:
            if value != "{":
                return {}
            stack.append({})
        else:
            item: Any = value
            if kind == "text":
                item = _unescaped(value[1:-1])
            elif kind == "open":
                item = {} if value == "{" else []
            elif value in _WORDS and (key is not None or isinstance(stack[-1], list)):
                item = _WORDS[value]
            if isinstance(stack[-1], list):
                stack[-1].append(item)
            elif key is not None:
                stack[-1].setdefault(key, item)
                key = None
            elif isinstance(item, str):
                key = item
            if kind == "open":
                stack.append(item)
    return mapping(stack[0]) if stack else {}


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    value = _ESCAPE.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2]), value
    )
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins \ud83c\udf38
