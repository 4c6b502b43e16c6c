"""What answers of the client API mean, in both of its forms: invented data with the real field names."""

import json
from datetime import datetime, timezone

import pytest
from google.protobuf.json_format import ParseDict

from clientapi import messages_pb2
from tieba.pages import CommentPage, ForumPage, Outcome, Page, Received, ThreadPage
from tieba.pages.client import ClientApi
from tieba.records import Comment, Forum, Post, Thread, User

API = ClientApi()

FORUM = {"id": 59099, "name": "聊天", "member_num": "1200", "thread_num": 300, "post_num": 9000}


MESSAGES = {
    "thread_list": messages_pb2.FrsPageResIdl,
    "post_list": messages_pb2.PbPageResIdl,
    "subpost_list": messages_pb2.PbFloorResIdl,
}


def as_json(payload):
    return json.dumps(payload).encode()


def as_protobuf(payload):
    (message,) = (message() for name, message in MESSAGES.items() if name in payload)
    error = {"errorno": payload["error_code"], "errmsg": payload.get("error_msg", "")}
    ParseDict({"error": error, "data": payload}, message, ignore_unknown_fields=True)
    return message.SerializeToString()


both_forms = pytest.mark.parametrize("encode", [as_json, as_protobuf])


def read(payload, encode=as_json, target=None):
    return API.read(Received(encode(payload)), target)


def forum_answer(*threads, users=(), **page):
    return {
        "error_code": 0,
        "forum": FORUM,
        "page": {"current_page": 1, "total_page": 3, "has_more": 1, **page},
        "thread_list": list(threads),
        "user_list": list(users),
    }


def thread_answer(*posts, users=(), **thread):
    return {
        "error_code": "0",
        "forum": {"id": "59099", "name": "聊天"},
        "page": {"current_page": 1, "total_page": 1, "has_more": 0},
        "thread": {"id": 7, "title": "题", "reply_num": 3, "post_id": 70, **thread},
        "post_list": list(posts),
        "user_list": list(users),
    }


def post(content, **fields):
    answer = read(thread_answer({"id": 70, "floor": 1, "content": content, **fields}))
    (found,) = answer.posts
    return found


def comment(content):
    payload = {"error_code": 0, "subpost_list": [{"id": 90, "content": content}], "page": {}}
    (found,) = read(payload).comments
    return found


@both_forms
@pytest.mark.parametrize(
    ("asked", "outcome", "threads"),
    [(1, Outcome.OK, 1), (3, Outcome.UNKNOWN, 0), (4, Outcome.OK, 0)],
    ids=["itself", "another", "past the end"],
)
def test_another_page_than_the_one_asked_for(encode, asked, outcome, threads):
    answer = read(
        forum_answer({"id": 7, "tid": 7, "title": "题"}), encode, ForumPage("聊天", asked)
    )  # 1 of 3
    assert (answer.outcome, len(answer.threads)) == (outcome, threads)
    if asked > 3:
        assert not answer.has_next(asked)


def test_a_time_that_beijing_cannot_show_is_none():
    assert post([], time=253_402_271_999).created_at == datetime(
        9999, 12, 31, 15, 59, 59, tzinfo=timezone.utc
    )
    assert post([], time=253_402_272_000).created_at is None


@both_forms
def test_forum_page(encode):
    answer = read(
        forum_answer(
            {
                "id": 7,
                "tid": 7,
                "title": "题",
                "reply_num": 27,
                "first_post_id": "70",
                "is_top": "1",
                "is_good": 0,
                "create_time": 1700000000,
                "last_time_int": "1700000600",
                "author_id": 5,
            },
            users=[{"id": 5, "name": "甲", "name_show": "甲甲", "portrait": "tb.1.x?t=3"}],
        ),
        encode,
    )
    assert (answer.outcome, answer.kind) == (Outcome.OK, "forum")
    assert answer.forum == Forum(
        forum_id=59099, name="聊天", thread_count=300, post_count=9000, member_count=1200
    )
    assert (answer.page, answer.has_more) == (Page(1, 3), True)
    assert answer.threads == (
        Thread(
            thread_id=7,
            forum_id=59099,
            title="题",
            author_id=5,
            author_name="甲",
            reply_count=27,
            first_post_id=70,
            is_pinned=True,
            is_good=False,
            created_at=datetime.fromtimestamp(1700000000, tz=timezone.utc),
            last_reply_at=datetime.fromtimestamp(1700000600, tz=timezone.utc),
        ),
    )
    assert answer.users == (User(user_id=5, name="甲", nickname="甲甲", portrait="tb.1.x"),)


