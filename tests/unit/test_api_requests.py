"""The signed requests of the client API."""

from urllib.parse import parse_qs

import pytest

from tieba.pages import CommentPage, ForumPage, ThreadPage, api

VERSION = "12.20.1.0"


def form(target):
    call = api.build(target, VERSION)
    return call, {key: values[0] for key, values in parse_qs(call.body.decode()).items()}


def test_signature_agrees_with_the_published_vector():
    fields = {"_client_type": "2", "_client_version": VERSION, "kw": "聊天", "pn": "1", "rn": "30"}
    assert api.sign(fields) == "0fe2454e193c034f0243d57e87b2a425"


def test_signature_ignores_order_and_an_old_signature():
    assert api.sign({"b": "2", "a": "1"}) == api.sign({"a": "1", "sign": "x", "b": "2"})


@pytest.mark.parametrize(
    ("target", "endpoint", "path", "fields"),
    [
        (
            ForumPage("聊天"),
            "threads",
            "/c/f/frs/page",
            {"kw": "聊天", "pn": "1", "rn": "50", "rn_need": "55"},
        ),
        (
            ThreadPage(7, 2),
            "posts",
            "/c/f/pb/page",
            {"kz": "7", "pn": "2", "rn": "30", "with_floor": "1", "floor_rn": "10"},
        ),
        (CommentPage(7, 8, 3), "comments", "/c/f/pb/floor", {"kz": "7", "pid": "8", "pn": "3"}),
    ],
)
def test_request_asks_for_the_target_and_is_signed(target, endpoint, path, fields):
    call, sent = form(target)
    assert (call.endpoint, call.path) == (endpoint, path)
    signature = sent.pop("sign")
    assert signature == api.sign(sent)
    assert sent == {**fields, "_client_type": "2", "_client_version": VERSION}


def test_same_target_gives_the_same_bytes():
    assert api.build(ThreadPage(7), VERSION) == api.build(ThreadPage(7), VERSION)
