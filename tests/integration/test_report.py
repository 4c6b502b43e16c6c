"""`tieba report` holds a store against the truth of the stand-in site."""

import json
import subprocess
import threading
import time
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from pymongo import MongoClient

from tests.conftest import program

FORUMS = [{"name": "聊天", "pages": 1, "floors_per_thread": 4}]
KINDS = ("thread", "post", "comment")


@pytest.fixture(scope="module")
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.fixture
def truth(site):
    with urllib.request.urlopen(f"{site}/replica/truth?forum={quote('聊天')}&pages=1", timeout=30) as answer:
        return [json.loads(text) for text in answer][:-1]  # the last one counts requests


@pytest.fixture
def database(truth, redis_url, mongodb_url):
    """Give a store that holds exactly the truth, after a crawl that is finished."""
    crawl = [
        "state",
        "finished",
        "id",
        "a",
        "started_at",
        str(time.time() - 5),
        "finished_at",
        str(time.time()),
    ]
    for command in (
        ["hset", "{tieba}:crawl", *crawl],
        ["sadd", "{tieba}:seeds", '{"forum": "聊天", "pages": 1}'],
    ):
        subprocess.run(["redis-cli", "-u", redis_url, *command], check=True, capture_output=True)
    now = datetime.now(timezone.utc)
    with MongoClient(mongodb_url, tz_aware=True) as client:
        database = client.get_default_database()
        for row in truth:
            record = dict(row)
            kind = record.pop("record")
            seen = {
                "first_seen": now,
                "last_seen": now,
                "deleted_at": now if record.pop("deleted", None) else None,
            }
            for field in ("created_at", "last_reply_at"):
                if field in record:
                    record[field] = datetime.fromisoformat(record[field])
            database[f"{kind}s"].insert_one({"_id": record[f"{kind}_id"], **record, **seen})
        yield database


@pytest.fixture
def report(environment, site):
    def run(url=site):
        done = subprocess.run(
            [program("tieba"), "report", "--json", "--truth", url],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["truth"]

    return run


def counts(found):
    return {
        name: {kind: found[name][kind]["count"] for kind in ("missing", "unexpected", "doubled", "wrong")}
        for name in found
    }


NOTHING = {"missing": 0, "unexpected": 0, "doubled": 0, "wrong": 0}


def test_store_that_holds_the_truth_is_complete(database, report):
    status, found = report()
    assert status == 0
    assert counts(found) == dict.fromkeys(("forums", "threads", "posts", "comments"), NOTHING)
    assert found["posts"]["true"] > 100


@pytest.mark.parametrize("kind", KINDS)
def test_copy_under_another_key_is_doubled(database, report, kind):
    original = database[f"{kind}s"].find_one()
    copy = original["_id"] + 10**15
    database[f"{kind}s"].insert_one({**original, "_id": copy, f"{kind}_id": copy})
    status, found = report()
    assert status == 1
    assert counts(found)[f"{kind}s"] == {**NOTHING, "unexpected": 1, "doubled": 1}
    assert found[f"{kind}s"]["doubled"]["examples"] == [
        {f"{kind}_id": [original["_id"], copy], "count": 2, "true": 1}
    ]


def test_copy_is_doubled_even_where_its_key_is_one_of_the_truth(database, report):
    """A record stored under the key of another one is doubled as well as wrong."""
    first, second = database["posts"].find().limit(2)
    database["posts"].replace_one({"_id": second["_id"]}, {**first, "_id": second["_id"]})
    status, found = report()
    assert status == 1
    assert counts(found)["posts"]["doubled"] == 1
    assert counts(found)["posts"]["wrong"] > 0
    assert counts(found)["posts"]["unexpected"] == 0


@pytest.fixture
def site_of_twins(truth):
    """Serve the truth with a comment that was truly written twice; gives the address and its twin."""
    original = next(row for row in truth if row["record"] == "comment")
    twin = {**original, "comment_id": original["comment_id"] + 10**15}
    body = "\n".join(json.dumps(row) for row in [*truth, twin]).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if self.path.startswith("/replica/truth") else b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", original["comment_id"], twin["comment_id"]
        server.shutdown()


def test_pair_that_is_true_is_not_doubled_but_a_third_is(database, report, site_of_twins):
    url, original, twin = site_of_twins
    stored = database["comments"].find_one(original)
    database["comments"].insert_one({**stored, "_id": twin, "comment_id": twin})
    status, found = report(url)
    assert (status, counts(found)["comments"]) == (0, NOTHING)

    third = twin + 1
    database["comments"].insert_one({**stored, "_id": third, "comment_id": third})
    status, found = report(url)
    assert (status, counts(found)["comments"]) == (1, {**NOTHING, "unexpected": 1, "doubled": 1})
