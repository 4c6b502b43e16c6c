"""`tieba queue` with a real Redis, and jobs that the real scrapy-redis has filled."""

import contextlib
import json
import os
import pickle
import pty
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
import scrapy_redis.scheduler
from redis import Redis
from scrapy import FormRequest, Request, Spider
from scrapy.utils.test import get_crawler

import frontier
from frontier import connect_blocking, operations
from frontier.blocking import Frontier
from frontier.client import Frontier as AsyncFrontier
from frontier.job import Job
from tests.conftest import program
from tieba.cli import main
from tieba.codec import LEASE, Codec
from tieba.config import Config
from tieba.errors import Unusable
from tieba.finding import find
from tieba.migration import Migration
from tieba.pages import CommentPage, Fetch, ForumPage, Scope, ThreadPage
from tieba.requests import make_request, target_of
from tieba.stock import stock_settings


@pytest.fixture
def queue(environment, monkeypatch, capsys):
    """Run `tieba queue` in this process, which takes a tenth of the time."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, **environ):
        with monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            try:
                returncode = main(["queue", *arguments])
            except SystemExit as error:
                returncode = error.code
        told = capsys.readouterr()
        return SimpleNamespace(returncode=returncode, stdout=told.out, stderr=told.err)

    return run


@pytest.fixture
def server(redis_url):
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def shared(redis_url):
    """Give the frontier of the job `tieba`."""
    client = connect_blocking(redis_url)
    yield Frontier(client, "tieba", frontier.Policy(max_attempts=1))
    client.close()


class Shop(Spider):
    name = "shop"

    def parse_page(self, response):
        """The callback of the requests in these tests."""


SHOP = Shop()


class Tieba(Spider):
    name = "tieba"


def crawler_of(spider, **settings):
    crawler = get_crawler(spider, settings)
    crawler.spider = crawler._create_spider()
    return crawler


def codec_of(spider):
    return Codec(crawler_of(spider, TIEBA_CONFIG=Config()))


def request(target, pages=None, **kwargs):
    return make_request(Fetch(target, Scope(last_page=pages)), Config(), **kwargs)


# For people.


def fill(shared):
    """Queue a forum's list, a thread and comments; the thread fails."""
    codec = codec_of(Tieba)
    requests = [
        request(ForumPage("聊天"), 20, is_seed=True),
        request(ForumPage("聊天", 2), 20),
        request(ThreadPage(7777)),
        request(ThreadPage(7777, 2)),
        request(CommentPage(7777, 70)),
        Request("http://example.com/?b=1&a=2"),
    ]
    shared.begin()
    shared.push([codec.pack(item) for item in requests])
    leased = shared.lease(2, "slave1:1")
    for lease in leased.leases:
        if "7777" in lease.payload:
            shared.fail("slave1:1", lease.id, "HTTP 500: 错误")
    return leased


def test_peek_shows_the_next_requests_and_the_dead_letters(queue, shared):
    fill(shared)
    found = json.loads(queue("peek", "--json").stdout)
    assert {"endpoint": "threads", "priority": 0, "attempts": 0, "request": ["forum", "聊天", 2]} in found
    assert len(found) == 4
    told = queue("peek", "1").stdout
    assert "http://example.com/?b=1&a=2" in told
    assert "forum '聊天' page 2" in told

    (letter,) = json.loads(queue("peek", "--dead", "--json").stdout)
    assert letter["at"] == pytest.approx(time.time(), abs=60)
    assert (letter["attempts"], letter["reason"]) == (1, "HTTP 500: 错误")
    told = queue("peek", "--dead").stdout
    assert "comments of post 70 page 1" in told
    assert letter["id"] in told


def test_stats_count_everything(queue, shared):
    fill(shared)
    shared.pause("posts:test", 60, "verification")
    found = json.loads(queue("stats", "--json").stdout)
    assert {"endpoint": "posts", "priority": 10, "count": 2} in found["queued"]
    assert found["leased"] == {"slave1:1": 1}
    assert found["dead"] == {"HTTP 500: 错误": 1}
    assert found["seen"]["count"] == 6
    assert found["seen"]["bytes_each"] > 8
    assert found["paused"][0]["reason"] == "verification"
    told = queue("stats").stdout
    for text in ("priority 10", "by slave1:1", "HTTP 500: 错误", "bytes each", "posts:test: verification"):
        assert text in told


