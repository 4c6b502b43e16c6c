"""Parts of forums, through every source: what the scope asks for is stored, with the fewest requests."""

import json
from datetime import datetime

import pytest
from pymongo import MongoClient

from tests.integration.commands import ENGINES, crawl, tieba, wait_for
from tieba.pages.values import BEIJING

FORUMS = [
    {"name": "聊天", "pages": 5, "floors_per_thread": 5},
    {"name": "猫", "pages": 1, "floors_per_thread": 3},
]
JSON, PROTOBUF = {}, {"TIEBA_API_FORMAT": "protobuf"}
WEB = {"TIEBA_SOURCE": "web"}
URLLIB = {"TEST_ENGINE": "urllib"}
MOST_NEEDLESS = 1.05  # requests made, of the fewest that the protocol allows


@pytest.fixture(scope="module")
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.mark.parametrize(
    ("source", "arguments"),
    [
        (JSON | URLLIB, ["forums=聊天,猫"]),
        (WEB | URLLIB, ["forum=聊天", "pages=2-3", "comments=false"]),
        (PROTOBUF | URLLIB, ["forum=聊天", "good=true"]),
        (JSON, ["forums=聊天,猫"]),
        (PROTOBUF, ["forums=聊天,猫"]),
        (WEB, ["forums=聊天,猫"]),
        (JSON, ["forum=聊天", "pages=2-3"]),
        (WEB, ["forum=聊天", "pages=2-3", "comments=false"]),
        (PROTOBUF, ["forum=聊天", "good=true"]),
        (WEB, ["forum=聊天", "good=true"]),
        (JSON, ["forum=聊天", "starter=true"]),
        (WEB, ["forum=聊天", "pages=1", "starter=true"]),
    ],
    ids=lambda value: " ".join(value) or "json" if isinstance(value, list) else "".join(value.values()),
)
def test_what_is_asked_for_is_stored_and_nothing_else(environment, site, source, arguments):
    environment |= {"TIEBA_API_URL": site, "TIEBA_WEB_URL": site} | source
    wait_for(crawl(environment, *(word for argument in arguments for word in ("-a", argument))))
    report = tieba(environment, "report", "--json", "--truth", site)
    found = json.loads(report.stdout)
    assert report.returncode == 0, json.dumps(found["truth"], ensure_ascii=False)[:3000]
    assert found["truth"]["posts"]["true"] > 0
    requests = found["requests"]
    assert requests["fewest"] <= requests["made"] <= MOST_NEEDLESS * requests["fewest"] + 1


@pytest.mark.parametrize(("source", "hour"), [(JSON, 9), (WEB, 1)], ids=["api", "web"])
def test_a_window_of_time(environment, mongodb_url, site, source, hour):
    """Lists end where they become older than the window; only what was written within is kept.

    Web lists give the hour only of this day's replies.
    """
    since, until = (datetime(2026, 2, 25, hour, tzinfo=BEIJING) for hour in (hour, 12))
    environment |= {"TIEBA_API_URL": site, "TIEBA_WEB_URL": site} | source
    wait_for(
        crawl(
            environment,
            "-a",
            "forum=聊天",
            "-a",
            f"since={since:%Y-%m-%dT%H:%M}",
            "-a",
            f"until={until:%Y-%m-%dT%H:%M}",
        )
    )
    with MongoClient(mongodb_url, tz_aware=True) as client:
        database = client.get_default_database()
        for collection in (database.posts, database.comments):
            assert collection.count_documents({}) > 0
            assert not collection.count_documents({"$nor": [{"created_at": {"$gte": since, "$lt": until}}]})
        listed = database.threads.count_documents({})
        assert listed < database.forums.find_one({})["thread_count"]
        is_old = [{"last_reply_at": {"$lt": since}}, {"last_reply_at": None, "is_pinned": False}]
        assert database.threads.count_documents({"$or": is_old}) > 0
        assert not database.threads.count_documents({"fetched_at": {"$ne": None}, "$or": is_old})


def test_a_maximum_of_requests_is_kept_by_all_workers_together(environment, site):
    environment |= {"TIEBA_API_URL": site}
    assert tieba(environment, "seed", "--forum=聊天", "--max-requests=50").returncode == 0
    outputs = [wait_for(worker) for worker in [crawl(environment, engine=engine) for engine in ENGINES]]
    assert any("maximum of 50 requests" in output for output in outputs)
    report = json.loads(tieba(environment, "report", "--json").stdout)
    assert report["requests"]["done"] == 50
    assert report["crawl"]["state"] == "finished"
