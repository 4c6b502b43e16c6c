"""Floors of thread pages, in the markups of three years."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from replica.web.markup import attribute, content, home, medals, plain_portrait, portrait_address
from replica.web.shown import Template, client, minute, place, template

if TYPE_CHECKING:
    from replica.content import Floor, User
    from replica.world import Thread

_OPEN_TYPES = {"": "", "Android客户端": "android", "iPhone客户端": "apple"}


def floor_markup(thread: Thread, floor: Floor, number: int, index: int, now: int) -> str:
    """Floor `number` at place `index` (from 0) of a page."""
    words = content(floor.pieces, now)
    kind = template(thread)
    if kind is Template.OLD:
        return _old(floor, number, index, words)
    return _new(thread, floor, number, index, words, is_latest=kind is Template.LATEST)


def _new(thread: Thread, floor: Floor, number: int, index: int, words: str, *, is_latest: bool) -> str:
    author, post_id = floor.author, floor.post_id
    count = len(floor.comments)
    who: dict[str, Any] = {"user_name": author.name_show}
    if author.user_id:
        who = {"user_id": author.user_id, "user_name": author.name, "props": None}
        if is_latest:
            who["portrait"] = author.portrait
            who["user_nickname"] = author.name_show if author.name_show != author.name else None
    what: dict[str, Any] = {
        "post_id": post_id,
        "is_anonym": False if author.user_id else 1,
        "forum_id": thread.forum.forum_id,
        "thread_id": thread.thread_id,
        "content": words,
        **({"isPlus": 0, "builderId": thread.author.user_id} if is_latest else {}),
        "post_no": number,
        "type": "0",
        "comment_num": count,
        **({"is_fold": 0} if is_latest else {}),
        "props": None,
        "post_index": index,
        "pb_tpoint": None,
    }
    field = attribute({"author": who, "content": what})
    mark, notice, tail = "", "", _tail(thread, floor, number)
    if is_latest:
        mark, notice, tail = f' data-pid="{post_id}"', _FOLDED, _latest_tail(thread, floor, number)
    is_first = number == 1
    return f"""<div class="l_post l_post_bright j_l_post clearfix  "  data-field='{field}'{mark} >\
                    <div class="d_author">{_starter(thread, floor)}            {_author(author)}</div>\
<div class="d_post_content_main {"d_post_content_firstfloor" if is_first else ""}">        \
<div class="p_content  ">        <div class="save_face_bg_hidden save_face_bg_0">\
<a class="save_face_card"></a></div>                <cc>{notice}            \
<div id="post_content_{post_id}" class="d_post_content j_d_post_content ">            {words}</div><br>\
            </cc>        <br>        <div class="user-hide-post-down" style="display: none;"></div>\
                </div>    {_gift(thread) if is_first else ""}<a class="l_post_anchor" name="{post_id}l"></a>\
