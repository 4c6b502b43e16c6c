"""Which outcome an answer has."""

import json

import pytest

from tieba.pages import ForumPage, Outcome, Received
from tieba.pages.client import ClientApi
from tieba.pages.reading import read_any
from tieba.pages.web import WebPages

API = "http://tiebac.baidu.com/c/f/frs/page"
THREAD = "https://tieba.baidu.com/p/7"
SOURCES = pytest.mark.parametrize("source", [ClientApi(), WebPages()], ids=["api", "web"])


def outcome(body=b"", **kwargs):
    return ClientApi().read(Received(body, **kwargs)).outcome


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
    body = json.dumps({"error_code": code, "error_msg": message}).encode()
    answer = ClientApi().read(Received(body))
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


def test_a_captcha_that_was_followed_to():
    assert outcome(b"<html></html>", url="https://wappass.baidu.com/static/captcha/") is Outcome.VERIFICATION


def test_too_many_requests_says_when_to_come_back():
    answer = ClientApi().read(Received(b"", 429, headers={"retry-after": "30"}))
    assert (answer.outcome, answer.retry_after) == (Outcome.RATE_LIMITED, 30.0)


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
    answer = ClientApi().read(Received(body, status, API))
    assert answer.outcome is Outcome.UNKNOWN
    assert answer.error


@SOURCES
@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://wappass.baidu.com/static/captcha/tuxing.html?ak=1&backurl=2", Outcome.VERIFICATION),
        ("https://passport.baidu.com/v2/?login", Outcome.LOGIN_REQUIRED),
        ("https://tieba.baidu.com/index.html", Outcome.UNKNOWN),
        ("//[", Outcome.UNKNOWN),
    ],
)
def test_redirects(source, location, expected):
    answer = source.read(Received(b"", 302, headers={"location": location}))
    assert answer.outcome is expected
    assert location in answer.error


@SOURCES
@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, "<html><title>百度安全验证</title>", Outcome.VERIFICATION),
        (200, "<html><title>百\n安全验证</title>", Outcome.VERIFICATION),
        (404, "<title>贴吧404</title><div id='errorText'>很抱歉，该贴已被删除。", Outcome.DELETED),
        (404, "<title>贴吧404</title><h1>抱歉，您访问的贴子被隐藏，暂时无法访问。</h1>", Outcome.DELETED),
        (200, "<title>贴吧404</title><h1>该吧被合并您所访问的贴子无法显示</h1>", Outcome.DELETED),
        (200, "<h2 class='icon-attention'>抱歉，根据相关法律法规和政策，本吧暂不开放。</h2>", Outcome.CLOSED),
        (200, "<p>该吧暂不开放</p>", Outcome.CLOSED),
        (404, "<p>抱歉，该吧因违反相关法律法规，暂不开放。</p>", Outcome.CLOSED),
        (200, "<script>var texts = ['本吧暂不开放']</script>", Outcome.UNKNOWN),
        (200, "<title>登录百度帐号</title>", Outcome.LOGIN_REQUIRED),
        (500, "<title>贴吧</title>", Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_pages_in_place_of_an_answer(source, status, body, expected):
    answer = source.read(Received(body.encode(), status))
    assert answer.outcome is expected
    assert answer.error


def test_a_page_in_gbk():
    page = Received("<title>百度安全验证</title>".encode("gbk"))
    assert WebPages().read(page).outcome is Outcome.VERIFICATION


@pytest.mark.parametrize(
    ("url", "status", "expected"),
    [
        (API, 200, Outcome.RATE_LIMITED),
        (API, 404, Outcome.RATE_LIMITED),
        (THREAD, 404, Outcome.DELETED),
        (THREAD, 200, Outcome.UNKNOWN),
        (None, 404, Outcome.DELETED),
        (None, 200, Outcome.UNKNOWN),
        ("https://tieba.baidu.com/f?kw=x", 404, Outcome.UNKNOWN),
    ],
)
def test_page_404_without_words_means_what_its_address_and_status_say(url, status, expected):
    assert read_any(Received("<title>贴吧404</title>".encode(), status, url)).outcome is expected


def test_page_404_of_the_client_api_never_means_deleted():
    """Its script may hold what it says of threads that are gone."""
    body = "<title>贴吧404</title><script>var texts = ['该贴已被删除']</script>".encode()
    assert outcome(body, url=API) is Outcome.RATE_LIMITED


NO_FORUM = "“甲”吧尚未建立。欢迎创建本吧，与今后来到这里的朋友交流讨论。"


@pytest.mark.parametrize(
    ("body", "url", "expected"),
    [
        (f"<p>{NO_FORUM}</p>", "https://tieba.baidu.com/f?kw=x&pn=0", Outcome.REFUSED),
        (f"<p>{NO_FORUM}</p>", "https://tieba.baidu.com/f/good?kw=x", Outcome.REFUSED),
        (f"<p>{NO_FORUM}</p>", None, Outcome.REFUSED),
        (f"<p>{NO_FORUM}</p>", THREAD, Outcome.UNKNOWN),
        (f"<div id='app'></div><script>var texts = ['{NO_FORUM}']</script>", None, Outcome.UNKNOWN),
        (f"<div id='app'></div><script>var texts = ['{NO_FORUM}']", None, Outcome.UNKNOWN),
    ],
    ids=["list", "list of good threads", "saved", "thread", "in a script", "in a script that is cut off"],
)
def test_the_page_of_a_forum_that_is_not_there(body, url, expected):
    answer = WebPages().read(Received(f"<html>{body}".encode(), url=url), ForumPage("甲"))
    assert answer.outcome is expected


@pytest.mark.parametrize(
    "body",
    [
        '<html><title>甲吧-百度贴吧</title><div id="app"></div><script src="/pc.js"></script>',
        "<html><title>贴吧</title><form>创建 甲 吧</form></html>",
        '<html><ul id="thread_list"></ul><div class="th_footer_l"></div></html>',
        '<html><div id="j_p_postlist"></div></html>',
        "<html>" + "<div>" * 30_001,
        "<html>" + " " * (4 << 20),
    ],
    ids=[
        "new front end",
        "no such forum",
        "list of no forum",
        "thread without floors",
        "nested too deep",
        "too large",
    ],
)
def test_a_page_without_content_is_unknown_and_never_empty(body):
    for target in (None, ForumPage("甲")):
        answer = WebPages().read(Received(body.encode()), target)
        assert (answer.outcome, answer.kind) == (Outcome.UNKNOWN, None)
        assert answer.error


def test_error_numbers_of_the_web_site():
    closed = json.dumps({"no": 1010, "error": "抱歉，根据相关法律法规和政策，本吧暂不开放。"}).encode()
    for body, expected in (
        (closed, Outcome.CLOSED),
        (b'{"errno":110000,"errmsg":""}', Outcome.LOGIN_REQUIRED),
        (b'{"errno":null,"errmsg":null}', Outcome.UNKNOWN),
    ):
        assert WebPages().read(Received(body)).outcome is expected
