"""Whatever the site answers, reading it gives an answer, and soon."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientapi.messages_pb2 import FrsPageResIdl, PbFloorResIdl, PbPageResIdl
from replica import api
from replica.forms import Protobuf, SignedJson
from replica.web.comments import comment_page, first_comments
from replica.web.lists import forum_page
from replica.web.threads import thread_page
from replica.world import ForumSettings, World
from tieba.pages import (
    CommentPage,
    Fetch,
    ForumPage,
    Outcome,
    Received,
    ThreadComments,
    ThreadPage,
    answer_to_json,
    follow_ups,
    kind_of,
)
from tieba.pages.client import ClientApi
from tieba.pages.reading import read_any
from tieba.pages.web import WebPages

API, WEB = ClientApi(), WebPages()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["0", "7", "-1", "", "-", "9" * 30, 2**63, -(2**70), "\ud800", "回复 乙 :好"])
)
FIELDS = st.sampled_from(
    [
        "error_code", "error_msg", "error", "errno", "forum", "page", "thread", "thread_list", "post_list",
        "subpost_list", "sub_post_list", "user_list", "id", "tid", "name", "name_show", "portrait", "author",
        "has_more", "reply_num", "sub_post_number", "floor", "is_top",
    ]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(FIELDS, children, max_size=6),
    max_leaves=30,
)
TARGETS = st.sampled_from(
    [None, ForumPage("聊天"), ThreadPage(7), ThreadPage(7, 3), ThreadComments(7), CommentPage(7, 8)]
)


def answers_are_sound(body, target, status=200, source=API):
    answer = source.read(Received(body, status), target)
    json.dumps(answer_to_json(answer), ensure_ascii=False).encode()
    for record in answer.records():
        assert all(0 <= value < 2**63 for value in record.fields().values() if isinstance(value, int))
    assert (answer.outcome is Outcome.OK) == (answer.error is None)
    if answer.outcome is not Outcome.OK:
        assert not answer.records()
    elif target is not None:
        assert answer.posts or not isinstance(target, ThreadPage) or target.page > 1
        for follow_up, _ in zip(follow_ups(Fetch(target), answer, source), range(1000), strict=False):
            assert follow_up.target != target


SOURCES = st.sampled_from([API, WEB])


@given(st.binary(), TARGETS, st.integers(100, 599), SOURCES)
def test_any_bytes(body, target, status, source):
    answers_are_sound(body, target, status, source)


@given(VALUES, TARGETS, SOURCES)
def test_any_json(value, target, source):
    answers_are_sound(json.dumps(value).encode(), target, source=source)


@given(
    st.fixed_dictionaries(
        {"error_code": st.just(0), "forum": st.just({"id": 1}), "thread": st.just({"id": 7})},
        optional={
            "thread_list": VALUES,
            "post_list": VALUES,
            "subpost_list": VALUES,
            "user_list": VALUES,
            "page": VALUES,
        },
    ),
    TARGETS,
)
def test_any_content_in_the_shape_of_an_answer(value, target):
    answers_are_sound(json.dumps(value).encode(), target)


@st.composite
def broken_messages(draw):
    """Answers in protobuf with fields of any value, in which some bytes are others."""
    number, words = st.integers(-(2**31), 2**31 - 1), st.text(max_size=8)
    users = [{"id": draw(st.integers(-(2**63), 2**63 - 1)), "name": draw(words), "portrait": draw(words)}]
    content = [{"type": draw(st.integers(0, 60)), "text": draw(words), "uid": 1} for _ in range(3)]
    page = {"current_page": draw(number), "total_page": draw(number), "has_more": draw(number)}
    comments = [{"id": 9, "content": content, "time": 2**32 - 1}]
    floor = {"id": 8, "floor": 1, "content": content, "sub_post_list": {"sub_post_list": comments}}
    thread = {"id": 7, "reply_num": draw(number), "create_time": draw(number), "author_id": users[0]["id"]}
    message = draw(
        st.sampled_from(
            [
                FrsPageResIdl(
                    data={"forum": {"id": 1}, "page": page, "thread_list": [thread], "user_list": users}
                ),
                PbPageResIdl(
                    data={
                        "forum": {"id": 1},
                        "page": page,
                        "thread": thread,
                        "post_list": [floor],
                        "user_list": users,
                    }
                ),
                PbFloorResIdl(data={"page": page, "thread": thread, "post": floor, "subpost_list": comments}),
            ]
        )
    )
    body = bytearray(message.SerializeToString())
    for _ in range(draw(st.integers(0, 3))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


@given(broken_messages(), TARGETS)
def test_any_protobuf(body, target):
    answers_are_sound(body, target)


WORLD = World(5, (ForumSettings("甲", 3, 14.0),))
FORUM = WORLD.forums[0]
THREAD = next(
    thread
    for thread in FORUM.listed(FORUM.entries)
    if not thread.is_deleted and any(floor and floor.comments for floor, _ in thread.slots[:30])
)
FLOOR = next(floor for floor, _ in THREAD.slots if floor and floor.comments)
PAGES = {
    forum_page(WORLD, FORUM, 1, good=False): ForumPage("甲"),
    thread_page(WORLD, THREAD, 1, starter_only=False): ThreadPage(THREAD.thread_id),
    first_comments(WORLD, THREAD, 1, starter_only=False): ThreadComments(THREAD.thread_id),
    comment_page(WORLD, FLOOR.comments, 1): CommentPage(THREAD.thread_id, FLOOR.post_id),
}


ANSWERS = {
    ForumPage("甲"): api.forum_page(FORUM, 1, 100),
    ThreadPage(THREAD.thread_id): api.thread_page(THREAD, 1, 30, 50),
    CommentPage(THREAD.thread_id, FLOOR.post_id): api.comment_page(THREAD, FLOOR, 1),
}
ROWS = ("thread_list", "post_list", "subpost_list")
ROWS_OF_PAGES = (b"j_thread_list", b"l_post", b"lzl_single_post", b"comment_list")


def forms(target, answer):
    return [(API, target, form.write(kind_of(target), answer)) for form in (SignedJson(), Protobuf("", b""))]


WHOLE = [
    *((WEB, target, body) for body, target in PAGES.items()),
    *(form for target, answer in ANSWERS.items() for form in forms(target, answer)),
]


@given(st.sampled_from(WHOLE), st.data())
def test_the_beginning_of_an_answer_is_no_answer_with_less(whole, data):
    source, target, body = whole
    expected = source.read(Received(body), target)
    assert expected.has_content
    beginning = source.read(Received(body[: data.draw(st.integers(0, len(body) - 1))]), target)
    assert beginning.outcome is Outcome.UNKNOWN or beginning == expected


def test_an_answer_whose_rows_are_not_found_is_unknown():
    emptied = [
        form
        for target, answer in ANSWERS.items()
        for form in forms(target, {**answer, **{name: [] for name in ROWS if name in answer}})
    ]
    for body, target in PAGES.items():
        for name in ROWS_OF_PAGES:
            body = body.replace(name, b"x")
        emptied.append((WEB, target, body))
    for source, target, body in emptied:
        assert source.read(Received(body), target).outcome is Outcome.UNKNOWN


SNIPPETS = st.binary(max_size=8) | st.sampled_from(
    [
        b"<", b">", b"</div>", b"<div>" * 300, b"<li class='j_thread_list'>", b"<div class='l_post'>", b"-->",
        b"<!--", b"<script>", b"<plaintext>", b"<table>", b"<select>", b"</html>", b"&#0;", b"&#xd800;", b"'",
        b'"', b"\\ud800", b"\\", b"\x00", b"\xf0\x9f\x98", b"99999999999999999999", b"-1", b"1e999", b"{",
        b"[" * 5000, "😀𝐀回复 :".encode(),
    ]
)  # fmt: skip


@st.composite
def broken_pages(draw):
    """Pages of the classic site into which something was written, once or more, or which were cut off."""
    body, target = draw(st.sampled_from(list(PAGES.items())))
    for _ in range(draw(st.integers(0, 3))):
        at, left_out = draw(st.integers(0, len(body))), draw(st.integers(0, 9))
        body = body[:at] + draw(SNIPPETS) + body[at + left_out :]
    body = body[: draw(st.none() | st.integers(0, len(body)))]
    encoding = draw(st.sampled_from([None, "gbk", "utf-16"]))
    return body.decode(errors="replace").encode(encoding, "replace") if encoding else body, target


@given(broken_pages(), st.booleans())
def test_any_page(page, is_known):
    body, target = page
    answers_are_sound(body, target if is_known else None, source=WEB)


LARGE = 40 << 20  # bytes


@pytest.mark.parametrize(
    "unit",
    [
        b"x",
        b" ",
        b"<div>",
        b"<title",
        b"[",
        b'{"a":',
        b"\x0a\x00",
        b"\xff",
        "回复 ".encode(),
        b'{"comment_list":1}',
    ],
)
def test_a_large_body_is_answered_within_seconds(unit):
    for start in (b"", b"<html><div class=l_post data-field='"):
        body = start + unit * (LARGE // len(unit))
        began = time.process_time()
        answer = read_any(Received(body))
        assert answer.outcome is Outcome.UNKNOWN
        assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>" + b"<div class='l_post' data-field='{}'>" * 10_000, Outcome.UNKNOWN),
        (b"<ul id='thread_list'>" + b"<ul><li class='j_thread_list' data-tid='5'>" * 10_000, Outcome.UNKNOWN),
        (b"<div class='l_post' data-pid='1'><div class='j_d_post_content'>" + b"<i>" * 20_000, Outcome.OK),
        (b"<div class='l_post' data-field=\"" + b"'" * (3 << 20) + b'">', Outcome.UNKNOWN),
        (b"<div class='l_post' a='>' " + b" ".join(b"a%x" % n for n in range(400_000)), Outcome.UNKNOWN),
        (b"<div class='l_post' a\" " + b"/".join(b"a%x=''" % n for n in range(300_000)), Outcome.UNKNOWN),
        (b"<div class='l_post' data-pid='1'><script>PageData.forum = {" + b"'a':" * 700_000, Outcome.OK),
        (
            "<li class='lzl_single_post' data-field='{spid:5}'><i class='lzl_content_main'>回复".encode()
            + b" x" * (1 << 20),
            Outcome.OK,
        ),
    ],
    ids=["floors", "threads", "elements", "quotes", "attributes", "values", "script", "spaces"],
)  # fmt: skip
def test_what_lies_in_itself_is_answered_within_seconds(body, expected):
    began = time.process_time()
    assert read_any(Received(body)).outcome is expected
    assert time.process_time() - began < 10
