"""Keeping up to date: a second crawl fetches what has changed, and marks what is gone."""

import json
import urllib.request

import pytest

from tests.conftest import get_json
from tests.integration.commands import crawl, tieba, wait_for

FORUMS = [{"name": "聊天", "pages": 8, "floors_per_thread": 5}]
SHARE = 0.05
MOST_REQUESTS = {"api": 0.10, "web": 0.12}  # of those of a whole crawl


@pytest.fixture
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.fixture(
    params=[
        ("mongodb", "api", "scrapy"),
        ("mysql", "api", "urllib"),
        ("mysql", "api", "scrapy"),
        ("mongodb", "web", "scrapy"),
    ],
    ids=" ".join,
)
def node(request, environment, site):
    """Give the environment of a node that has this store, source and engine."""
    store, source, engine = request.param
    environment["TEST_ENGINE"] = engine
    if store == "mysql":
        environment |= {"TIEBA_MYSQL_URL": request.getfixturevalue("mariadb_url")}
    site_urls = {"TIEBA_API_URL": site, "TIEBA_WEB_URL": site}
    return environment | site_urls | {"TIEBA_STORAGE": store, "TIEBA_SOURCE": source}


def post(url):
    with urllib.request.urlopen(url, data=b"", timeout=60) as answer:
        return json.load(answer)


def crawl_to_the_end(environment, *arguments):
    # Only one brings seeds: if it had finished before the other starts, that would begin with them anew.
    workers = [crawl(environment, *arguments), crawl(environment)]
    return [wait_for(worker) for worker in workers]


def report_of(environment, site):
    report = tieba(environment, "report", "--json", "--truth", site)
    assert report.returncode == 0, report.stdout[-4000:]
    return json.loads(report.stdout)


def test_an_update_fetches_what_changed_and_makes_the_store_equal_the_truth(node, site):
    crawl_to_the_end(node, "-a", "forum=聊天")
    whole = report_of(node, site)["site"]["answers"]

    for _ in range(2):
        post(f"{site}/replica/advance?share={SHARE}")
        post(f"{site}/replica/reset")
        assert tieba(node, "seed", "--again").returncode == 0
        crawl_to_the_end(node)
        update = report_of(node, site)
        assert 0 < update["site"]["answers"] <= MOST_REQUESTS[node["TIEBA_SOURCE"]] * whole
        assert update["site"]["repeats"] == 0
        assert update["complete"]

    exported = tieba(node, "export", "--format=jsonl", "--forum=聊天", "--out=-")
    posts = [json.loads(line) for line in exported.stdout.splitlines()]
    gone = [post for post in posts if post["deleted_at"]]
    assert gone
    assert all(post["text"] is not None for post in gone)

    # Again without any change: the list alone.
    post(f"{site}/replica/reset")
    assert tieba(node, "seed", "--again").returncode == 0
    crawl_to_the_end(node)
    asked = get_json(f"{site}/replica/stats")["by_kind"]
    assert asked == {"forum": asked["forum"], "thread": 0, "comments": 0}


def test_threads_of_a_crawl_that_did_not_end_are_fetched_again(node, site):
    crawl_to_the_end(node, "-a", "forum=聊天", "-a", "pages=1", "-a", "max_requests=30")
    assert get_json(f"{site}/replica/stats")["answers"] == 30
    assert tieba(node, "seed", "--forum=聊天", "--pages=1", "--update").returncode == 0
    crawl_to_the_end(node)
    assert report_of(node, site)["complete"]
