"""The stand-in site's web pages keep what they promise of real ones; no parser of ours reads them here."""

import json
import re
from datetime import datetime
from html import unescape

import lxml.html
import pytest
from selectolax.lexbor import LexborHTMLParser

from replica.web import shown
from replica.web.comments import comment_page, first_comments
from replica.web.lists import forum_page, look, missing_forum_page
from replica.web.shown import Template
from replica.web.threads import thread_page
from replica.world import ForumSettings, World

NOON = int(datetime.fromisoformat("2026-02-25 12:00+08:00").timestamp())
WORLD = World(5, (ForumSettings("甲 & 乙", 8, 14.0),))
FORUM = WORLD.forums[0]
PAGES = range(1, FORUM.pages + 1)
THREADS = [thread for thread in FORUM.listed(FORUM.entries) if not thread.is_deleted]


def list_markup(page, *, good=False):
    """The list of a forum page as a parser has to find it: in the page, or in the comment of its pagelet."""
    text = forum_page(WORLD, FORUM, page, good=good).decode()
    if not look(FORUM, page).is_bigpipe:
        return text
    pagelet = 'id="pagelet_html_frs-list/pagelet/thread_list" style="display:none;"><!--'
    assert text.count(pagelet) == 1
    return text.split(pagelet)[1].split("-->")[0]


def entries(page, *, good=False):
    """The page's threads: each entry's node and fields, without promoted ones."""
    nodes = LexborHTMLParser(list_markup(page, good=good)).css("li.j_thread_list")
    found = [(node, json.loads(node.attributes["data-field"])) for node in nodes]
    return [(node, field) for node, field in found if (field["id"] or 0) > 1]


def floors(thread, page=1, **options):
    """The page's floors: each one's node and fields, with advertisements."""
    body = thread_page(WORLD, thread, page, starter_only=options.get("starter_only", False))
    nodes = LexborHTMLParser(body).css("#j_p_postlist > .l_post")
    return [(node, json.loads(node.attributes["data-field"])) for node in nodes]


def of_template(template):
    """A thread with a full page in this markup."""
    return next(thread for thread in THREADS if shown.template(thread) is template and len(thread.slots) > 30)


def text(node):
    return node.text(strip=True)


# --- Forum pages


@pytest.mark.parametrize("page", PAGES)
def test_list_has_the_worlds_threads_in_their_order(page):
    places = FORUM.entries[(page - 1) * 50 : page * 50]
    expected = [FORUM.thread(place) for place in places if place >= 0]
    found = entries(page)
    assert [field["id"] for _, field in found] == [thread.thread_id for thread in expected]
    for (node, field), thread in zip(found, expected, strict=True):
        assert field["reply_num"] == thread.reply_count == int(text(node.css_first(".threadlist_rep_num")))
        assert (field["is_good"], field["is_top"]) == (thread.is_good or None, thread.is_pinned or None)
        assert node.css_first("a.j_th_tit").attributes["title"] == thread.title[:30]
        author = node.css_first(".tb_icon_author").attributes
        assert json.loads(author["data-field"]) == {"user_id": thread.author.user_id}
        assert author["title"] == f"主题作者: {thread.author.name_show}"


def test_lists_come_in_all_looks_and_are_as_large_as_real_ones():
    looks = {look(FORUM, page): forum_page(WORLD, FORUM, page, good=False) for page in PAGES}
    assert len(looks) == 4
    for shape, body in looks.items():
        in_page = LexborHTMLParser(body).css_first("#thread_list")
        assert (in_page is None) == shape.is_bigpipe
        assert (body.count(b"<!--") > 10) == shape.is_bigpipe
        assert (b" data-tid=" in body) == (b"author_portrait" in body) == shape.is_new
        assert 200_000 < len(body) < 500_000


def test_unclosed_media_nests_threads_for_lxml_but_not_for_lexbor():
    film = next(
        page
        for page in PAGES
        if any(piece.kind == "video" for thread in shown_on(page) for piece in thread.first_pieces)
    )
    markup = list_markup(film)
    inside = "//li[contains(@class, 'j_thread_list')]//li[contains(@class, 'j_thread_list')]"
    assert lxml.html.fromstring(markup).xpath(inside)
    assert not LexborHTMLParser(markup).css("li.j_thread_list li.j_thread_list")