def test_an_empty_queue_is_told_of(queue):
    assert "nothing is queued" in queue("peek").stdout
    assert "no dead letters" in queue("peek", "--dead").stdout
    assert "leased   0" in queue("stats").stdout
    assert json.loads(queue("stats", "--json").stdout)["seen"]["bytes_each"] is None
    assert "nothing of tieba" in queue("drop").stdout


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--all"], 4),
        (["--id", "1"], 1),
        (["--id", "1", "2", "99"], 2),
        (["--reason", "HTTP 500"], 2),
        (["--endpoint", "posts"], 1),
        (["--thread", "7777"], 2),
        (["--thread", "7777", "--reason", "HTTP 404"], 1),
        (["--forum", "聊天"], 1),
        (["--forum", "显卡"], 0),
    ],
)
def test_retry_queues_the_letters_that_fit(queue, shared, options, count):
    codec = codec_of(Tieba)
    for item, reason in [
        (request(ForumPage("聊天", 2)), "HTTP 500"),
        (request(ThreadPage(7777)), "HTTP 404"),
        (request(CommentPage(7777, 70)), "HTTP 500"),
        (Request("http://example.com/"), "DNS"),
    ]:
        shared.push([codec.pack(item)])
        (lease,) = shared.lease(1, "me").leases
        shared.fail("me", lease.id, reason)
    assert queue("retry", *options).stdout == f"{count} of 4 dead letters are queued again\n"
    assert (shared.stats().queued, shared.stats().dead) == (count, 4 - count)


def test_a_crawl_is_held_and_goes_on(queue, shared):
    assert "no crawl is running" in queue("hold").stderr
    assert "scheduler is scrapy_redis" in queue("hold", TIEBA_SCHEDULER="scrapy_redis").stderr
    fill(shared)
    assert queue("hold", "--reason", "维护 maintenance").returncode == 0
    assert shared.lease(5, "slave2:1").leases == ()
    assert "The crawl goes on" in queue("go-on").stdout
    assert len(shared.lease(5, "slave2:1").leases) == 4
    assert "was not held" in queue("go-on").stdout


def test_requests_get_another_priority(queue, shared):
    shared.begin()
    shared.push([frontier.Request("posts", f"old {number}", 10) for number in range(2_500)])
    shared.push([frontier.Request("posts", "first", 40)])
    told = queue("reprioritize", "posts", "10", "40").stdout
    assert told == "2500 requests of posts have priority 40 now\n"
    assert [(one.priority, one.count) for one in shared.stats().queues] == [(40, 2_501)]
    payloads = [lease.payload for lease in shared.lease(1_000, "me").leases]
    assert payloads == ["first", *(f"old {number}" for number in range(999))]
    assert queue("reprioritize", "posts", "10", "-5").stdout.startswith("0 requests")


def test_find_tells_where_the_requests_for_something_are(queue, shared):
    fill(shared)
    shared.push([codec_of(Tieba).pack(request(ThreadPage(77771)))])
    run = queue("find", "--thread", "7777", "--json")
    assert run.returncode == 0
    found = json.loads(run.stdout)
    assert (found["target"], found["seen"]) == (["thread", 7777, 1], True)
    assert found["looked_at"] == found["of"] == 7
    assert [entry["request"] for entry in found["dead"]] == [["comments", 7777, 70, 1]]
    assert found["dead"][0]["reason"] == "HTTP 500: 错误"
    assert [(entry["request"], entry["position"]) for entry in found["queued"]] == [
        (["thread", 7777, 1], 0),
        (["thread", 7777, 2], 1),
    ]
    found = json.loads(queue("find", "--forum", "聊天", "--json").stdout)
    assert [(entry["request"], entry["owner"]) for entry in found["leased"]] == [
        (["forum", "聊天", 1], "slave1:1")
    ]
    assert found["leased"][0]["since"] == pytest.approx(time.time(), abs=30)
    told = queue("find", "--url", "https://tieba.baidu.com/f?kw=聊天").stdout
    assert "forum '聊天' page 1 was" in told
    assert "by slave1:1" in told
    told = queue("find", "--url", "http://example.com/?b=1&a=2").stdout
    assert "was seen" in told
    assert "queued" in told
    run = queue("find", "--thread", "5")
    assert (run.returncode, run.stdout) == (1, "thread 5 page 1 was never seen\n")


