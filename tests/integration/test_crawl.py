"""Whole crawls: real worker processes of both engines, Redis, MongoDB and the stand-in site."""

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime

import pytest

from frontier import Frontier, connect
from frontier.job import Job
from tests.conftest import free_port, get_json, running
from tests.integration.commands import ENGINES, crawl, tieba, wait_for
from tests.integration.gateway import gateway
from tieba.samples import sample_name

FORUMS = [{"name": "聊天", "pages": 2, "floors_per_thread": 4}]
FAULTS = {
    "threads_rate": 40,
    "posts_rate": 60,
    "comments_rate": 60,
    "burst": 20,
    "rate_limit_answer": "mixed",
    "verification_share": 0.01,
    "error_share": 0.1,
}
QUICK = {"TIEBA_FIRST_PAUSE": "0.2", "TIEBA_RETRY_DELAY": "0.2"}


@pytest.fixture(scope="module")
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.fixture
def quiet_site(site):
    with urllib.request.urlopen(f"{site}/replica/reset", data=b"", timeout=10):
        return site


@pytest.mark.parametrize("engines", [("scrapy", "scrapy"), ("urllib", "urllib"), ENGINES], ids=" and ".join)
def test_two_workers_fetch_everything_once(environment, quiet_site, engines):
    environment |= {"TIEBA_API_URL": quiet_site}
    # Once: a worker that starts when another has finished would begin with its own seed anew.
    assert tieba(environment, "seed", "--forum=聊天", "--pages=2").returncode == 0
    workers = [crawl(environment, engine=engine) for engine in engines]
    outputs = [wait_for(worker) for worker in workers]
    assert all("The crawl is finished" in output for output in outputs)

    report = tieba(environment, "report", "--json", "--truth", quiet_site)
    assert report.returncode == 0, report.stdout
    found = json.loads(report.stdout)
    assert found["complete"]
    assert found["site"]["repeats"] == 0
    assert found["requests"]["done"] == found["site"]["answers"]
    assert found["truth"]["posts"]["true"] > 100
    assert (
        "nothing is missing, nothing is doubled" in tieba(environment, "report", "--truth", quiet_site).stdout
    )

    status = json.loads(tieba(environment, "status", "--json").stdout)
    assert status["crawl"]["state"] == "finished"
    assert status["requests"]["total"] == status["requests"]["done"]
    assert status["requests"] | {"done": 0, "made": 0, "total": 0} == {
        "done": 0,
        "made": 0,
        "total": 0,
        "left": 0,
        "queued": 0,
        "leased": 0,
        "failed": 0,
        "delayed": 0,
        "retried": 0,
        "expired": 0,
        "max": None,
    }
    assert status["stored"]["posts"] == found["truth"]["posts"]["true"]
    assert status["totals"]["posts"] >= status["stored"]["posts"]
    assert status["totals"]["bytes"] > 100_000
    (told,) = [line for output in outputs for line in output.splitlines() if "Crawl finished: " in line]
    (crawled,) = status["crawls"]
    assert crawled["id"] == status["crawl"]["id"]
    assert crawled["pages"] == status["requests"]["done"]
    assert crawled["posts"] == status["totals"]["posts"]
    assert f"{crawled['pages']} pages with {crawled['requests']} requests" in told
    assert f", {crawled['posts']} posts, {status['totals']['comments']} comments, " in told
    assert f"{status['totals']['bytes']} bytes in" in told


@pytest.mark.parametrize("engines", [("scrapy", "scrapy"), ENGINES], ids=" and ".join)
def test_faults_of_the_site_lose_nothing(environment, serve_replica, engines):
    site = serve_replica(forums=FORUMS, faults=FAULTS)
    environment |= {"TIEBA_API_URL": site} | QUICK
    assert tieba(environment, "seed", "--forum=聊天").returncode == 0
    output = [wait_for(worker) for worker in [crawl(environment, engine=engine) for engine in engines]]
    stats = get_json(f"{site}/replica/stats")["by_outcome"]
    assert stats.keys() >= {"rate_limited", "verification"}, "the faults did not happen"
    assert any("Paused" in text for text in output)
    report = tieba(environment, "report", "--json", "--truth", site)
    assert report.returncode == 0, report.stdout
    outcomes = json.loads(report.stdout)["outcomes"]
    assert outcomes["rate_limited"] == stats["rate_limited"]
    assert outcomes["verification"] == stats["verification"]
    assert outcomes["server_error"] == stats["server_error"] > 0
    assert "unknown" not in outcomes


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.1, 0.3])
def test_a_service_that_is_stopped_while_it_starts_to_crawl_stops(environment, serve_replica, seconds):
    """Scrapy itself stops none that does not run yet."""
    site = serve_replica(latency_ms=500, forums=[{"name": "猫", "pages": 50}])  # minutes of work
    environment |= {"TIEBA_API_URL": site}
    service = crawl(environment, "--wait")
    try:
        assert tieba(environment, "seed", "--forum", "猫").returncode == 0
        for line in service.stdout:
            if "Overridden settings" in line:
                break
        time.sleep(seconds)
    finally:
        service.send_signal(signal.SIGTERM)
        wait_for(service, 30)
    status = json.loads(tieba(environment, "status", "--json").stdout)
    assert status["crawl"]["state"] != "finished"
    assert sum(slave["processes"] for slave in status["slaves"]) == 0


