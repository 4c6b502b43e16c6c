"""Whatever the client API answers, reading it gives an answer."""

import json

from hypothesis import given
from hypothesis import strategies as st

from clientapi.messages_pb2 import FrsPageResIdl, PbFloorResIdl, PbPageResIdl
from tieba.pages import CommentPage, Fetch, ForumPage, Outcome, ThreadPage, answer_to_json, follow_ups
from tieba.pages.client import ClientApi

API = ClientApi()

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
        "error_code", "error_msg", "error", "errno", "forum", "page", "thread", "thread_list",
        "post_list",
        "has_more", "reply_num", "sub_post_number", "floor", "is_top",
    ]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(FIELDS, children, max_size=6),
    max_leaves=30,
)
TARGETS = st.sampled_from([None, ForumPage("聊天"), ThreadPage(7), ThreadPage(7, 3), CommentPage(7, 8)])


def answers_are_sound(body, target, status=200):
    answer = API.read(body, target=target, status=status)
    json.dumps(answer_to_json(answer), ensure_ascii=False).encode()
    assert (answer.outcome is Outcome.OK) == (answer.error is None)
    if answer.outcome is not Outcome.OK:
        assert not answer.records()
    elif target is not None:
        for follow_up, _ in zip(follow_ups(Fetch(target), answer, API), range(1000), strict=False):
            assert follow_up.target != target


@given(st.binary(), TARGETS, st.integers(100, 599))
def test_any_bytes(body, target, status):
    answers_are_sound(body, target, status)


@given(VALUES, TARGETS)
def test_any_json(value, target):
    answers_are_sound(json.dumps(value).encode(), target)


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
