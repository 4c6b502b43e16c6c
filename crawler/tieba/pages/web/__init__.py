"""The classic site's web pages as a source: HTML as it was served from 2015 to 2024, without an account."""

from __future__ import annotations

import dataclasses
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from selectolax.lexbor import LexborHTMLParser

from tieba.pages import outcomes
from tieba.pages.answers import Answer, Outcome
from tieba.pages.sources import Call
from tieba.pages.targets import CommentPage, ForumPage, ThreadComments, ThreadPage, kind_of
from tieba.pages.values import identifier, integer
from tieba.pages.web import comments, forum, markup, thread

if TYPE_CHECKING:
    from tieba.pages.sources import Received
    from tieba.pages.targets import Fetch, Target

__all__ = ["WebPages", "keep_freed_memory"]

# Several times what the largest known page has. What has more is not read: HTML parsers take time that grows
# with the square of the depth of nesting and of a tag's attributes, and no store takes a text of that size.
_LARGEST = 4 << 20  # bytes
_MOST_TAGS = 30_000
_MOST_ATTRIBUTES = 10_000  # of one tag
_LARGE = 600_000  # bytes; the attributes of a smaller page take some seconds at worst
# As HTML's tokenizer takes them, https://html.spec.whatwg.org/multipage/parsing.html#tokenization
_ATTRIBUTE = rb"""=?[^\s/>=]+(?:\s*=\s*(?:"[^"]*"?|'[^']*'?|[^\s>"'][^\s>]*|))?"""
_TAG = re.compile(rb"<[a-zA-Z][^\s/>]*((?:[\s/]+|" + _ATTRIBUTE + rb")*)")
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_ENTRIES = ".l_post, .j_thread_list, .lzl_single_post"
_MOST_ENTRIES = 500  # they can lie in one another, too

_KEPT = 16 << 20  # bytes, several times what a page's tree takes


class WebPages:
    """Asks for pages as a browser that is not signed in would."""

    threads_per_page = forum.THREADS_PER_PAGE
    comments_per_page = 10
    has_inline_comments = False

    def build(self, fetch: Fetch) -> Call:
        """Build the request; the same fetch always gives the same bytes."""
        target = fetch.target
        fields: dict[str, str | int]
        starter: dict[str, str | int] = {"see_lz": 1} if fetch.scope.starter else {}
        match target:
            case ForumPage():
                fields = {"kw": target.forum, "ie": "utf-8", "pn": forum.THREADS_PER_PAGE * (target.page - 1)}
                # /f?tab=good is the same list, but in 2026 only /f/good was open to visitors.
                return _call("threads", "/f/good" if fetch.scope.good else "/f", fields)
            case ThreadPage():
                return _call("posts", f"/p/{target.thread_id}", {"pn": target.page, **starter})
            case ThreadComments():
                # Any forum id will do.
                fields = {"tid": target.thread_id, "fid": 1, "pn": target.page, **starter}
                return _call("comments", "/p/totalComment", fields)
            case CommentPage():
                fields = {"tid": target.thread_id, "pid": target.post_id, "pn": target.page}
                return _call("comments", "/p/comment", fields)

    def read(self, received: Received, target: Target | None = None) -> Answer:
        """Tell what an answer means; never raises, whatever the bytes are.

        Without `target` the kind is told from the content; with it, an answer of another kind, or one that
        is cut off, is unknown. So is what begins as a page and is cut off, where its address is known.
        """
        body = received.body
        if size := _excess(body):
            return _unknown(f"HTTP {received.status}, {size}: more than any page of the site has")
        body = markup.as_utf8(body)
        received = dataclasses.replace(received, body=body)
        payload = None if outcomes.is_markup(body) else comments.decode(body)
        if payload is None:
            answer = _read_page(received, target) if received.status == HTTPStatus.OK else None
        else:
            number = _number(target, received.url)
            answer = comments.read_total(payload, number) if comments.is_total(payload) else None
        is_content = payload is None and answer is not None
        outcome, error = outcomes.classify(received, payload, is_content=is_content)
        if outcome is not Outcome.OK:
            return Answer(outcome=outcome, error=error, retry_after=outcomes.retry_after(received))
        if answer is None:
            return _unknown("JSON without comments")
        if target is None or answer.outcome is not Outcome.OK:
            return answer
        other = _other(answer, target, is_json=payload is not None)
        if other:
            return _unknown(f"answer {other} to a request for {target}")
        return answer.as_page(target.page)


