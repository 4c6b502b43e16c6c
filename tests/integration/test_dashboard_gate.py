"""What the web page refuses: strangers, forged forms, too much; as a process, over HTTP and HTTPS."""

import contextlib
import json
import socket
import ssl
import time
from urllib.parse import urlencode

import pytest

from dashboard.sessions import SESSION_SECONDS, Sessions
from frontier import connect_blocking
from frontier.blocking import Frontier
from tests.certificates import make_certificates
from tests.conftest import free_port
from tests.webpage import PASSWORD, PASSWORD_HASH, SESSION_KEY, Visitor, serving

POSTS = (
    "/login",
    "/logout",
    "/preferences",
    "/queue/hold",
    "/queue/go-on",
    "/queue/retry",
    "/queue/reprioritize",
    "/data/export",
    "/data/export/remove",
)
PAGES = (
    "/",
    "/queue",
    "/queue/now",
    "/queue/dead",
    "/queue/letter/1",
    "/queue/find?q=1",
    "/data",
    "/data/forum/1",
    "/data/thread/1",
    "/data/post/1",
    "/data/user/1",
    "/data/search?q=1",
    "/data/export",
    "/data/export/1",
    "/nowhere",
)
MOST_BYTES = 64 * 1024
QUICKLY = 10  # seconds


@pytest.fixture(scope="module")
def crawler(redis_server, mongodb_server):
    """Give the configuration of a crawler whose servers have nothing in them."""
    return {
        "redis_url": f"redis://127.0.0.1:{redis_server}/0",
        "mongodb_url": f"mongodb://127.0.0.1:{mongodb_server}/test_gate",
    }


@pytest.fixture(scope="module")
def port(tmp_path_factory, crawler):
    with serving(tmp_path_factory.mktemp("page"), crawler, hosts=["tieba.example"]) as port:
        yield port


@pytest.fixture
def visitor(port):
    visitor = Visitor(port)
    assert visitor.log_in().status == 303
    visitor.get("/")
    return visitor


@pytest.fixture
def running_crawl(crawler):
    """Give the frontier of a crawl that nobody works on."""
    with contextlib.closing(connect_blocking(crawler["redis_url"])) as client:
        client.flushall()
        frontier = Frontier(client, "tieba")
        frontier.begin()
        yield frontier
        client.flushall()


def is_held(crawler):
    with contextlib.closing(connect_blocking(crawler["redis_url"])) as client:
        return bool(client.hget("{tieba}:crawl", "paused_at"))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "",
        "127.0.0.2",
        "[::2]",
        "tieba.example.",
        "@",
        "localhost:80/static/",
        "localhost/login?",
        "localhost:x",
        "[::1]/static/",
        "[::1",
        "localhost, localhost",
    ],
)
def test_unknown_hosts_are_refused(port, host):
    answer = Visitor(port).get("/login", host=host)
    assert answer.status == 400
    assert "password" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "tieba.example", "Tieba.Example:80"]
)
def test_known_hosts_are_served(port, host):
    assert Visitor(port).get("/login", host=host).status == 200


def test_nothing_is_shown_without_a_login(port):
    visitor = Visitor(port)
    for path in PAGES:
        answer = visitor.get(path)
        assert (answer.status, answer.location.partition("?")[0]) == (303, "/login"), path
        assert not answer.text
    assert visitor.get("/events").status == 401
    visitor.get("/login")
    for path in POSTS[3:]:
        answer = visitor.post(path)
        assert (answer.status, answer.location) == (303, "/login"), path


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(visitor, method):
    assert visitor.raw(method, "/queue", None).status in {400, 405}


@pytest.mark.parametrize("path", POSTS)
def test_forged_forms_do_nothing(visitor, path, crawler, running_crawl):
    own = visitor.token
    stranger = Visitor(visitor.port)
    stranger.log_in()
    stranger.get("/")
    for token in ("", "0" * 64, own[:-1], own.upper(), stranger.token, "é", own + "\0"):
        assert visitor.post(path, {"token": token, "reason": "forged"}).status == 403, token
    without = urlencode({"reason": "forged"}).encode()
    assert visitor.raw("POST", path, without, origin=f"http://{visitor.host}").status == 403
    assert visitor.get("/").status == 200  # still logged in
    assert not is_held(crawler)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://{host}",
        "null",
        "",
        "http://localhost",
        "http://{host}.evil.example",
        "http://{host}/",
    ],
)
def test_forms_of_other_origins_do_nothing(visitor, origin, crawler, running_crawl):
    assert visitor.post("/queue/hold", origin=origin.format(host=visitor.host)).status == 403
    assert not is_held(crawler)
    assert visitor.post("/queue/hold").status == 303
    assert is_held(crawler)


