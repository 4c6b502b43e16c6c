"""The worker without Scrapy: alone, beside one of Scrapy, and killed; and what holds for both engines."""

import json
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from frontier import Request, connect_blocking
from frontier.blocking import Frontier
from tests.conftest import get_json
from tests.integration.commands import ENGINES, crawl, tieba, wait_for
from tests.integration.gateway import gateway

FORUMS = [{"name": "聊天", "pages": 2, "floors_per_thread": 4}]
POSTS_RATE = 20  # requests/s
# Runs `tieba` where Scrapy and what belongs to it cannot be imported.
WITHOUT_SCRAPY = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"scrapy", "scrapy_redis", "twisted", "parsel", "queuelib"}:
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Missing())
from tieba.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.fixture
def quiet_site(site):
    with urllib.request.urlopen(f"{site}/replica/reset", data=b"", timeout=10):
        return site


@pytest.fixture
def before(quiet_site, environment):
    """Give a gateway before the site, of which workers know alone."""
    with gateway(quiet_site) as server:
        environment |= {"TIEBA_API_URL": server.url, "TIEBA_WEB_URL": server.url}
        yield server


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def report_of(environment, site):
    report = tieba(environment, "report", "--json", "--truth", site)
    assert report.returncode == 0, report.stdout[-3000:]
    return json.loads(report.stdout)