def test_find_looks_through_a_large_queue(queue, shared):
    shared.push([frontier.Request("posts", f'{{"target":["thread",{n},1]}}', 10) for n in range(32_000)])
    shared.push([frontier.Request("threads", f'{{"target":["thread",{n},2]}}', 10) for n in range(40_000)])
    found = json.loads(queue("find", "--thread", "31999", "--json").stdout)
    places = [(entry["endpoint"], entry["position"]) for entry in found["queued"]]
    assert places == [("posts", 31_999), ("threads", 31_999)]
    assert found["looked_at"] == found["of"] == 72_000
    told = queue("find", "--thread", "999999").stdout
    assert told == "thread 999999 page 1 was never seen\n"


async def test_a_search_misses_nothing_while_workers_lease(redis_url):
    async with contextlib.aclosing(frontier.connect(redis_url)) as redis:
        shared = AsyncFrontier(redis, "tieba")
        await shared.begin()
        await shared.push(
            [frontier.Request("posts", f'{{"target":["thread",{n},1]}}', 10) for n in range(40_000)]
        )
        for wanted in (10_100, 29_990, 39_999):
            target, after, found = ThreadPage(wanted), None, []
            for _ in range(10):
                piece = await find(Job(shared), target, after)
                found += [entry["request"] for entry in piece["queued"]]
                after = piece["next"]
                if after is None:
                    break
                await shared.lease(200, f"worker {wanted}")  # so that the rest moves forward
            assert after is None
            assert found == [["thread", wanted, 1]]


def test_forget_lets_pages_be_queued_again(queue, shared):
    fill(shared)
    codec = codec_of(Tieba)

    def again(*requests):
        return shared.push([codec.pack(item) for item in requests])

    thread = [request(ThreadPage(7777, page)) for page in (1, 2)]
    comments = request(CommentPage(7777, 70))
    assert again(*thread, comments) == 0
    assert queue("forget", "--thread", "7777", "--page", "2").stdout == "1 requests are forgotten\n"
    assert again(*thread, comments) == 1
    assert queue("forget", "--thread", "7777").stdout == "2 requests are forgotten\n"
    assert again(*thread, comments) == 2
    assert queue("forget", "--thread", "7777", "--post", "70").returncode == 0
    assert again(*thread, comments) == 1
    assert queue("forget", "--url", "http://example.com/?a=2&b=1#top").returncode == 0
    assert again(Request("http://example.com/?b=1&a=2")) == 1
    assert queue("forget", "--url", "https://tieba.baidu.com/p/7777").stdout.startswith("2 requests")

    run = queue("forget", "--forum", "显卡")
    assert (run.returncode, run.stdout) == (1, "nothing of that was seen\n")


def test_a_forum_that_is_forgotten_can_be_seeded_again(queue, shared, server):
    fill(shared)
    server.sadd("{tieba}:seeds", '{"forum": "聊天", "pages": 20}', '{"forum": "显卡"}')
    assert queue("forget", "--forum", "聊天").stdout == "2 requests are forgotten\n"
    assert server.smembers("{tieba}:seeds") == {'{"forum": "显卡"}'.encode()}
    assert shared.push([codec_of(Tieba).pack(request(ForumPage("聊天"), 20, is_seed=True))]) == 1


def test_drop_removes_the_job_after_it_was_confirmed(queue, shared, server, environment):
    fill(shared)
    server.rpush("tieba:start_urls", "x")
    run = queue("drop")
    assert run.returncode == 2
    assert "4 queued, 1 leased, 0 delayed, 1 dead, 6 seen requests, 1 seeds" in run.stderr
    assert "--yes" in run.stderr
    for answer, status in (("\x04", 1), ("n", 1), ("y", 0)):
        assert server.keys()
        assert on_terminal([program("tieba"), "queue", "drop"], answer, environment) == status
    assert server.keys() == []

    fill(shared)
    assert queue("drop", "--yes").returncode == 0
    assert server.keys() == []