<div class="core_reply j_lzl_wrapper"><div class="core_reply_tail clearfix">{_reply_link(post_id, count)}\
<div class="post-tail-wrap">{tail}</div><ul class="p_props_tail props_appraise_wrap"></ul></div>\
{_comments_to_come(count)}</div></div></div>"""


# Stands before the text of every floor, folded or not.
_FOLDED = (
    '            <div class="j_ueg_post_content p_forbidden_tip" style="display:none;">'
    '该楼层疑似违规已被系统折叠&nbsp;<a rel="noopener" href="###" class="p_forbidden_post_content_unfold"'
    ' style="display:;">隐藏此楼</a><a rel="noopener" href="###" class="p_forbidden_post_content_fold"'
    ' style="display:none;">查看此楼</a></div>'
)


def _starter(thread: Thread, floor: Floor) -> str:
    if floor.author != thread.author:
        return ""
    return f"""                    <div class="louzhubiaoshi_wrap">
                    <div class="louzhubiaoshi  j_louzhubiaoshi" author="{escape(floor.author.name)}">
                        <a href="/p/{thread.thread_id}?pid={floor.post_id}&see_lz=1#{floor.post_id}"></a>
                        </div>
                </div>"""


def _gift(thread: Thread) -> str:
    return (
        '<div class="share_btn_wrapper"><a href="javascript:;" class="post-foot-send-gift-btn"'
        f' data-gift={{"userId":"{thread.author.user_id}","threadId":"{thread.thread_id}"}}>送TA礼物</a>'
        "</div>"
    )


def _reply_link(post_id: int, count: int) -> str:
    if not count:
        return '<a href="#" class="p_reply p_reply_first">回复</a>'
    field = attribute({"pid": post_id, "total_num": count})
    return (
        f"<div class=\"j_lzl_r p_reply\" data-field='{field}'>"
        f'<a href="#" class="lzl_link_unfold" style="display:none;">回复({count})</a>'
        '<span class="lzl_link_fold" style="display:">收起回复</span></div>'
    )


def _comments_to_come(count: int) -> str:
    """Where a script puts the comments; the page as it is served has none."""
    waiting = '        <img class="loading_reply" src="//tb2.bdstatic.com/tb/static-pb/img/loading.gif" />'
    return (
        '<div class="j_lzl_container core_reply_wrapper hideLzl"'
        f' style="min-height:{50 + 20 * min(count, 15)}px">{waiting if count else ""}        </div>'
    )


def _tail(thread: Thread, floor: Floor, number: int) -> str:
    target = f"cid=0&tid={thread.thread_id}&pid={floor.post_id}"
    start = '<a href="#" onclick="window.open(\'//tieba.baidu.com/complaint/info?type='
    end = (
        f"{target}','newwindow', 'height=900, width=800, toolbar =no, menubar=no, scrollbars=yes,"
        " resizable=yes, location=no, status=no');return false;\""
    )
    return (
        f'<span class="j_jb_ele">{start}0&{end} class="tail-info" data-checkun="un">举报'
        '<i class="icon-jubao"></i></a>|<span class="super_jubao" style="display:none;">'
        f"{start}1&{end}>侵权举报</a>{start}2&{end}>有害信息举报</a></span></span>"
        f"{_number_and_time(floor, number)}"
    )


def _latest_tail(thread: Thread, floor: Floor, number: int) -> str:
    where = place(thread, floor)
    shown = f"<span>IP属地:{where}</span>" if where else ""
    return (
        f'{shown}<span class="question-image"></span><span class="j_jb_ele">'
        '<a rel="noopener" href="###" class="tail-info" data-checkun="un">'
        '<img class="icon-jubao" src="//tb2.bdstatic.com/tb/static-pb/img/jubao_button.png"></a></span>'
        f"{_number_and_time(floor, number)}"
    )


def _number_and_time(floor: Floor, number: int) -> str:
    program = client(floor)
    came_from = ""
    if program:
        came_from = (
            '<span class="tail-info">来自<a data-tip="新版本来了！"'
            f' href="http://c.tieba.baidu.com/c/s/download/pc" target="_blank">{program}</a></span>'
        )
    return (
        f'{came_from}<span class="tail-info">{number}楼</span>'
        f'<span class="tail-info">{minute(floor.created)}</span>'
    )


def _old(floor: Floor, number: int, index: int, words: str) -> str:
    author, post_id = floor.author, floor.post_id
    count = len(floor.comments)
    program = client(floor)
    who: dict[str, Any] = {"user_name": author.name_show}
    if author.user_id:
        who = {
            "user_id": author.user_id,
            "user_name": author.name,
            "name_u": f"{quote(author.name)}&ie=utf-8",
            "user_sex": 1,
            "portrait": plain_portrait(author),
            "is_like": 1,
            "level_id": 10,
            "level_name": "常客",
            "cur_score": 2246,
            "bawu": 0,
            "props": None,
        }
    what = {
        "post_id": post_id,
        "is_anonym": False if author.user_id else 1,
        "open_id": "tbclient" if program else "",
        "open_type": _OPEN_TYPES[program],
        "date": minute(floor.created),
        "vote_crypt": "",
        "post_no": number,
        "type": "0",
        "comment_num": count,
        "ptype": "0",
        "is_saveface": False,
        "props": None,
        "post_index": index,
        "pb_tpoint": None,
    }
    field = attribute({"author": who, "content": what})
    came_from, reply = "", '<a href="#" class="p_reply p_reply_first">回复</a>'
    if program:
        came_from = (
            '<ul class="p_mtail"><li><span class="p_tail_txt">来自</span><span class="tip_bubble_con"></span>'
            '<a class="p_tail_wap" href="http://c.tieba.baidu.com/c/s/download/pc" target="_blank">'
            f"{program}</a></li></ul>"
        )
    if count:
        # Here and below, fields that are no JSON.
        reply = (
            f"<div class=\"j_lzl_r p_reply\" data-field=\"{{'pid':'{post_id}','total_num':'{count}'}}\">"
            f'<a href="#" class="lzl_link_unfold" style="display:none;">回复({count})</a></div>'
        )
    return f"""<div class="l_post j_l_post l_post_bright  " data-field='{field}'>\
            <div class="user-hide-post-position"></div><div class="d_author">    {_author(author)}</div>\
