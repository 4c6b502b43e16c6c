"""From the data model to the client API's answers: names and shapes of the fields as the real ones have them.

Forum pages and thread pages follow captured answers of 2026-03. Of comment pages (`pb/floor`) no capture was
found: they follow what public clients read, so their page has no `has_more`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica.world import COMMENT_PAGE_SIZE, HIDDEN, PROMOTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica.content import Comment, Floor, Piece, User
    from replica.forms import Json
    from replica.world import Forum, Thread

_PICTURES = "http://tiebapic.baidu.com/forum"
_EMOJI_TYPE, _IMAGE_TYPE = 2, 3


def forum_page(forum: Forum, page: int, size: int, *, is_good: bool = False) -> Json:
    """Answer of `frs/page`: list page `page` (from 1) of `size` places, of which some may be empty.

    `is_good` asks for the list of good threads (精品).
    """
    entries = forum.good_entries if is_good else forum.entries
    last = -(-len(entries) // size)
    threads: list[Json] = []
    authors: list[User] = []
    previous = HIDDEN
    for entry in entries[(page - 1) * size : page * size]:
        if entry in {HIDDEN, previous}:  # one page does not show a thread twice
            continue
        if entry == PROMOTED:
            # Of two promoted entries one has no id at all and one the id 1.
            threads.append(
                {"title": "本吧吧主火热招募", "reply_num": 0, "is_top": 0, "is_good": 0, "author_id": 0}
            )
            threads.append({**threads[-1], "id": 1, "tid": 1})
            continue
        previous = entry
        thread = forum.thread(entry)
        threads.append(_listed_thread(thread))
        authors.append(thread.author)
    return {
        "error_code": 0,
        "error_msg": "",
        "forum": {
            "id": forum.forum_id,
            "name": forum.name,
            "member_num": forum.member_count,
            "thread_num": forum.thread_count,
            "post_num": forum.post_count,
            "slogan": "",
            "first_class": "生活",
            "second_class": "休闲",
            "is_like": 0,
            "good_classify": None,
        },
        "anti": {"tbs": "", "ifpost": 0, "forbid_flag": 1, "forbid_info": "本吧目前仅限登录用户发贴"},
        "page": {
            "current_page": page,
            "total_count": len(entries) if is_good else forum.thread_count,
            "total_page": last,
            "has_more": int(page < last),
            "has_prev": int(page > 1),
            "cur_good_id": 0,
            "page_size": size,
            "offset": 0,
        },
        "thread_list": threads,
        "user_list": _user_list(authors, with_place=False),
    }


def thread_page(thread: Thread, page: int, size: int, inline: int, *, of_starter: bool = False) -> Json:
    """Answer of `pb/page`: page `page` (from 1) of `size` slots; a floor brings at most `inline` comments.

    `of_starter` asks for the floors of who began the thread.
    """
    slots = thread.starter_slots if of_starter else thread.slots
    last = -(-len(slots) // size)
    posts: list[Json] = []
    authors: list[User] = [thread.author]
    for floor, number in slots[(page - 1) * size : page * size]:
        if floor is None:
            continue
        posts.append(_post(thread, floor, number, inline, authors))
        authors.append(floor.author)
    forum = thread.forum
    return {
        "error_code": 0,
        "error_msg": "",
        "forum": {
            "id": forum.forum_id,
            "name": forum.name,
            "first_class": "生活",
            "second_class": "休闲",
        },
        "anti": {"tbs": ""},
        "page": {
            "current_page": page,
            "total_page": last,
            "has_more": int(page < last),
            "has_prev": int(page > 1),
            "page_size": size,
            "offset": 0,
        },
        "thread": _thread(thread),
        "user_list": _user_list(authors, with_place=True),
        "post_list": posts,
    }


def comment_page(thread: Thread, floor: Floor, page: int) -> Json:
    """Answer of `pb/floor`: 30 comments of one floor, each with its whole author."""
    count = len(floor.comments)
    shown = floor.comments[(page - 1) * COMMENT_PAGE_SIZE : page * COMMENT_PAGE_SIZE]
    post = _post(thread, floor, floor.number, 0, [])
    post["author"] = _user(floor.author, with_place=True)
    return {
        "error_code": 0,
        "error_msg": "",
        "forum": {"id": thread.forum.forum_id, "name": thread.forum.name},
        "anti": {"tbs": ""},
        "page": {
            "current_page": page,
            "total_page": -(-count // COMMENT_PAGE_SIZE),
            "total_count": count,
            "page_size": COMMENT_PAGE_SIZE,
        },
        "thread": _thread(thread),
        "post": post,
        "subpost_list": [
            {**_comment(comment), "author": _user(comment.author, with_place=True)} for comment in shown
        ],
    }


def _listed_thread(thread: Thread) -> Json:
    hashes = [piece.text for piece in thread.first_pieces if piece.kind == "image"]
    media = [
        {
            "type": _IMAGE_TYPE,
            "is_long_pic": 0,
            "show_original_btn": 1,
            "big_pic": f"{_PICTURES}/whfpf%3D441%2C980%2C40/sign=0/{name}.jpg{_expiry(name)}",
            "src_pic": f"{_PICTURES}/w%3D960%3Bq%3D100/sign=0/{name}.jpg{_expiry(name)}",
            "origin_pic": f"{original_picture(name)}{_expiry(name)}",
            "origin_size": 1_000 + len(name),
            "post_id": thread.first_post_id,
        }
        for name in hashes
    ]
    words = "".join(piece.text for piece in thread.first_pieces if piece.kind == "text")
    answer = {
        "id": thread.thread_id,
        "tid": thread.thread_id,
        "title": thread.title,
        "reply_num": thread.reply_count,
        "view_num": thread.views,
        "last_time": "2-25",
        "last_time_int": thread.last_reply,
        "create_time": thread.created,
        "agree_num": thread.views // 97,
        "is_top": int(thread.is_pinned),
        "is_good": int(thread.is_good),
        "is_ntitle": 0,
        "author_id": thread.author.user_id,
        "media": media or None,
        "abstract": [{"type": 0, "text": words[:100]}],
    }
    if not thread.author.user_id:  # such an author cannot be looked up in user_list
        answer["author"] = _user(thread.author, with_place=False)
    return answer


def _thread(thread: Thread) -> Json:
    return {
        "id": thread.thread_id,
        "title": thread.title,
        "reply_num": thread.reply_count + 1,  # counts floor 1, other than in the forum's list
        "agree_num": thread.views // 97,
        "post_id": thread.first_post_id,
        "author": _user(thread.author, with_place=True),
    }


def _post(thread: Thread, floor: Floor, number: int, inline: int, authors: list[User]) -> Json:
    post: Json = {
        "id": floor.post_id,
        "title": thread.title if floor.number == 1 else f"回复：{thread.title}",
        "floor": number,
        "time": floor.created,
        "author_id": floor.author.user_id,
        "content": [_fragment(piece) for piece in floor.pieces],
        "sub_post_number": len(floor.comments),
    }
    if not floor.author.user_id:
        post["author"] = _user(floor.author, with_place=True)
    comments = floor.comments[: min(inline, floor.inline)]
    if comments:
        shown = []
        for comment in comments:
            sub_post = _comment(comment)
            if not comment.author.user_id:
                sub_post["author"] = _user(comment.author, with_place=True)
            shown.append(sub_post)
            authors.append(comment.author)
        post["sub_post_list"] = {"pid": floor.post_id, "sub_post_list": shown}
    elif inline:
        post["sub_post_list"] = []  # PHP's empty array: a list, not an object
    return post


def _comment(comment: Comment) -> Json:
    content = [_fragment(piece) for piece in comment.pieces]
    if comment.plain_prefix:
        content[0]["text"] = comment.plain_prefix + content[0]["text"]
    elif comment.reply_to is not None:
        content[0]["text"] = f" :{content[0]['text']}"
        named = comment.reply_to
        content[:0] = [
            {"type": 0, "text": "回复 "},
            {"type": 4, "text": named.name_show, "uid": named.user_id, "portrait": named.portrait},
        ]
    return {
        "id": comment.comment_id,
        "title": "",
        "floor": 0,
        "time": comment.created,
        "author_id": comment.author.user_id,
        "content": content,
    }


def _fragment(piece: Piece) -> Json:
    kind = piece.kind
    if kind == "text":
        return {"type": piece.code, "text": piece.text}
    if kind == "emoji":
        return {"type": piece.code or _EMOJI_TYPE, "text": piece.ref, "c": piece.text}
    if kind == "image":
        name = piece.text
        query = _expiry(name)
        return {
            "type": _IMAGE_TYPE,
            "src": f"{_PICTURES}/w%3D720%3Bq%3D60/sign=0/{name}.jpg{query}",
            "cdn_src": f"{_PICTURES}/w%3D720%3Bq%3D60/sign=0/{name}.jpg{query}",
            "big_cdn_src": f"{_PICTURES}/w%3D960%3Bq%3D60/sign=0/{name}.jpg{query}",
            "origin_src": original_picture(name),
            "bsize": "560,420",
            "origin_size": 1_000 + len(name),
            "is_long_pic": 0,
        }
    if kind == "link":
        return {"type": 1, "text": piece.text, "link": piece.ref, "link_type": 1}
    if kind == "at":
        return {"type": 4, "text": piece.text, "uid": piece.code, "portrait": piece.ref}
    if kind == "video":
        return {"type": 5, "text": piece.text, "link": piece.ref, "during_time": 17, "bsize": "640,360"}
    return {"type": 10, "voice_md5": piece.ref, "during_time": 4_000}


def original_picture(name: str) -> str:
    """Address of a picture's original, without the signature that expires after some days."""
    return f"{_PICTURES}/pic/item/{name}.jpg"


def _expiry(name: str) -> str:
    return f"?tbpicau=2026-03-08-05_{name[:32]}"


def _user_list(users: Sequence[User], *, with_place: bool) -> list[Json]:
    known: Iterable[User] = {user.user_id: user for user in users if user.user_id}.values()
    return [_user(user, with_place=with_place) for user in known]


def _user(user: User, *, with_place: bool) -> Json:
    answer = {
        "id": user.user_id,
        "name": user.name,
        "name_show": user.name_show,
        "portrait": user.portrait,
        "type": 1,
        "sex": 0,
    }
    if with_place:
        answer["ip_address"] = user.ip_place
    return answer
