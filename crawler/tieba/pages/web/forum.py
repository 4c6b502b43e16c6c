"""Forum pages: the list of threads, in the page itself or in a comment from which a script puts it there."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from selectolax.lexbor import LexborHTMLParser

from tieba.pages.answers import Answer, Outcome, Page
from tieba.pages.users import Users
from tieba.pages.values import PROMOTION_ID, flag, identifier, integer, name, text, thread_in
from tieba.pages.web import markup, script
from tieba.records import Forum, Thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from selectolax.lexbor import LexborNode

THREADS_PER_PAGE = 50

_LIST = re.compile(rb"""id=["']?thread_list["'\s>]""")
_MOST_LISTS = 5  # mentions of the list, most of them in scripts
_AFTER_FOOT = 4096  # bytes

_PARTS = markup.Parts(
    {
        "li.j_thread_list": "entry",
        "a.j_th_tit": "title",
        ".tb_icon_author": "author",
        ".is_show_create_time": "created",
        ".j_reply_data": "replied",
        ".threadlist_abs": "abstract",
        "i.icon-top": "top",
        "i.icon-good": "good",
    }
)
_TITLE_LENGTH = 30  # characters, to which lists cut the text of a thread without a title
_AUTHOR_TITLE = re.compile(r"主题作者\s{0,9}[:：]\s{0,9}(.+)", re.DOTALL)
_PAGE_NUMBER = re.compile(r"[?&]pn=(\d{1,10})(?!\d)")


def find_list(body: bytes) -> LexborHTMLParser | None:
    """Give the list of threads with what follows it, out of the page or of the comment that hides it.

    Only that part is parsed: it takes half the time of the whole.
    """
    for found in itertools.islice(_LIST.finditer(body), _MOST_LISTS):
        start = max(body.rfind(b"<", 0, found.start()), 0)
        if body.rfind(b"<!--", 0, start) > body.rfind(b"-->", 0, start):
            end = body.find(b"-->", start)
        else:
            end = body.find(b"th_footer_l", start)
            end = end if end < 0 else end + _AFTER_FOOT
        page = LexborHTMLParser(body[start : end if end >= 0 else None])
        if page.css_first("#thread_list") is not None:
            return page
    return None


def lacks_threads(page: LexborHTMLParser, answer: Answer, number: int | None, *, is_good: bool) -> bool:
    """Tell whether a list without threads says itself that it has some.

    The number of threads at its foot is the forum's, whatever part of them is listed.
    """
    if answer.threads:
        return False
    if number is None and answer.page is not None:
        number = answer.page.number
    has_pager = page.css_first("#frs_list_pager a") is not None
    claimed = answer.forum.thread_count if answer.forum and not is_good else None
    return answer.has_more or (number == 1 and (has_pager or bool(claimed)))


def lacks_foot(page: LexborHTMLParser) -> bool:
    """Tell whether the list ends without what follows it on all pages: totals, or links to other pages."""
    return page.css_first(".th_footer_l, #frs_list_pager") is None


def read_forum(page: LexborHTMLParser, body: bytes, number: int | None, at: datetime | None) -> Answer:
    """Read a forum page; `page` is what `find_list` found in `body`.

    `at` is when it came, for times without their day where the page does not tell when it was made.
    """
    forum = _forum(page, body)
    at = markup.made_at(body) or at
    users = Users()
    threads: dict[int, Thread] = {}
    cut_titles = set()
    replied_before = {}
    for entry in _entries(page):
        thread = _thread(entry, forum.forum_id if forum else None, users, at)
        if thread is not None:
            threads.setdefault(thread.thread_id, thread)
            if _is_cut(thread.title or "", entry.get("abstract")):
                cut_titles.add(thread.thread_id)
            if (before := _clock(entry.get("replied"), at, markup.day_end)) is not None:
                replied_before[thread.thread_id] = before
    shown, has_more = _page(page, number)
    return Answer(
        outcome=Outcome.OK,
        kind="forum",
        forum=forum,
        page=shown,
        has_more=has_more,
        threads=tuple(threads.values()),
        cut_titles=frozenset(cut_titles),
        replied_before=replied_before,
        users=users.seen(),
    )


class _Part(NamedTuple):
    node: LexborNode
    attributes: dict[str, str | None]


def _entries(page: LexborHTMLParser) -> list[dict[str, _Part]]:
    entries: list[dict[str, _Part]] = []
    for kind, node, attributes in _PARTS.find(page):
        if kind == "entry":
            entries.append({kind: _Part(node, attributes)})
        elif entries:
            entries[-1].setdefault(kind, _Part(node, attributes))
    return entries


def _thread(
    entry: dict[str, _Part], forum_id: int | None, users: Users, at: datetime | None
) -> Thread | None:
    attributes = entry["entry"].attributes
    about = script.fields(attributes.get("data-field"))
    title = entry.get("title")
    thread_id = (
        identifier(about.get("id"))
        or identifier(attributes.get("data-tid"))
        or thread_in((title.attributes.get("href") if title else None) or "")
    )
    if thread_id is None or thread_id == PROMOTION_ID:
        return None
    author = entry["author"].attributes if "author" in entry else {}
    author_id = identifier(script.fields(author.get("data-field")).get("user_id"))
    called = _AUTHOR_TITLE.match(author.get("title") or "")
    user_name = name(about.get("author_name"))
    nickname = name(about.get("author_nickname")) or name(called[1] if called else None)
    users.add(author_id, user_name, nickname, about.get("author_portrait"))
    is_top = "top" in entry or "thread_top" in (attributes.get("class") or "").split()
    return Thread(
        thread_id=thread_id,
        forum_id=forum_id,
        title=text(title.attributes.get("title") or markup.plain(title.node)) if title else None,
        author_id=author_id,
        author_name=user_name or nickname,
        reply_count=integer(about.get("reply_num")),
        first_post_id=identifier(about.get("first_post_id")),
        is_pinned=bool(flag(about["is_top"])) if "is_top" in about else is_top,
        is_good=bool(flag(about["is_good"])) if "is_good" in about else "good" in entry,
        created_at=_clock(entry.get("created"), at),
        last_reply_at=_clock(entry.get("replied"), at),
    )


def _is_cut(title: str, abstract: _Part | None) -> bool:
    """Tell whether a title is as long as lists allow, and the text below it begins with it and goes on.

    One that ends with dots counts as cut, and one of that length without a text below, as of pinned threads.
    """
    if title.endswith("..."):
        return True
    if len(title) != _TITLE_LENGTH or abstract is None:
        return len(title) == _TITLE_LENGTH
    beginning, words = ("".join(words.split()) for words in (title, abstract.node.text()))
    return words.startswith(beginning) and words != beginning


def _clock(
    part: _Part | None,
    at: datetime | None,
    read: Callable[[str, datetime], datetime | None] = markup.clock,
) -> datetime | None:
    return read(markup.plain(part.node), at) if part and at else None


def _forum(page: LexborHTMLParser, body: bytes) -> Forum | None:
    data = script.page_data(body, b"forum")
    forum_id = identifier(data.get("id")) or identifier(data.get("forum_id"))
    if forum_id is None:
        return None
    totals = [_count(node) for node in page.css(".th_footer_l .red_text")]
    forum_name = name(data.get("name"))
    if len(totals) != 3 or forum_name is None:
        whole = LexborHTMLParser(body)
        forum_name = forum_name or markup.forum_name(whole)
        if len(totals) != 3:
            totals = [None, _count(whole.css_first(".card_infoNum")), _count(whole.css_first(".card_menNum"))]
    return Forum(
        forum_id=forum_id,
        name=forum_name,
        thread_count=totals[0],
        post_count=totals[1],
        member_count=totals[2],
    )


def _count(node: LexborNode | None) -> int | None:
    return integer(markup.plain(node).replace(",", ""))


def _page(page: LexborHTMLParser, number: int | None) -> tuple[Page, bool]:
    """Give where the page stands and whether there is a next one; a forum of one page has no pager."""
    shown = identifier(markup.plain(page.css_first("#frs_list_pager .pagination-current")))
    number = shown or number
    has_more = page.css_first("#frs_list_pager a.next") is not None
    last = _PAGE_NUMBER.search(markup.attribute(page.css_first("#frs_list_pager a.last"), "href"))
    if last is not None:
        return Page(number, int(last[1]) // THREADS_PER_PAGE + 1), has_more
    if not has_more:
        number = number or 1
        return Page(number, number), False
    return Page(number, None), True
