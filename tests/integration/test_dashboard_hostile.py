"""Whatever stands in an address or a form, no answer says that the web page failed."""

import asyncio
import base64
import contextlib
import http.client
import itertools
import time
from datetime import datetime, timezone
from urllib.parse import quote

import pytest
from starlette.routing import Route

from dashboard.app import create_app
from dashboard.config import Settings
from frontier import Request, connect_blocking, operations
from frontier.blocking import Frontier
from tests.webpage import Visitor, serving
from tieba.records import Comment, Forum, Post, Thread, User
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
RECORDS = [
    Forum(forum_id=1, name="猫"),
    Thread(thread_id=1, forum_id=1, title="一", author_id=1, created_at=NOW, last_reply_at=NOW),
    Post(post_id=1, thread_id=1, floor=1, author_id=1, created_at=NOW),
    Comment(comment_id=1, post_id=1, thread_id=1),
    User(user_id=1, name="一"),
]
# What each address takes in its query, or in the form that is posted to it.
GETS = {
    "/": (),
    "/events": ("page",),
    "/healthz": (),
    "/metrics": (),
    "/login": ("next",),
    "/queue": ("endpoint", "priority", "start", "held", "later", "did", "count"),
    "/queue/now": ("endpoint", "priority", "start", "held", "later"),
    "/queue/dead": ("before", "count"),
    "/queue/letter/{id}": (),
    "/queue/find": ("q", "kind", "after", "looked_at", "matches"),
    "/data": ("days", "by", "since", "until", "cursor"),
    "/data/forum/{id}": ("by", "since", "until", "cursor"),
    "/data/thread/{id}": ("cursor",),
    "/data/post/{id}": ("cursor",),
    "/data/user/{key}": ("cursor",),
    "/data/search": ("q", "since", "until", "before"),
    "/data/export": ("forum", "thread", "since", "until", "format", "collection", "no-deleted"),
    "/data/export/{id}": (),
}
POSTS = {
    "/queue/hold": ("reason",),
    "/queue/go-on": (),
    "/queue/retry": ("which", "id", "like"),
    "/queue/reprioritize": ("endpoint", "old", "new"),
    "/data/export": ("forum", "thread", "since", "format", "collection"),
    "/data/export/remove": ("id",),
    "/preferences": ("language", "theme", "next"),
    "/login": ("password", "next"),
    "/logout": (),
}
USUAL = {
    "id": "1", "key": "1", "q": "1", "did": "retried", "count": "1", "endpoint": "posts", "priority": "0",
    "old": "0", "new": "1", "which": "some", "format": "csv", "collection": "posts",
}  # fmt: skip


def cursor(text):
    return base64.urlsafe_b64encode(text.encode()).decode()


HOSTILE = [
    *map(quote, ("", "0", "-1", "--1", "1_0", " 1", "1e400", "nan", "0007999999", "\0", "1\0", "\r\n", "%")),
    *("9" * 5_000, "-" + "9" * 5_000, str(2**63 - 1), str(2**63), str(2**64), str(-(2**63)), "9" * 18),
    *map(quote, ("\u0661", "\uff11", "\u00b2", "\u0967" * 5_000)),  # digits of other scripts
    *("%ED%A0%80", "%FF", "%C0%80", "%", "%zz", "..%2F..", "%2F%2F", "http%3A%2F%2F%5B"),
    *("0001-01-01", "0001-01-01T00%3A00%2B23%3A59", "9999-12-31T23%3A59-23%3A59", "10000-01-01"),
    *map(cursor, ("[]", "1", "[null,1e999]", "[NaN,-1]", '["\\ud800","\\ud800"]', f"[{'9' * 5_000},1]")),
    *map(cursor, ('["0001-01-01T00:00:00+23:59",1]', '["2026-01-01",1]', '[1,"x"]', "[null,null]")),
    cursor("[" * 5_000),
]  # fmt: skip


@pytest.fixture(params=["mongodb", "mysql"])
def crawler(request, redis_url):
    """Give the configuration of a crawler whose servers have something of everything."""
    url = request.getfixturevalue("mongodb_url" if request.param == "mongodb" else "mariadb_url")
    store = MongoStore(url) if request.param == "mongodb" else MysqlStore(url)

    async def fill():
        await store.open()
        await store.save(RECORDS)
        await store.close()

    asyncio.run(fill())
    with contextlib.closing(connect_blocking(redis_url)) as client:
        frontier = Frontier(client, "tieba")
        frontier.begin()
        frontier.push([Request("posts", '{"target":["thread",1,1]}')])
        frontier.run(operations.bury("posts", '{"target":["thread",1,2]}', "unknown: HTTP 500"))
    return {"redis_url": redis_url, "storage": [request.param], f"{request.param}_url": url}


def test_every_address_is_among_these(tmp_path):
    gate, _ = create_app(Settings(session_key="x", password_hash="x", data_dir=str(tmp_path)))
    routes = [route for route in gate._app.routes if isinstance(route, Route)]
    assert {route.path for route in routes if "GET" in route.methods} == GETS.keys()
    assert {route.path for route in routes if "POST" in route.methods} == POSTS.keys()


def test_what_others_write_into_redis_hides_nothing(crawler, tmp_path):
    with contextlib.closing(connect_blocking(crawler["redis_url"])) as client:
        client.zadd("{tieba}:dead", {"no letter": 1.5, "[" * 100_000: 2, '{"id": 7}': 3})
        client.hset("{tieba}:workers", mapping={"x": "{", "y": f'{{"at": {time.time():.0f}}}'})
        with serving(tmp_path, crawler) as port:
            visitor = Visitor(port)
            visitor.log_in()
            for address in ("/", "/queue", "/queue/dead", "/queue/letter/2", "/queue/find?q=1", "/metrics"):
                assert status_of(visitor, "GET", address, "") in {200, 401}, address
            assert "no letter" in visitor.get("/queue/dead").text
            assert status_of(visitor, "POST", "/queue/retry", "which=all") == 303
        assert client.zcard("{tieba}:dead") == 3


def test_nothing_fails(crawler, tmp_path):
    with serving(tmp_path, crawler) as port:
        visitor = Visitor(port)
        visitor.log_in()
        visitor.get("/")
        faults = {
            f"{method} {target[:90]} {body[:90]}": status
            for method, target, body in asked()
            if (status := status_of(visitor, method, target, body)) >= 500
        }
        assert not faults, faults
        assert visitor.get("/data?days=7").status == visitor.get("/queue").status == 200


def asked():
    """Give method, address and form of requests with one hostile value each."""
    for path, names in GETS.items():
        parts = [name for name in ("id", "key") if f"{{{name}}}" in path]
        for name, value in itertools.product([*parts, *names], HOSTILE):
            values = {**USUAL, name: value}
            target = path.format(**values)
            yield "GET", f"{target}?" + "&".join(f"{field}={values.get(field, '')}" for field in names), ""
    for path, names in POSTS.items():
        if path != "/logout":
            for name, value in itertools.product(names, HOSTILE):
                values = {**USUAL, name: value}
                yield "POST", path, "&".join(f"{field}={values.get(field, '')}" for field in names)


def status_of(visitor, method, target, body):
    headers = {
        "host": visitor.host,
        "cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items()),
        "origin": f"http://{visitor.host}",
    }
    form = f"token={visitor.token}&{body}".encode() if method == "POST" else None
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=30)) as connection:
        connection.request(method, target, form, headers)
        return connection.getresponse().status  # events have no end
