"""Comments: the JSON of /p/totalComment, the HTML of /p/comment, and those that a saved thread page shows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard

from tieba.pages.answers import Answer, Outcome, Page
from tieba.pages.users import Users
from tieba.pages.values import addressee, identifier, integer, mapping, name, rows, text, time
from tieba.pages.web import markup, script
from tieba.pages.web.content import content, content_of
from tieba.records import Comment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from selectolax.lexbor import LexborHTMLParser, LexborNode

_PAGER = "li.lzl_li_pager"
FRAGMENT = f"li.lzl_single_post, {_PAGER}"
# The parts of a comment, in the order of the page.
PARTS = ("li.lzl_single_post", ".lzl_cnt > a.at", ".lzl_content_main", ".lzl_time")

_VALUES_AT_MOST = 20  # JSON values in one body; real ones have two
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')


# --- /p/totalComment


def decode(body: bytes) -> dict[str, Any] | None:
    """Give the answer in a body of JSON (in UTF-8), None where there is none.

    totalComment is known to put {"errno":null,"errmsg":null} before the answer, and to let through control
    characters and backslashes that JSON does not have.
    """
    source = body.decode(errors="replace")
    values = list(_values(source)) or list(_values(_ESCAPE.sub(_legal, source)))
    for value in values:
        if is_total(value):
            return value
    return values[-1] if values else None


def _legal(found: re.Match[str]) -> str:
    return found.group() if len(found.group()) > 1 else r"\\"


def _values(source: str) -> Iterator[dict[str, Any]]:
    """Give the objects that stand one after the other in a text, among whatever else."""
    decoder = json.JSONDecoder(strict=False)
    position = source.find("{")
    for _ in range(_VALUES_AT_MOST):
        if position < 0:
            return
        try:
            value, position = decoder.raw_decode(source, position)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value
        position = source.find("{", position)


def is_total(payload: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Tell whether a JSON value is an answer of totalComment."""
    return payload is not None and isinstance(mapping(payload.get("data")).get("comment_list"), (dict, list))


def read_total(payload: dict[str, Any], number: int | None) -> Answer:
    """Read the first comments of each floor of a thread page."""
    data = mapping(payload["data"])
    users = Users()
    listed = {}
    for row in rows(data.get("user_list")):
        user_id = identifier(row.get("user_id"))
        nickname = row.get("user_nickname") or row.get("nickname")
        listed[user_id] = name(row.get("user_name")) or name(nickname)
        users.add(user_id, row.get("user_name"), nickname, row.get("portrait"))
    comments: dict[int, Comment] = {}
    counts: dict[int, int] = {}
    for key, floor in mapping(data.get("comment_list")).items():
        floor = mapping(floor)
        count = integer(floor.get("comment_num"))
        if (post_id := identifier(key)) is not None and count is not None:
            counts[post_id] = count
        for row in rows(floor.get("comment_info")):
            comment_id = identifier(row.get("comment_id"))
            if comment_id is None:
                continue
            author_id = identifier(row.get("user_id"))
            reply_to, words = addressee(content_of(text(row.get("content")) or "")[0])
            comments[comment_id] = Comment(
                comment_id=comment_id,
                post_id=identifier(row.get("post_id")) or post_id,
                thread_id=identifier(row.get("thread_id")),
                author_id=author_id,
                author_name=name(row.get("username")) or listed.get(author_id),
                reply_to_name=reply_to,
                text=words,
                created_at=time(row.get("now_time")),
            )
    return Answer(
        outcome=Outcome.OK,
        kind="comments",
        page=Page(number, None),
        comments=tuple(comments.values()),
        users=users.seen(),
        comment_counts=counts,
    )


# --- HTML


def is_cut_off(tree: LexborHTMLParser) -> bool:
    """Tell whether a page of a floor's comments lacks the pager, with which all of them end."""
    return tree.css_first(_PAGER) is None


def read_fragment(
    tree: LexborHTMLParser, thread_id: int | None, post_id: int | None, number: int | None
) -> Answer:
    """Read one page of a floor's comments; with none, it is ok only past the end."""
    comments = {row.comment_id: row for row in read_comments(tree.css(", ".join(PARTS)), thread_id, post_id)}
    pager = tree.css_first(_PAGER)
    counted = script.node_fields(pager)
    last, total = identifier(counted.get("total_page")), integer(counted.get("total_num"))
    shown = identifier(markup.plain(pager.css_first(".tP"))) if pager is not None else None
    page = Page(shown or number or (1 if last == 1 else None), last)
    # Fewer than a page has prove nothing: the site also counts comments that it does not show.
    if not comments and (pager is None or (page.number or 1) <= (last or 0)):
        return Answer(outcome=Outcome.UNKNOWN, error="page of comments without any")
    return Answer(
        outcome=Outcome.OK,
        kind="comments",
        page=page,
        has_more=page.number is not None and page.last is not None and page.number < page.last,
        comments=tuple(comments.values()),
        comment_counts={post_id: total} if post_id and total is not None else {},
    )


def read_comments(
    parts: Iterable[LexborNode], thread_id: int | None, post_id: int | None
) -> Iterator[Comment]:
    """Read comments from their `PARTS`.

    The site gives no ids of their authors here. Their portraits alone would make them users a second time.
    """
    group: list[LexborNode] = []
    for node in parts:
        if node.tag == "li":
            if group:
                yield from _comment(group, thread_id, post_id)
            group = [node]
        elif group:
            group.append(node)
    if group:
        yield from _comment(group, thread_id, post_id)


def _comment(group: list[LexborNode], thread_id: int | None, post_id: int | None) -> Iterator[Comment]:
    about = script.node_fields(group[0])
    comment_id = identifier(about.get("spid"))
    if comment_id is None:
        return
    words = shown = written = None
    for node in group[1:]:
        classes = markup.attribute(node, "class")
        if "lzl_content_main" in classes:
            words = words if words is not None else content(node)[0]
        elif "lzl_time" in classes:
            written = written or node
        else:
            shown = shown or node
    nickname = name(about.get("showname")) or name(about.get("user_nickname")) or name(markup.plain(shown))
    reply_to, words = addressee(words) if words is not None else (None, None)
    yield Comment(
        comment_id=comment_id,
        post_id=identifier(about.get("pid")) or post_id,
        thread_id=thread_id,
        author_name=name(about.get("user_name")) or nickname,
        reply_to_name=reply_to,
        text=words,
        created_at=markup.moment(markup.plain(written)),
    )
