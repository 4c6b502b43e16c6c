"""The web page while Redis or MongoDB is away: it says so, keeps its last numbers, and goes on by itself."""

import contextlib
import re
import resource
import socket
import time

import pytest

from tests.conftest import free_port, mongod_command, program, running
from tests.integration.commands import crawl, wait_for
from tests.waiting import wait_until
from tests.webpage import Visitor, pid_of, serving, write_settings

FORUM = "猫"
SOON = 30  # seconds in which the page notices what changes
SILENT = re.compile("(MongoDB|store) .*does not answer|MongoDB .*cannot be reached")
AGE = re.compile(r"numbers of \d+ s ago")


class MongoDb:
    """A server that can be killed and started again."""

    def __init__(self, folder):
        self.port = free_port()
        self._folder = folder
        self._running = contextlib.ExitStack()

    def start(self):
        command = mongod_command(self.port, self._folder)
        self._running.enter_context(running(command, self.port, self._folder / "log"))

    def kill(self):
        self._running.close()


@pytest.fixture
def redis_server_of_its_own(start_redis):
    return start_redis("redis-7.0", "appendonly yes", "appendfsync always")


@pytest.fixture
def mongodb(tmp_path):
    folder = tmp_path / "mongodb"
    folder.mkdir()
    server = MongoDb(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def visitor(redis_server_of_its_own, mongodb, environment, serve_replica, tmp_path):
    """Give somebody who looks at a crawl that has ended."""
    urls = {
        "redis_url": f"{redis_server_of_its_own.url}/0",
        "mongodb_url": f"mongodb://127.0.0.1:{mongodb.port}/tieba",
    }
    site = serve_replica(forums=[{"name": FORUM, "pages": 1, "floors_per_thread": 2}])
    environment |= {"TIEBA_API_URL": site, **{f"TIEBA_{name.upper()}": url for name, url in urls.items()}}
    wait_for(crawl(environment, "-a", f"forum={FORUM}", engine="urllib"))
    with serving(tmp_path, urls) as port:
        visitor = Visitor(port)
        visitor.log_in()
        wait_until(lambda: "Finished" in visitor.get("/").shown)
        yield visitor


def states(stream):
    """Give how the crawl goes, each time that the page tells it."""
    deadline = time.monotonic() + SOON
    event = ""
    for line in map(bytes.decode, stream):
        assert time.monotonic() < deadline, "it does not come"
        event += line
        if line == "\n":
            if event.startswith("event: state"):
                yield event
            event = ""


def numbers_of(page):
    """Give the numbers of the overview that do not change by themselves."""
    return re.search(r"([\d,]+ of [\d,]+ pages known)", page.shown)[1]


def test_redis_away_and_back(visitor, redis_server_of_its_own):
    before = numbers_of(visitor.get("/"))
    redis_server_of_its_own.kill()
    wait_until(lambda: "No news from the cluster" in visitor.get("/").shown)
    page = visitor.get("/")
    assert page.status == 200
    assert "Redis" in page.shown
    assert AGE.search(page.shown), page.shown
    assert numbers_of(page) == before
    for path in ("/queue", "/queue/dead", "/queue/find?q=1"):
        answer = visitor.get(path)
        assert answer.status == 503
        assert f"127.0.0.1:{redis_server_of_its_own.port}" in answer.shown
    assert visitor.post("/queue/hold").status == 503
    assert visitor.get("/data").status == 200  # it needs no Redis
    assert visitor.get("/healthz").text == '{"status":"ok","has_numbers":false}'
    metrics = visitor.get("/metrics", authorization="Bearer token")
    assert metrics.status == 200
    redis_server_of_its_own.start()
    wait_until(lambda: "Finished" in visitor.get("/").shown)
    page = visitor.get("/")
    assert not AGE.search(page.shown)
    assert numbers_of(page) == before
    assert visitor.get("/queue").status == 200


def test_numbers_tell_their_age_while_redis_says_nothing(visitor, redis_server_of_its_own):
    with visitor.events() as stream:
        told = states(stream)
        assert not AGE.search(next(told))
        with contextlib.closing(redis_server_of_its_own.client()) as client:
            client.client_pause(9_000)  # which is not yet given up
        assert "Finished" in next(state for state in told if AGE.search(state))
        assert "Finished" in next(state for state in told if not AGE.search(state))


def test_mongodb_away_and_back(visitor, mongodb):
    assert "Forums" in visitor.get("/data").shown
    mongodb.kill()
    wait_until(lambda: visitor.get("/data").status == 503)
    assert SILENT.search(visitor.get("/data").shown)
    for path in ("/data/thread/1", "/data/search?q=x", "/data/forum/1"):
        began = time.monotonic()
        assert visitor.get(path).status == 503
        assert time.monotonic() - began < SOON
    page = visitor.get("/")
    assert page.status == 200  # what Redis tells is told
    assert numbers_of(page)
    assert visitor.get("/queue").status == 200
    wait_until(lambda: SILENT.search(visitor.get("/").shown))
    mongodb.start()
    wait_until(lambda: visitor.get("/data").status == 200)
    wait_until(lambda: not SILENT.search(visitor.get("/").shown))


@pytest.mark.parametrize(("storage", "name"), [("mongodb", "MongoDB"), ("mysql", "MySQL")])
def test_a_store_that_says_nothing_is_named(tmp_path, redis_url, storage, name):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        crawler = {"redis_url": redis_url, "storage": [storage]}
        with serving(tmp_path, {**crawler, f"{storage}_url": f"{storage}://me:secret@{place}/tieba"}) as port:
            visitor = Visitor(port)
            visitor.log_in()
            page = visitor.get("/data")
            assert page.status == 503
            assert f"{name} at {place} does not answer within 5 s" in page.shown
            assert "secret" not in page.text
            chinese = visitor.get("/data", accept_language="zh")
            assert f"{place} 的 {name} 在 5 秒内没有应答" in chinese.shown


def test_a_full_disk_leaves_all_but_the_search(tmp_path, redis_url, mongodb_url):
    """Files that may not grow stand for a disk that has no room."""
    path, port = write_settings(tmp_path, {"redis_url": redis_url, "mongodb_url": mongodb_url})
    command = ["prlimit", "--fsize=4096:", program("tieba-dashboard"), "serve", "--config", str(path)]
    with running(command, port, tmp_path / "log"):
        visitor = Visitor(port)
        assert visitor.log_in().status == 303
        wait_until(lambda: "cannot be searched now" in visitor.get("/data/search?q=x").shown)
        page = visitor.get("/data/search?q=x")
        assert page.status == 200
        assert "Nothing was found" not in page.shown
        assert [visitor.get(path).status for path in ("/", "/queue", "/data")] == [200] * 3
        leaving = Visitor(port)
        leaving.log_in()
        leaving.get("/")
        cookies = dict(leaving.cookies)
        resource.prlimit(pid_of(tmp_path), resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        assert leaving.post("/data/export", {"format": "jsonl", "collection": "posts"}).status == 500
        answer = leaving.post("/logout")
        assert (answer.status, answer.location) == (303, "/login")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        leaving.cookies = cookies
        assert leaving.get("/").location == "/login"
        limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(pid_of(tmp_path), resource.RLIMIT_FSIZE, limits)
        wait_until(lambda: "Nothing was found" in visitor.get("/data/search?q=x").shown)
        assert "cannot be searched now" not in visitor.get("/data/search?q=x").shown


def test_a_page_that_starts_before_its_servers(tmp_path, start_redis):
    redis = start_redis()
    redis.kill()
    port = free_port()
    with serving(
        tmp_path, {"redis_url": redis.url, "mongodb_url": f"mongodb://127.0.0.1:{port}/tieba"}
    ) as page:
        visitor = Visitor(page)
        assert visitor.log_in().status == 303
        assert "No numbers yet" in visitor.get("/").shown
        assert visitor.get("/data").status == 503
        redis.start()
        wait_until(lambda: "No crawl yet" in visitor.get("/").shown)