def shown_on(page):
    return FORUM.listed(FORUM.entries[(page - 1) * 50 : page * 50])


def test_stray_quote_follows_the_place():
    page = next(page for page in PAGES if look(FORUM, page).is_new)
    assert re.search(r"data-tid='\d+' data-thread-type=\"\d+\" data-floor='\d+''>", list_markup(page))


def test_pinned_threads_stand_in_the_folder_of_page_1_without_last_reply():
    folder = LexborHTMLParser(list_markup(1)).css("#thread_top_list > li.thread_top.j_thread_list")
    assert len(folder) == FORUM.pinned
    assert not any(node.css(".j_reply_data, .j_replyer") for node in folder)
    assert all(node.css_first(".j_replyer") for node, field in entries(1) if not field["is_top"])


def test_promoted_entries_have_no_id_or_the_id_1():
    nodes = LexborHTMLParser(list_markup(1)).css("li.j_thread_list")
    ids = [json.loads(node.attributes["data-field"])["id"] for node in nodes]
    assert [number for number in ids if (number or 0) < 2] == [None, 1]


def test_nickname_only_authors_have_an_empty_name():
    names = {
        node.css_first(".tb_icon_author").attributes["title"]: field["author_name"]
        for page in PAGES
        for node, field in entries(page)
    }
    assert any(not name and "贴吧用户_" in title for title, name in names.items())


@pytest.mark.parametrize(
    ("at", "form"),
    [
        ("2026-02-25 09:07", "09:07"),
        ("2026-02-25 00:00", "00:00"),
        ("2026-02-24 23:59", "2-24"),
        ("2026-01-01 00:00", "1-1"),
        ("2025-12-31 23:59", "2025-12"),
        ("2019-03-08 10:00", "2019-03"),
    ],
)
def test_times_in_lists_are_relative_to_the_day_in_beijing(at, form):
    seconds = int(datetime.fromisoformat(f"{at}+08:00").timestamp())
    assert shown.list_time(seconds, NOON) == form


def test_forum_its_totals_and_the_time_of_the_page():
    body = forum_page(WORLD, FORUM, 1, good=False).decode()
    script = body.split("PageData.forum = ")[1].split("};")[0]
    assert f"'id': {FORUM.forum_id}," in script
    assert json.loads(re.search(r"'name': (\".*?\"),", script)[1]) == FORUM.name
    assert int(re.search(r"'tbs': \"[0-9a-f]{16}(\d{10})\"", body)[1]) == WORLD.now
    totals = LexborHTMLParser(list_markup(1)).css(".th_footer_l span.red_text")
    assert [int(text(node)) for node in totals] == [
        FORUM.thread_count,
        FORUM.post_count,
        FORUM.member_count,
    ]


@pytest.mark.parametrize("page", [1, 2, FORUM.pages, FORUM.pages + 3])
def test_pager_of_a_list(page):
    pager = LexborHTMLParser(list_markup(page)).css_first("#frs_list_pager")
    assert text(pager.css_first("span.pagination-current")) == str(page)
    following, last = pager.css_first("a.next"), pager.css_first("a.last")
    if page < FORUM.pages:
        assert following.attributes["href"].startswith("//tieba.baidu.com/f?kw=%E7%94%B2%20%26%20%E4%B9%99&")
        assert following.attributes["href"].endswith(f"&pn={50 * page}")
        assert last.attributes["href"].endswith(f"&pn={50 * (FORUM.pages - 1)}")
    else:
        assert following is last is None


def test_good_threads_have_a_list_of_their_own():
    found = [field for _, field in entries(1, good=True)]
    assert [field["id"] for field in found] == [FORUM.thread_id(index) for index in FORUM.good_entries]
    assert all(field["is_good"] for field in found)


def test_unknown_forum_is_offered_for_creation():
    page = missing_forum_page("<没有>", WORLD.now).decode()
    assert "&lt;没有&gt;" in page
    assert not LexborHTMLParser(page).css("#thread_list, .j_thread_list")
    assert "PageData.forum" not in page


# --- Thread pages