def test_promoted_entries_are_no_threads():
    answer = read(forum_answer({"title": "广告"}, {"id": 1, "tid": 1}, {"id": "abc"}, {"id": "8"}))
    assert [thread.thread_id for thread in answer.threads] == [8]


def test_thread_listed_twice_on_a_page_is_one():
    answer = read(forum_answer({"id": 8}, {"id": 8}))
    assert len(answer.threads) == 1


def test_lists_may_be_null_and_objects_empty_lists():
    past_the_end = {"current_page": 4, "total_page": 3, "has_more": 0}
    answer = read({**forum_answer(), "thread_list": None, "user_list": [], "page": past_the_end})
    assert (answer.outcome, answer.threads, answer.page) == (Outcome.OK, (), Page(4, 3))
    answer = read({**forum_answer({"id": 8}), "user_list": [], "page": []})
    assert (answer.outcome, len(answer.threads), answer.page) == (Outcome.OK, 1, Page(None, None))


def test_thread_page_counts_floor_1_among_its_replies():
    floor = {"id": 70, "floor": 1}
    assert read(thread_answer(floor, reply_num=28)).thread.reply_count == 27
    assert read(thread_answer(floor, reply_num=0)).thread.reply_count == 0


@both_forms
def test_thread_page_with_inline_comments(encode):
    floor = {
        "id": "70",
        "floor": 2,
        "time": 1700000000,
        "author_id": 5,
        "content": [{"type": 0, "text": "正文"}],
        "sub_post_number": "12",
        "sub_post_list": {
            "pid": 70,
            "sub_post_list": [{"id": 90, "author_id": 5, "content": [{"type": 0, "text": "嗯"}]}],
        },
    }
    answer = read(thread_answer(floor, users=[{"id": 5, "name": "甲", "ip_address": "广东"}]), encode)
    assert answer.thread == Thread(thread_id=7, forum_id=59099, title="题", reply_count=2, first_post_id=70)
    assert answer.posts == (
        Post(
            post_id=70,
            thread_id=7,
            forum_id=59099,
            floor=2,
            author_id=5,
            author_name="甲",
            text="正文",
            images=(),
            created_at=datetime.fromtimestamp(1700000000, tz=timezone.utc),
            comment_count=12,
            ip_place="广东",
        ),
    )
    assert answer.comments == (
        Comment(comment_id=90, post_id=70, thread_id=7, author_id=5, author_name="甲", text="嗯"),
    )


def test_inline_comments_may_be_a_plain_list():
    floor = {"id": 70, "content": [], "sub_post_list": [{"id": 90, "content": []}]}
    assert [row.comment_id for row in read(thread_answer(floor)).comments] == [90]


def test_floors_without_an_id_are_advertisements():
    assert read(thread_answer({"content": []}, {"id": 0}, {"id": 70})).posts[0].post_id == 70


@both_forms
def test_author_without_an_id_is_known_by_portrait(encode):
    author = {"id": 0, "name": "", "name_show": "180.110.125.*", "portrait": "tb.1.y"}
    answer = read(thread_answer({"id": 70, "author_id": 0, "author": author}), encode)
    assert (answer.posts[0].author_id, answer.posts[0].author_name) == (None, "180.110.125.*")
    assert User(nickname="180.110.125.*", portrait="tb.1.y") in answer.users


@both_forms
def test_author_with_a_nickname_only(encode):
    users = [{"id": 5, "name": "-", "name_show": "贴吧用户_1"}]
    answer = read(forum_answer({"id": 7, "author_id": 5}, users=users), encode)
    assert answer.threads[0].author_name == "贴吧用户_1"
    assert answer.users == (User(user_id=5, nickname="贴吧用户_1"),)


