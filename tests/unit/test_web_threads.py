"""Thread pages of the classic site: floors, what they say, and the comments of saved pages."""

# ruff: noqa: E501 - markup as the site sends it

import json
from datetime import datetime, timezone
from html import escape

import pytest

from tieba.pages import ForumPage, Outcome, Page, Received, ThreadPage
from tieba.pages.web import WebPages

PICTURE = "0a763eeff01f3a291c5210eedf25bc315c607c18.jpg"
HEAD = """<!DOCTYPE html><html><head><meta furl="x" fname="甲"></head><body><script>
    PageData.forum = { id: "77", name: '甲\\'乙', /*null,*/ member_count: "9", post_num: "4500" };
    PageData.thread = { author: "楼主", thread_id:7, title: "x", reply_num:787, topic: { is_topic: false } };
    PageData.pager = {"cur_page":2,"total_page":13};</script>
    <ul class="l_posts_num"><li class="l_reply_num"><span class="red">786</span>回复贴，共<span class="red">13</span>页</li></ul>
    <h3 class="core_title_txt" title="回复：标题">x</h3><div id="j_p_postlist">"""
FOOT = "</div></body></html>"
CONTENT = '<div class="d_post_content j_d_post_content " id="post_content_{}">{}</div>'
FOLDED = (
    '<div class="j_ueg_post_content p_forbidden_tip" style="display:none;">该楼层疑似违规已被系统折叠</div>'
)


def floor(
    post_id,
    content,
    *,
    author=None,
    about=None,
    tail="<span>2楼</span><span>2024-08-05 17:07</span>",
    more="",
):
    author = {"user_id": 41, "user_name": "乙", "portrait": "tb.1.a?t=1"} if author is None else author
    about = {"post_id": post_id, "post_no": 2, "comment_num": 3, "forum_id": 77, "thread_id": 7} | (
        about or {}
    )
    return f"""<div class="l_post l_post_bright j_l_post clearfix  " data-field='{escape(json.dumps({"author": author, "content": about}))}'>
        <cc>{FOLDED}{CONTENT.format(post_id, content)}</cc><div class="core_reply_tail ">{tail}</div>{more}</div>"""


def page(*floors):
    return f"{HEAD}{''.join(floors)}{FOOT}".encode()


def read(body, target=None, **kwargs):
    return WebPages().read(Received(body, **kwargs), target)


def post(content, **kwargs):
    return read(page(floor(8, content, **kwargs))).posts[0]


def test_a_thread_page():
    tail = "<div><span>IP属地:广东</span>举报<span>来自<a>Android客户端</a></span><span>2楼</span><span>2024-08-05 17:07</span></div>"
    answer = read(page(floor(8, "字", tail=tail)), target=ThreadPage(7, 2))
    assert (answer.outcome, answer.kind, answer.page, answer.has_more) == (
        Outcome.OK,
        "thread",
        Page(2, 13),
        True,
    )
    assert (answer.forum.forum_id, answer.forum.name, answer.forum.member_count) == (77, "甲'乙", 9)
    thread = answer.thread
    assert (thread.thread_id, thread.title, thread.reply_count) == (7, "标题", 786)
    assert (thread.author_name, thread.first_post_id, thread.created_at) == ("楼主", None, None)
    first = answer.posts[0]
    assert (first.post_id, first.thread_id, first.forum_id, first.floor) == (8, 7, 77, 2)
    assert (first.author_id, first.author_name, first.comment_count) == (41, "乙", 3)
    assert (first.client, first.ip_place) == ("Android客户端", "广东")
    assert first.created_at == datetime(2024, 8, 5, 9, 7, tzinfo=timezone.utc)
    assert [(user.key, user.portrait) for user in answer.users] == [(41, "tb.1.a")]


def test_the_first_floor_tells_of_the_thread():
    answer = read(page(floor(8, "字", about={"post_no": 1})))
    thread = answer.thread
    assert (thread.author_id, thread.first_post_id, thread.created_at) == (41, 8, answer.posts[0].created_at)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\n            一<br>二<br><br>&nbsp;&lt;三&gt;  四\n  ", "一\n二\n\n <三>  四"),
        ('说<a class="at" username="%B5">@丙</a>  好', "说@丙  好"),
        ('看 <a href="http://jump.example.com/?u">example.com/a</a>', "看 example.com/a"),
        ('<a href="http://example.com/b"></a>', "http://example.com/b"),
        ('x<img class="BDE_Smiley" src="https://a.example.com/editor/images/client/image_emoticon25.png" >', "x[滑稽]"),
        ('<img class="BDE_Smiley" src="//tb2.example.com/tb/editor/images/face/i_f01.png?t=2014">', "[呵呵]"),
        ('<img class="BDE_Smiley" src="//tb2.example.com/tb/editor/images/ali/ali_001.gif">', "[ali_001]"),
        ('一<img class="nicknameEmoji" src="//a/1.png"><script>alert(1)</script><div class="replace_tip">展开</div>', "一"),
        ('<embed class="BDE_Flash" src="http://v.example.com/1.swf">', "http://v.example.com/1.swf"),
    ],
)  # fmt: skip
def test_text(content, text):
    assert post(content).text == text