@pytest.mark.parametrize("template", Template)
def test_thread_page_has_the_worlds_floors(template):
    thread = of_template(template)
    slots = [slot for slot in thread.slots[:30] if slot.floor is not None]
    found = [(node, field) for node, field in floors(thread) if not node.css(".ad_bottom_view")]
    assert [field["content"]["post_id"] for _, field in found] == [floor.post_id for floor, _ in slots]
    for (node, field), (floor, number) in zip(found, slots, strict=True):
        content = field["content"]
        assert (content["post_no"], content["comment_num"]) == (number, len(floor.comments))
        assert field["author"].get("user_id", 0) == floor.author.user_id
        words = "".join(piece.text for piece in floor.pieces if piece.kind in {"text", "link", "at"})
        shown_words = node.css_first(".j_d_post_content").text().strip()
        assert shown_words == words.replace("\n", "").strip()
        tail = text(node.css_first(".core_reply_tail"))
        assert tail.endswith(("回复", shown.minute(floor.created), "客户端"))
        assert f"{number}楼" in tail


def test_every_markup_has_its_own_fields():
    fields = {template: floors(of_template(template))[0] for template in Template}
    assert {template: set(field["content"]) for template, (_, field) in fields.items()} == {
        Template.OLD: COMMON | {"open_id", "open_type", "date", "vote_crypt", "ptype", "is_saveface"},
        Template.NEW: COMMON | {"forum_id", "thread_id", "content"},
        Template.LATEST: COMMON | {"forum_id", "thread_id", "content", "isPlus", "builderId", "is_fold"},
    }
    assert [bool(node.attributes.get("data-pid")) for node, _ in fields.values()] == [False, False, True]


COMMON = {"post_id", "is_anonym", "post_no", "type", "comment_num", "props", "post_index", "pb_tpoint"}


def test_content_in_the_fields_is_that_of_the_floor():
    for node, field in floors(of_template(Template.NEW)):
        inner = LexborHTMLParser(f"<p>{field['content']['content']}</p>").body.text()
        assert inner.strip() == node.css_first(".j_d_post_content").text().strip()


def test_latest_markup_has_folding_notices_and_advertisements():
    found = floors(of_template(Template.LATEST))
    advertisements = [field for node, field in found if node.css(".ad_bottom_view")]
    assert [bool(field) for field in advertisements] == [False, True]
    for node, _ in found:
        if not node.css(".ad_bottom_view"):
            assert "系统折叠" in text(node.css_first("cc > div"))


def test_authors_without_account_have_no_id():
    fields = [field for thread in THREADS[:25] for _, field in floors(thread) if field]
    anonymous = [field for field in fields if "user_id" not in field["author"]]
    assert anonymous
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\.\*", field["author"]["user_name"]) for field in anonymous)


def test_pictures_expire_eleven_days_later():
    body = "".join(thread_page(WORLD, thread, 1, starter_only=False).decode() for thread in THREADS[:9])
    sources = re.findall(r'<img class="BDE_Image" src="([^"]+)"', body)
    assert sources
    assert all(re.search(r"/[0-9a-f]{40}\.jpg\?tbpicau=2026-03-08-05_[0-9a-f]{32}$", url) for url in sources)


def test_a_floor_comes_again_on_the_next_page_with_another_number():
    thread = next(thread for thread in THREADS if any(floor.is_repeated for floor in thread.floors))
    page = next(index for index in range(29, 999, 30) if thread.slots[index].floor.is_repeated) // 30 + 1
    (_, last), (_, first) = floors(thread, page)[-1], floors(thread, page + 1)[0]
    assert last["content"]["post_id"] == first["content"]["post_id"]
    assert last["content"]["post_no"] + 1 == first["content"]["post_no"]


