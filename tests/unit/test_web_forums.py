"""Forum pages of the classic site."""

# ruff: noqa: E501 - markup as the site sends it

import json
from datetime import datetime, timezone
from html import escape

import pytest

from replica.web.lists import forum_page
from replica.world import ForumSettings, World
from tieba.pages import ForumPage, Outcome, Page, Received
from tieba.pages.web import WebPages

HEAD = """<!DOCTYPE html><html><head><meta charset="UTF-8"><title>甲吧</title></head><body><script>
    PageData.forum = {
        'id': 77, // 吧
        'name': "\\u7532", 'first_class': "x" };</script>"""
FOOT = """<div class="thread_list_bottom"><div id="frs_list_pager">{pager}</div><div class="th_footer_l">
    <span class="red_text">120</span> <span class="red_text">4500</span> <span class="red_text">9</span></div></div>"""
PAGER = """<span class="pagination-current pagination-item ">2</span>
    <a href="//tieba.baidu.com/f?kw=%E7%94%B2&ie=utf-8&pn=100" class="next pagination-item ">下一页&gt;</a>
    <a href="//tieba.baidu.com/f?kw=%E7%94%B2&ie=utf-8&pn=5750" class="last pagination-item ">尾页</a>"""


def entry(
    thread_id, *, classes="", reply="<span class='j_reply_data'> 9:05 </span>", close="</li>", **fields
):
    field = {
        "id": thread_id,
        "author_name": "乙",
        "first_post_id": 5,
        "reply_num": 3,
        "is_good": None,
        "is_top": None,
    }
    return f"""<li class=" j_thread_list clearfix {classes}" data-field='{escape(json.dumps(field | fields))}'  data-floor='1''>
        <div class="j_th_tit "><a href="/p/{thread_id}" title="题 {thread_id} &amp; 完" class="j_th_tit ">题</a></div>
        <span class="tb_icon_author " title="主题作者: 昵称😀" data-field='{{&quot;user_id&quot;:41}}'></span>
        <span class="pull-right is_show_create_time" title="创建时间">7-5</span>{reply}{close}"""


def page(*entries, pager=PAGER, in_comment=False):
    content = (
        f'<ul id="thread_list" class="threadlist_bright">{"".join(entries)}</ul>{FOOT.format(pager=pager)}'
    )
    if in_comment:
        other = '<code class="pagelet_html" id="pagelet_html_frs-aside/x"><!-- <li class="j_thread_list"> --></code>'
        content = f'{other}<code class="pagelet_html" id="pagelet_html_frs-list/pagelet/thread_list"><!-- {content} --></code>'
    return f"{HEAD}{content}<script>var x = 1;</script></body></html>".encode()


def read(body, target=None, **kwargs):
    return WebPages().read(Received(body, **kwargs), target)


@pytest.mark.parametrize("in_comment", [False, True], ids=["in the page", "in a comment"])
def test_a_forum_page(in_comment):
    answer = read(
        page(entry(8), entry(9, classes="thread_top", reply="", is_top=True), in_comment=in_comment)
    )
    assert (answer.outcome, answer.kind, answer.error) == (Outcome.OK, "forum", None)
    forum = answer.forum
    assert (forum.forum_id, forum.name) == (77, "甲")
    assert (forum.thread_count, forum.post_count, forum.member_count) == (120, 4500, 9)
    assert (answer.page, answer.has_more) == (Page(2, 116), True)
    first, pinned = answer.threads
    assert (first.thread_id, first.forum_id, first.title) == (8, 77, "题 8 & 完")
    assert (first.author_id, first.author_name, first.reply_count, first.first_post_id) == (41, "乙", 3, 5)
    assert [(thread.is_pinned, thread.is_good) for thread in answer.threads] == [
        (False, False),
        (True, False),
    ]
    assert pinned.last_reply_at is None
    assert [(user.user_id, user.name, user.nickname) for user in answer.users] == [(41, "乙", "昵称😀")]


def test_entries_that_lie_in_others_are_threads_with_their_own_parts():
    tangled = [entry(8, reply="", close="<ul class='media'>"), entry(9, reply=""), entry(10)]
    answer = read(page(*tangled), at=datetime(2026, 7, 10, 4, 0, tzinfo=timezone.utc))
    assert [thread.title for thread in answer.threads] == ["题 8 & 完", "题 9 & 完", "题 10 & 完"]
    assert [thread.last_reply_at is not None for thread in answer.threads] == [False, False, True]


