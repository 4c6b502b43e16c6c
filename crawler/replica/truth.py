"""What a perfect crawler stores after crawling some list pages completely, told by the data model alone.

Conventions:

- The records and fields are the crawler's, times in ISO 8601 and UTC. A field that the source does not tell
  is left out: `ip_place` of authors whose place is not shown, `author_id` of authors whose id is 0,
  `reply_to_name` where nobody is named, `client` but on web pages.
- `author_name` is the user name; where that is empty, the name that is shown (`name_show`).
- A thread's `reply_count` is the number in lists: without floor 1. A thread page's `reply_num` is one more.
- Threads come once however often they are listed; promoted entries (no id, or id 1) are no threads. A
  deleted thread that is still listed has `deleted: true` and only what the list shows: neither posts nor
  comments, no `first_post_id` through the API, no title that web lists cut. Threads that are no longer
  listed are left out.
- A post's `text` is the text of all pieces joined without separator; an emoji is its name in
  brackets; links, names (@…) and videos are their text, on web pages videos their address; pictures and
  voice add nothing. `images` are the `origin_src` in order.
- A floor that comes again as first of the next page has another number there. Which sighting is stored last
  depends on the order of the answers, so that `floor` is left out for such floors.
- `comment_count` is the number of comments; a crawler has to fetch comment pages where fewer came inline.
- A comment's `text` has no "回复 X :"; X is `reply_to_name`.
- Web pages give times to the minute, but those of comments in totalComment to the second. /p/comment, which
  repeats the latter where a floor has more than ten, has no ids of authors. What lists say of times, without
  their day or without their hour, is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from replica.api import original_picture
from replica.content import THREAD_PAGE_SIZE
from replica.web import shown
from replica.world import COMMENT_PAGE_SIZE, LIST_PAGE_SIZE, MOST_THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replica.content import Comment, Floor, Piece, User
    from replica.world import Forum, Thread

Record = dict[str, Any]

SOURCES = ("api", "web")


@dataclass(frozen=True)
class Part:
    """What of a forum a crawl covers: list pages `first` to `last` (None: to the end) of a source, and more.

    List pages have 100 threads through the API, 50 on the web. As a crawler's scope can, `good` leaves other
    threads out, `starter` the floors of others than who began the thread; `comments` can be left out, too.
    """

    first: int = 1
    last: int | None = None
    source: str = "api"
    good: bool = False
    starter: bool = False
    comments: bool = True

    @property
    def is_web(self) -> bool:
        """Tell whether the source is the web pages."""
        return self.source == "web"

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Part:
        """Read it from the parameters of an address; raises ValueError, with a line for the user."""
        first = _page(query, "first") or 1
        last = _page(query, "last" if "last" in query else "pages")
        if last is not None and last < first:
            raise ValueError(f"last={last} is less than first={first}")
        source = query.get("source", SOURCES[0])
        if source not in SOURCES:
            raise ValueError(f"source={source[:40]!r} is not one of {', '.join(SOURCES)}")
        flags = {name: _flag(query, name, getattr(cls, name)) for name in ("good", "starter", "comments")}
        return cls(first, last, source, **flags)


def _page(query: Mapping[str, str], name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10 and int(value) >= 1:
        return int(value)
    raise ValueError(f"{name}={value[:40]!r} is not a whole number from 1")


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    value = query.get(name, str(int(default)))
    if value not in {"0", "1"}:
        raise ValueError(f"{name}={value[:40]!r} is neither 0 nor 1")
    return value == "1"


def records(forum: Forum, part: Part) -> Iterator[Record]:
    """Give every record of a part: the forum, then thread by thread.

    The last one tells how many requests of each kind it takes at least to learn all this.
    """
    yield {
        "record": "forum",
        "forum_id": forum.forum_id,
        "name": forum.name,
        "thread_count": forum.thread_count,
        "post_count": forum.post_count,
        "member_count": forum.member_count,
    }
    size = LIST_PAGE_SIZE if part.is_web else MOST_THREADS
    entries = forum.good_entries if part.good else forum.entries
    pages = -(-len(entries) // size)
    last = pages if part.last is None else min(part.last, pages)
    # The first page is asked for in any case.
    fewest = Counter({"forum": max(1, last - part.first + 1), "thread": 0, "comments": 0})
    for thread in forum.listed(entries[(part.first - 1) * size : last * size]):
        fewest.update(_fewest(thread, part))
        yield from thread_records(thread, part)
    yield {"record": "requests", "fewest": dict(fewest)}


def thread_records(thread: Thread, part: Part = Part()) -> Iterator[Record]:
    """Give the thread, its living floors and their comments."""
    record: Record = {
        "record": "thread",
        "thread_id": thread.thread_id,
        "forum_id": thread.forum.forum_id,
        "title": thread.title,
        **_author(thread.author),
        "reply_count": thread.reply_count,
        "is_pinned": thread.is_pinned,
        "is_good": thread.is_good,
    }
    if part.is_web:
        record["first_post_id"] = thread.first_post_id
        if shown.list_title(thread) != thread.title and thread.is_deleted:
            del record["title"]  # nothing tells the whole
        # The hour of a new thread's first post is in the list, too, but not its day.
        if not thread.is_deleted and ":" not in shown.list_time(thread.created, thread.forum.now):
            record["created_at"] = _minute(thread.created)
    else:
        record |= {"created_at": _time(thread.created), "last_reply_at": _time(thread.last_reply)}
    if thread.is_deleted:
        yield {**record, "deleted": True}
        return
    yield {**record, "first_post_id": thread.first_post_id}
    for floor in _floors(thread, part):
        yield _post(thread, floor, part)
        if part.comments:
            for comment in floor.comments:
                yield _comment(thread, floor, comment, part)


def encode(record: Record) -> str:
    """One line of NDJSON."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def _floors(thread: Thread, part: Part) -> Iterator[Floor]:
    if not part.starter:
        return thread.floors
    return (floor for floor, _ in thread.starter_slots if floor is not None)