@pytest.mark.parametrize(
    ("source", "original"),
    [
        (f"http://pic.example.com/forum/w%3D580/sign=38/{PICTURE}?tbpicau=2024-08-17-05_ff", f"http://pic.example.com/forum/pic/item/{PICTURE}"),
        (f"//pic.example.com/forum/abpic/item/{PICTURE}", f"https://pic.example.com/forum/pic/item/{PICTURE}"),
        ("https://elsewhere.example.com/a.png", "https://elsewhere.example.com/a.png"),
    ],
)  # fmt: skip
def test_pictures_are_originals(source, original):
    assert post(f'一<div class="replace_div"><img class="BDE_Image" src="{source}"></div>二').images == (
        original,
    )


def test_an_advertisement_is_no_floor():
    empty = '<div class="l_post j_l_post" data-field="{}"><div class="j_d_post_content">买</div></div>'
    marked = floor(9, "买", tail="<span>广告</span>")
    other = floor(10, "买", more='<span class="ad_bottom_view"></span>')
    assert [post.post_id for post in read(page(empty, floor(8, "字"), marked, other)).posts] == [8]


def test_an_author_without_an_account_and_one_with_only_a_nickname():
    anonymous = floor(8, "字", author={"user_id": 0, "user_name": "218.1.*.*", "portrait": ""})
    nickname = floor(9, "字", author={"user_name": " ", "user_nickname": "昵\x00称", "portrait": "tb.1.b"})
    answer = read(page(anonymous, nickname))
    assert [(post.author_id, post.author_name) for post in answer.posts] == [
        (None, "218.1.*.*"),
        (None, "昵\x00称"),
    ]
    assert [user.key for user in answer.users] == ["tb.1.b"]


def test_a_single_floor_in_the_old_notation_with_a_comment():
    body = """<div class="l_post j_l_post" data-field="{&quot;author&quot;:{&quot;user_id&quot;:41,&quot;user_name&quot;:&quot;a&quot;},
        &quot;content&quot;:{&quot;post_id&quot;:8,&quot;date&quot;:&quot;2015-10-15 17:49&quot;,&quot;post_no&quot;:2,&quot;comment_num&quot;:1}}">
        <div class="j_d_post_content">字</div><div class="core_reply_tail "><ul class="p_tail"><li><span>2楼</span></li></ul>
        <ul class="p_mtail"><li><span>来自</span><a class="p_tail_wap">Android客户端</a></li></ul></div>
        <li class="lzl_single_post j_lzl_s_p" data-field="{'pid':'8','spid':'12','user_name':'it's','portrait':'5235'}">
        <div class="lzl_cnt"><a class="at">乙</a>:&nbsp;<span class="lzl_content_main">回复 <a class="at">丙</a> :好</span>
        <span class="lzl_time">2015-10-15&nbsp;17:50</span></div></li>
        <li class="lzl_li_pager" data-field="{total_num:1,total_page:1}"></li></div>"""
    answer = read(body.encode())
    assert (answer.outcome, answer.kind, answer.posts[0].client) == (Outcome.OK, "thread", "Android客户端")
    assert answer.posts[0].created_at == datetime(2015, 10, 15, 9, 49, tzinfo=timezone.utc)
    (comment,) = answer.comments
    assert (comment.comment_id, comment.post_id, comment.author_name) == (12, 8, "it's")
    assert (comment.reply_to_name, comment.text) == ("丙", "好")
    assert comment.created_at == datetime(2015, 10, 15, 9, 50, tzinfo=timezone.utc)


def test_floors_are_read_without_scripts_and_without_the_shown_text():
    bare = floor(8, "", about={"content": "一<br>二", "thread_id": 7}).replace("j_d_post_content", "x")
    answer = read(f'<div id="j_p_postlist">{bare}</div>'.encode())
    assert (answer.thread.thread_id, answer.forum.forum_id, answer.posts[0].text) == (7, 77, "一\n二")


def test_an_answer_to_another_request_is_unknown():
    body = page(floor(8, "字"))
    for target in (ThreadPage(70), ForumPage("甲")):
        answer = read(body, target=target)
        assert (answer.outcome, answer.records()) == (Outcome.UNKNOWN, [])


def test_a_page_that_was_cut_off_is_no_answer():
    body = page(floor(8, "字"))
    half = body[: body.index(b"</body")]
    url = "https://tieba.baidu.com/p/7"
    assert read(half, target=ThreadPage(7)).outcome is Outcome.UNKNOWN
    assert read(half, url=url).outcome is Outcome.UNKNOWN
    floor_alone = half[half.index(b'<div class="l_post') :]
    for part in (read(half), read(floor_alone, url=url)):
        assert part.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("number", "last", "expected"), [(1, 1, Outcome.UNKNOWN), (2, 13, Outcome.UNKNOWN), (14, 13, Outcome.OK)]
)
def test_a_page_without_floors_is_the_end_only_where_it_says_so(number, last, expected):
    body = page().replace(b'"cur_page":2', f'"cur_page":{number}'.encode())
    body = body.replace(b">13<", f">{last}<".encode())
    assert read(body, target=ThreadPage(7, number)).outcome is expected


def test_what_users_write_does_not_make_an_outcome():
    assert read(page(floor(8, "该贴已被删除 BIOC_OPTIONS 百度安全验证"))).outcome is Outcome.OK