@pytest.mark.usefixtures("engine")
def test_service_takes_seeds_while_it_runs_and_stops_on_sigterm(environment, quiet_site, redis_url):
    environment |= {"TIEBA_API_URL": quiet_site}
    service = crawl(environment, "--wait")
    try:
        bad_seed = {"forum": "聊天", "pages": "many"}
        bad = json.dumps(bad_seed, ensure_ascii=False)
        subprocess.run(
            ["redis-cli", "-u", redis_url, "lpush", "tieba:start_urls", bad], check=True, capture_output=True
        )
        seeded = tieba(environment, "seed", "--forum", "聊天", "--pages", "1")
        assert "new crawl begins" in seeded.stdout
        followed = tieba(environment, "status", "--until-finished")
        assert followed.returncode == 0
        assert followed.stdout.splitlines()[-1].startswith("finished")

        deadline = time.monotonic() + 30  # at the end of a crawl a worker leaves for a moment
        while True:
            status = json.loads(tieba(environment, "status", "--json").stdout)
            if status["slaves"][0]["processes"] == 1:
                break
            assert time.monotonic() < deadline
        assert [error["request"] for error in status["errors"]] == [bad_seed]
        assert "pages must be a number" in status["errors"][0]["reason"]
        assert tieba(environment, "report").returncode == 1

        # A second seed begins a second crawl, without the failures of the first.
        subprocess.run(
            ["redis-cli", "-u", redis_url, "lpush", "tieba:start_urls", "聊天"],
            check=True,
            capture_output=True,
        )
        deadline = time.monotonic() + 30
        while json.loads(tieba(environment, "status", "--json").stdout)["crawl"]["seeds"] != [
            {"forum": "聊天"}
        ]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        tieba(environment, "status", "--until-finished")
        report = tieba(environment, "report", "--truth", quiet_site)
        assert report.returncode == 0, report.stdout
    finally:
        service.send_signal(signal.SIGTERM)
        output = wait_for(service)
    assert output.count("The crawl is finished: ") == 2
    assert json.loads(tieba(environment, "status", "--json").stdout)["slaves"][0]["processes"] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crawl_whose_workers_died_at_its_end_is_summed_up_by_the_next(
    environment, quiet_site, redis_url, engine
):
    environment |= {"TIEBA_API_URL": quiet_site}
    assert tieba(environment, "seed", "--forum=聊天", "--pages=1").returncode == 0
    wait_for(crawl(environment))
    (crawled,) = json.loads(tieba(environment, "status", "--json").stdout)["crawls"]
    subprocess.run(["redis-cli", "-u", redis_url, "del", "{tieba}:crawls"], check=True, capture_output=True)
    outputs = [wait_for(crawl(environment, engine=engine)) for _ in range(2)]
    assert [output.count("Crawl finished: ") for output in outputs] == [1, 0]
    assert json.loads(tieba(environment, "status", "--json").stdout)["crawls"] == [crawled]


def test_nothing_to_do_ends_at_once(environment, quiet_site):
    environment |= {"TIEBA_API_URL": quiet_site}
    output = wait_for(crawl(environment))
    assert "Nothing to do: no crawl is running and no seed waits" in output
    opened, closed = (
        output.splitlines()[[text in line for line in output.splitlines()].index(True)]
        for text in ("Spider opened", "Spider closed")
    )
    assert (datetime.fromisoformat(closed[:19]) - datetime.fromisoformat(opened[:19])).total_seconds() <= 2


