"""Thread pages: as the server sends them, as a browser saves them, and single floors of either."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tieba.pages.answers import Answer, Outcome, Page
from tieba.pages.users import Users
from tieba.pages.values import identifier, integer, mapping, name, text, thread_in
from tieba.pages.web import comments, markup, script
from tieba.pages.web.content import content, content_of
from tieba.records import Comment, Forum, Post, Thread

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

LIST_ID = b"j_p_postlist"
LIST = "#j_p_postlist, .l_post"

_PARTS = markup.Parts(
    {
        ".l_post": "floor",
        ".j_d_post_content": "content",
        ".core_reply_tail": "tail",
        ".ad_bottom_view": "advertisement",
        **dict.fromkeys(comments.PARTS, "comment"),
    }
)
_TAILS = ".tail-info, .post-tail-wrap > span, .p_tail li, .p_mtail li"  # where there is no core_reply_tail
_POST_CONTENT = re.compile(r"\Apost_content_(\d{1,19})\Z")
_PORTRAIT = re.compile(r"/portrait/item/([^?/#]+)")
# What the tail says, each piece of text on a line of its own.
_FLOOR = re.compile(r"^\s{0,9}(\d{1,9})楼", re.MULTILINE)
_CLIENT = re.compile(r"^\s{0,9}来自\s{0,9}(.{1,99})", re.MULTILINE)
_IP_PLACE = re.compile(r"^\s{0,9}IP属地\s{0,9}[:：]\s{0,9}(.{1,99})", re.MULTILINE)
_ADVERTISEMENT = re.compile(r"^\s{0,9}广告\s{0,9}$", re.MULTILINE)
_REPLY_TITLE = re.compile(r"回复\s{0,9}[:：]\s{0,9}")


def read_thread(tree: LexborHTMLParser, body: bytes, thread_id: int | None, number: int | None) -> Answer:
    """Read a thread page; `thread_id` and `number` of the request hold where the page does not tell."""
    about_thread, about_forum = script.page_data(body, b"thread"), script.page_data(body, b"forum")
    users = Users()
    floors = _floors(tree)
    thread_id = (
        identifier(about_thread.get("thread_id"))
        or next((found for floor in floors if (found := identifier(floor.content.get("thread_id")))), None)
        or thread_id
        or thread_in(markup.attribute(tree.css_first('link[rel="canonical"]'), "href"))
    )
    forum_id = (
        identifier(about_forum.get("id"))
        or identifier(about_forum.get("forum_id"))
        or next((found for floor in floors if (found := identifier(floor.content.get("forum_id")))), None)
    )
    posts = {}
    replies: list[Comment] = []
    for floor in floors:
        post = floor.post(thread_id, forum_id, users)
        if post is not None:
            posts[post.post_id] = post
            replies += comments.read_comments(floor.comments, thread_id, post.post_id)
    page = _page(tree, body, number)
    first = next((post for post in posts.values() if post.floor == 1), None)
    return Answer(
        outcome=Outcome.OK,
        kind="thread",
        forum=_forum(tree, about_forum, forum_id),
        thread=_thread(tree, about_thread, thread_id, forum_id, first, page) if thread_id else None,
        page=page,
        has_more=page.number is not None and page.last is not None and page.number < page.last,
        posts=tuple(posts.values()),
        comments=tuple({comment.comment_id: comment for comment in replies}.values()),
        users=users.seen(),
    )


class _Floor:
    """One floor's parts; an advertisement has none of its own."""

    def __init__(self, node: LexborNode, source: str | None) -> None:
        self.node = node
        data = script.fields(source)
        self.author = mapping(data.get("author"))
        self.content = mapping(data.get("content"))
        self.parts: dict[str, LexborNode] = {}
        self.comments: list[LexborNode] = []

    def post(self, thread_id: int | None, forum_id: int | None, users: Users) -> Post | None:
        """Give the record; None for what is no floor but an advertisement in its shape."""
        post_id = identifier(self.content.get("post_id")) or self._shown_id()
        tail = self._tail()
        if post_id is None or "advertisement" in self.parts or _ADVERTISEMENT.search(tail):
            return None
        author_id, author_name = self._author(users)
        body, images = self._text()
        count = integer(self.content.get("comment_num"))
        if count is None:
            count = integer(
                script.node_fields(self.node.css_first(".j_lzl_r, .j_lzl_container")).get("total_num")
            )
        return Post(
            post_id=post_id,
            thread_id=identifier(self.content.get("thread_id")) or thread_id,
            forum_id=identifier(self.content.get("forum_id")) or forum_id,
            floor=identifier(self.content.get("post_no")) or identifier(_found(_FLOOR, tail)),
            author_id=author_id,
            author_name=author_name,
            text=body,
            images=images,
            created_at=markup.moment(text(self.content.get("date")) or "") or markup.moment(tail),
            comment_count=count,
            client=name(_found(_CLIENT, tail)),
            ip_place=name(_found(_IP_PLACE, tail)),
        )

    def _shown_id(self) -> int | None:
        shown = _found(_POST_CONTENT, markup.attribute(self.parts.get("content"), "id"))
        return identifier(markup.attribute(self.node, "data-pid")) or identifier(shown)

    def _tail(self) -> str:
        node = self.parts.get("tail")
        nodes = [node] if node is not None else self.node.css(_TAILS)
        return "\n".join(node.text(separator="\n") for node in nodes).replace("\xa0", " ")

    def _author(self, users: Users) -> tuple[int | None, str | None]:
        author_id = identifier(self.author.get("user_id"))
        if author_id is None:
            author_id = identifier(script.node_fields(self.node.css_first(".d_name")).get("user_id"))
        user_name = name(self.author.get("user_name"))
        nickname = name(self.author.get("user_nickname"))
        portrait = name(self.author.get("portrait"))
        if portrait is None:
            face = self.node.css_first(".p_author_face img")
            portrait = _found(_PORTRAIT, markup.attribute(face, "data-tb-lazyload")) or _found(
                _PORTRAIT, markup.attribute(face, "src")
            )
        users.add(author_id, user_name, nickname, portrait)
        author_name = user_name or nickname or name(markup.plain(self.node.css_first(".p_author_name")))
        return author_id, author_name

    def _text(self) -> tuple[str | None, tuple[str, ...] | None]:
        if (node := self.parts.get("content")) is not None:
            return content(node)
        source = text(self.content.get("content"))
        return (None, None) if source is None else content_of(source)


