"""Which outcome an answer has."""

import json

import pytest

from tieba.pages import Outcome
from tieba.pages.client import ClientApi

API = "http://tiebac.baidu.com/c/f/frs/page"


def outcome(body=b"", **kwargs):
    return ClientApi().read(body, **kwargs).outcome


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (4, "贴子可能已被删除", Outcome.DELETED),
        ("4", "该贴已被删除，请浏览其他贴子", Outcome.DELETED),
        (4, "请登录后查看", Outcome.LOGIN_REQUIRED),
        (2, "请先登录", Outcome.LOGIN_REQUIRED),
        (110000, "", Outcome.LOGIN_REQUIRED),
        (110001, "未知错误", Outcome.REFUSED),
        (239103, "操作太频繁", Outcome.RATE_LIMITED),
        (340002, "抱歉，根据相关法律法规和政策，本吧暂不开放。", Outcome.CLOSED),
        (-1, "x", Outcome.REFUSED),
    ],
)
def test_error_codes(code, message, expected):
    answer = ClientApi().read(json.dumps({"error_code": code, "error_msg": message}).encode())
    assert answer.outcome is expected
    assert message in answer.error


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(
    "body",
    [
        "<title>百度安全验证</title>",
        "<script>window.BIOC_OPTIONS={}</script>",
        '<script src="https://seccaptcha.baidu.com/x.js"></script>',
    ],
)
def test_verification_pages(status, body):
    assert outcome(body.encode(), status=status) is Outcome.VERIFICATION


def test_redirect_to_a_captcha():
    headers = {"location": "https://wappass.baidu.com/static/captcha/tuxing.html?ak=1"}
    assert outcome(status=302, headers=headers) is Outcome.VERIFICATION
    assert outcome(b"<html></html>", url=headers["location"]) is Outcome.VERIFICATION


def test_any_other_redirect_is_unknown():
    answer = ClientApi().read(b"", status=301, headers={"location": "https://tieba.baidu.com/"})
    assert answer.outcome is Outcome.UNKNOWN
    assert "https://tieba.baidu.com/" in answer.error


def test_too_many_requests_says_when_to_come_back():
    answer = ClientApi().read(b"", status=429, headers={"retry-after": "30"})
    assert (answer.outcome, answer.retry_after) == (Outcome.RATE_LIMITED, 30.0)


def test_page_404_means_too_fast_for_the_api_and_deleted_for_a_thread():
    body = "<html><title>贴吧404</title></html>".encode()
    assert outcome(body, url=API) is Outcome.RATE_LIMITED
    assert outcome(body, url="https://tieba.baidu.com/p/7") is Outcome.DELETED
    assert outcome(body) is Outcome.UNKNOWN


def test_pages_that_say_so_in_words():
    assert outcome("<div>很抱歉，该贴已被删除。</div>".encode()) is Outcome.DELETED
    assert outcome("<h2>抱歉，根据相关法律法规和政策，本吧暂不开放。</h2>".encode()) is Outcome.CLOSED


def test_words_of_users_in_an_answer_mean_nothing():
    thread = {"id": 7, "title": "百度安全验证 seccaptcha.baidu.com 该贴已被删除"}
    payload = {"error_code": 0, "forum": {"id": 1}, "page": {}, "thread_list": [thread]}
    assert outcome(json.dumps(payload, ensure_ascii=False).encode()) is Outcome.OK


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"Internal Server Error", 500),
        (b'{"error_code": 0, "forum": {"id": 1}, "thread_list": []}', 502),
        (b'{"thread_list": []}', 200),
        (b"[]", 200),
        (b"null", 200),
        (b"<html><title>Welcome</title></html>", 200),
        (b"[" * 100_000, 200),
        (b'{"error_code": 0', 200),
        (b"\xff\xfe\x00", 200),
    ],
)
def test_what_is_not_recognised_is_unknown_with_a_reason(body, status):
    answer = ClientApi().read(body, status=status, url=API)
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.error