def on_terminal(command, answer, environment):
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, environment)
    os.write(terminal, f"{answer}\n".encode())
    with contextlib.suppress(OSError):  # the child has closed its end
        while os.read(terminal, 1000):
            pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "required: COMMAND"),
        (["peek", "many"], "tieba queue peek: N must be a number from 1 on, not 'many'"),
        (["retry"], "say which: --id, --reason, --endpoint, --forum, --thread, or --all"),
        (["retry", "--all", "--id", "1"], "say which"),
        (["retry", "--thread", "x"], "--thread must be the number of a thread"),
        (["forget"], "one of the arguments --forum --thread --url is required"),
        (["find"], "one of the arguments --forum --thread --url is required"),
        (["find", "--url", "example"], "--url must be an address like https://example.com/1, not 'example'"),
        (["reprioritize", "posts", "high", "1"], "argument OLD: invalid int value: 'high'"),
        (["reprioritize", "posts", "1", "1"], "the new priority is the old one, 1"),
        (["reprioritize", "posts", "1", "9999999999"], "a priority is between"),
        (["forget", "--thread", "7777", "--page", "0"], "--page must be a number from 1 on, not '0'"),
        (["forget", "--forum", "x", "--post", "70"], "--post 70 needs --thread"),
        (["forget", "--url", "http://x/", "--page", "2"], "--page 2 needs --forum or --thread"),
        (
            ["forget", "--url", "example"],
            "--url must be an address like https://example.com/1, not 'example'",
        ),
    ],
)
def test_mistakes_are_one_line_with_status_2(queue, arguments, told):
    run = queue(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert told in run.stderr
    assert len(run.stderr.splitlines()) == 1


COMMANDS = (
    ["peek"], ["peek", "--dead"], ["stats"], ["retry", "--all"], ["forget", "--thread", "1"], ["drop"],
    ["migrate"], ["find", "--thread", "1"], ["hold"], ["go-on"], ["reprioritize", "posts", "1", "2"],
)  # fmt: skip


def test_stats_and_migrate_work_on_every_kind_of_redis(queue, any_redis_url):
    with contextlib.closing(connect_blocking(any_redis_url)) as client:
        for number in range(250):
            client.lpush("tieba:requests", json.dumps({"url": f"http://x/{number}"}))
        client.sadd("tieba:dupefilter", *(f"{number:040x}" for number in range(3000)))
    assert "250 requests and 3000 that" in queue("migrate", TIEBA_REDIS_URL=any_redis_url).stdout
    found = json.loads(queue("stats", "--json", TIEBA_REDIS_URL=any_redis_url).stdout)
    assert found["queued"] == [{"endpoint": "x", "priority": 0, "count": 250}]
    assert found["seen"]["count"] == 3250
    assert 8 < found["seen"]["bytes_each"] < 11
    assert "seen     3250" in queue("stats", TIEBA_REDIS_URL=any_redis_url).stdout
    assert "http://x/0" in queue("peek", TIEBA_REDIS_URL=any_redis_url).stdout
    assert queue("drop", "--yes", TIEBA_REDIS_URL=any_redis_url).returncode == 0
    with contextlib.closing(connect_blocking(any_redis_url)) as client:
        assert list(client.scan_iter()) == []


@pytest.mark.parametrize("arguments", COMMANDS)
def test_what_redis_says_is_one_line_with_status_1(queue, server, redis_server, arguments):
    for name in ("endpoints", "dead", "seen", "leases", "crawl"):
        server.set(f"{{tieba}}:{name}", "x")
    server.zadd("tieba:requests", {"x": 1})
    for told, url in {
        "is redis-server running there?": "redis://127.0.0.1:1/0",
        "refuses user and password": f"redis://crawler:secret@127.0.0.1:{redis_server}/0",
        "WRONGTYPE": f"redis://127.0.0.1:{redis_server}/0",
    }.items():
        run = queue(*arguments, TIEBA_REDIS_URL=url)
        assert (run.returncode, run.stdout) == (1, "")
        assert told in run.stderr
        assert len(run.stderr.splitlines()) == 1
        assert "secret" not in run.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["peek"],
        ["stats"],
        ["find"],
        ["hold"],
        ["go-on"],
        ["reprioritize"],
        ["retry"],
        ["forget"],
        ["drop"],
        ["migrate"],
    ],
)
def test_help_has_an_example(queue, command):
    run = queue(*command, "--help")
    assert run.returncode == 0
    assert "example: tieba queue" in run.stdout


# From scrapy-redis.