def test_content_fragments_in_order():
    found = post(
        [
            {"type": 0, "text": "一\n"},
            {"type": "2", "text": "image_emoticon25", "c": "滑稽"},
            {"type": 4, "text": "@乙", "uid": 6},
            {"type": 1, "text": "", "link": "https://example.com/"},
            {"type": 3, "src": "small", "origin_src": "https://example.com/a.jpg"},
            {"type": 20, "src": "https://example.com/b.jpg"},
            {"type": 10, "voice_md5": "x"},
            {"type": 34, "text": "promotion"},
            {"type": 40, "text": "完"},
        ]
    )
    assert found.text == "一\n[滑稽]@乙https://example.com/完"
    assert found.images == ("https://example.com/a.jpg", "https://example.com/b.jpg")


def test_unknown_content_is_not_empty_content():
    found = post(None)
    assert (found.text, found.images) == (None, None)


def test_comment_names_its_addressee_in_fragments():
    found = comment(
        [{"type": 0, "text": "回复 "}, {"type": 4, "text": "乙"}, {"type": 0, "text": " :好：的"}]
    )
    assert (found.reply_to_name, found.text) == ("乙", "好：的")


def test_comment_names_its_addressee_in_plain_text():
    for colon in (":", "：", " :", " ："):
        found = comment([{"type": 0, "text": f"回复 乙{colon}好"}, {"type": 2, "c": "滑稽"}])
        assert (found.reply_to_name, found.text) == ("乙", "好[滑稽]")


def test_comment_without_addressee_keeps_its_text():
    for words in ("回复楼主", "回复：好", "没有回复 吗"):
        found = comment([{"type": 0, "text": words}])
        assert (found.reply_to_name, found.text) == (None, words)


COMMENTS = {
    "error_code": 0,
    "page": {"current_page": "1", "total_page": "2"},
    "thread": {"id": "7"},
    "post": {"id": "70"},
    "subpost_list": [{"id": "90", "time": "1700000000", "author": {"id": 5, "name": "甲"}, "content": []}],
}


@both_forms
def test_comment_page(encode):
    answer = read(COMMENTS, encode)
    assert (answer.kind, answer.page) == ("comments", Page(1, 2))
    (found,) = answer.comments
    assert (found.comment_id, found.post_id, found.thread_id, found.author_name) == (90, 70, 7, "甲")


def test_comment_page_belongs_to_its_target():
    answer = read({"error_code": 0, "page": {}, "subpost_list": [{"id": 90}]}, target=CommentPage(7, 70))
    assert (answer.comments[0].post_id, answer.comments[0].thread_id) == (70, 7)


@both_forms
@pytest.mark.parametrize(
    ("payload", "target"),
    [
        (forum_answer({"id": 7}), ThreadPage(7)),
        (forum_answer({"id": 7}), CommentPage(7, 70)),
        (thread_answer({"id": 70}), ForumPage("聊天")),
        (thread_answer({"id": 70}), ThreadPage(8)),
        (COMMENTS, ThreadPage(7)),
        (COMMENTS, CommentPage(7, 71)),
    ],
)
def test_answer_to_another_question_is_unknown(payload, target, encode):
    answer = read(payload, encode, target=target)
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.error


NO_COMMENTS = {**COMMENTS, "subpost_list": []}


@both_forms
@pytest.mark.parametrize(
    ("answer", "page", "is_end"),
    [
        (thread_answer(), {"current_page": 1, "total_page": 1}, False),
        (thread_answer(), {"current_page": 2, "total_page": 3}, False),
        (thread_answer(), {"current_page": 2, "total_page": 2, "has_more": 1}, False),
        (thread_answer(), {"current_page": 2, "total_page": 2}, True),
        (thread_answer(), {"current_page": 3, "total_page": 2}, True),
        (forum_answer(), {"current_page": 1, "total_page": 3, "total_count": 300}, False),
        (forum_answer(), {"current_page": 2, "total_page": 3, "has_more": 1}, False),
        (forum_answer(), {"current_page": 1, "total_page": 1, "total_count": 0}, True),
        (forum_answer(), {"current_page": 2000, "total_page": 9000, "has_more": 0}, True),
        (NO_COMMENTS, {"current_page": 1, "total_page": 2}, False),
        (NO_COMMENTS, {"current_page": 2, "total_page": 2, "total_count": 31}, False),
        (NO_COMMENTS, {"current_page": 1, "total_page": 0, "total_count": 0}, True),
        (NO_COMMENTS, {"current_page": 3, "total_page": 2, "total_count": 31}, True),
    ],
)
def test_an_answer_without_rows_is_the_end_only_where_it_says_so(answer, page, is_end, encode):
    found = read({**answer, "page": {"has_more": 0, **page}}, encode)
    assert found.outcome is (Outcome.OK if is_end else Outcome.UNKNOWN)


