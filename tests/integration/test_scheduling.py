"""The scheduler under spiders that know nothing of it: real Scrapy processes, Redis and web server."""

import contextlib
import json
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from redis import Redis

from frontier.blocking import Frontier
from tests.conftest import ROOT, program

PAGES = 120
LINKS = 4
SECONDS = 60
QUICK = ["-s", "FRONTIER_RETRY_DELAY=0.05", "-s", "FRONTIER_MAX_ATTEMPTS=3", "-s", "RETRY_ENABLED=0"]


class Site:
    """Pages 0 to PAGES - 1, each with links to LINKS others; some answer late, wrongly or elsewhere."""

    def __init__(self):
        self.answers = Counter()
        self.latency = 0.0
        # page -> (slow, seconds), (error, times), (redirect, page), (missing, None) or (unavailable, None)
        self.special = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                site.answer(self)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, handler):
        page = handler.path.strip("/")
        kind, value = self.special.get(page, (None, None))
        time.sleep(value if kind == "slow" else self.latency)
        self.answers[page] += 1
        if kind == "error" and self.answers[page] <= value:
            handler.close_connection = True
            return
        number = int(page) if page.isdecimal() else 0
        links = [n for n in range(number * LINKS + 1, number * LINKS + 1 + LINKS) if n < PAGES]
        body = "".join(f'<a href="/{n}">' for n in links).encode()
        handler.send_response({"redirect": 302, "missing": 404, "unavailable": 503}.get(kind, 200))
        if kind == "redirect":
            handler.send_header("Location", f"/{value}")
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


BELOW_7 = {str(page) for page in (*range(29, 33), *range(117, PAGES))}
ALL_PAGES = {str(number) for number in range(PAGES)}


@pytest.fixture
def site():
    with contextlib.closing(Site()) as site:
        yield site


@pytest.fixture
def crawl(redis_url, tmp_path):
    """Give a function that starts a spider with nothing set but the scheduler and Redis."""
    started = []

    def start(spider, *arguments):
        log = (tmp_path / f"{len(started)}.log").open("w+")
        settings = ["-s", "SCHEDULER=tieba.scheduling.Scheduler", "-s", f"REDIS_URL={redis_url}"]
        settings += [
            "-s",
            "LOG_LEVEL=INFO",
            "-s",
            "TELNETCONSOLE_ENABLED=0",
            "-s",
            "REMOTE_CONTROL_ENABLED=0",
        ]
        command = [program("scrapy"), "crawl", spider, *settings, *arguments]
        environment = {
            "SCRAPY_SETTINGS_MODULE": "tests.integration.spiders.settings",
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
        }
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.log.close()


def end_of(process):
    process.wait(timeout=SECONDS)
    process.log.seek(0)
    output = process.log.read()
    assert process.returncode == 0, output
    return output


def wait_until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def frontier(redis_url):
    with Redis.from_url(redis_url, decode_responses=True, encoding_errors="surrogateescape") as client:
        yield Frontier(client, "tree")


def test_scheduler_setting_alone_shares_a_plain_spider_among_workers(crawl, site):
    workers = [crawl("tree", "-a", f"site={site.url}") for _ in range(2)]
    outputs = [end_of(worker) for worker in workers]
    # Scrapy itself asks for a start URL without deduplication, in every worker.
    assert site.answers == {**dict.fromkeys(ALL_PAGES, 1), "0": 2}
    assert any(f"The crawl is finished: {PAGES + 1} pages done" in output for output in outputs)
    assert all("Traceback" not in output and "Deprecat" not in output for output in outputs)