@pytest.mark.parametrize(
    ("shown", "at", "expected"),
    [
        ("9:05", "2026-07-10T09:06+08:00", "2026-07-10T09:05+08:00"),
        ("23:59", "2026-07-10T00:01+08:00", "2026-07-09T23:59+08:00"),
        ("25:61", "2026-07-10T09:06+08:00", None),
    ],
)
def test_the_time_of_the_last_reply_is_known_only_of_the_last_day(shown, at, expected):
    answer = read(
        page(entry(8, reply=f"<span class='j_reply_data'>{shown}</span>")), at=datetime.fromisoformat(at)
    )
    last = answer.threads[0].last_reply_at
    assert last == (expected and datetime.fromisoformat(expected))
    assert answer.replied_before == {}


@pytest.mark.parametrize(
    ("shown", "at", "end"),
    [
        ("7-9", "2026-07-10T00:06+08:00", "2026-07-10"),
        ("12-31", "2026-01-01T00:06+08:00", "2026-01-01"),
        ("2014-07", "2026-07-10T09:06+08:00", "2014-08-01"),
        ("2014-12", "2026-07-10T09:06+08:00", "2015-01-01"),
        ("2-29", "2026-07-10T09:06+08:00", None),
        ("2014-13", "2026-07-10T09:06+08:00", None),
    ],
)
def test_of_older_replies_the_end_of_their_day_or_month_is_known(shown, at, end):
    answer = read(
        page(entry(8, reply=f"<span class='j_reply_data'>{shown}</span>")), at=datetime.fromisoformat(at)
    )
    assert answer.threads[0].last_reply_at is None
    assert dict(answer.replied_before) == ({8: datetime.fromisoformat(f"{end}T00:00+08:00")} if end else {})


@pytest.mark.parametrize("page", [1, 3], ids=["in a comment", "in the page"])
def test_times_of_a_list_are_of_the_day_on_which_the_page_was_made(page):
    world = World(2, (ForumSettings("甲", 4, 5.0),))
    years_later = datetime(2031, 5, 5, tzinfo=timezone.utc)
    body = forum_page(world, world.forums[0], page, good=False)
    answer = read(body, ForumPage("甲", page), at=years_later)
    assert answer.outcome is Outcome.OK
    known = [thread for thread in answer.threads if thread.last_reply_at]
    assert known
    for thread in known:
        seconds = world.thread(thread.thread_id).last_reply
        assert thread.last_reply_at == datetime.fromtimestamp(seconds - seconds % 60, tz=timezone.utc)


@pytest.mark.parametrize(
    ("title", "abstract", "is_cut"),
    [
        ("一" * 30, "\n  " + "一" * 31, True),
        ("一  " * 10, "一 " * 11, True),
        ("一" * 30, "一" * 30, False),
        ("一" * 30, "二" * 31, False),
        ("一" * 29, "一" * 31, False),
        ("分享自...", "二" * 31, True),
        ("一" * 30, None, True),
        ("一" * 31, None, False),
    ],
    ids=[
        "cut",
        "cut between spaces",
        "the whole text",
        "a title of its own",
        "short",
        "dots",
        "pinned",
        "pinned with a longer title",
    ],
)
def test_a_title_is_cut_where_the_text_begins_with_it_and_goes_on(title, abstract, is_cut):
    text = "" if abstract is None else f'<div class="threadlist_abs ">{abstract}</div>'
    body = page(entry(8, reply=text), entry(9))
    answer = read(body.replace("题 8 &amp; 完".encode(), title.encode()))
    assert answer.threads[0].title == title
    assert answer.cut_titles == ({8} if is_cut else frozenset())


def test_what_is_no_thread_and_who_has_no_name():
    promoted, repeated = entry(1), entry("本吧招募")
    answer = read(
        page(promoted, repeated.replace("/p/", "/x/"), entry(8, author_name=""), entry(8), entry(2**64))
    )
    assert [thread.thread_id for thread in answer.threads] == [8]
    assert answer.threads[0].author_name == "昵称😀"