def test_scrapy_redis_on_the_same_crawl(environment, quiet_site):
    environment |= {"TIEBA_API_URL": quiet_site, "TIEBA_SCHEDULER": "scrapy_redis"}
    assert tieba(environment, "seed", "--forum=聊天", "--pages=1").returncode == 0
    outputs = [wait_for(worker) for worker in [crawl(environment) for _ in range(2)]]
    assert any("tieba.stock.Scheduler" in output for output in outputs)
    assert "".join(outputs).count("Crawl finished: ") == 1
    report = tieba(environment, "report", "--json", "--truth", quiet_site)
    assert report.returncode == 0, report.stdout
    found = json.loads(report.stdout)
    assert found["requests"]["done"] == found["site"]["answers"] > 50
    assert found["site"]["repeats"] == 0

    # The same seed again is a crawl of its own.
    assert "new crawl begins" in tieba(environment, "seed", "--forum=聊天", "--pages=1").stdout
    wait_for(crawl(environment))
    again = json.loads(tieba(environment, "report", "--json").stdout)
    assert again["requests"]["done"] == found["requests"]["done"]


def test_scrapy_redis_does_not_end_a_crawl_that_another_worker_works_on(environment, quiet_site):
    with gateway(quiet_site) as site:
        site.held.set()
        environment |= {"TIEBA_API_URL": site.url, "TIEBA_SCHEDULER": "scrapy_redis"}
        service = crawl(environment, "--wait")
        time.sleep(15)  # a wait for work is no idleness, however long
        assert tieba(environment, "seed", "--forum=聊天", "--pages=1").returncode == 0
        deadline = time.monotonic() + 60
        while not site.held_back:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        wait_for(crawl(environment))  # ends since there is nothing to do
        assert json.loads(tieba(environment, "status", "--json").stdout)["crawl"]["state"] == "running"
        site.held.clear()
        assert tieba(environment, "status", "--until-finished").returncode == 0
        service.send_signal(signal.SIGTERM)
        wait_for(service)
    report = tieba(environment, "report", "--json", "--truth", quiet_site)
    assert report.returncode == 0, report.stdout


@pytest.mark.usefixtures("engine")
def test_stopping_in_the_middle_loses_nothing(environment, quiet_site):
    environment |= {"TIEBA_API_URL": quiet_site, "TIEBA_POSTS_RATE": "10"}
    worker = crawl(environment, "-a", "forum=聊天", "-a", "pages=1")
    deadline = time.monotonic() + 30
    while get_json(f"{quiet_site}/replica/stats")["by_kind"]["thread"] < 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    wait_for(worker)
    status = json.loads(tieba(environment, "status", "--json").stdout)
    assert status["crawl"]["state"] == "running"
    assert status["requests"]["queued"] > 0
    assert status["requests"]["leased"] == 0
    wait_for(crawl(environment | {"TIEBA_POSTS_RATE": "1000"}, "-a", "forum=聊天", "-a", "pages=1"))
    report = tieba(environment, "report", "--truth", quiet_site)
    assert report.returncode == 0, report.stdout


@pytest.mark.usefixtures("engine")
def test_abandoning_a_crawl_leaves_nothing_of_it_to_the_new_one(environment, quiet_site):
    environment |= {"TIEBA_API_URL": quiet_site, "TIEBA_POSTS_RATE": "20"}
    tieba(environment, "seed", "--forum", "聊天", "--pages", "2")
    service = crawl(environment, "--wait")
    try:
        deadline = time.monotonic() + 30
        while get_json(f"{quiet_site}/replica/stats")["by_kind"]["thread"] < 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        seeded = tieba(environment, "seed", "--forum", "聊天", "--pages", "1", "--new")
        assert "new crawl begins" in seeded.stdout, seeded.stderr
        tieba(environment, "status", "--until-finished")
        report = tieba(environment, "report", "--truth", quiet_site)
        assert report.returncode == 0, report.stdout
    finally:
        service.send_signal(signal.SIGTERM)
        wait_for(service)


async def kept_sample(redis_url, name):
    """Give what Redis has of the sample that a dead letter speaks of."""
    async with connect(redis_url) as redis:
        job = Job(Frontier(redis, "tieba"))
        (letter,) = (await job.facts()).letters
        assert sample_name(letter.reason) == name
        return await job.sample(name)


