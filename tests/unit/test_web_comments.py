"""Comments out of totalComment and of /p/comment."""

# ruff: noqa: E501 - markup as the site sends it

import json
from datetime import datetime, timezone

import pytest

from tieba.pages import CommentPage, Outcome, Page, Received, ThreadComments
from tieba.pages.web import WebPages


def row(comment_id, content, **fields):
    known = {
        "thread_id": "7",
        "post_id": "8",
        "comment_id": str(comment_id),
        "username": "乙",
        "user_id": "41",
    }
    return known | {"now_time": 1437971999, "content": content} | fields


def total(*rows, **data):
    floors = {"8": {"comment_num": 15, "comment_list_num": 10, "comment_info": list(rows)}}
    data = {
        "comment_list": floors,
        "user_list": {"41": {"user_id": 41, "user_name": "乙", "portrait": "p1"}},
    } | data
    return json.dumps({"errno": 0, "errmsg": "success", "data": data}).encode()


def read(body, target=None, **kwargs):
    return WebPages().read(Received(body, **kwargs), target)


def test_the_first_comments_of_a_thread_page():
    answer = read(total(row(11, "一<br>二")), ThreadComments(7, 3))
    assert (answer.outcome, answer.kind, answer.page) == (Outcome.OK, "comments", Page(3, None))
    assert dict(answer.comment_counts) == {8: 15}
    (comment,) = answer.comments
    assert (comment.comment_id, comment.post_id, comment.thread_id) == (11, 8, 7)
    assert (comment.author_id, comment.author_name, comment.text) == (41, "乙", "一\n二")
    assert comment.created_at == datetime(2015, 7, 27, 4, 39, 59, tzinfo=timezone.utc)
    assert [(user.user_id, user.portrait) for user in answer.users] == [(41, "p1")]


@pytest.mark.parametrize(
    ("content", "reply_to", "text"),
    [
        ("好", None, "好"),
        ("回复 丙 ：好", "丙", "好"),
        ("回复 丙 :", "丙", ""),
        ('回复 <a class="at" username="%B5">丙</a>  :一:二', "丙", "一:二"),
        ("回复 丙</a> :好", "丙", "好"),
        ('\n  回复\n <a class="at">丙<img class="nicknameEmoji" src="//a/1.png"></a>\n  :好\n', "丙", "好"),
        ("回复：好", None, "回复：好"),
        ("回复率:50%", None, "回复率:50%"),
    ],
)
def test_whom_a_comment_answers(content, reply_to, text):
    comment = read(total(row(11, content))).comments[0]
    assert (comment.reply_to_name, comment.text) == (reply_to, text)


@pytest.mark.parametrize(
    "body",
    [
        b'{"errno":null,"errmsg":null}' + total(row(11, "x")),
        b"\xef\xbb\xbf\n" + total(row(11, "x")) + b"\x00\n<!-- 12 -->",
        total(row(11, "x")).replace(b'"x"', b'"x\t\x01\\\' \\y"'),
        total(row(11, "x")).replace(b'"x"', b'"x\xff"'),
        total(row(11, "x"), user_list=[]),
    ],
    ids=[
        "another answer before it",
        "bytes around it",
        "no escapes of JSON",
        "no UTF-8",
        "PHP's empty array",
    ],
)
def test_json_that_is_nearly_right(body):
    answer = read(body, ThreadComments(7))
    assert (answer.outcome, answer.error) == (Outcome.OK, None)
    assert [comment.text[0] for comment in answer.comments] == ["x"]


def test_a_page_without_comments():
    answer = read(total(comment_list=[], user_list=[]), ThreadComments(7))
    assert (answer.outcome, answer.comments, dict(answer.comment_counts)) == (Outcome.OK, (), {})


def test_json_that_is_cut_off_and_json_without_a_list_are_unknown():
    for body in (total(row(11, "x"))[:-30], total(comment_list=None)):
        assert read(body, ThreadComments(7)).outcome is Outcome.UNKNOWN


FRAGMENT = """<li class="lzl_single_post j_lzl_s_p " data-field='{{&quot;spid&quot;:12,&quot;user_name&quot;:{name},
    &quot;portrait&quot;:&quot;tb.1.a&quot;}}'><div class="lzl_cnt"><a class="at j_user_card ">昵称</a>:
    <span class="lzl_content_main">        好        </span><span class="lzl_time">2024-8-6 22:11</span></div></li>
    <li class="lzl_li_pager" data-field='{{&quot;total_num&quot;:16,&quot;total_page&quot;:2}}'>
    <p class="j_pager l_pager"><span class="tP">1</span></p></li>"""


@pytest.mark.parametrize(("name", "expected"), [("&quot;乙&quot;", "乙"), ("&quot; &quot;", "昵称")])
def test_a_page_of_a_floors_comments(name, expected):
    answer = read(FRAGMENT.format(name=name).encode(), CommentPage(7, 8))
    assert (answer.outcome, answer.kind, answer.page, answer.has_more) == (
        Outcome.OK,
        "comments",
        Page(1, 2),
        True,
    )
    (comment,) = answer.comments
    assert (comment.comment_id, comment.post_id, comment.thread_id) == (12, 8, 7)
    assert (comment.author_id, comment.author_name, comment.text) == (None, expected, "好")
    assert comment.created_at == datetime(2024, 8, 6, 14, 11, tzinfo=timezone.utc)
    assert answer.users == ()  # without ids, all of them would be there twice


def test_a_page_of_comments_that_is_cut_off_is_no_answer():
    body = FRAGMENT.format(name="null").encode()
    part = body[: body.index(b'<li class="lzl_li_pager')]
    assert read(part, CommentPage(7, 8)).outcome is Outcome.UNKNOWN
    assert [comment.comment_id for comment in read(part).comments] == [12]


@pytest.mark.parametrize(
    ("page", "count", "last", "expected"),
    [
        (1, 16, 2, Outcome.UNKNOWN),
        (2, 16, 2, Outcome.UNKNOWN),
        (3, 16, 2, Outcome.OK),
        (1, 0, 0, Outcome.OK),
    ],
)
def test_a_page_without_comments_is_the_end_only_where_it_says_so(page, count, last, expected):
    pager = f'<li class="lzl_li_pager" data-field=\'{{"total_num":{count},"total_page":{last}}}\'></li>'
    assert read(pager.encode(), CommentPage(7, 8, page)).outcome is expected


def test_of_which_floor_the_comments_are_stands_in_the_address():
    url = "https://tieba.baidu.com/p/comment?tid=7&pid=8&pn=1"
    comment = read(FRAGMENT.format(name="null").encode(), url=url).comments[0]
    assert (comment.thread_id, comment.post_id) == (7, 8)


def test_one_kind_of_comments_does_not_answer_the_other():
    assert read(total(row(11, "x")), CommentPage(7, 8)).outcome is Outcome.UNKNOWN
    assert read(FRAGMENT.format(name="null").encode(), ThreadComments(7)).outcome is Outcome.UNKNOWN
