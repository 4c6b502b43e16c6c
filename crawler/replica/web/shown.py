"""What the web pages show of the data model; the truth about them is made by the same rules."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica.content import Comment, Floor
    from replica.world import Thread

LIST_PAGE_SIZE = 50  # threads
THREAD_PAGE_SIZE = 30  # floors
COMMENT_PAGE_SIZE = 10

_LIST_TITLE = 30  # characters
_BEIJING = 8 * 3_600  # seconds ahead of UTC
_CLIENTS = ("", "Android客户端", "iPhone客户端")


class Template(Enum):
    """The markups of thread pages, by the years of captured ones."""

    OLD = 2015
    NEW = 2017
    LATEST = 2024


_TEMPLATES = tuple(Template)


def list_title(thread: Thread) -> str:
    """Title in lists, which is cut off where it is only how the text begins."""
    return thread.title[:_LIST_TITLE]


def template(thread: Thread) -> Template:
    """Markup of a thread's pages."""
    return _TEMPLATES[thread.thread_id % len(_TEMPLATES)]


def client(floor: Floor) -> str:
    """Program a floor was written with; '' where the page does not say."""
    return _CLIENTS[floor.post_id % len(_CLIENTS)]


def place(thread: Thread, floor: Floor) -> str:
    """Place of a floor's author; '' where the page does not say."""
    return floor.author.ip_place if template(thread) is Template.LATEST else ""


def early_comments(floor: Floor) -> tuple[Comment, ...]:
    """Give the comments of a floor that totalComment has: at most 10, of more than 10 sometimes only 9."""
    comments = floor.comments[:COMMENT_PAGE_SIZE]
    if len(floor.comments) > COMMENT_PAGE_SIZE and floor.post_id % 3 == 0:
        return comments[:4] + comments[5:]
    return comments


def minute(seconds: int) -> str:
    """Beijing time as floors show it: 2026-02-05 09:07."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds + _BEIJING))


def loose_minute(seconds: int) -> str:
    """Beijing time as comments show it: 2026-2-5 09:07."""
    at = time.gmtime(seconds + _BEIJING)
    return f"{at.tm_year}-{at.tm_mon}-{at.tm_mday} {at.tm_hour:02}:{at.tm_min:02}"


def list_time(seconds: int, now: int) -> str:
    """Beijing time as lists show it: 09:07 (today), 2-5 (this year) or 2025-12 (older)."""
    at, today = time.gmtime(seconds + _BEIJING), time.gmtime(now + _BEIJING)
    if (at.tm_year, at.tm_yday) == (today.tm_year, today.tm_yday):
        return f"{at.tm_hour:02}:{at.tm_min:02}"
    return f"{at.tm_mon}-{at.tm_mday}" if at.tm_year == today.tm_year else f"{at.tm_year}-{at.tm_mon:02}"
