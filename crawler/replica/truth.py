"""What a perfect crawler stores after crawling some list pages completely, told by the data model alone.

Conventions:

- The records and fields are the crawler's, times in ISO 8601 and UTC. A field that the client API
  does not tell is left out: `client` always, `ip_place` of authors whose place is not shown,
  `author_id` of authors whose id is 0, `reply_to_name` where nobody is named.
- `author_name` is the user name; where that is empty, the name that is shown (`name_show`).
- A thread's `reply_count` is the number in lists: without floor 1. A thread page's `reply_num` is one more.
- Threads come once however often they are listed; promoted entries (no id, or id 1) are no threads. A deleted
  thread has `deleted: true` and only what the list shows: no `first_post_id`, neither posts nor comments.
- A post's `text` is the text of all pieces joined without separator; an emoji is its name in
  brackets; links, names (@…) and videos are their text; pictures and voice add nothing. `images`
  are the `origin_src` in order.
- A floor that comes again as first of the next page has another number there. Which sighting is stored last
  depends on the order of the answers, so that `floor` is left out for such floors.
- `comment_count` is the number of comments; a crawler has to fetch comment pages where fewer came inline.
- A comment's `text` has no "回复 X :"; X is `reply_to_name`.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from replica.api import original_picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica.content import Comment, Floor, Piece, User
    from replica.world import Forum, Thread

Record = dict[str, Any]


def records(forum: Forum, pages: int) -> Iterator[Record]:
    """Every record behind the first `pages` list pages of 50: the forum, then thread by thread."""
    yield {
        "record": "forum",
        "forum_id": forum.forum_id,
        "name": forum.name,
        "thread_count": forum.thread_count,
        "post_count": forum.post_count,
        "member_count": forum.member_count,
    }
    for thread in forum.listed(forum.entries[: pages * 50]):
        yield from thread_records(thread)


def thread_records(thread: Thread) -> Iterator[Record]:
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
        "created_at": _time(thread.created),
        "last_reply_at": _time(thread.last_reply),
    }
    if thread.is_deleted:
        yield {**record, "deleted": True}
        return
    yield {**record, "first_post_id": thread.first_post_id}
    for floor in thread.floors:
        yield _post(thread, floor)
        for comment in floor.comments:
            yield _comment(thread, floor, comment)


def encode(record: Record) -> str:
    """One line of NDJSON."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def _post(thread: Thread, floor: Floor) -> Record:
    record: Record = {
        "record": "post",
        "post_id": floor.post_id,
        "thread_id": thread.thread_id,
        "forum_id": thread.forum.forum_id,
        **_author(floor.author),
        "text": "".join(_words(piece) for piece in floor.pieces),
        "images": [original_picture(piece.text) for piece in floor.pieces if piece.kind == "image"],
        "created_at": _time(floor.created),
        "comment_count": len(floor.comments),
    }
    if not floor.is_repeated:
        record["floor"] = floor.number
    if floor.author.ip_place:
        record["ip_place"] = floor.author.ip_place
    return record


def _comment(thread: Thread, floor: Floor, comment: Comment) -> Record:
    record: Record = {
        "record": "comment",
        "comment_id": comment.comment_id,
        "post_id": floor.post_id,
        "thread_id": thread.thread_id,
        **_author(comment.author),
        "text": "".join(_words(piece) for piece in comment.pieces),
        "created_at": _time(comment.created),
    }
    if comment.reply_to is not None:
        record["reply_to_name"] = comment.reply_to.name_show
    return record


def _author(user: User) -> Record:
    name = {"author_name": user.name or user.name_show}
    return {"author_id": user.user_id, **name} if user.user_id else name


def _words(piece: Piece) -> str:
    if piece.kind == "emoji":
        return f"[{piece.text}]"
    return "" if piece.kind in {"image", "voice"} else piece.text


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()
