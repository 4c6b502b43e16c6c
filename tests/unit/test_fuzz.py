"""Whatever the site answers, reading it gives an answer."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tieba.pages import CommentPage, ForumPage, Outcome, Scope, ThreadPage, answer_to_json, api, follow_ups

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
    answer = api.read(body, target=target, status=status)
    json.dumps(answer_to_json(answer), ensure_ascii=False).encode()
    assert (answer.outcome is Outcome.OK) == (answer.error is None)
    if answer.outcome is not Outcome.OK:
        assert not answer.records()
    elif target is not None:
        for follow_up, _ in zip(follow_ups(target, answer, Scope(5)), range(1000), strict=False):
            assert follow_up != target


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
