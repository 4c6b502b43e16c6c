"""What the site's pages have in common: their encoding, object notations, text and times.

The notations were learnt from captured pages of 2015 to 2024.
"""

from __future__ import annotations

import codecs
import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from selectolax.lexbor import LexborHTMLParser

from tieba.pages import values
from tieba.pages.values import BEIJING, mapping, name

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_ASCII = bytes(range(128))
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_SHARE_READ = 8192  # bytes; every page has Chinese text in its head


def as_utf8(body: bytes) -> bytes:
    """Give a body in UTF-8, whatever it declares: pages and headers are known to name the wrong encoding.

    Other than UTF-8 the site has only ever used GBK, whose text is hardly ever valid UTF-8. A few stray
    bytes do not make UTF-8 another encoding; they become U+FFFD when they are decoded.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    found = _NOT_ASCII.search(body)
    if found is None:
        return body
    share = body[found.start() : found.start() + _SHARE_READ]
    text = codecs.utf_8_decode(share, "replace", False)[0]
    if 4 * text.count("\ufffd") > len(share.translate(None, _ASCII)):
        return body.decode("gb18030", "replace").encode()
    return body


def attribute(node: LexborNode | None, key: str) -> str:
    """Give an attribute's text, '' where there is none."""
    return (node.attributes.get(key) or "") if node is not None else ""


def plain(node: LexborNode | None) -> str:
    """Give the text of a node and all below it, without surrounding space."""
    return node.text().replace("\xa0", " ").strip() if node is not None else ""


def forum_name(tree: LexborHTMLParser) -> str | None:
    """Give the name of the forum that a page belongs to, from its head."""
    return name(attribute(tree.css_first("meta[fname]"), "fname"))


# --- objects


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
    return fields(attribute(node, "data-field"))


_SCRIPT_SIZE = 4096  # bytes, characters; of longer objects what is wanted stands at the beginning


def page_data(body: bytes, part: bytes) -> dict[str, Any]:
    """Give `PageData.<part>`, an object that a script of the page assigns; empty where there is none."""
    found = re.search(rb"PageData\.%s\s{0,9}=\s{0,9}(?=\{)" % part, body)
    if found is None or body.rfind(b"<script", 0, found.start()) <= body.rfind(b"</script", 0, found.start()):
        return {}
    return script_object(body[found.end() : found.end() + _SCRIPT_SIZE].decode(errors="ignore"))


# On all captured pages, of any kind and year, the token of their forms ends with the time.
_TOKEN_WITH_TIME = re.compile(rb"""\btbs["']?\s{0,9}:\s{0,9}["'][0-9a-f]{16}(\d{10})["']""")


def made_at(body: bytes) -> datetime | None:
    """Tell when the site made a page."""
    found = _TOKEN_WITH_TIME.search(body)
    return values.time(found[1].decode()) if found else None


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


# --- text

_SKIPPED_TAGS = {"script", "style", "noscript", "button", "input", "textarea", "select", "iframe", "object"}
_SKIPPED_CLASSES = {"replace_tip", "p_forbidden_tip", "voice_player", "voice_player_mini", "nicknameEmoji"}
_PICTURE = re.compile(
    r"(?P<site>(?:https?:)?//[^/?#]+)/forum/(?:[^?#]*/)?(?P<file>[0-9a-f]{20,64}\.(?:jpg|jpeg|png|gif|webp))"
)
_PICTURE_SOURCES = ("data-original", "data-tb-lazyload", "bpic", "src")
_EMOJI = re.compile(r"/(?:image_emoticon|i_f0?)(?P<number>\d{0,3})\.")
_EMOJI_FOLDER = "/editor/images/"
# By number, the names that the client API gives for the same emoji.
_EMOJI_NAMES = (  # noqa: SIM905 - a table of fifty names
    "呵呵 哈哈 吐舌 啊 酷 怒 开心 汗 泪 黑线 鄙视 不高兴 真棒 钱 疑问 阴险 吐 咦 委屈 花心 呼~ 笑眼 冷"
    " 太开心 滑稽 勉强 狂汗 乖 睡觉 惊哭 生气 惊讶 喷 爱心 心碎 玫瑰 礼物 彩虹 星星月亮 太阳 钱币 灯泡"
    " 茶杯 蛋糕 音乐 haha 胜利 大拇指 弱 OK"
).split()