def test_a_form_without_origin_does_nothing(visitor, crawler, running_crawl):
    body = urlencode({"token": visitor.token}).encode()
    assert visitor.raw("POST", "/queue/hold", body).status == 403
    assert not is_held(crawler)


@pytest.mark.parametrize("path", ["/login", "/queue/hold", "/", "/static/page.css", "/nowhere"])
def test_bodies_that_say_they_are_large_are_refused(visitor, path):
    body = b"x=" + b"y" * (MOST_BYTES - 1)
    assert visitor.raw("POST", path, body, origin=f"http://{visitor.host}").status == 413
    assert visitor.raw("POST", path, b"", content_length="9" * 30).status in {400, 413}


def test_bodies_that_grow_are_refused(visitor):
    """Chunks come without end: the answer must not wait for it, and what came must not be kept."""
    with socket.create_connection(("127.0.0.1", visitor.port), timeout=QUICKLY) as client:
        head = f"POST /login HTTP/1.1\r\nHost: {visitor.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head.encode())
        chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
        client.settimeout(QUICKLY)
        with contextlib.suppress(ConnectionError):  # it may close the connection while we still send
            for _ in range(MOST_BYTES // 0x1000 + 1):
                client.sendall(chunk)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    assert visitor.get("/").status == 200


def test_bodies_at_the_limit_are_read(visitor):
    field = {"token": visitor.token, "next": "/queue", "filler": ""}
    field["filler"] = "x" * (MOST_BYTES - len(urlencode(field)))
    assert visitor.post("/preferences", field).status == 303


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&" * 2_000, b"token=%ff", b"{}", b"a=b" * 5_000])
def test_what_is_no_form_is_refused(visitor, body):
    answer = visitor.raw("POST", "/queue/hold", body, origin=f"http://{visitor.host}")
    assert answer.status in {400, 403}


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 300_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx",
        b"\r\n" * 5_000,
        b"\x16\x03\x01\x00\xa5",
    ],
    ids=["no-host", "two-hosts", "long-header", "long-path", "half-a-body", "lines", "tls"],
)
def test_nonsense_harms_nobody(port, head):
    connection = socket.create_connection(("127.0.0.1", port), timeout=QUICKLY)
    with connection as client, contextlib.suppress(ConnectionError):
        client.sendall(head)
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(1_000)
        assert not answer or answer[9:12] in {b"400", b"303", b"431", b"414"}, answer
    assert Visitor(port).get("/healthz").status == 200


def test_a_stranger_learns_nothing_from_errors(visitor):
    stranger = Visitor(visitor.port)
    for path, status in (("/static/none", 404), ("/static/", 404), ("/preferences", 405)):
        for who, is_told in ((visitor, True), (stranger, False)):
            answer = who.get(path)
            assert answer.status == status
            assert "journal" not in answer.text
            assert ("sse-connect" in answer.text, 'class="alarms"' in answer.text) == (is_told, is_told)


def test_every_answer_has_the_security_headers(visitor):
    stranger = Visitor(visitor.port)
    answers = [
        visitor.get(path) for path in (*PAGES, "/static/page.js", "/static/none", "/healthz", "/metrics")
    ]
    answers += [stranger.get("/login"), stranger.get("/", host="evil.example"), stranger.post("/login")]
    answers.append(visitor.raw("PUT", "/", None))
    for answer in answers:
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert "unsafe" not in str(policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in answer.headers
        assert "Traceback" not in answer.text
    assert visitor.get("/").headers["cache-control"] == "no-store"
    assert "immutable" in visitor.get("/static/page.js").headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/",
        "/data/export/..%2f..%2fdashboard.json",
        "/data/export/.",
        "/data/thread/99999999999999999999",
        "/data/thread/1?cursor=%00",
        "/data/user/%00",
        "/data?cursor=x",
        "/data?since=0001-01-01",
        "/data?until=9999-99-99",
        "/data/search?q=%00",
        "/data/search?q=%22",
        "/data/search?q=" + "9" * 5_000,
        "/queue?start=-5&priority=x&endpoint=%00",
        "/queue/dead?before=x",
        "/queue/letter/-1",
        "/queue/find?q=" + "x" * 5_000,
    ],
)
def test_addresses_that_are_made_up_show_nothing(visitor, path):
    answer = visitor.get(path)
    assert answer.status in {200, 400, 404, 422}, answer.text
    assert "import" not in answer.text
    assert "root:" not in answer.text
    assert "password_hash" not in answer.text