<div class="d_post_content_main">    <div class="p_content p_content_icon_row1 p_content_nameplate">\
<div class="save_face_bg_hidden save_face_bg_0"><a class="save_face_card"></a>            </div>        <cc>\
<div id="post_content_{post_id}" class="d_post_content j_d_post_content  clearfix">            {words}\
</div><br></cc><br><div class="user-hide-post-down" style="display: none;"></div>\
        <div class="achievement_medal_section"></div></div>    \
<div class="core_reply j_lzl_wrapper"><div class="core_reply_tail ">{reply}\
<ul class="p_tail"><li><span>{number}楼</span></li><li><span>{minute(floor.created)}</span></li></ul>\
{came_from}<ul class="p_props_tail props_appraise_wrap"></ul></div>\
<div class="j_lzl_container core_reply_wrapper" data-field="{{'pid':'{post_id}','floor_num':'{number}'}}"\
 style="display:none"><div class="j_lzl_c_b_a core_reply_content"><ul class="j_lzl_m_w" style="display:none">\
<li class="lzl_li_pager j_lzl_l_p lzl_li_pager_s"\
 data-field="{{total_num:{count},total_page:{-(-count // 10)}}}">\
<a class="j_lzl_p btn-sub btn-small pull-right" href="##"><i class="icon-reply"></i>我也说一句</a>\
<p>&nbsp;</p></li></ul></div></div></div></div><div class="clear"></div></div>"""


@lru_cache(maxsize=2_048)
def _author(user: User) -> str:
    card = attribute({"un": user.name, "id": user.portrait} if user.user_id else {"un": user.name_show})
    address = home(user, "pb")
    return f"""<ul class="p_author">
                <li class="icon">
                    <div class="icon_relative j_user_card" data-field='{card}'>
                        <a style="" target="_blank" class="p_author_face " href="{address}">\
<img username="{escape(user.name)}" class="" src="{portrait_address(user)}"/></a>

                    </div>
                </li>
                <li class="d_nameplate">

                </li>
                <li class="d_name" data-field='{attribute({"user_id": user.user_id})}'>

                    <a data-field='{card}'alog-group="p_author" class="p_author_name j_user_card"\
 href="{address}" target="_blank">{escape(user.name_show)}</a>

                </li>
                            <li class="d_icons">
                {medals(user)}
            </li>
                <li class="l_badge" style="display:block;">
                    <div class="p_badge">
                        <a href="/f/like/level?lv_t=lv_nav_intro" target="_blank"\
 class="user_badge d_badge_bright d_badge_icon3" title="本吧头衔10级，点击进入等级头衔说明页">\
<div class="d_badge_title ">常客</div><div class="d_badge_lv">10</div></a>
                    </div>
                </li>
            </ul>"""