@pytest.mark.usefixtures("engine")
def test_an_answer_that_nobody_understands_is_saved_for_tieba_parse(environment, tmp_path, redis_url):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "f").write_text("<html><title>Welcome</title></html>")
    port = free_port()
    server = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", tmp_path / "site", str(port)]
    environment |= {
        "TIEBA_SOURCE": "web",
        "TIEBA_WEB_URL": f"http://127.0.0.1:{port}",
        "TIEBA_SAMPLES_DIR": str(tmp_path / "samples"),
        "TIEBA_MAX_ATTEMPTS": "1",
    }
    with running(server, port, tmp_path / "log"):
        output = wait_for(crawl(environment, "-a", "forum=聊天"))
    (sample,) = (tmp_path / "samples").iterdir()
    assert f"HTTP 200, page titled 'Welcome'; saved as {sample}" in output
    first, *headers = sample.read_text().partition("\n\n")[0].splitlines()
    assert first == "HTTP/1.1 200"
    assert {"content-type: application/octet-stream", "tieba-source: web"} <= set(headers)
    kept = asyncio.run(kept_sample(redis_url, sample.name))
    assert (kept["status"], kept["source"], kept["target"]) == (200, "web", ["forum", "聊天", 1])
    assert kept["body"] == "<html><title>Welcome</title></html>"
    assert kept["headers"]["content-type"] == "application/octet-stream"
    parsed = json.loads(tieba(environment, "parse", str(sample)).stdout)
    assert (parsed["outcome"], parsed["error"]) == ("unknown", "HTTP 200, page titled 'Welcome'")


@pytest.mark.parametrize(
    ("engine", "source", "says"),
    [("scrapy", "api", "error"), ("scrapy", "web", "page says"), ("urllib", "web", "page says")],
)
def test_forum_that_does_not_exist(environment, quiet_site, engine, source, says):
    environment |= {
        "TEST_ENGINE": engine,
        "TIEBA_API_URL": quiet_site,
        "TIEBA_WEB_URL": quiet_site,
        "TIEBA_SOURCE": source,
    }
    output = wait_for(crawl(environment, "-a", "forum=没有这个吧"))
    assert f"refused: forum '没有这个吧' may not exist on this site: {says}" in output
    report = tieba(environment, "report", "--truth", quiet_site)
    assert report.returncode == 1
    assert "may not exist" in report.stdout, report.stderr
    elsewhere = tieba(environment, "report", "--truth", f"{quiet_site.rpartition(':')[0]}:1")
    assert (elsewhere.returncode, len(elsewhere.stderr.splitlines())) == (1, 1)


def test_one_thread_and_items_in_a_file(environment, quiet_site, tmp_path):
    environment |= {"TIEBA_API_URL": quiet_site}
    with urllib.request.urlopen(
        f"{quiet_site}/replica/truth?forum=%E8%81%8A%E5%A4%A9&pages=1", timeout=30
    ) as answer:
        truth = [json.loads(text) for text in answer]
    thread = next(row["thread_id"] for row in truth if row["record"] == "thread" and not row.get("deleted"))
    posts = {row["post_id"] for row in truth if row["record"] == "post" and row["thread_id"] == thread}
    items = tmp_path / "items.jsonl"
    wait_for(crawl(environment, "-a", f"threads={thread}", "-O", str(items)))
    found = [json.loads(text) for text in items.read_text().splitlines()]
    assert {row["post_id"] for row in found if "floor" in row} == posts


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-a", "forum="], "forum must be the name of a forum"),
        (["-a", "forum=聊天", "-a", "pages=0"], "pages must be a number from 1 to 100000"),
        (["-a", "page=5"], "page is unknown; known are forum"),
        (["-a", "good=true"], "good='true' needs a forum or a thread"),
    ],
)
def test_mistakes_in_the_arguments_are_one_line(environment, arguments, told):
    worker = crawl(environment, *arguments)
    output, _ = worker.communicate(timeout=30)
    assert worker.returncode == 2
    assert told in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value", "status", "told"),
    [
        ("TIEBA_BURST", "x", 2, "environment TIEBA_BURST: burst must be an integer"),
        ("TIEBA_REDIS_URL", "redis://127.0.0.1:1/0", 1, "Redis at 127.0.0.1:1 does not answer"),
        ("TIEBA_MONGODB_URL", "mongodb://127.0.0.1:1/x", 1, "MongoDB does not answer"),
    ],
)
def test_servers_and_settings_that_cannot_be_used_are_one_line(environment, variable, value, status, told):
    environment |= {variable: value}
    worker = crawl(environment)
    output, _ = worker.communicate(timeout=30)
    assert (worker.returncode, told in output, len(output.splitlines())) == (status, True, 1), output
    shown = tieba(environment, "status", "--json")
    if variable == "TIEBA_MONGODB_URL":  # Redis knows all the rest
        assert shown.returncode == 0
        assert told in json.loads(shown.stdout)["store_problem"]
        return
    assert (shown.returncode, told in shown.stderr, len(shown.stderr.splitlines())) == (status, True, 1)
