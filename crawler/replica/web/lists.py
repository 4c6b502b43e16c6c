"""Forum pages: /f?kw=…&pn=… and /f/good."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from replica.web import surroundings
from replica.web.markup import attribute, home, medals, picture, plain_portrait, script_json, tbs
from replica.web.shown import LIST_PAGE_SIZE, list_time, list_title
from replica.world import PROMOTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica.content import User
    from replica.world import Forum, Thread, World

_ABSTRACT = 90  # characters
_PICTURES = 3  # of a thread that its list shows
_PAGER = 10  # numbers in the pager
_WANTED = "本吧吧主火热招募"  # title of promoted entries


class Look(NamedTuple):
    """How a page is made; what the real server chose by is not known."""

    is_bigpipe: bool  # the list comes in a comment
    is_new: bool  # threads have data-tid, nicknames and portraits


def look(forum: Forum, page: int) -> Look:
    """Give the look of a list page: all combinations turn up."""
    return Look((forum.number + page) % 3 > 0, (forum.number + page) % 2 == 0)


def forum_page(world: World, forum: Forum, page: int, *, good: bool) -> bytes:
    """List page `page` (from 1) of all threads or the good ones.

    What the real site shows beyond the last page is not known; here it is an empty list.
    """
    entries = forum.good_entries if good else forum.entries
    shown = entries[(page - 1) * LIST_PAGE_SIZE : page * LIST_PAGE_SIZE]
    last = max(1, -(-len(entries) // LIST_PAGE_SIZE))
    shape = look(forum, page)
    content = (
        *_threads(world, forum, shown, shape, with_folder=page == 1 and not good),
        _bottom(forum, page, last, good=good).encode(),
    )
    if shape.is_bigpipe:
        content = (surroundings.FORUM_PAGELETS, _PAGELET[0], *content, _PAGELET[1])
    else:
        content = (_INLINE[0], *content, _INLINE[1])
    head = _head(forum, world.now).encode()
    return b"".join((head, *content, surroundings.FORUM_SCRIPTS, b"</body></html>\n"))


_PAGELET = tuple(part.encode() for part in surroundings.pagelet("frs-list/pagelet/thread_list"))
_INLINE = (
    b'<div class="content" id="content"><div class="forum_content clearfix">'
    b'<div class="main" id="content_wrap"><div id="content_leftList">\n',
    b'</div></div><div class="aside" id="aside">' + surroundings.FORUM_ASIDE + b"</div></div></div>\n",
)


def missing_forum_page(name: str, now: int) -> bytes:
    """Page that offers to create a forum, without a list and a forum's id; no capture was found."""
    shown = escape(name)
    return f"""<!DOCTYPE html>
<html>
<head>
<meta charset="UTF-8">
<title>{shown}_贴吧搜索_百度贴吧</title>
<script>
    var PageData = {{
        'tbs': "{tbs(now)}"    }};
    PageData.page = "search";
</script>
{surroundings.HEAD_SCRIPTS}</head>
<body>{surroundings.FORUM_MENU}<div class="create_forum">
<p>“{shown}”吧尚未建立。欢迎创建本吧，与今后来到这里的朋友交流讨论。</p>
<a href="/f/create" class="ui_btn">我来创建</a></div></body></html>
""".encode()


def _head(forum: Forum, now: int) -> str:
    name = escape(forum.name)
    return f"""<!DOCTYPE html>
<!--STATUS OK-->
<html>
<head>
    <meta charset="UTF-8">
    <meta http-equiv="X-UA-Compatible" content="IE=edge,chrome=1">
    <meta name="keywords" content="{name},休闲,生活">
    <title>{name}吧-百度贴吧--{surroundings.sentence(forum.number)} </title>
{surroundings.HEAD_SCRIPTS}
<script>
    // 页面的基本信息
    var PageData = {{
        'tbs': "{tbs(now)}"    }};

    PageData.page = "frs";

    // 用户的基本信息
    PageData.user = {{
        'id': 0,
        'name': "",
        'is_login': 0,
        'portrait': "00000000",
        'name_url': "&ie=utf-8"    }};

    // 吧的基本信息
    PageData.forum = {{
        'id': {forum.forum_id},
        'name': {script_json(forum.name)},
        'first_class': {script_json("生活")},
        'second_class': {script_json("休闲")}    }};
</script>
</head>

<body>
{surroundings.FORUM_MENU}"""


def _threads(
    world: World, forum: Forum, entries: Sequence[int], shape: Look, *, with_folder: bool
) -> tuple[bytes, ...]:
    """Give the list, encoded thread by thread: joined as text, one emoji would widen all of it."""
    pinned: list[bytes] = []
    others: list[bytes] = []
    for place, entry in enumerate(entries):
        if entry == PROMOTED:
            others += _PROMOTED
        elif entry >= 0:
            thread = forum.thread(entry)
            is_on_top = with_folder and thread.is_pinned
            markup = _thread(world, thread, place, shape, is_on_top=is_on_top)
            (pinned if is_on_top else others).append(markup.encode())
    if pinned:
        pinned = [_FOLDER[0], *pinned, _FOLDER[1]]
    return (_LIST[0], *pinned, *others, _LIST[1])


