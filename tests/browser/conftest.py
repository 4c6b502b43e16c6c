"""A real browser that looks at the web page of real clusters, and minds all that it must never see.

Two clusters, each a Redis, a database in MongoDB, workers that crawl the stand-in site, and the web page as a
process: `usual`, in which a crawl runs all the time, and `hostile`, which has crawled a site full of text
that is meant to break pages. `open_page` opens tabs; whatever a test does, none of them may ask another
host for anything, run foreign scripts, or report an error on its console.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, expect, sync_playwright
from pymongo import MongoClient

from frontier import connect_blocking
from frontier.blocking import Frontier
from tests.conftest import free_port, missing, program, redis_command, running
from tests.waiting import wait_until
from tests.webpage import PASSWORD, Visitor, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from playwright.sync_api import Browser, BrowserContext, Page

    from frontier import Stats

_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
          "--disable-sync", "--disable-dev-shm-usage")  # fmt: skip
_SECONDS = 15  # in which the page has to show what a test waits for
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
DESK, PHONE = (1280, 800), (390, 844)
_RATE = 6  # requests a second, while people look
SMALL, LARGE = "猫", "聊天"  # the forum that is crawled to its end, and that of the crawl that runs on
# A share of the requests goes wrong at first; workers with _GIVES_UP make dead letters of them.
_FAULTS = {"error_share": 0.12}
_GIVES_UP = {"TIEBA_MAX_ATTEMPTS": "1"}


@dataclass
class Cluster:
    """A cluster and its web page."""

    url: str
    site: str
    redis_url: str
    mongodb_url: str
    environment: Mapping[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def frontier(self) -> Iterator[Frontier]:
        with contextlib.closing(connect_blocking(self.redis_url)) as client:
            yield Frontier(client, "tieba")

    def stats(self) -> Stats:
        with self.frontier() as frontier:
            return frontier.stats()

    def done(self) -> int:
        """Give how many pages were done."""
        with contextlib.closing(connect_blocking(self.redis_url)) as client:
            return sum(map(int, client.hvals("{tieba}:pages")))

    def records(self, collection: str, **wanted: Any) -> list[dict[str, Any]]:
        with MongoClient[dict[str, Any]](self.mongodb_url) as client:
            return list(client.get_default_database()[collection].find(wanted))

    def work(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return subprocess.Popen(
            [program("tieba"), "worker", *arguments],
            env={**self.environment, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def crawl(self, *arguments: str, **settings: str) -> None:
        """Crawl to the end, fast."""
        rates = dict.fromkeys(("TIEBA_POSTS_RATE", "TIEBA_COMMENTS_RATE", "TIEBA_THREADS_RATE"), "10000")
        assert self.work(*arguments, **rates, **settings).wait(60) == 0


@pytest.fixture(scope="session")
def make_cluster(
    tmp_path_factory: pytest.TempPathFactory, mongodb_server: int, serve_replica: Callable[..., str]
) -> Iterator[Callable[..., Cluster]]:
    """Give a function that starts a cluster before a stand-in site with some settings; nobody works yet."""
    with contextlib.ExitStack() as stack:

        def make(**site: Any) -> Cluster:
            folder = tmp_path_factory.mktemp("cluster")
            port = free_port()
            stack.enter_context(
                running([*redis_command(port, folder), "--appendonly", "yes"], port, folder / "redis.log")
            )
            address = serve_replica(**site)
            crawler = {
                "redis_url": f"redis://127.0.0.1:{port}/0",
                "mongodb_url": f"mongodb://127.0.0.1:{mongodb_server}/test_{uuid.uuid4().hex[:12]}",
                "api_url": address,
                "egress": "test",
                "retry_delay": 0.1,
                **{name: str(folder / name) for name in ("jsonl_dir", "samples_dir", "pictures_store")},
                **dict.fromkeys(("threads_rate", "posts_rate", "comments_rate"), _RATE),
            }
            config = folder / "crawler.json"
            config.write_text(json.dumps(crawler))
            page = stack.enter_context(serving(folder, crawler))
            inherited = {name: text for name, text in os.environ.items() if not name.startswith("TIEBA_")}
            return Cluster(
                f"http://127.0.0.1:{page}",
                address,
                crawler["redis_url"],
                crawler["mongodb_url"],
                {**inherited, "TIEBA_CONFIG": str(config)},
            )

        yield make


@pytest.fixture(scope="session")
def usual(make_cluster: Callable[..., Cluster]) -> Iterator[Cluster]:
    """Give the cluster that has crawled SMALL, and now crawls LARGE, some requests a second."""
    forums = [
        {"name": SMALL, "pages": 1, "floors_per_thread": 4},
        {"name": LARGE, "pages": 40, "floors_per_thread": 8},
    ]
    cluster = make_cluster(forums=forums, faults=_FAULTS)
    cluster.crawl("--forum", SMALL)
    with cluster.work("--forum", LARGE, **_GIVES_UP) as worker:
        try:
            wait_until(lambda: cluster.stats().queued and cluster.stats().dead, 60)
            yield cluster
        finally:
            assert worker.poll() is None, "the crawl ended before the tests"
            worker.kill()


@pytest.fixture(scope="session")
def hostile(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Give the cluster that has crawled a site with hostile text in everything that people write."""
    forum = {"name": '<img src=x onerror="alert(1)">吧', "pages": 1, "floors_per_thread": 4}
    cluster = make_cluster(forums=[forum], faults=_FAULTS, hostile=True)
    cluster.crawl("--forum", forum["name"], **_GIVES_UP)
    return cluster