def keep_freed_memory() -> None:
    """Have this process keep what the tree of a page took, for the next page's.

    By default glibc gives it back to the system and fetches it anew: a quarter of the time goes there. Once a
    block of this size was freed, it keeps as much (mallopt(3), M_MMAP_THRESHOLD).
    """
    bytes(_KEPT)


def _excess(body: bytes) -> str:
    """Say what a body has too much of to be read; '' where it can be."""
    if len(body) > _LARGEST:
        return f"{len(body)} bytes"
    if (tags := body.count(b"<")) > _MOST_TAGS:
        return f"{tags} tags"
    if len(body) > _LARGE:
        for tag in _TAG.finditer(body):
            attributes = tag[1]
            if len(attributes) > _MOST_ATTRIBUTES and len(_ATTRIBUTES.findall(attributes)) > _MOST_ATTRIBUTES:
                return f"over {_MOST_ATTRIBUTES} attributes"
    return ""


def _call(endpoint: str, path: str, fields: dict[str, str | int]) -> Call:
    return Call(endpoint, f"{path}?{urlencode(fields)}")


def _unknown(error: str) -> Answer:
    return Answer(outcome=Outcome.UNKNOWN, error=error)


def _read_page(received: Received, target: Target | None) -> Answer | None:
    """Read a page by what it holds; None for one that holds nothing of the site's content."""
    body, url = received.body, received.url
    number, thread_id = _number(target, url), _thread_id(target, url)
    is_cut_off = markup.is_cut_off(body) and (target is not None or (bool(url) and markup.begins_page(body)))
    names_floors = thread.LIST_ID in body  # maybe in words that somebody wrote
    page = None if names_floors else forum.find_list(body)
    tree = page or LexborHTMLParser(body)
    if names_floors and tree.css_first(thread.LIST) is None:
        page = forum.find_list(body)
        tree = page or tree
    if len(tree.css(_ENTRIES)) > _MOST_ENTRIES:
        return _unknown("more floors, threads or comments than any page of the site has")
    if page is not None:
        if is_cut_off:
            return _unknown(f"forum page cut off after {len(body)} bytes")
        answer = forum.read_forum(page, body, number, received.at)
        if not answer.forum and not answer.threads:
            return _unknown("page of no forum")
        if target is not None and forum.lacks_foot(page):
            return _unknown(f"forum page cut off after {len(answer.threads)} threads")
        lacks_threads = forum.lacks_threads(page, answer, number, is_good=_is_good(url))
        return _unknown("forum page without threads") if lacks_threads else answer
    if tree.css_first(thread.LIST) is not None:
        if is_cut_off:
            return _unknown(f"thread page cut off after {len(body)} bytes")
        answer = thread.read_thread(tree, body, thread_id, number)
        is_first = (number or (answer.page and answer.page.number) or 1) == 1
        if not answer.posts and (answer.has_more or is_first):
            return _unknown("thread page without floors")
        return answer
    if tree.css_first(comments.FRAGMENT) is not None:
        if target is not None and comments.is_cut_off(tree):
            return _unknown(f"page of comments cut off after {len(body)} bytes")
        post_id = target.post_id if isinstance(target, CommentPage) else _query(url, "pid")
        return comments.read_fragment(tree, thread_id, post_id, number)
    return None


def _other(answer: Answer, target: Target, *, is_json: bool) -> str | None:
    """Tell what an answer is, where it is not what was asked for."""
    if answer.kind != kind_of(target):
        return f"of kind {answer.kind}"
    if is_json != isinstance(target, ThreadComments):
        return "in JSON" if is_json else "in HTML"
    if answer.thread and isinstance(target, ThreadPage) and answer.thread.thread_id != target.thread_id:
        return f"about thread {answer.thread.thread_id}"
    return None


def _number(target: Target | None, url: str | None) -> int | None:
    """Give the number of the page that was asked for."""
    if target is not None:
        return target.page
    position = _query(url, "pn")
    if position is None or outcomes.path_of(url).startswith("/p/"):
        return position or None
    return position // forum.THREADS_PER_PAGE + 1


def _is_good(url: str | None) -> bool:
    """Tell whether an address is that of a list of good threads."""
    return outcomes.path_of(url) == "/f/good" or "tab=good" in (url or "")


def _thread_id(target: Target | None, url: str | None) -> int | None:
    if target is not None:
        return None if isinstance(target, ForumPage) else target.thread_id
    return _query(url, "tid") or identifier(outcomes.path_of(url).removeprefix("/p/"))


def _query(url: str | None, name: str) -> int | None:
    try:
        values = parse_qs(urlsplit(url or "").query).get(name, [""])
    except ValueError:
        return None
    return integer(values[0])