def test_killed_worker_loses_nothing(crawl, site):
    site.latency = 0.05
    lease = ["-s", "FRONTIER_LEASE_SECONDS=2"]
    victim = crawl("tree", "-a", f"site={site.url}", *lease)
    wait_until(lambda: len(site.answers) > PAGES // 3)
    victim.kill()
    output = end_of(crawl("tree", "-a", f"site={site.url}", *lease))
    assert set(site.answers) == ALL_PAGES
    assert sum(site.answers.values()) - PAGES <= 32  # what it had in hand
    assert "leases had run out" in output


def test_stopped_worker_gives_back_what_it_holds(crawl, site, frontier):
    site.latency = 0.05
    worker = crawl("tree", "-a", f"site={site.url}")
    wait_until(lambda: len(site.answers) > PAGES // 3)
    worker.terminate()
    end_of(worker)
    assert frontier.stats().leased == 0
    assert frontier.stats().queued > 0
    end_of(crawl("tree", "-a", f"site={site.url}"))
    assert site.answers == {**dict.fromkeys(ALL_PAGES, 1), "0": 2}


def test_page_is_done_only_when_its_items_are_through_the_pipelines(crawl, site, frontier):
    worker = crawl("tree", "-a", f"site={site.url}", "-a", "tricks=7:slow")
    wait_until(lambda: len(site.answers) == PAGES - len(BELOW_7))
    wait_until(lambda: frontier.stats().leased == 1)
    time.sleep(0.5)
    assert frontier.stats().leased == 1
    worker.kill()


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        ("callback", "callback: RuntimeError: the callback fails"),
        ("late", "callback: RuntimeError: the callback fails late"),
        ("pipeline", "item pipeline: RuntimeError: the pipeline fails"),
    ],
)
def test_error_in_callback_or_pipeline_fails_the_request(crawl, site, frontier, trick, reason):
    output = end_of(crawl("tree", "-a", f"site={site.url}", "-a", f"tricks=7:{trick}", *QUICK))
    (letter,) = frontier.dead()
    assert site.answers["7"] == letter.attempts == 3
    assert letter.reason.startswith(reason)
    assert json.loads(letter.payload)["url"] == f"{site.url}/7"
    assert "2 attempts repeated" in output
    assert "1 dead letters" in output
    # Its follow-ups are not queued: a page that failed has none.
    assert set(site.answers) == ALL_PAGES - BELOW_7


def test_links_that_cannot_be_kept_are_dead_letters_and_cost_no_others(crawl, site, frontier):
    tricks = "7:lambda,8:surrogate,9:space"
    end_of(crawl("tree", "-a", f"site={site.url}", "-a", f"tricks={tricks}", "-s", "RETRY_ENABLED=0", *QUICK))
    assert site.answers.keys() >= ALL_PAGES
    assert site.answers["lambda"] == 0
    assert site.answers["surrogate"] == 1  # half a character in its cb_kwargs is kept
    reasons = sorted(letter.reason for letter in frontier.dead())
    assert len(reasons) == 2
    assert "cannot be written as JSON" in reasons[1]
    assert "www example" in reasons[0] or "Unsupported" in reasons[0] or "DNS" in reasons[0], reasons[0]


def test_requests_made_from_the_answered_one_take_its_place_in_full(crawl, site, frontier):
    output = end_of(crawl("tree", "-a", f"site={site.url}", "-a", "tricks=7:copy"))
    assert (site.answers["copy"], list(frontier.dead())) == (1, [])
    assert "0 attempts repeated" in output


def test_middleware_that_answers_with_a_request_of_its_own_ends_the_first(crawl, site, frontier):
    middleware = ["-s", 'DOWNLOADER_MIDDLEWARES={"tests.integration.spiders.tree.Elsewhere": 900}']
    end_of(crawl("tree", "-a", f"site={site.url}", *middleware))
    assert site.answers["elsewhere"] == 1
    assert site.answers["7"] == 0
    assert frontier.is_finished()


def test_requests_from_an_idle_handler_are_crawled(crawl, site, frontier):
    end_of(crawl("idle", "-a", f"site={site.url}"))
    assert site.answers == {"100": 1, "101": 1}


def test_start_requests_wait_while_redis_does(crawl, site, start_redis, tmp_path):
    server = start_redis("redis-7.0")
    made = tmp_path / "made"
    worker = crawl("many", "-a", f"site={site.url}", "-a", f"made={made}", "-s", f"REDIS_URL={server.url}")
    wait_until(made.exists)
    server.kill()
    time.sleep(14)  # slowly enough that no pause between two tries brings too many by itself
    stopped_at = made.stat().st_size
    time.sleep(6)
    assert made.stat().st_size == stopped_at
    server.start()
    wait_until(lambda: made.stat().st_size > stopped_at)
    worker.kill()


def test_wrong_password_closes_the_spider_with_one_line(crawl, site, start_redis):
    server = start_redis("redis-7.0", "requirepass secret")
    output = end_of(crawl("tree", "-a", f"site={site.url}", "-s", f"REDIS_URL={server.url}"))
    assert "Redis cannot be used, so the spider ends: " in output
    assert "Traceback" not in output
    params = ["-s", 'REDIS_PARAMS={"password": "secret"}']
    end_of(crawl("tree", "-a", f"site={site.url}", "-s", f"REDIS_URL={server.url}", *params))
    assert set(site.answers) == ALL_PAGES


@pytest.mark.parametrize("setting", ['FRONTIER_LIMITS={"*": 5}', "REDIS_URL=localhost:1"])
def test_mistakes_in_the_settings_are_one_line(crawl, site, setting):
    output = end_of(crawl("tree", "-a", f"site={site.url}", "-s", setting))
    assert "The settings of the frontier cannot be used, so the spider ends: " in output
    assert "Traceback" not in output