def _fewest(thread: Thread, part: Part) -> dict[str, int]:
    """Count the requests that a thread takes: its pages, and the comments that do not come with them."""
    if thread.is_deleted:
        return {"thread": 1}
    slots = thread.starter_slots if part.starter else thread.slots
    pages = [slots[start : start + THREAD_PAGE_SIZE] for start in range(0, len(slots), THREAD_PAGE_SIZE)]
    comments = 0
    if part.comments and part.is_web:
        comments = sum(any(floor is not None and floor.comments for floor, _ in page) for page in pages)
        comments += sum(_later_pages(floor) for floor in _floors(thread, part))
    elif part.comments:
        comments = sum(
            -(-len(floor.comments) // COMMENT_PAGE_SIZE)
            for floor in _floors(thread, part)
            if len(floor.comments) > floor.inline
        )
    return {"thread": len(pages), "comments": comments}


def _later_pages(floor: Floor) -> int:
    """Count the pages of /p/comment that have what totalComment left out."""
    early = len(shown.early_comments(floor))
    if len(floor.comments) <= early:
        return 0
    pages = -(-len(floor.comments) // shown.COMMENT_PAGE_SIZE)
    return pages - (early == shown.COMMENT_PAGE_SIZE)


def _post(thread: Thread, floor: Floor, part: Part) -> Record:
    record: Record = {
        "record": "post",
        "post_id": floor.post_id,
        "thread_id": thread.thread_id,
        "forum_id": thread.forum.forum_id,
        **_author(floor.author),
        "text": "".join(_words(piece, part) for piece in floor.pieces),
        "images": [original_picture(piece.text) for piece in floor.pieces if piece.kind == "image"],
        "created_at": _minute(floor.created) if part.is_web else _time(floor.created),
        "comment_count": len(floor.comments),
    }
    if part.starter or not floor.is_repeated:
        record["floor"] = floor.number
    if part.is_web and shown.client(floor):
        record["client"] = shown.client(floor)
    place = shown.place(thread, floor) if part.is_web else floor.author.ip_place
    if place:
        record["ip_place"] = place
    return record


def _comment(thread: Thread, floor: Floor, comment: Comment, part: Part) -> Record:
    record: Record = {
        "record": "comment",
        "comment_id": comment.comment_id,
        "post_id": floor.post_id,
        "thread_id": thread.thread_id,
        **_author(comment.author),
        "text": "".join(_words(piece, part) for piece in comment.pieces),
        "created_at": _time(comment.created),
    }
    if comment.reply_to is not None:
        record["reply_to_name"] = comment.reply_to.name_show
    if part.is_web and len(floor.comments) > shown.COMMENT_PAGE_SIZE:
        if comment in shown.early_comments(floor):
            del record["created_at"]  # to the second or to the minute, whichever answer came last
        else:
            record["created_at"] = _minute(comment.created)
            record.pop("author_id", None)
    return record


def _author(user: User) -> Record:
    name = {"author_name": user.name or user.name_show}
    return {"author_id": user.user_id, **name} if user.user_id else name


def _words(piece: Piece, part: Part) -> str:
    if piece.kind == "emoji":
        return f"[{piece.text}]"
    if piece.kind == "video" and part.is_web:
        return piece.ref
    return "" if piece.kind in {"image", "voice"} else piece.text


def _minute(seconds: int) -> str:
    return _time(seconds - seconds % 60)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