def test_the_login_leads_nowhere_else(port):
    for target in (
        "//evil.example/",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\r\nX: y",
    ):
        visitor = Visitor(port)
        visitor.get("/login")
        answer = visitor.post("/login", {"password": PASSWORD, "next": target})
        assert (answer.status, answer.location) == (303, "/"), target


def test_logging_out_ends_copies_of_the_cookie(visitor):
    copy = dict(visitor.cookies)
    assert visitor.post("/logout").status == 303
    visitor.cookies = copy
    assert visitor.get("/").location == "/login"
    assert visitor.get("/events").status == 401


def test_sessions_end_after_their_time_and_so_do_their_events(port, tmp_path):
    """Cookies as the page makes them, of sessions that began almost a day ago."""

    def visitor_since(seconds):
        sessions = Sessions(SESSION_KEY, PASSWORD_HASH, tmp_path / "ended", lambda: time.time() - seconds)
        visitor = Visitor(port)
        visitor.cookies[f"tieba-{port}"] = sessions.cookie(sessions.new(is_login=True))
        return visitor

    assert visitor_since(SESSION_SECONDS + 1).get("/").location == "/login"
    late = visitor_since(SESSION_SECONDS - 10)
    assert late.get("/").status == 200
    began = time.monotonic()
    assert "event: state" in late.get("/events").text  # read to its end
    assert time.monotonic() - began < 40
    assert late.get("/").location == "/login"


def test_events_end_when_somebody_logs_out(visitor):
    with visitor.events() as answer:
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
        assert answer.readline().startswith(b"retry: ")
        visitor.post("/logout")
        answer.read()  # to the end that comes


def test_cookies_over_http(port):
    visitor = Visitor(port)
    answer = visitor.log_in()
    (cookie,) = answer.headers.get_all("set-cookie")
    name, *attributes = (part.strip().lower() for part in cookie.split(";"))
    assert name.startswith(f"tieba-{port}=")
    assert {"httponly", "samesite=strict", "path=/"} <= set(attributes)
    assert "secure" not in attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_cookies_over_https(tmp_path, crawler):
    authority, certificate = make_certificates(tmp_path, "localhost")
    tls_port = free_port()
    settings = {"tls_port": tls_port, "tls_certificate": str(certificate), "tls_key": str(certificate)}
    with serving(tmp_path, crawler, **settings) as port:
        visitor = Visitor(tls_port, tls=ssl.create_default_context(cafile=str(authority)))
        answer = visitor.log_in()
        assert (answer.status, answer.location) == (303, "/")
        (cookie,) = answer.headers.get_all("set-cookie")
        name, *attributes = (part.strip().lower() for part in cookie.split(";"))
        assert name.startswith("__host-")
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(attributes)
        assert visitor.get("/").status == 200
        # A form of the plain page is of another origin.
        assert visitor.post("/queue/hold", origin=f"http://{visitor.host}").status == 403
        assert visitor.post("/queue/hold").status == 303
        plain = Visitor(port)
        plain.cookies = dict(visitor.cookies)
        assert plain.get("/").location == "/login"
        old = ssl.create_default_context(cafile=str(authority))
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", tls_port)) as raw, pytest.raises(ssl.SSLError):
            old.wrap_socket(raw, server_hostname="localhost")


