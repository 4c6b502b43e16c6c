"""Records out of an answer's payload: the JSON form's object, or what protobuf was decoded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tieba.pages.answers import Answer, Outcome, Page
from tieba.pages.client.content import addressed_content, content
from tieba.pages.client.users import Authors
from tieba.pages.values import PROMOTION_ID, flag, identifier, integer, mapping, name, rows, text, time
from tieba.records import Comment, Forum, Post, Thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tieba.pages.targets import Target

_WITHOUT_CONTENT = {
    "forum": "forum page without threads",
    "thread": "thread page without floors",
    "comments": "page of comments without any",
}
_TITLE_LENGTH = 30  # characters, as web pages cut a title that they make of a text


def read_records(kind: str, payload: dict[str, Any], target: Target | None) -> Answer:
    """Read an answer of a kind that `kind_of_payload` told; an empty one is ok only past the end."""
    if kind == "forum":
        answer = _read_forum(payload)
    elif kind == "thread":
        answer = _read_thread(payload)
    else:
        answer = _read_comments(payload, target)
    if not answer.has_content and _lacks_content(answer, payload, target):
        return Answer(outcome=Outcome.UNKNOWN, error=_WITHOUT_CONTENT[kind])
    return answer


def kind_of_payload(payload: dict[str, Any]) -> str | None:
    """Tell of what kind an answer is; None for one that holds nothing that was asked for."""
    if "subpost_list" in payload:
        return "comments"
    if "post_list" in payload and identifier(mapping(payload.get("thread")).get("id")):
        return "thread"
    if "thread_list" in payload and identifier(mapping(payload.get("forum")).get("id")):
        return "forum"
    return None


def other_subject(payload: dict[str, Any], target: Target | None) -> str | None:
    """Name the thread or post that an answer is about, where it is not the one that was asked for."""
    for field, wanted in (
        ("thread", getattr(target, "thread_id", None)),
        ("post", getattr(target, "post_id", None)),
    ):
        found = identifier(mapping(payload.get(field)).get("id"))
        if found and wanted and found != wanted:
            return f"{field} {found}"
    return None


def _lacks_content(answer: Answer, payload: dict[str, Any], target: Target | None) -> bool:
    """Tell whether an answer that lists nothing says itself that there is something, or does not say."""
    page = mapping(payload.get("page"))
    if answer.page is None or answer.page.number is None or answer.has_more:
        return True
    number = target.page if target else answer.page.number
    last = answer.page.last or 0
    claimed = integer(page.get("total_count"))
    if answer.kind == "forum":
        if number > 1:  # the server goes less deep than its last page's number says, and then has no more
            return flag(page.get("has_more")) is None and number < last
        # The page counts what its list has, e.g. the good threads, the forum all threads.
        return bool(claimed if claimed is not None else answer.forum and answer.forum.thread_count)
    if answer.kind == "thread":
        return number == 1 or number < last
    return number < last or (number == last and claimed != 0)


def _read_forum(payload: dict[str, Any]) -> Answer:
    users = Authors(payload)
    forum = _forum(payload)
    threads = {}
    cut_titles = set()
    for row in rows(payload.get("thread_list")):
        thread_id = identifier(row.get("tid")) or identifier(row.get("id"))
        if thread_id is None or thread_id == PROMOTION_ID:
            continue
        author = users.author(row)
        title, is_cut = _title(row, row.get("first_post_content") or row.get("abstract"))
        if is_cut:
            cut_titles.add(thread_id)
        threads[thread_id] = Thread(
            thread_id=thread_id,
            forum_id=identifier(row.get("fid")) or (forum.forum_id if forum else None),
            title=title,
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
        cut_titles=frozenset(cut_titles),
        users=users.seen(),
    )


def _read_thread(payload: dict[str, Any]) -> Answer:
    users = Authors(payload)
    forum = _forum(payload)
    forum_id = forum.forum_id if forum else None
    row = mapping(payload.get("thread"))
    thread_id = identifier(row.get("id")) or 0  # kind_of_payload() has seen to it that there is one
    replies = integer(row.get("reply_num"))
    author = users.author(row)
    floors = rows(payload.get("post_list"))
    first = next((floor.get("content") for floor in floors if integer(floor.get("floor")) == 1), None)
    thread = Thread(
        thread_id=thread_id,
        forum_id=forum_id,
        title=_title(row, first)[0],
        author_id=author.user_id,
        author_name=author.name,
        # Counts floor 1 here, unlike in lists; what pages show is one less.
        reply_count=None if replies is None else max(replies - 1, 0),
        first_post_id=identifier(row.get("post_id")) or identifier(row.get("first_post_id")),
        created_at=time(row.get("create_time")),
    )
    posts = {}
    comments: dict[int, Comment] = {}
    for floor in floors:
        post_id = identifier(floor.get("id"))
        if post_id is None:  # an advertisement
            continue
        author = users.author(floor)
        body, images = content(floor.get("content"))
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
    users = Authors(payload)
    post_id = identifier(mapping(payload.get("post")).get("id")) or getattr(target, "post_id", None)
    thread_id = identifier(mapping(payload.get("thread")).get("id")) or getattr(target, "thread_id", None)
    comments = {
        row.comment_id: row for row in _comments(payload.get("subpost_list"), users, post_id, thread_id)
    }
    page, has_more = _page(payload)
    total = integer(mapping(payload.get("page")).get("total_count"))
    return Answer(
        outcome=Outcome.OK,
        kind="comments",
        page=page,
        has_more=has_more,
        comments=tuple(comments.values()),
        comment_counts={post_id: total} if post_id and total is not None else {},
        users=users.seen(),
    )


def _comments(value: Any, users: Authors, post_id: int | None, thread_id: int | None) -> Iterable[Comment]:
    for row in rows(value):
        comment_id = identifier(row.get("id"))
        if comment_id is None:
            continue
        author = users.author(row)
        reply_to, body = addressed_content(row.get("content"))
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
    number = identifier(row.get("current_page"))
    if number is None and identifier(row.get("page_size")):
        number = 1  # a first page that was asked for as 0
    return Page(number, identifier(row.get("total_page"))), bool(flag(row.get("has_more")))


def _title(row: dict[str, Any], opening: Any) -> tuple[str | None, bool]:
    """Give a thread's title, and whether it is cut: of one without, how its text begins stands for it."""
    title = text(row.get("title"))
    if title:
        return title, False
    words = " ".join((content(opening)[0] or "").split())
    return words[:_TITLE_LENGTH].rstrip() or None, len(words) > _TITLE_LENGTH
