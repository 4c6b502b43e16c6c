"""The client (app) API in its signed JSON form, which works without an account.

Requests are form-encoded POSTs; the answer is one JSON object. The fields were learnt from public client
code and from captured answers of 2026.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tieba.pages import outcomes
from tieba.pages.answers import Answer, Outcome, Page
from tieba.pages.targets import ForumPage, Target, ThreadPage, kind_of
from tieba.pages.values import flag, identifier, integer, mapping, name, rows, text, time
from tieba.records import Comment, Forum, Post, Thread, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIGN_SALT = "tiebaclient!!!"
THREADS_PER_PAGE = 50
POSTS_PER_PAGE = 30
COMMENTS_INLINE = 10  # of each floor

_PROMOTION_ID = 1  # the "thread" by which a forum looks for moderators

# Types of content fragments.
_EMOJI = {2, 11}
_IMAGE = {3, 20}
_MENTION = 4
_VOICE = 10
_PROMOTION = 34
_IMAGE_FIELDS = ("origin_src", "big_cdn_src", "cdn_src", "src")

_REPLY_TO = re.compile(r"回复\s+@?(?P<name>[^:：\n]{1,60}?)\s*[:：]\s*(?P<text>.*)", re.DOTALL)
_COLON = re.compile(r"\s*[:：]\s*")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the API: which endpoint (the name of its rate limit), where, and the form to send."""

    endpoint: str
    path: str
    body: bytes


def build(target: Target, client_version: str) -> Call:
    """Build the signed request for a target; the same target always gives the same bytes."""
    fields: dict[str, str | int]
    if isinstance(target, ForumPage):
        # The first page is 1 here; the protobuf form of the same endpoint counts from 0.
        # rn_need is what clients ask for: a few more than rn, for entries that the server drops.
        endpoint, path = "threads", "/c/f/frs/page"
        fields = {
            "kw": target.forum,
            "pn": target.page,
            "rn": THREADS_PER_PAGE,
            "rn_need": THREADS_PER_PAGE + 5,
        }
    elif isinstance(target, ThreadPage):
        endpoint, path = "posts", "/c/f/pb/page"
        fields = {"kz": target.thread_id, "pn": target.page, "rn": POSTS_PER_PAGE}
        fields |= {"with_floor": 1, "floor_rn": COMMENTS_INLINE}
    else:
        endpoint, path = "comments", "/c/f/pb/floor"
        fields = {"kz": target.thread_id, "pid": target.post_id, "pn": target.page}
    form = {key: str(value) for key, value in fields.items()}
    form |= {"_client_type": "2", "_client_version": client_version}
    form["sign"] = sign(form)
    return Call(endpoint, path, urlencode(form).encode())


def sign(form: Mapping[str, str]) -> str:
    """Give the signature that the API wants: MD5 over the sorted, unescaped "key=value" texts and a salt."""
    plain = "".join(f"{key}={form[key]}" for key in sorted(form) if key != "sign")
    return hashlib.md5((plain + SIGN_SALT).encode(), usedforsecurity=False).hexdigest()


