"""Thread pages: /p/<tid>?pn=…&see_lz=…, in three markups."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from replica.web import surroundings
from replica.web.floors import floor_markup
from replica.web.markup import attribute, tbs
from replica.web.shown import THREAD_PAGE_SIZE, Template, template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica.content import Slot
    from replica.world import Thread, World

_PAGER = 10  # numbers in the pager
_AD_PLACE, _DISGUISED_AD_PLACE = 3, 14  # on pages of the latest markup


def thread_page(world: World, thread: Thread, page: int, *, starter_only: bool) -> bytes:
    """Page `page` (from 1) of 30 floors, of all or of the starter's ones.

    Beyond the last page it is the last one: of the real site it is known that 7000000 leads there.
    """
    slots = thread.starter_slots if starter_only else thread.slots
    last = max(1, -(-len(slots) // THREAD_PAGE_SIZE))
    page = min(page, last)
    now = world.now
    shown = slots[(page - 1) * THREAD_PAGE_SIZE : page * THREAD_PAGE_SIZE]
    pager = _pager(thread, page, last, starter_only=starter_only)
    return b"".join(
        (
            _head(thread, page, now).encode(),
            pager.encode(),
            _title(thread, page).encode(),
            _floors(thread, shown, now).encode(),
            b'</div></div><div class="right_section right_bright">',
            surroundings.THREAD_TAIL,
            b'</div></div><div class="pb_footer"><div class="p_thread thread_theme_7" id="thread_theme_7">',
            pager.replace('theme="4"', 'theme="6"').replace("jumpPage4", "jumpPage6").encode(),
            b"</div></div></div></div></body></html>\n",
        )
    )


def _head(thread: Thread, page: int, now: int) -> str:
    forum = thread.forum
    name, title = escape(forum.name), escape(_page_title(thread, page))
    name_url = f"{quote(forum.name)}&ie=utf-8"
    latest = "" if template(thread) is not Template.LATEST else '    var yyConfig = {"yy_is_convert":1};'
    return (
        f'<!DOCTYPE html><!--STATUS OK--><html><head><meta name="keywords" content="百度贴吧,{name}"/>'
        f'<meta charset="UTF-8"><meta furl="tieba.baidu.com/f?kw={name_url}" fname="{name}">'
        f"<title>{title}【{name}吧】_百度贴吧</title>"
        "<!--[if lt IE 9]><script>(function(){    var tags = ['header','footer'];})();</script><![endif]-->"
        f'<link rel="canonical" href="//tieba.baidu.com/p/{thread.thread_id}"/>'
        f'<script>    var PageData = {{        "tbs": "{tbs(now)}",        "charset": "UTF-8",'
        '        "product": "pb",        "page": "pb_bright"    };    PageData.user = {        "id": "",'
        '        "user_id": "",        "name": "",        "is_login": 0,        "portrait": "",'
        '        "balv": {}, /* 未登录 */"Parr_props": null,        "power": {}    };'
        f"    var Env = {{        server_time: {now}000}};{latest}</script>{surroundings.HEAD_SCRIPTS}"
        "</head><body>"
        '<div class="wrap1"><div class="wrap2"><script type="text/javascript">'
        "    var commonPageData = PageData || {};    var PageData = {        page: 'pb', product: 'pb',"
        f"        tbs: '{tbs(now)}',        can_post:0, forum_type: 0, power: {{\"lz_del\":false}}    }};"
        "    for (var item in commonPageData) {        PageData[item] = commonPageData[item];    }"
        f'    PageData.forum = {{        id: "{forum.forum_id}",        forum_id: "{forum.forum_id}",'
        f"        name: '{_script_text(forum.name)}', forum_name: '{_script_text(forum.name)}',"
        f' name_url: "{name_url}",        first_class: "生活",        second_class: "休闲",'
        f'        member_count: "{forum.member_count}",        member_name: "会员",'
        f'        post_num: "{forum.post_count}",        sign_in_info: null}};'
        f'    PageData.thread = {{        author: "{_script_text(thread.author.name)}",'
        f'        thread_id:{thread.thread_id},        title: "{_script_text(thread.title)}",'
        f' reply_num:{thread.reply_count + 1}, thread_type: "0",        topic: {{'
        "            is_topic: false,            is_lpost: false        }, /*null,*/        is_ad:0,"
        ' video_url: "" };</script>'
        f'<div class="card_title "><a class="card_title_fname" href="/f?kw={name_url}">        {name}吧 </a>'
        f'<span class="card_num "><span class="card_numLabel">关注：</span><span class="card_menNum" >'
        f'{forum.member_count:,}</span><span class="card_numLabel">贴子：</span>'
        f'<span class="card_infoNum" >{forum.post_count:,}</span></span></div>'
        '<div class="p_thread thread_theme_5" id="thread_theme_5"><div class="l_thread_info">'
    )


def _script_text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1].replace("'", "\\'").replace("</", "<\\/")


def _page_title(thread: Thread, page: int) -> str:
    return f"回复：{thread.title}" if page > 1 else thread.title


def _pager(thread: Thread, page: int, last: int, *, starter_only: bool) -> str:
    address = f"/p/{thread.thread_id}?{'see_lz=1&' if starter_only else ''}pn="

    def link(number: int, label: str) -> str:
        return f'<a href="{address}{number}">{label}</a>\n'

    pages = ""
    if last > 1:
        first = max(1, page - 4)
        links = [
            f'<span class="tP">{number}</span>\n' if number == page else link(number, str(number))
            for number in range(first, min(last, first + _PAGER - 1) + 1)
        ]
        if page > 1:
            links[:0] = [link(1, "首页"), link(page - 1, "上一页")]
        if page < last:
            links += [link(page + 1, "下一页"), link(last, "尾页")]
        pages = "".join(links)
    jump = (
        f'\t<li class="l_reply_num" >，跳到 <input theme="4" id="jumpPage4" max-page="{last}" type="text"'
        ' class="jump_input_bright" /> 页&nbsp;<button id="pager_go4" type="button">确定</button></li>\n'
    )
    name = escape(thread.forum.name)
    return (
        f'<ul class="l_posts_num">\n\t<li class="l_pager pager_theme_4 pb_list_pager">{pages}</li>\n'
        '\t<li class="l_reply_num" style="margin-left:8px" ><span class="red" style="margin-right:3px">'
        f'{thread.reply_count}</span>回复贴，共<span class="red">{last}</span>页</li>\n'
        f"{jump if last > 1 else ''}</ul>\n"
        # The real page, too, has this bracket as it is.
        f'<div id="tofrs_up" class="tofrs_up"><a href="/f?kw={quote(thread.forum.name)}&ie=utf-8"'
        f' title="{name}"><返回{name}吧</a></div></div>'
    )


def _title(thread: Thread, page: int) -> str:
    title = escape(_page_title(thread, page))
    level = "h1" if template(thread) is Template.OLD else "h3"
    return (
        '<div class="loading-tip" style="display:none;"><span class="text">>0< 加载中...</span></div></div>'
        '<div class="pb_content clearfix" id="pb_content"><div class="left_section" >'
        '<div class="core_title_wrap_bright clearfix" id="j_core_title_wrap">'
        f'<{level} class="core_title_txt pull-left text-overflow  " title="{title}" style="width: 416px">'
        f'{title}</{level}><span class="core_title_btns pull-right">'
        f'<a id="lzonly_cntn" href="/p/{thread.thread_id}?see_lz=1" class="btn-sub btn-small">'
        '<span id="lzonly"  class="d_lzonly_bdaside">只看楼主</span></a></span></div>'
        ' <div class="p_postlist" id="j_p_postlist">'
    )


def _floors(thread: Thread, slots: Sequence[Slot], now: int) -> str:
    has_ads = template(thread) is Template.LATEST
    parts: list[str] = []
    for index, (floor, number) in enumerate(slots):
        if has_ads and index == _AD_PLACE:
            parts.append(_AD)
        if has_ads and index == _DISGUISED_AD_PLACE:
            parts.append(_disguised_ad(thread))
        if floor is not None:
            parts.append(floor_markup(thread, floor, number, index, now))
    return "".join(parts)


_AD_BODY = (
    "        <style>        ._1adxk61{border-bottom:0 solid #f5f5f5}._8x0ad64{margin:0;padding:0}</style>"
    '<div class="_8x0ad64"><div class="d_author"><ul class="p_author"><li class="d_name">'
    '<a class="p_author_name" href="http://ad.example.com/1" target="_blank">推广商家</a></li></ul></div>'
    '<div class="d_post_content_main"><div class="p_content"><cc>'
    '<div class="d_post_content j_d_post_content"><a href="http://ad.example.com/1">限时优惠，点击了解</a></div></cc></div>'
    '<div class="ad_bottom_view"><span class="label_text">广告</span></div></div></div>'
)
_AD = f'<div class="l_post l_post_bright j_l_post clearfix" data-field="{{}}" data-index="3">{_AD_BODY}</div>'


def _disguised_ad(thread: Thread) -> str:
    """Advertisement with the fields of a floor, known by its bottom and by a class that no floor has."""
    field = attribute(
        {
            "author": {"user_id": 1, "user_name": "推广商家"},
            "content": {"post_id": thread.first_post_id + 8_000, "post_no": 0, "comment_num": 0},
        }
    )
    return (
        '<div class="l_post l_post_bright j_l_post clearfix kq7x2m  " '
        f"data-field='{field}'>{_AD_BODY}</div>"
    )