def test_a_forum_of_one_page():
    answer = read(page(entry(8), pager=""), target=ForumPage("甲"))
    assert (len(answer.threads), answer.page, answer.has_more) == (1, Page(1, 1), False)


@pytest.mark.parametrize(
    ("number", "pager", "totals", "path", "expected"),
    [
        (1, "", 120, "/f?kw=x", Outcome.UNKNOWN),
        (1, "", 0, "/f?kw=x", Outcome.OK),
        (1, "", 120, "/f/good?kw=x", Outcome.OK),
        (1, PAGER.replace(">2<", ">1<"), 120, "/f/good?kw=x", Outcome.UNKNOWN),
        (1, '<a href="?pn=50" class="pagination-item">2</a>', 0, "/f?kw=x", Outcome.UNKNOWN),
        (2, PAGER, 120, "/f?kw=x", Outcome.UNKNOWN),
        (7, '<a href="?pn=0" class="first pagination-item">首页</a>', 120, "/f?kw=x", Outcome.OK),
    ],
    ids=["totals", "no thread", "no good thread", "next", "other pages", "middle", "past the end"],
)
def test_a_list_without_threads_is_the_end_only_where_it_says_so(number, pager, totals, path, expected):
    body = page(pager=pager).replace(b">120<", f">{totals}<".encode())
    answer = read(body, ForumPage("甲", number), url=f"https://tieba.baidu.com{path}")
    assert (answer.outcome, answer.threads) == (expected, ())


@pytest.mark.parametrize("in_comment", [False, True])
@pytest.mark.parametrize("end", ["<!-- ad -->", "<!-- --\\>"], ids=["comment ends", "comment does not end"])
def test_a_list_that_ends_amid_its_threads_is_no_forum_of_one_page(in_comment, end):
    body = page(entry(8), end + entry(9), in_comment=in_comment)
    answer = read(body, ForumPage("甲", 2))
    assert (answer.outcome, len(answer.threads)) in {(Outcome.UNKNOWN, 0), (Outcome.OK, 2)}


@pytest.mark.parametrize("in_comment", [False, True])
@pytest.mark.parametrize("words", ["xpath j_p_postlist 求助", 'id="j_p_postlist"', "#thread_list"])
def test_words_do_not_make_a_list_another_page(words, in_comment):
    named = entry(8).replace("题 8", escape(words)).replace(">题<", f">{words}<")
    answer = read(page(named, entry(9), in_comment=in_comment), ForumPage("甲", 2))
    assert [thread.thread_id for thread in answer.threads] == [8, 9]
    assert words in answer.threads[0].title


@pytest.mark.parametrize(
    ("asked", "outcome", "threads"),
    [(2, Outcome.OK, 1), (116, Outcome.UNKNOWN, 0), (1, Outcome.UNKNOWN, 0), (117, Outcome.OK, 0)],
    ids=["itself", "later", "earlier", "past the end"],
)
def test_another_page_than_the_one_asked_for(asked, outcome, threads):
    answer = read(page(entry(8)), ForumPage("甲", asked))  # says that it is page 2 of 116
    assert (answer.outcome, len(answer.threads)) == (outcome, threads)
    if asked > 116:
        assert not answer.has_next(asked)


def test_pages_in_gbk_and_with_stray_bytes():
    body = page(entry(8))
    gbk = read(body.decode().replace("😀", "").encode("gbk"))
    assert gbk.threads[0].title == "题 8 & 完"
    stray = read(b"\xef\xbb\xbf" + body.replace("昵称".encode(), b"\xff\x00\xe6"))
    assert (stray.outcome, stray.threads[0].title) == (Outcome.OK, "题 8 & 完")


@pytest.mark.parametrize("in_comment", [False, True])
@pytest.mark.parametrize("end", ["/p/9", 'class="next', "</body"])
def test_a_crawl_does_not_take_part_of_a_page_for_a_page(end, in_comment):
    body = page(entry(8), entry(9), in_comment=in_comment)
    part = body[: body.index(end.encode())]
    assert read(part, target=ForumPage("甲", 2)).outcome is Outcome.UNKNOWN
    assert read(part, url="https://tieba.baidu.com/f?kw=x").outcome is Outcome.UNKNOWN
    assert [thread.thread_id for thread in read(part).threads] == [8, 9]
