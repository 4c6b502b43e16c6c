"""What was written: text and pictures out of markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

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