def read(
    body: bytes,
    *,
    target: Target | None = None,
    status: int = 200,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Tell what an answer means; never raises, whatever the bytes are.

    `headers` have lower-case names. Without `target` the kind is told from the content; with it, an answer
    of another kind is unknown.
    """
    headers = headers or {}
    payload = outcomes.decode(body)
    outcome, error = outcomes.classify(status, url, headers, body, payload)
    if outcome is not Outcome.OK:
        return Answer(outcome=outcome, error=error, retry_after=outcomes.retry_after(headers))
    kind = _kind(payload)
    if kind is None:
        return Answer(outcome=Outcome.UNKNOWN, error="JSON without threads, posts or comments")
    if target is not None and kind != kind_of(target):
        return Answer(outcome=Outcome.UNKNOWN, error=f"answer of kind {kind} to a request for {target}")
    if kind == "forum":
        return _read_forum(payload)
    if kind == "thread":
        return _read_thread(payload)
    return _read_comments(payload, target)


def _kind(payload: dict[str, Any]) -> str | None:
    if "subpost_list" in payload:
        return "comments"
    if "post_list" in payload and identifier(mapping(payload.get("thread")).get("id")):
        return "thread"
    if "thread_list" in payload and identifier(mapping(payload.get("forum")).get("id")):
        return "forum"
    return None


def _read_forum(payload: dict[str, Any]) -> Answer:
    users = _Users(payload)
    forum = _forum(payload)
    threads = {}
    for row in rows(payload.get("thread_list")):
        thread_id = identifier(row.get("tid")) or identifier(row.get("id"))
        if thread_id is None or thread_id == _PROMOTION_ID:
            continue
        author = users.author(row)
        threads[thread_id] = Thread(
            thread_id=thread_id,
            forum_id=identifier(row.get("fid")) or (forum.forum_id if forum else None),
            title=text(row.get("title")),
            author_id=author.user_id,
            author_name=author.name,
            reply_count=integer(row.get("reply_num")),
            first_post_id=identifier(row.get("first_post_id")),
            is_pinned=flag(row.get("is_top")),
            is_good=flag(row.get("is_good")),
            created_at=time(row.get("create_time")),
            last_reply_at=time(row.get("last_time_int")),
        )
    page, has_more = _page(payload)
    return Answer(
        outcome=Outcome.OK,
        kind="forum",
        forum=forum,
        page=page,
        has_more=has_more,
        threads=tuple(threads.values()),
        users=users.seen(),
    )


def _read_thread(payload: dict[str, Any]) -> Answer:
    users = _Users(payload)
    forum = _forum(payload)
    forum_id = forum.forum_id if forum else None
    row = mapping(payload.get("thread"))
    thread_id = identifier(row.get("id")) or 0  # _kind() has seen to it that there is one
    replies = integer(row.get("reply_num"))
    author = users.author(row)
    thread = Thread(
        thread_id=thread_id,
        forum_id=forum_id,
        title=text(row.get("title")),
        author_id=author.user_id,
        author_name=author.name,
        # Counts floor 1 here, unlike in lists; what pages show is one less.
        reply_count=None if replies is None else max(replies - 1, 0),
        first_post_id=identifier(row.get("post_id")) or identifier(row.get("first_post_id")),
        created_at=time(row.get("create_time")),
    )
    posts = {}
    comments: dict[int, Comment] = {}
    for floor in rows(payload.get("post_list")):
        post_id = identifier(floor.get("id"))
        if post_id is None:  # an advertisement
            continue
        author = users.author(floor)
        body, images = _content(floor.get("content"))
        posts[post_id] = Post(
            post_id=post_id,
            thread_id=thread_id,
            forum_id=forum_id,
            floor=integer(floor.get("floor")),
            author_id=author.user_id,
            author_name=author.name,
            text=body,
            images=images,
            created_at=time(floor.get("time")),
            comment_count=integer(floor.get("sub_post_number")),
            client=name(floor.get("client")),
            ip_place=author.ip_place,
        )
        inline = floor.get("sub_post_list")
        if isinstance(inline, dict) and "sub_post_list" in inline:
            inline = inline["sub_post_list"]
        for comment in _comments(inline, users, post_id, thread_id):
            comments[comment.comment_id] = comment
    page, has_more = _page(payload)
    return Answer(
        outcome=Outcome.OK,
        kind="thread",
        forum=forum,
        thread=thread,
        page=page,
        has_more=has_more,
        posts=tuple(posts.values()),
        comments=tuple(comments.values()),
        users=users.seen(),
    )


def _read_comments(payload: dict[str, Any], target: Target | None) -> Answer:
    users = _Users(payload)
    post_id = identifier(mapping(payload.get("post")).get("id")) or getattr(target, "post_id", None)
    thread_id = identifier(mapping(payload.get("thread")).get("id")) or getattr(target, "thread_id", None)
    comments = {
        row.comment_id: row for row in _comments(payload.get("subpost_list"), users, post_id, thread_id)
    }
    page, has_more = _page(payload)
    return Answer(
        outcome=Outcome.OK,
        kind="comments",
        page=page,
        has_more=has_more,
        comments=tuple(comments.values()),
        users=users.seen(),
    )


def _comments(value: Any, users: _Users, post_id: int | None, thread_id: int | None) -> Iterable[Comment]:
    for row in rows(value):
        comment_id = identifier(row.get("id"))
        if comment_id is None:
            continue
        author = users.author(row)
        reply_to, body = _addressee(row.get("content"))
        yield Comment(
            comment_id=comment_id,
            post_id=post_id,
            thread_id=thread_id,
            author_id=author.user_id,
            author_name=author.name,
            reply_to_name=reply_to,
            text=body,
            created_at=time(row.get("time")),
        )


def _forum(payload: dict[str, Any]) -> Forum | None:
    row = mapping(payload.get("forum"))
    forum_id = identifier(row.get("id"))
    if forum_id is None:
        return None
    return Forum(
        forum_id=forum_id,
        name=name(row.get("name")),
        thread_count=integer(row.get("thread_num")),
        post_count=integer(row.get("post_num")),
        member_count=integer(row.get("member_num")),
    )


def _page(payload: dict[str, Any]) -> tuple[Page, bool]:
    row = mapping(payload.get("page"))
    page = Page(identifier(row.get("current_page")), identifier(row.get("total_page")))
    return page, bool(flag(row.get("has_more")))


def _content(value: Any) -> tuple[str | None, tuple[str, ...] | None]:
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
        elif kind not in {_VOICE, _PROMOTION}:
            parts.append(words or text(fragment.get("link")) or "")
    return "".join(parts), tuple(images)


def _addressee(value: Any) -> tuple[str | None, str | None]:
    """Split a comment's content into the name after "回复" (None where it names nobody) and the text."""
    fragments = rows(value) if isinstance(value, list) else []
    if (
        len(fragments) >= 2
        and (text(fragments[0].get("text")) or "").strip() == "回复"
        and integer(fragments[1].get("type")) == _MENTION
    ):
        reply_to = name((text(fragments[1].get("text")) or "").strip().lstrip("@"))
        rest, _ = _content(fragments[2:])
        return reply_to, _COLON.sub("", rest or "", count=1) if _COLON.match(rest or "") else rest
    words, _ = _content(value)
    found = _REPLY_TO.match(words or "")
    return (found["name"].strip(), found["text"]) if found else (None, words)


@dataclass(frozen=True, slots=True)
class _Author:
    user_id: int | None = None
    name: str | None = None
    ip_place: str | None = None


class _Users:
    """The users of one answer: a list of its own that rows refer to by id, or inline in the rows."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._seen: dict[int | str, User] = {}
        self._listed: dict[int, dict[str, Any]] = {}
        for row in rows(payload.get("user_list")):
            user_id = identifier(row.get("id"))
            if user_id is not None:
                self._listed[user_id] = row
            self._add(row)

    def author(self, row: dict[str, Any]) -> _Author:
        """Tell who wrote a row."""
        inline = mapping(row.get("author"))
        user_id = identifier(inline.get("id")) or identifier(row.get("author_id"))
        listed = self._listed.get(user_id, {}) if user_id is not None else {}
        if inline:
            self._add(inline)
        about = {**listed, **{key: value for key, value in inline.items() if value not in (None, "", 0)}}
        return _Author(
            user_id, name(about.get("name")) or name(about.get("name_show")), name(about.get("ip_address"))
        )

    def seen(self) -> tuple[User, ...]:
        """Every user of the answer, once."""
        return tuple(self._seen.values())

    def _add(self, row: dict[str, Any]) -> None:
        user_id = identifier(row.get("id"))
        # The part after "?" is the time at which the picture was changed.
        portrait = name((text(row.get("portrait")) or "").partition("?")[0])
        if user_id is None and portrait is None:
            return
        user = User(
            user_id=user_id,
            name=name(row.get("name")),
            nickname=name(row.get("name_show")),
            portrait=portrait,
        )
        known = self._seen.get(user.key)
        if known is None or (known.portrait is None and portrait):
            self._seen[user.key] = user