_LIST = (b'\n<ul id="thread_list" class="threadlist_bright j_threadlist_bright">\n', b"\n</ul>\n\n")
_FOLDER = (
    b'                <li class="thread_top_list_folder">\n'
    b'                <ul id="thread_top_list" class="thread_top_list">\n',
    b'                </ul>\n                <a rel="noreferrer"  id="thread_top_folder"'
    b' class="icon_top_folder" href="javascript:;"></a>\n            </li>\n',
)


def _thread(world: World, thread: Thread, place: int, shape: Look, *, is_on_top: bool) -> str:
    now = world.now
    thread_id = thread.thread_id
    title = escape(list_title(thread))
    is_film = any(piece.kind == "video" for piece in thread.first_pieces)
    classes = " j_thread_list thread_top j_thread_list clearfix" if is_on_top else " j_thread_list clearfix"
    marks = " "
    if shape.is_new:
        classes += " thread_item_box"
        # The quote too many is the real site's.
        marks = f" data-tid='{thread_id}' data-thread-type=\"{40 if is_film else 0}\" data-floor='{place}''"
    icons = ('<i class="icon-top" alt="置顶" title="置顶" ></i>' if thread.is_pinned else "") + (
        '<i class="icon-good" alt="精品" title="精品" ></i>' if thread.is_good else ""
    )
    return f"""<li class="{classes}" data-field='{_field(thread, is_new=shape.is_new)}'{marks}>
            <div class="t_con cleafix">
                            <div class="col2_left j_threadlist_li_left">

                        <span class="threadlist_rep_num center_text"
                            title="回复">{thread.reply_count}</span>
                            </div>
                <div class="col2_right j_threadlist_li_right ">
            <div class="threadlist_lz clearfix">
                <div class="threadlist_title pull_left j_th_tit ">
    {icons}

    <a rel="noreferrer" href="/p/{thread_id}" title="{title}" target="_blank" class="j_th_tit ">{title}</a>
</div><div class="threadlist_author pull_right">
    {_author(thread.author, is_new=shape.is_new)}
    <span class="pull-right is_show_create_time" title="创建时间">{list_time(thread.created, now)}</span>
</div>
            </div>
{"" if is_on_top else _detail(world, thread, is_film=is_film)}                                </div>
    </div>
</li>
"""


def _field(thread: Thread, *, is_new: bool) -> str:
    return (
        f"{{&quot;id&quot;:{thread.thread_id},{_named(thread.author, is_new=is_new)},"
        f"&quot;first_post_id&quot;:{thread.first_post_id},&quot;reply_num&quot;:{thread.reply_count},"
        "&quot;is_bakan&quot;:null,&quot;vid&quot;:&quot;&quot;,"
        f"&quot;is_good&quot;:{'true' if thread.is_good else 'null'},"
        f"&quot;is_top&quot;:{'true' if thread.is_pinned else 'null'},{_NO_FLAGS}}}"
    )


_NO_FLAGS = attribute(dict.fromkeys(("is_protal", "is_membertop", "is_multi_forum", "frs_tpoint")))[1:-1]


@lru_cache(maxsize=4_096)
def _named(user: User, *, is_new: bool) -> str:
    """Fields of a thread that name its author."""
    field: dict[str, object] = {"author_name": user.name if user.user_id else user.name_show}
    if is_new:
        field["author_nickname"] = user.name_show if user.name != user.name_show else None
        field["author_portrait"] = plain_portrait(user)
    return attribute(field)[1:-1]


@lru_cache(maxsize=4_096)
def _author(user: User, *, is_new: bool) -> str:
    return f"""<span class="tb_icon_author "
          title="主题作者: {escape(user.name_show)}"
          data-field='{attribute({"user_id": user.user_id})}' ><i class="icon_author"></i>\
<span class="frs-author-name-wrap">{_name(user, is_new=is_new)}</span>{medals(user)}    </span>"""


@lru_cache(maxsize=4_096)
def _name(user: User, *, is_new: bool) -> str:
    field = {"un": user.name if user.user_id else user.name_show}
    if is_new:
        field["id"] = plain_portrait(user)
    name = user.name_show if len(user.name_show) <= 6 else f"{user.name_show[:4]}..."
    return (
        f'<a rel="noreferrer"  data-field=\'{attribute(field)}\' class="frs-author-name j_user_card "'
        f' href="{home(user, "frs")}" target="_blank">{escape(name)}</a>'
    )