@pytest.mark.parametrize(
    "settings",
    [{}, {"TIEBA_API_FORMAT": "protobuf", "TIEBA_STORAGE": "jsonl"}, {"TIEBA_SOURCE": "web"}],
    ids=["json", "protobuf", "web"],
)
def test_a_whole_crawl_needs_no_scrapy(environment, quiet_site, settings):
    environment |= {"TIEBA_API_URL": quiet_site, "TIEBA_WEB_URL": quiet_site} | settings
    command = [sys.executable, "-c", WITHOUT_SCRAPY, "worker", "--forum=聊天", "--pages=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "The crawl is finished: " in done.stderr
    assert report_of(environment, quiet_site)["site"]["repeats"] == 0


def test_workers_of_both_engines_share_a_crawl_and_its_figures(environment, quiet_site, redis_url):
    environment |= {"TIEBA_API_URL": quiet_site, "TIEBA_POSTS_RATE": "10"}
    assert tieba(environment, "seed", "--forum=聊天").returncode == 0
    services = [crawl(environment, "--wait", engine=engine) for engine in ENGINES]

    def both_have_done_something():
        beats = subprocess.check_output(["redis-cli", "-u", redis_url, "hvals", "{tieba}:workers"], text=True)
        workers = [json.loads(beat) for beat in beats.splitlines() if beat]
        return {worker["engine"] for worker in workers if worker["done"]} == {*ENGINES}

    try:
        wait_until(both_have_done_something)
        (slave,) = json.loads(tieba(environment, "status", "--json").stdout)["slaves"]
        assert (slave["processes"], slave["engines"]) == (2, ["scrapy", "urllib"])
        assert (slave["egress"], slave["is_silent"]) == (["test"], False)
        assert 50 < slave["memory_mb"] < 2_000
        assert slave["posts_rate"] > 0
        assert slave["disk_free_mb"] > 0
        status = json.loads(tieba(environment, "status", "--json").stdout)
        (posts,) = [slot for slot in status["slots"] if slot["slot"] == "posts:test"]
        assert (posts["rate"], posts["burst"], posts["workers"], posts["strikes"]) == (10, 10, 2, 0)
        assert 0 < posts["granted"] <= status["requests"]["made"] + status["requests"]["leased"]
        assert [machine["host"] for machine in status["machines"]] == [slave["host"]]
        (slave,) = json.loads(tieba(environment, "status", "--json", "--until-finished").stdout)["slaves"]
        found = report_of(environment, quiet_site)
        assert slave["done"] == found["requests"]["done"] == found["site"]["answers"]
        assert found["site"]["repeats"] == 0
    finally:
        for service in services:
            service.send_signal(signal.SIGTERM)
        outputs = [wait_for(service) for service in services]
    assert all("The crawl is finished: " in output for output in outputs)


def test_the_rate_is_that_of_all_engines_together(environment, serve_replica):
    """The site refuses what exceeds the rate that one worker may have."""
    bounds = {"threads_rate": 1000, "posts_rate": POSTS_RATE * 1.15, "comments_rate": 1000, "burst": 12}
    site = serve_replica(forums=FORUMS, faults=bounds)
    environment |= {"TIEBA_API_URL": site, "TIEBA_POSTS_RATE": str(POSTS_RATE), "TIEBA_BURST": "10"}
    assert tieba(environment, "seed", "--forum=聊天", "--pages=1").returncode == 0
    started = time.monotonic()
    for worker in [crawl(environment, engine=engine) for engine in ENGINES]:
        wait_for(worker)
    found = report_of(environment, site)
    assert set(found["outcomes"]) <= {"ok", "deleted", "empty"}
    pages = get_json(f"{site}/replica/stats")["by_kind"]["thread"]
    assert pages > 80
    assert time.monotonic() - started > (pages - 10) / POSTS_RATE


@pytest.mark.parametrize("engine", ["urllib"])
def test_a_killed_worker_loses_nothing(environment, before, quiet_site, engine):
    environment |= {"TIEBA_LEASE_SECONDS": "2"}
    worker = crawl(environment, "-a", "forum=聊天", engine=engine)
    wait_until(lambda: get_json(f"{quiet_site}/replica/stats")["by_kind"]["thread"] > 20)
    before.held.set()  # it dies with answers on their way
    wait_until(lambda: before.held_back >= 10)
    worker.kill()
    worker.communicate()
    before.held.clear()
    wait_for(crawl(environment, engine=engine))
    found = report_of(environment, quiet_site)
    assert found["requests"]["expired"] >= 10
    assert found["complete"]


def test_a_second_signal_ends_at_once_and_gives_back(environment, before):
    worker = crawl(environment, "-a", "forum=聊天", engine="urllib")
    wait_until(lambda: before.robots_asked)
    before.held.set()
    wait_until(lambda: before.held_back)
    worker.send_signal(signal.SIGINT)
    time.sleep(1)
    assert worker.poll() is None, "it did not wait for what is under way"
    worker.send_signal(signal.SIGINT)
    output, _ = worker.communicate(timeout=10)
    assert worker.returncode == 130
    assert "Received SIGINT again" in output
    assert "Traceback" not in output
    requests = json.loads(tieba(environment, "status", "--json").stdout)["requests"]
    assert requests["leased"] == 0
    assert requests["queued"] > 0


@pytest.mark.parametrize("source", ["api", "web"])
def test_compressed_answers_are_read(environment, before, quiet_site, engine, source):
    before.compresses = True
    before.robots = (200, b"User-agent: *\nDisallow: /nothing\n")
    environment |= {"TIEBA_SOURCE": source}
    wait_for(crawl(environment, "-a", "forum=聊天", "-a", "pages=1"))
    assert report_of(environment, quiet_site)["site"]["repeats"] == 0


def test_robots_txt_is_obeyed(environment, before, quiet_site, engine):
    """It forbids the pages of threads."""
    before.robots = (200, b"User-agent: tieba-crawler\nDisallow: /p/\n")
    environment |= {"TIEBA_SOURCE": "web"}
    output = wait_for(crawl(environment, "-a", "forum=聊天", "-a", "pages=1"))
    assert "forbidden: Forbidden by robots.txt (obey_robots is on; it can be set to false)" in output
    assert before.robots_asked == 1
    assert get_json(f"{quiet_site}/replica/stats")["by_kind"] == {"forum": 1, "thread": 0, "comments": 0}


def test_nothing_is_fetched_while_robots_txt_cannot_be_read(environment, before, quiet_site, engine):
    before.robots = (503, b"")
    environment |= {"TIEBA_RETRY_DELAY": "0.2"}
    worker = crawl(environment, "-a", "forum=聊天", "-a", "pages=1")
    wait_until(lambda: before.robots_asked >= 2)
    assert get_json(f"{quiet_site}/replica/stats")["answers"] == 0
    before.robots = (404, b"")
    assert "RobotsUnavailable" in wait_for(worker)
    assert report_of(environment, quiet_site)["complete"]


@pytest.mark.parametrize(
    ("variable", "value", "status", "told"),
    [
        ("TIEBA_PICTURES", "true", 2, "pictures is true: the urllib engine fetches none"),
        ("TIEBA_SCHEDULER", "scrapy_redis", 2, "the urllib engine works with the frontier alone"),
        ("TIEBA_REDIS_URL", "redis://127.0.0.1:1/0", 1, "Redis at 127.0.0.1:1 does not answer"),
        ("TIEBA_MONGODB_URL", "mongodb://127.0.0.1:1/x", 1, "MongoDB does not answer"),
    ],
)
def test_what_cannot_be_used_is_one_line(environment, variable, value, status, told):
    environment |= {variable: value}
    output, _ = (worker := crawl(environment, engine="urllib")).communicate(timeout=30)
    assert (worker.returncode, told in output, len(output.splitlines())) == (status, True, 1), output


def test_entries_that_nobody_has_written_are_dead_letters(environment, quiet_site, redis_url):
    environment |= {"TIEBA_API_URL": quiet_site}
    frontier = Frontier(connect_blocking(redis_url), "tieba")
    frontier.begin()
    frontier.push(
        Request("posts", payload)
        for payload in ("nonsense", "[]", '{"target":["thread","x",1]}', '{"target":["thread_comments",1,1]}')
    )
    output = wait_for(crawl(environment, engine="urllib"))
    assert output.count("queue entry cannot be decoded") == 4
    assert frontier.stats().dead == 4
    frontier.redis.close()


def test_nothing_to_do_ends_at_once(environment):
    started = time.monotonic()
    output = wait_for(crawl(environment, engine="urllib"))
    assert "Nothing to do: no crawl is running and no seed waits" in output
    assert time.monotonic() - started < 10