def _found(pattern: re.Pattern[str], value: str) -> str | None:
    found = pattern.search(value)
    return found[1] if found else None


def _floors(tree: LexborHTMLParser) -> list[_Floor]:
    floors: list[_Floor] = []
    for part, node, attributes in _PARTS.find(tree):
        if part == "floor":
            floors.append(_Floor(node, attributes.get("data-field")))
        elif floors and part == "comment":
            floors[-1].comments.append(node)
        elif floors:
            floors[-1].parts.setdefault(part, node)
    return floors


def _forum(tree: LexborHTMLParser, about: dict[str, Any], forum_id: int | None) -> Forum | None:
    if forum_id is None:
        return None
    return Forum(
        forum_id=forum_id,
        name=name(about.get("name")) or markup.forum_name(tree),
        post_count=integer(about.get("post_num")),
        member_count=integer(about.get("member_count")),
    )


def _thread(
    tree: LexborHTMLParser,
    about: dict[str, Any],
    thread_id: int,
    forum_id: int | None,
    first: Post | None,
    page: Page,
) -> Thread:
    headline = tree.css_first(".core_title_txt")
    title = text(markup.attribute(headline, "title") or markup.plain(headline) or about.get("title"))
    if title and page.number != 1:
        title = _REPLY_TITLE.sub("", title, count=1) if _REPLY_TITLE.match(title) else title
    counted = integer(about.get("reply_num"))
    return Thread(
        thread_id=thread_id,
        forum_id=forum_id,
        title=title or None,
        author_id=first.author_id if first else None,
        author_name=name(about.get("author")) or (first.author_name if first else None),
        # The script's number counts floor 1, the one that is shown does not.
        reply_count=_first(_shown(tree, 0), None if counted is None else max(counted - 1, 0)),
        first_post_id=first.post_id if first else None,
        created_at=first.created_at if first else None,
    )


def _page(tree: LexborHTMLParser, body: bytes, number: int | None) -> Page:
    data = script.page_data(body, b"pager")
    last = _first(
        _shown(tree, 1),
        identifier(markup.attribute(tree.css_first("input[max-page]"), "max-page")),
        identifier(data.get("total_page")),
    )
    current = _first(
        identifier(data.get("cur_page")),
        identifier(markup.plain(tree.css_first(".l_posts_num .tP"))),
        number,
        1 if last == 1 else None,
    )
    return Page(current, last)


def _shown(tree: LexborHTMLParser, place: int) -> int | None:
    """Give one of the numbers in "54939回复贴，共1468页"."""
    for line in tree.css(".l_reply_num"):
        numbers = line.css("span.red")
        if len(numbers) > place:
            return integer(markup.plain(numbers[place]).replace(",", ""))
    return None


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