@pytest.mark.parametrize("field", ["post_list", "thread_list", "subpost_list"])
def test_an_answer_without_rows_and_page_says_nothing(field):
    for rows in (None, []):
        payload = {"error_code": "0", "forum": FORUM, "thread": {"id": 7}, "page": [], field: rows}
        assert read(payload).outcome is Outcome.UNKNOWN


@both_forms
def test_thread_without_a_title_is_called_by_its_first_words(encode):
    words = [{"type": 0, "text": "一" * 29 + "\n二三"}]
    short = [{"type": 0, "text": "一" * 30}]
    answer = read(
        forum_answer(
            {"id": 7, "title": "", "abstract": words, "first_post_content": words},
            {"id": 8, "title": "", "abstract": short, "first_post_content": short},
            {"id": 9, "title": "题" * 30, "abstract": words, "first_post_content": words},
        ),
        encode,
    )
    assert [thread.title for thread in answer.threads] == ["一" * 29, "一" * 30, "题" * 30]
    assert answer.cut_titles == {7}
    floor = {"id": 70, "floor": 1, "content": words}
    assert read(thread_answer(floor, title=""), encode).thread.title == "一" * 29
    assert read(thread_answer({**floor, "floor": 31}, title=""), encode).thread.title is None


def test_protobuf_leaves_zeros_out():
    payload = forum_answer({"id": 7}, current_page=0, page_size=100)
    answer = read({**payload, "forum": {"id": 1}}, as_protobuf)
    (thread,) = answer.threads
    assert (thread.is_pinned, thread.is_good, thread.reply_count) == (False, False, 0)
    assert (thread.author_id, thread.title, thread.created_at) == (None, None, None)
    assert (answer.forum, answer.page) == (Forum(forum_id=1), Page(1, 3))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(4, Outcome.DELETED), (239103, Outcome.RATE_LIMITED), (110001, Outcome.REFUSED), (-1, Outcome.REFUSED)],
)
@pytest.mark.parametrize("target", [None, ThreadPage(7)])
def test_protobuf_error(code, outcome, target):
    message = messages_pb2.PbPageResIdl(error={"errorno": code, "errmsg": "该贴已被删除"})
    answer = API.read(Received(message.SerializeToString()), target)
    assert answer.outcome is outcome
    assert "该贴已被删除" in answer.error


@both_forms
def test_broken_answer_is_unknown_whatever_people_wrote_in_it(encode):
    body = encode(thread_answer({"id": 70, "content": [{"type": 0, "text": "该贴已被删除 百度安全验证"}]}))
    for part in (body[:-1], body[1:], body + b"\x07", body[: len(body) // 2]):
        assert API.read(Received(part), ThreadPage(7)).outcome is Outcome.UNKNOWN


def test_success_without_the_content_is_unknown():
    for payload in ({"error_code": 0}, {"error_code": 0, "thread_list": [], "forum": []}):
        assert read(payload, target=ForumPage("聊天")).outcome is Outcome.UNKNOWN


def test_stray_bytes_do_not_cost_the_answer():
    body = as_json(forum_answer({"id": 7, "title": "a?b"})).replace(b"a?b", b"a\xff\x01b")
    assert API.read(Received(b"\xef\xbb\xbf" + body)).threads[0].title == "a\ufffd\x01b"


def test_lone_surrogates_do_not_reach_the_store():
    body = b'{"error_code":0,"forum":{"id":1},"page":{},"thread_list":[{"id":7,"title":"a\\ud800b"}]}'
    answer = API.read(Received(body))
    assert answer.threads[0].title == "a?b"