def test_guesses_are_limited(tmp_path, crawler):
    """Those through tunnels, which share an address, lock nobody out until they are very many."""
    with serving(tmp_path, crawler) as port:
        began = time.monotonic()
        assert Visitor(port).log_in("x" * 60_000).status == 403
        assert time.monotonic() - began < QUICKLY
        assert [Visitor(port).log_in("wrong").status for _ in range(8)] == [403] * 8
        assert Visitor(port).log_in().status == 303
        for guesses in range(9, 100):
            answer = Visitor(port, address=f"127.0.0.{guesses}").log_in("wrong")
            if answer.status != 403:
                break
        assert answer.status == 429
        assert guesses >= 50
        assert int(answer.headers["retry-after"]) in {1, 2}

        def is_locked():
            while Visitor(port).log_in("wrong").status != 429:
                pass
            return Visitor(port).log_in().status == 429

        # Also with the right one, unless the next attempt has just become due.
        assert any(is_locked() for _ in range(10))


def test_guesses_over_https_are_limited_as_over_http(tmp_path, crawler):
    """Its socket takes IPv4 and IPv6, and calls IPv4 addresses otherwise."""
    authority, certificate = make_certificates(tmp_path, "localhost")
    tls_port = free_port()
    settings = {"tls_port": tls_port, "tls_certificate": str(certificate), "tls_key": str(certificate)}
    tls = ssl.create_default_context(cafile=str(authority))
    with serving(tmp_path, crawler, **settings):
        guesser = Visitor(tls_port, address="127.0.0.2", tls=tls)
        assert [guesser.log_in("wrong").status for _ in range(8)] == [403] * 8
        assert Visitor(tls_port, address="127.0.0.3", tls=tls).log_in().status == 303


def test_what_is_refused_is_told_in_the_language(visitor):
    chinese = {"accept_language": "zh-CN"}
    origin = f"http://{visitor.host}"
    assert "本页只接受" in visitor.raw("PUT", "/", None, **chinese).text
    assert "本页不认识" in visitor.get("/", host="evil.example", **chinese).text
    assert "最多 64 KiB" in visitor.raw("POST", "/login", b"x" * (MOST_BYTES + 1), **chinese).text
    assert "不是表单" in visitor.raw("POST", "/login", b"token=%ff", origin=origin, **chinese).text
    assert "表单已过期" in visitor.post("/login", {"token": "x"}, **chinese).text
    assert "since 应为日期或时刻" in visitor.get("/data?since=x", **chinese).shown
    assert (
        "since=2026-01-02 应早于 until=2026-01-01"
        in visitor.get("/data/search?q=x&since=2026-01-02&until=2026-01-01", **chinese).shown
    )
    assert "thread 应为贴子编号" in visitor.get("/queue/find?q=0", **chinese).shown
    assert "forum 最多 100 个" in visitor.get("/queue/find?q=" + "x" * 101, **chinese).shown
    assert "地址应形如" in visitor.get("/queue/find?q=tieba.com%2Fx", **chinese).shown
    assert "since must be a day" in visitor.get("/data?since=x").shown


def test_metrics_need_the_token(port, tmp_path, crawler):
    stranger = Visitor(port)
    for header in ("", "Bearer", "Bearer wrong", "Basic token", "token", "Bearer tokené", "bearer token2"):
        answer = stranger.get("/metrics", authorization=header.encode().decode("latin-1"))
        assert (answer.status, answer.text) == (401, ""), header
    answer = stranger.get("/metrics", authorization="Bearer token")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    with serving(tmp_path, crawler, metrics_token="") as other:
        assert Visitor(other).get("/metrics", authorization="Bearer ").status == 404


def test_health_tells_no_secrets(port):
    assert json.loads(Visitor(port).get("/healthz").text).keys() == {"status", "has_numbers"}


def test_workers_of_scrapy_redis_are_promised_nothing_that_they_would_not_notice(
    tmp_path, crawler, running_crawl
):
    with serving(tmp_path, {**crawler, "scheduler": "scrapy_redis"}) as port:
        visitor = Visitor(port)
        visitor.log_in()
        visitor.get("/")
        for path in ("hold", "go-on", "retry", "reprioritize"):
            fields = {"which": "all", "endpoint": "posts", "old": 0, "new": 1}
            assert visitor.post(f"/queue/{path}", fields).status == 409, path
        page = visitor.get("/queue/dead")
        assert page.status == 200
        assert "/queue/retry" not in page.text
        page = visitor.get("/queue/find?q=1")
        assert page.status == 200
        assert "the scheduler of scrapy-redis" in page.shown
        assert "not asked for it" not in page.shown