@pytest.mark.parametrize("template", Template)
def test_counts_and_scripts_of_a_thread(template):
    thread = of_template(template)
    pages = -(-len(thread.slots) // 30)
    body = thread_page(WORLD, thread, 2, starter_only=False).decode()
    tree = LexborHTMLParser(body)
    assert tree.css_first(".core_title_txt").attributes["title"] == f"回复：{thread.title}"
    counts = tree.css_first("li.l_reply_num").css("span.red")
    assert [int(text(node)) for node in counts] == [thread.reply_count, pages]
    assert tree.css_first("input[max-page]").attributes["max-page"] == str(pages)
    assert text(tree.css_first(".l_posts_num span.tP")) == "2"
    script = body.split("PageData.thread = ")[1]
    assert f"thread_id:{thread.thread_id}," in script
    assert f"reply_num:{thread.reply_count + 1}," in script
    assert f'id: "{FORUM.forum_id}"' in body.split("PageData.forum = ")[1]
    assert f"server_time: {WORLD.now}000" in body


def test_beyond_the_last_page_is_the_last_one():
    thread = of_template(Template.NEW)
    last = -(-len(thread.slots) // 30)
    assert floors(thread, 7_000_000)[0][1] == floors(thread, last)[0][1]


def test_starters_floors_alone():
    thread = next(thread for thread in THREADS if len(thread.starter_slots) > 2 and thread.author.user_id)
    found = [field for node, field in floors(thread, starter_only=True) if not node.css(".ad_bottom_view")]
    assert {field["author"]["user_id"] for field in found} == {thread.author.user_id}
    assert len(found) == min(30, len(thread.starter_slots))


def test_full_thread_pages_are_as_large_as_real_ones():
    sizes = [len(thread_page(WORLD, of_template(template), 1, starter_only=False)) for template in Template]
    assert all(200_000 < size < 400_000 for size in sizes)


# --- Comments


def total_comment(thread, page=1):
    """The answer, and what stands before it."""
    before, _, answer = (
        first_comments(WORLD, thread, page, starter_only=False).decode().rpartition('{"errno":0')
    )
    return before, json.loads('{"errno":0' + answer)["data"]


def test_first_comments_of_a_page():
    for thread in THREADS:
        _, data = total_comment(thread)
        commented = [floor for floor, _ in thread.slots[:30] if floor is not None and floor.comments]
        if not commented:
            assert data == {"comment_list": [], "user_list": []}
            continue
        assert list(data["comment_list"]) == [str(floor.post_id) for floor in commented]
        for floor in commented:
            listed = data["comment_list"][str(floor.post_id)]
            assert listed["comment_num"] == len(floor.comments)
            ids = [int(comment["comment_id"]) for comment in listed["comment_info"]]
            if len(floor.comments) <= 10:
                assert ids == [comment.comment_id for comment in floor.comments]
            assert len(ids) <= 10
            for comment in listed["comment_info"]:
                assert comment["user_id"] == "0" or comment["user_id"] in data["user_list"]


def test_first_comments_have_traps():
    answers = [total_comment(thread) for thread in THREADS]
    floors = [floor for _, data in answers if data["comment_list"] for floor in data["comment_list"].values()]
    assert {before for before, _ in answers} == {"", '{"errno":null,"errmsg":null}'}
    assert any(floor["comment_list_num"] != len(floor["comment_info"]) for floor in floors)
    assert any(len(floor["comment_info"]) == 9 and floor["comment_num"] > 10 for floor in floors)
    texts = [unescape(row["content"]) for floor in floors for row in floor["comment_info"]]
    for spelling in (
        r"回复 [^<]+ ：",
        r"回复 [^<]+ :",
        r"回复 [^<]+</a> :",
        r"回复 <a [^>]+>[^<]+</a> +:",
    ):
        assert any(re.match(spelling, words) for words in texts), spelling


def test_comments_of_a_floor():
    floor = next(floor for thread in THREADS for floor in thread.floors if len(floor.comments) > 20)
    fragment = comment_page(WORLD, floor.comments, 2).decode()
    tree = LexborHTMLParser(fragment)
    fields = [json.loads(node.attributes["data-field"]) for node in tree.css("li.lzl_single_post.j_lzl_s_p")]
    assert [field["spid"] for field in fields] == [comment.comment_id for comment in floor.comments[10:20]]
    assert [field["portrait"] for field in fields] == [
        comment.author.portrait.partition("?")[0] for comment in floor.comments[10:20]
    ]
    times = [text(node) for node in tree.css("span.lzl_time")]
    assert times == [shown.loose_minute(comment.created) for comment in floor.comments[10:20]]
    assert shown.loose_minute(1_770_000_000) == "2026-2-2 10:40"
    pager = tree.css_first("li.lzl_li_pager")
    assert json.loads(pager.attributes["data-field"]) == {
        "total_num": len(floor.comments),
        "total_page": -(-len(floor.comments) // 10),
    }
    assert text(pager.css_first("span.tP")) == "2"
    assert "user_id" not in fragment