def scrapy_redis_job(redis_url, spider=Shop, **settings):
    """Open the scheduler of a worker of scrapy-redis."""
    defaults = {"DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter", "SCHEDULER_PERSIST": True}
    crawler = crawler_of(spider, **defaults | {"REDIS_URL": redis_url, **settings})
    scheduler = scrapy_redis.scheduler.Scheduler.from_crawler(crawler)
    scheduler.open(crawler.spider)
    return scheduler


def page(number, **options):
    return Request(f"http://example.com/{number}?b=1&a=二", callback=SHOP.parse_page, **options)


def requests_of_a_shop():
    return [
        page(1),
        page(2, priority=5, headers={"A": "b"}, cookies={"c": "d"}, meta={"depth": 2, "raw": b"\xff"}),
        FormRequest("http://shop.example/", formdata={"a": "1"}, callback=SHOP.parse_page, priority=-3),
        page(3, dont_filter=True),
        page(3, dont_filter=True),  # one in the sorted set, two in a list
    ]


@pytest.fixture
def migrate(queue):
    """Run `tieba queue migrate` for the job `shop`."""

    def run(*arguments):
        return queue("migrate", *arguments, TIEBA_JOB="shop")

    return run


@pytest.fixture
def shop(redis_url):
    client = connect_blocking(redis_url)
    yield Frontier(client, "shop")
    client.close()


def taken_out(shop, spider=Shop):
    """Lease everything; gives the requests as a worker of the frontier makes them."""
    leases = [lease for _ in range(50) for lease in shop.lease(1, "me").leases]
    codec = codec_of(spider)
    return [codec.unpack(lease) for lease in leases]


def plain(item):
    """Give what of a request is to arrive."""
    meta = {key: value for key, value in item.meta.items() if key != LEASE}
    return item.replace(meta=meta).to_dict(spider=SHOP)


@pytest.mark.parametrize("kind", ["PriorityQueue", "FifoQueue", "LifoQueue"])
def test_a_job_of_scrapy_redis_is_taken_over(migrate, redis_url, server, shop, kind):
    stock = scrapy_redis_job(redis_url, SCHEDULER_QUEUE_CLASS=f"scrapy_redis.queue.{kind}")
    done = [page(number) for number in range(100, 110)]
    for item in done:
        stock.enqueue_request(item)
    for _ in done:
        stock.next_request()
    queued = requests_of_a_shop()
    for item in queued:
        assert stock.enqueue_request(item)
    if kind == "PriorityQueue":
        queued.pop()

    run = migrate()
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{len(queued)} requests and 13 that were seen are taken over from shop\n"
    assert not server.exists("shop:requests", "shop:dupefilter")
    assert shop.stats().seen == 13
    codec = codec_of(Shop)
    assert shop.push([codec.pack(item) for item in [*done, *queued] if not item.dont_filter]) == 0
    assert shop.push([codec.pack(page(4))]) == 1  # what was never seen is
    found = taken_out(shop)
    new = next(item for item in found if "/4" in item.url)
    found.remove(new)
    assert [item.priority for item in found] == sorted((item.priority for item in queued), reverse=True)
    assert sorted(map(repr, map(plain, found))) == sorted(map(repr, map(plain, queued)))
    assert type(found[-1]) is FormRequest
    assert shop.stats().dead == 0


def test_the_stock_scheduler_of_this_project_is_taken_over(queue, redis_url, server, shared):
    stock = scrapy_redis_job(redis_url, Tieba, **stock_settings(Config()))
    targets = [ForumPage("聊天", 2), ThreadPage(7777), CommentPage(7777, 70)]
    for target in targets:
        stock.enqueue_request(request(target))
    assert target_of(stock.next_request()) == targets[2]
    stock.enqueue_request(request(ForumPage("聊天"), 20, is_seed=True))
    shared.begin()  # as this scheduler does with the first seed

    assert "3 requests and 4 that were seen" in queue("migrate").stdout
    codec = codec_of(Tieba)
    assert shared.push([codec.pack(request(target)) for target in targets]) == 0
    assert shared.push([codec.pack(request(ForumPage("聊天"), 20, is_seed=True))]) == 0
    assert [target_of(item) for item in taken_out(shared, Tieba)] == [ForumPage("聊天"), *targets[1::-1]]
    assert json.loads(queue("peek", "--json").stdout) == []