def _detail(world: World, thread: Thread, *, is_film: bool) -> str:
    now = world.now
    words = "".join(piece.text for piece in thread.first_pieces if piece.kind == "text").replace("\n", " ")
    if list_title(thread) != thread.title:  # it is how the text begins
        words = thread.title + words
    # Whoever replied last is not in the data model: anybody does.
    last = world.content.user(lambda: thread.thread_id % 997 / 997)
    return f"""                            <div class="threadlist_detail clearfix">
                    <div class="threadlist_text pull_left">
                                <div class="threadlist_abs threadlist_abs_onlyline ">
            {escape(words[:_ABSTRACT])}
        </div>

{_media(thread, now, is_film=is_film)}                    </div>


<div class="threadlist_author pull_right">
        <span class="tb_icon_author_rely j_replyer" title="最后回复人: {escape(last.name_show)}">
            <i class="icon_replyer"></i>
            {_name(last, is_new=False)}        </span>
        <span class="threadlist_reply_date pull_right j_reply_data" title="最后回复时间">
            {list_time(thread.last_reply, now)}        </span>
</div>
                </div>
"""


def _media(thread: Thread, now: int, *, is_film: bool) -> str:
    names = [piece.text for piece in thread.first_pieces if piece.kind == "image"]
    if is_film:
        # Neither the <div> nor the <li> is closed: for lxml the threads that follow are inside this one.
        items = (
            '<li><div class="threadlist_video"><img src="http://tiebapic.baidu.com/forum/pic/item/film.jpg"/>'
            f'<a rel="noreferrer"  href="#" data-threadid="{thread.thread_id}"'
            f' data-video="http://video.example.com/{thread.index}.mp4"data-type="movideo" data-duration=""'
            ' class="threadlist_btn_play j_m_flash"></a>'
        )
    elif names:
        items = "".join(_picture(name, now) for name in names[:_PICTURES])
    else:
        return ""
    return f"""            <div class="small_wrap j_small_wrap">
                <a rel="noreferrer"  href="#" onclick="return false;"
                   class="small_btn_pre j_small_pic_pre" style="display:none"></a>
                <div class="small_list j_small_list cleafix">
                    <div class="small_list_gallery">
                        <ul class="threadlist_media j_threadlist_media clearfix"
                            id="fm{thread.thread_id}">{items}</ul>
                    </div>
                </div>
            </div>"""


def _picture(name: str, now: int) -> str:
    return (
        '<li><a rel="noreferrer"  class="thumbnail vpic_wrap"><img src="" attr="34617"'
        f' data-original="{picture(name, "wh%3D200%2C90%3B", now)}" '
        f' bpic="{picture(name, "w%3D580%3B", now)}" class="threadlist_pic j_m_pic "  /></a>'
        '<div class="threadlist_pic_highlight j_m_pic_light"></div></li>'
    )


def _promoted(thread_id: int | None) -> bytes:
    field = attribute({"id": thread_id, "author_name": "", "reply_num": 0, "is_good": None, "is_top": None})
    return f"""<li class=" j_thread_list clearfix" data-field='{field}' >
            <div class="t_con cleafix"><div class="col2_right j_threadlist_li_right ">
                <div class="threadlist_title pull_left j_th_tit ">
    <a rel="noreferrer" href="/p/1" title="{_WANTED}" target="_blank" class="j_th_tit ">{_WANTED}</a>
</div></div></div>
</li>
""".encode()


_PROMOTED = (_promoted(None), _promoted(1))


def _bottom(forum: Forum, page: int, last: int, *, good: bool) -> str:
    name = quote(forum.name)
    address = f"//tieba.baidu.com/f?kw={name}&ie=utf-8{'&tab=good' if good else ''}&pn="

    def link(number: int, label: str, mark: str = "") -> str:
        pn = (number - 1) * LIST_PAGE_SIZE
        return f'<a href="{address}{pn}" class="{mark} pagination-item " >{label}</a>\n'

    first = max(1, page - 4)
    pager = [
        f'<span class="pagination-current pagination-item ">{number}</span>\n'
        if number == page
        else link(number, str(number))
        for number in range(first, min(max(last, page), first + _PAGER - 1) + 1)
    ]
    if page > 1:
        pager[:0] = [link(1, "首页", "first"), link(min(page - 1, last), "&lt;上一页", "pre")]
    if page < last:
        pager += [link(page + 1, "下一页&gt;", "next"), link(last, "尾页", "last")]
    return f"""
<div class="thread_list_bottom clearfix">

<div id="frs_list_pager" class="pagination-default clearfix">{"".join(pager)}</div>
    <div class="th_footer_bright">
        <div class="th_footer_l">
                            共有主题数<span class="red_text">{forum.thread_count}</span>个，贴子数
                <span class="red_text">{forum.post_count}</span>篇
                <a rel="noreferrer"  class="fans_name" href="/bawu2/platform/listMemberInfo?word={name}"
                   target="_blank">会员</a>数<span
                    class="red_text">{forum.member_count}</span>
                    </div>
    </div>
</div>
"""