def test_server_errors_that_scrapy_has_given_up_are_tried_again_later(crawl, site, frontier):
    site.special = {"7": ("unavailable", None)}
    end_of(crawl("tree", "-a", f"site={site.url}", *QUICK))
    (letter,) = frontier.dead()
    assert "HttpError" in letter.reason
    assert letter.attempts == 3


def test_downloads_that_fail_are_tried_again(crawl, site, frontier):
    site.special = {"7": ("error", 2), "9": ("error", 99)}
    end_of(crawl("tree", "-a", f"site={site.url}", *QUICK))
    (letter,) = frontier.dead()
    assert json.loads(letter.payload)["url"] == f"{site.url}/9"
    assert "Connection was closed" in letter.reason
    assert letter.attempts == 3
    assert "29" in site.answers  # a page below 7


def test_what_scrapy_ignores_is_done(crawl, site, frontier):
    site.special = {"7": ("missing", None)}
    output = end_of(crawl("tree", "-a", f"site={site.url}"))
    assert site.answers["7"] == 1
    assert list(frontier.dead()) == []
    assert "0 attempts repeated" in output


def test_redirects_and_retries_of_scrapy_take_the_place_of_the_request(crawl, site, frontier):
    site.special = {"7": ("redirect", "0?again"), "9": ("error", 1)}
    output = end_of(crawl("tree", "-a", f"site={site.url}"))
    assert site.answers["0?again"] == 1
    assert site.answers["9"] == 2
    assert list(frontier.dead()) == []
    assert "0 attempts repeated" in output


def test_undecodable_entries_go_to_the_dead_letters(crawl, site, frontier):
    frontier.begin()
    for payload in (
        "\udcff",
        "{}",
        '{"url": "http://x/", "callback": "no_such"}',
        '{"target": ["thread", 1, 1]}',
    ):
        frontier.redis.rpush("{tree}:queue:x:5", f"x 5 0 {payload}".encode("utf-8", "surrogateescape"))
    frontier.redis.rpush("{tree}:queue:x:5", "no entry at all")
    frontier.redis.zadd("{tree}:priorities:x", {"5": -5})
    frontier.redis.zadd("{tree}:endpoints", {"x": 0})
    output = end_of(crawl("tree", "-a", f"site={site.url}"))
    assert site.answers == dict.fromkeys(ALL_PAGES, 1)
    reasons = [letter.reason for letter in frontier.dead()]
    assert len(reasons) == 5
    assert sum("cannot be decoded" in reason for reason in reasons) == 4
    assert "Traceback" not in output


@pytest.mark.parametrize("kind", ["list", "set", "zset"])
def test_redis_spider_reads_its_start_urls_while_requests_run(crawl, site, frontier, redis_url, kind):
    site.special = {"0": ("slow", 5.0)}
    settings = {
        "list": [],
        "set": ["-s", "REDIS_START_URLS_AS_SET=1"],
        "zset": ["-s", "REDIS_START_URLS_AS_ZSET=1"],
    }
    worker = crawl("redistree", *settings[kind])
    client, key = frontier.redis, "redistree:start_urls"

    def push(path):
        entry = json.dumps({"url": f"{site.url}/{path}"})
        {"list": client.rpush, "set": client.sadd}.get(kind, lambda key, entry: client.zadd(key, {entry: 1}))(
            key, entry
        )

    push("0")
    wait_until(lambda: not client.exists(key))
    push("50")
    before = time.monotonic()
    wait_until(lambda: site.answers["50"])
    assert time.monotonic() - before < 2.0  # "within a second", on a busy machine
    assert not site.answers["0"]  # which still keeps its place
    worker.terminate()
    end_of(worker)


def test_start_urls_of_two_workers_are_fetched_once(crawl, site, frontier):
    entries = [json.dumps({"url": f"{site.url}/{page}"}) for page in range(30, PAGES)]  # without links
    frontier.redis.rpush("redistree:start_urls", *entries)
    workers = [crawl("redistree") for _ in range(2)]
    wait_until(lambda: len(site.answers) == len(entries))
    for worker in workers:
        worker.terminate()
        end_of(worker)
    assert set(site.answers.values()) == {1}


def test_limits_hold_for_all_workers_together(crawl, site):
    limits = ["-s", 'FRONTIER_LIMITS={"*": [20, 5]}']
    workers = [crawl("tree", "-a", f"site={site.url}", *limits) for _ in range(3)]
    wait_until(lambda: sum(site.answers.values()) > 5)
    begin, before = time.monotonic(), sum(site.answers.values())
    time.sleep(3)
    rate = (sum(site.answers.values()) - before) / (time.monotonic() - begin)
    assert 17 < rate < 22
    for worker in workers:
        worker.kill()