class Touches:
    """Writes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("kind", ["zset", "list"])
def test_what_is_no_plain_request_goes_to_the_dead_letters_and_does_not_run(
    migrate, redis_url, server, shop, tmp_path, kind
):
    path = tmp_path / "ran"
    nested = pickle.dumps({"url": "http://x/", "meta": {"a": []}})
    assert nested.endswith(b"]\x94su.")
    entries = {
        b"neither": b"neither",
        b"JSON": b'{"no": "url"}',
        b"needs more": pickle.dumps(Touches(path)),
        b"GLOBAL": pickle.dumps({"url": "http://x/", "meta": {"a": Touches(path)}}, 2),
        b"something else": pickle.dumps(["http://x/"]),
        b"refused": b"\x80\x04r\xff\xff\xff\xff.",
        b"scheme": pickle.dumps({"url": "no address"}),
        b"recursion": nested.replace(b"]\x94su.", b"]" * 5000 + b"a" * 4999 + b"su."),
        b"1048576": pickle.dumps({"url": "http://x/", "body": b"x" * 2**20}),
        b"priority": pickle.dumps({"url": "http://x/", "priority": "high"}),
        b"target": json.dumps({"url": "http://x/", "meta": {"fetch": {"target": ["thread", 1, 1]}}}).encode(),
    }
    for entry in entries.values():
        server.zadd("shop:requests", {entry: 0}) if kind == "zset" else server.lpush("shop:requests", entry)
    scrapy_redis_job(
        redis_url,
        SCHEDULER_QUEUE_CLASS=f"scrapy_redis.queue.{'PriorityQueue' if kind == 'zset' else 'FifoQueue'}",
    ).enqueue_request(page(1))

    run = migrate()
    assert run.returncode == 0, run.stderr
    assert (
        f"1 requests and 1 that were seen are taken over from shop; {len(entries)} entries are refused"
        in run.stdout
    )
    assert not path.exists()
    letters = list(shop.dead())
    assert len(letters) == len(entries)
    assert all(
        letter.reason.startswith("not taken over: ") and len(letter.payload) < 2100 for letter in letters
    )
    for what in (
        "neither a pickled",
        "needs more than plain values: STACK_GLOBAL",
        "too much memory",
        "GLOBAL",
    ):
        assert any(what in letter.reason for letter in letters), what
    assert len(taken_out(shop)) == 1


def test_names_of_classes_in_entries_are_not_imported_by_workers(migrate, server, shop):
    for name in ("os.system", "subprocess.Popen", "antigravity.fly", "scrapy.Spider"):
        server.zadd("shop:requests", {pickle.dumps({"url": "http://x/", "_class": name}): 0})
    assert migrate().returncode == 0
    codec = codec_of(Shop)
    for lease in shop.lease(10, "me").leases:
        with pytest.raises(ValueError, match="no class of requests"):
            codec.unpack(lease)


def test_a_dry_run_only_counts_and_keep_leaves_the_old_keys(migrate, redis_url, server, shop):
    stock = scrapy_redis_job(redis_url)
    for number in range(250):
        stock.enqueue_request(page(number, dont_filter=number % 2 == 0))
    server.zadd("shop:requests", {"x": 1})
    before = server.zrange("shop:requests", 0, -1), server.smembers("shop:dupefilter")
    run = migrate("--dry-run")
    told = "250 requests and 125 that were seen would be taken over from shop; 1 entries would be refused"
    assert told in run.stdout
    assert server.keys() == [b"shop:requests", b"shop:dupefilter"] or len(server.keys()) == 2

    assert "250 requests" in migrate("--keep").stdout
    assert (server.zrange("shop:requests", 0, -1), server.smembers("shop:dupefilter")) == before
    assert shop.stats().queued == 250


@pytest.mark.parametrize("kind", ["PriorityQueue", "FifoQueue"])
def test_a_migration_that_is_killed_goes_on_where_it_was(redis_url, server, shop, environment, migrate, kind):
    stock = scrapy_redis_job(redis_url, SCHEDULER_QUEUE_CLASS=f"scrapy_redis.queue.{kind}")
    count = 3000
    for number in range(count):
        stock.enqueue_request(page(number, dont_filter=number % 2 == 0))
    kills = 0
    while kills < 3:
        with subprocess.Popen(
            [program("tieba"), "queue", "migrate"], env=environment | {"TIEBA_JOB": "shop"}
        ) as run:
            left = len(stock.queue) - 400
            while run.poll() is None and len(stock.queue) > left:
                time.sleep(0.005)
            kills += run.poll() is None
            run.kill()
    assert 0 < len(stock.queue) < count
    assert migrate().returncode == 0
    urls = [lease.payload for _ in range(8) for lease in shop.lease(1000, "me").leases]
    assert len(urls) == len(set(urls)) == count


async def test_nothing_is_doubled_when_it_stops_before_anything_is_removed(redis_url, redis, shop):
    """As when it dies between the push of a batch and the removal of its entries."""
    stock = scrapy_redis_job(redis_url, SCHEDULER_QUEUE_CLASS="scrapy_redis.queue.FifoQueue")
    for item in requests_of_a_shop():
        stock.enqueue_request(item)
    stock.server.lpush("shop:requests", "x")
    job = Job(AsyncFrontier(redis, "shop"))
    for keep in (True, False, False):
        await redis.hset("{shop}:crawl", "migrating", "shop")
        migration = Migration(job, "shop", keep=keep)
        await migration.prepare()
        await migration.run(lambda count: None)
    stats = shop.stats()
    assert (stats.queued, stats.dead, stats.seen) == (5, 1, 3)


def test_interrupted_by_its_user_it_says_how_to_go_on(redis_url, environment):
    stock = scrapy_redis_job(redis_url)
    for number in range(5000):
        stock.enqueue_request(page(number))
    command = [program("tieba"), "queue", "migrate"]
    with subprocess.Popen(
        command, env=environment | {"TIEBA_JOB": "shop"}, stderr=subprocess.PIPE, text=True
    ) as run:
        while len(stock.queue) == 5000:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=30)
    assert (run.returncode, told) == (130, "tieba queue migrate: interrupted; run it again to go on\n")


async def test_it_stops_when_somebody_else_takes_requests(redis_url, redis):
    stock = scrapy_redis_job(redis_url)
    for number in range(250):
        stock.enqueue_request(page(number))
    migration = Migration(Job(AsyncFrontier(redis, "shop")), "shop")
    await migration.prepare()
    read = migration._read

    async def read_slowly(start):
        batch = await read(start)
        stock.next_request()
        return batch

    migration._read = read_slowly
    with pytest.raises(Unusable, match="somebody else takes requests from shop:requests"):
        await migration.run(lambda count: None)


def test_migrate_refuses_what_does_not_fit(queue, migrate, redis_url, server, shop):
    def refused(told, run):
        assert (run.returncode, run.stdout) == (1, "")
        assert told in run.stderr
        assert len(run.stderr.splitlines()) == 1

    refused("neither shop:requests nor shop:dupefilter exists", migrate())
    refused("neither other:requests nor", migrate("--from", "other"))
    server.set("shop:dupefilter", "a Bloom filter")
    refused("shop:dupefilter is a string, not a set", migrate())
    server.delete("shop:dupefilter")
    scrapy_redis_job(redis_url).enqueue_request(page(1))

    beat = {"host": "slave1", "rate": 0, "leased": 0, "version": "1", "scheduler": "scrapy_redis"}
    shop.run(operations.beat("slave1:1", beat, "", "", 0, {}))
    refused("workers of scrapy-redis are alive on slave1: deploy with crawler_scheduler: frontier", migrate())
    shop.run(operations.beat("slave1:1", beat | {"scheduler": "frontier"}, "", "", 0, {}))

    shop.begin()
    shop.push([frontier.Request("pages", "x")])
    refused("a crawl of shop has requests: wait for its end (tieba status), or remove it", migrate())
    assert queue("drop", "--yes", TIEBA_JOB="shop").returncode == 0
    assert migrate().returncode == 0


def test_the_user_of_redis_has_to_be_allowed_to(queue, redis_url, server, redis_server):
    server.execute_command("ACL SETUSER crawler on >x ~{tieba}:* +@all")
    try:
        run = queue("migrate", TIEBA_REDIS_URL=f"redis://crawler:x@127.0.0.1:{redis_server}/0")
    finally:
        server.execute_command("ACL DELUSER crawler")
    assert run.returncode == 1
    assert "may not use the keys of tieba: name one who may, e.g. TIEBA_REDIS_URL=redis://admin" in run.stderr