def content(node: LexborNode) -> tuple[str, tuple[str, ...]]:
    """Give the text below a node, as the client API has it, and its pictures' URLs, in their original size.

    Lines break where they do on the page; an emoji is its name in brackets, a link its text.
    """
    parts: list[str] = []
    images: list[str] = []
    nodes = [node.first_child]
    while nodes:
        item = nodes.pop()
        if item is None:
            continue
        nodes.append(item.next)
        tag = item.tag
        if tag == "-text":
            parts.append(_words(item.text_content or ""))
        elif tag == "br":
            parts.append("\n")
        elif tag in _SKIPPED_TAGS or not item.is_element_node:
            pass
        else:
            classes = (attributes := item.attributes).get("class") or ""
            if not _SKIPPED_CLASSES.isdisjoint(classes.split()):
                pass
            elif tag == "img":
                source = _picture_source(attributes)
                if "BDE_Smiley" in classes or _EMOJI_FOLDER in source:
                    parts.append(_emoji(source))
                elif source:
                    images.append(_original(source))
            elif tag in {"embed", "video"}:
                parts.append(attributes.get("data-video") or attributes.get("src") or "")
            elif tag == "a" and item.first_child is None:
                parts.append(attributes.get("href") or "")
            else:
                if parts and tag == "p" and not parts[-1].endswith("\n"):
                    parts.append("\n")
                elif parts and tag == "a" and parts[-1].endswith("回复"):  # a name: see values.addressee
                    parts.append(" ")
                nodes.append(item.first_child)
    return "".join(parts).strip(), tuple(images)


def content_of(html: str) -> tuple[str, tuple[str, ...]]:
    """Give the text and pictures of a piece of HTML; see `content`."""
    if "<" not in html and "&" not in html:
        return _words(html).strip(), ()
    body = LexborHTMLParser(f"<body>{html}").body
    return content(body) if body is not None else ("", ())


def _words(value: str) -> str:
    """Give a text node's text; a line break of the source is a space, or nothing next to an element."""
    value = value.replace("\xa0", " ")
    if "\n" in value or "\r" in value:
        first, *others = value.replace("\r", "\n").split("\n")
        parts = [first.rstrip(" \t"), *(part.strip(" \t") for part in others[:-1]), others[-1].lstrip(" \t")]
        value = " ".join(part for part in parts if part)
    return value


def _picture_source(attributes: dict[str, str | None]) -> str:
    sources = (attributes.get(key) or "" for key in _PICTURE_SOURCES)
    return next((source for source in sources if "//" in source), "")


def _original(source: str) -> str:
    """Give the address of the original, which unlike those of its smaller forms needs no signature."""
    found = _PICTURE.match(source)
    if found:
        source = f"{found['site']}/forum/pic/item/{found['file']}"
    return f"https:{source}" if source.startswith("//") else source


def _emoji(source: str) -> str:
    found = _EMOJI.search(source)
    number = int(found["number"] or 1) if found else 0
    if 1 <= number <= len(_EMOJI_NAMES):
        return f"[{_EMOJI_NAMES[number - 1]}]"
    return f"[{source.partition('?')[0].rpartition('/')[2].partition('.')[0]}]"


# --- times

_MOMENT = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\s{1,9}(\d{1,2}):(\d{2})(?::(\d{2}))?")
_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})\s*\Z")
_EARLY = timedelta(minutes=5)  # that the site's clock may be ahead of ours


def moment(value: str) -> datetime | None:
    """Give the first full time in a text, "2015-07-26 19:44" in Beijing; None where there is none."""
    found = _MOMENT.search(value)
    return _time([int(part or 0) for part in found.groups()]) if found else None


def clock(value: str, at: datetime | None) -> datetime | None:
    """Give the time of a list's "19:44", the latest one in Beijing that was not yet to come `at` the answer.

    Lists show older times as "7-26" or "2014-07": a day or a month is no time, hence None.
    """
    found = _CLOCK.match(value)
    if found is None or at is None:
        return None
    now = at.astimezone(BEIJING)
    time = _time([now.year, now.month, now.day, int(found[1]), int(found[2]), 0])
    return time - timedelta(days=1) if time is not None and time > at + _EARLY else time


def _time(parts: list[int]) -> datetime | None:
    year, month, day, hour, minute, second = parts
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=BEIJING).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
