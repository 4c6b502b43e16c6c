"""Comments: /p/totalComment (JSON, the first ones of a page's floors), /p/comment (HTML, a floor's)."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from replica.web.markup import attribute, content, mention, plain_portrait, portrait_address, script_json
from replica.web.shown import (
    COMMENT_PAGE_SIZE,
    THREAD_PAGE_SIZE,
    early_comments,
    loose_minute,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica.content import Comment, Floor, User
    from replica.world import Thread, World

# What sometimes stands before the real answer, so that the body as a whole is no JSON.
_STRAY_ANSWER = '{"errno":null,"errmsg":null}'


def first_comments(world: World, thread: Thread, page: int, *, starter_only: bool) -> bytes:
    """Answer of totalComment for thread page `page` (from 1)."""
    slots = thread.starter_slots if starter_only else thread.slots
    floors = [
        floor
        for floor, _ in slots[(page - 1) * THREAD_PAGE_SIZE : page * THREAD_PAGE_SIZE]
        if floor is not None and floor.comments
    ]
    now = world.now
    listed = {str(floor.post_id): _floor(thread, floor, now) for floor in floors}
    authors = {comment.author for floor in floors for comment in early_comments(floor)}
    users = ",".join(sorted(_user(user) for user in authors if user.user_id))
    # PHP writes an empty array where an object is empty.
    comments = script_json(listed or [])
    user_list = f"{{{users}}}" if users else "[]"
    stray = _STRAY_ANSWER if thread.thread_id % 5 == 0 else ""
    return (
        f'{stray}{{"errno":0,"errmsg":"success","data":{{"comment_list":{comments},"user_list":{user_list}}}}}'
    ).encode()


def comment_page(world: World, comments: Sequence[Comment], page: int) -> bytes:
    """Fragment with page `page` (from 1) of a floor's comments, 10 a page; it knows no user ids."""
    now = world.now
    count = len(comments)
    last = -(-count // COMMENT_PAGE_SIZE)
    shown = comments[(page - 1) * COMMENT_PAGE_SIZE : page * COMMENT_PAGE_SIZE]
    items = "".join(_item(comment, now, is_first=not place) for place, comment in enumerate(shown))
    pager = "".join(
        f'<span class="tP">{number}</span>\n' if number == page else f'<a href="#{number}">{number}</a>\n'
        for number in range(1, last + 1)
    )
    if page < last:
        pager += f'<a href="#{page + 1}">下一页</a>\n<a href="#{last}">尾页</a>\n'
    return (
        f'{items}<li class="lzl_li_pager j_lzl_l_p lzl_li_pager_s" data-field=\''
        f"{attribute({'total_num': count, 'total_page': last})}'>\n"
        '    <a rel="noopener" class="j_lzl_p btn-sub btn-small pull-right" href="##">\n'
        '        <i class="icon-reply"></i>\n        我也说一句\n    </a>\n'
        f'    <p class="j_pager l_pager pager_theme_2">{pager if last > 1 else "&nbsp;"}</p>\n</li>\n'
    ).encode()


def _floor(thread: Thread, floor: Floor, now: int) -> dict[str, Any]:
    comments = early_comments(floor)
    return {
        "comment_num": len(floor.comments),
        # Not to be relied on: more than there are, here and there.
        "comment_list_num": len(comments) + (6 if floor.post_id % 4 == 0 else 0),
        "comment_info": [
            {
                "thread_id": str(thread.thread_id),
                "post_id": str(floor.post_id),
                "comment_id": str(comment.comment_id),
                "username": comment.author.name if comment.author.user_id else comment.author.name_show,
                "user_id": str(comment.author.user_id),
                "now_time": comment.created,
                "content": _text(comment, now),
                "ptype": 0,
                "during_time": 0,
                **({"show_nickname": comment.author.name_show} if comment.author.user_id else {}),
            }
            for comment in comments
        ],
    }


@lru_cache(maxsize=4_096)
def _user(user: User) -> str:
    """Entry of user_list; the real ones are as large."""
    value: dict[str, Any] = {
        "user_id": user.user_id,
        "user_name": user.name,
        "user_sex": 1,
        "user_status": 1,
        "nickname": user.name_show,
        "portrait": plain_portrait(user),
        "portrait_time": "1464277011",
        "mParr_props": [],
        "card": {
            "post_num": user.user_id % 9_000,
            "manager_info": {"manager": {"forum_list": [], "count": 0}},
            "like_forum": {
                str(level): {"forum_list": ["读书", "散步"], "count": level} for level in range(9, 13)
            },
        },
        "priv_sets": {"like": "3", "post": "3", "location": "3", "group": "3"},
        "new_iconinfo": {
            str(slot): {
                "name": "reader",
                "end_time": "1793548800",
                "position": {"frs": 1, "pb": 1, "home": 1, "card": 1},
                "terminal": {"pc": 1, "wap": 1, "client": 1},
                "sprite": {str(level): f"1772000000,{level}" for level in range(1, 7)},
                "title": "读书会员",
                "intro": "在读书活动中获得，全吧通用。",
            }
            for slot in range(1, 4)
        },
    }
    if user.name_show != user.name:
        value["user_nickname"] = user.name_show
    return f'"{user.user_id}":{script_json(value)}'


def _text(comment: Comment, now: int) -> str:
    """Text of a comment; who is answered stands before it, in one of the spellings of the real site."""
    words = content(comment.pieces, now)
    named = comment.reply_to
    if named is None:
        return words
    if comment.plain_prefix:
        return escape(comment.plain_prefix) + words
    name = escape(named.name_show)
    return (
        f"回复 {name} ：{words}",
        f"回复 {name} :{words}",
        f"回复 {name}</a> :{words}",
        f"回复 {mention(named.name_show)}  :{words}",
        f"回复 {mention(named.name_show, plain_portrait(named))} :{words}",
    )[comment.comment_id % 5]


def _item(comment: Comment, now: int, *, is_first: bool) -> str:
    author = comment.author
    portrait = plain_portrait(author)
    name = (author.name or " ") if author.user_id else author.name_show  # a space for who has none
    field = {
        "spid": comment.comment_id,
        "showname": author.name_show,
        "user_name": name,
        "portrait": portrait,
    }
    card = attribute({"un": name, "id": portrait})
    address = f"/home/main?id={portrait}&ie=utf-8&fr=pb"
    first = "first_no_border" if is_first else ""
    return f"""<li class="lzl_single_post j_lzl_s_p {first}" data-field='{attribute(field)}'>
    <a rel="noopener" name="{comment.comment_id}"></a>
    <a rel="noopener" data-field='{card}' target="_blank" class="j_user_card lzl_p_p" href="{address}"\
 username="{escape(name)}">
        <img src="{portrait_address(author)}"/>
    </a>
    <div class="lzl_cnt" data-field='{{&quot;iconArr&quot;:[],&quot;free_flag&quot;:null}}'>
        <a rel="noopener" class="at j_user_card " data-field='{card}' href="{address}" target="_blank"\
 username="{escape(name)}">{escape(author.name_show)}</a>
        :<span class="lzl_content_main" data-username="">
            {_text(comment, now)}        </span>
        <div class="lzl_content_reply">
            <span class="lzl_jb" style="display:none;"></span>
            <span class="lzl_op_list j_lzl_o_l" style="display:none;"></span>
            <span class="lzl_time">{loose_minute(comment.created)}</span>
            <a rel="noopener" href="#" class="lzl_s_r">回复</a>
        </div>
    </div>
</li>
"""