@pytest.fixture
def spent(make_cluster: Callable[..., Cluster]) -> Cluster:
    """Give a cluster that has crawled SMALL, and has dead letters of that."""
    cluster = make_cluster(forums=[{"name": SMALL, "pages": 1, "floors_per_thread": 2}], faults=_FAULTS)
    cluster.crawl("--forum", SMALL, **_GIVES_UP)
    assert cluster.stats().dead > 3
    return cluster


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run the browser that is installed here."""
    path = os.environ.get("TIEBA_TEST_BROWSER") or shutil.which("chromium")
    if path is None:
        missing("no browser: put chromium on PATH or name one in TIEBA_TEST_BROWSER (make test does so)")
    expect.set_options(timeout=_SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


class Minder:
    """Keeps what none of a browser's tabs may ever do."""

    def __init__(self, host: str, expected: Iterable[str]) -> None:
        self.faults: list[str] = []
        self._host = host
        self._expected = tuple(expected)
        self._pages: list[Page] = []

    def mind(self, context: BrowserContext) -> None:
        context.add_init_script(_WATCH)
        context.on("page", self._mind_page)
        context.on("request", self._mind_request)
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))

    def _mind_page(self, page: Page) -> None:
        self._pages.append(page)
        page.on("console", lambda said: said.type in {"error", "warning"} and self.faults.append(said.text))
        page.on("dialog", self._mind_dialog)

    def _mind_request(self, request: Any) -> None:
        if not request.url.startswith((self._host, "data:image/")):
            self.faults.append(f"asked {request.url}")

    def _mind_dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def look(self) -> list[str]:
        """Give what was done so far."""
        for page in self._pages:
            with contextlib.suppress(Error):  # closed
                self.faults += page.evaluate("violations.splice(0)")
        return [fault for fault in self.faults if not (self._expected and fault.startswith(self._expected))]


STREAM_ENDED = "[object Event]"  # all that htmx says of it on the console


def refused(*statuses: int) -> list[str]:
    """Give what the browser says on its console of answers with these statuses."""
    return [f"Failed to load resource: the server responded with a status of {status}" for status in statuses]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a tab at a cluster's page, logged in.

    The test fails if the tab, or one opened beside it, does anything that `expected` does not begin.
    """
    with contextlib.ExitStack() as stack:

        def open_one(
            cluster: Cluster,
            path: str = "/",
            size: tuple[int, int] = DESK,
            *,
            login: bool = True,
            expected: Iterable[str] = (),
            **options: Any,
        ) -> Page:
            width, height = size
            context = browser.new_context(
                base_url=cluster.url, viewport={"width": width, "height": height}, **options
            )
            stack.callback(context.close)
            context.set_default_timeout(_SECONDS * 1000)
            minder = Minder(cluster.url, expected)
            minder.mind(context)
            stack.callback(lambda: _assert_none(minder.look()))
            if login:
                context.add_cookies([_cookie(cluster)])
            page = context.new_page()
            if path:
                page.goto(path)
            return page

        yield open_one


def _assert_none(faults: list[str]) -> None:
    assert not faults, faults


def _cookie(cluster: Cluster) -> dict[str, str]:
    """Log in beside the browser, once for each cluster."""
    if "cookie" not in cluster.facts:
        visitor = Visitor(int(cluster.url.rpartition(":")[2]), "127.0.0.1")
        assert visitor.log_in(PASSWORD).status == 303
        ((name, value),) = visitor.cookies.items()
        cluster.facts["cookie"] = {"name": name, "value": value, "url": cluster.url}
    cookie: dict[str, str] = cluster.facts["cookie"]
    return cookie


def addresses(cluster: Cluster) -> list[str]:
    """Give the address of every kind of page that people can see."""
    thread = max(cluster.records("threads"), key=lambda record: record["reply_count"] or 0)
    (comment, *_) = cluster.records("comments")
    with cluster.frontier() as frontier:
        letter = next(iter(frontier.dead()))
    return [
        "/",
        "/queue",
        "/queue/dead",
        f"/queue/letter/{letter.id}",
        f"/queue/find?q={thread['thread_id']}",
        "/queue/find?q=%2F%2F",
        "/data",
        f"/data/forum/{thread['forum_id']}",
        f"/data/thread/{thread['thread_id']}",
        f"/data/post/{comment['post_id']}",
        f"/data/user/{comment['author_id']}",
        f"/data/search?q={thread['thread_id']}",
        "/data/export",
        "/nowhere",
    ]


def truth(cluster: Cluster, forum: str) -> list[dict[str, Any]]:
    """Give what a perfect crawl of a forum stores."""
    address = f"{cluster.site}/replica/truth?forum={urllib.request.quote(forum)}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return [json.loads(line) for line in answer]
