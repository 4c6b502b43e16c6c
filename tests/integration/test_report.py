"""`tieba report` holds a store against the truth of the stand-in site, and tells what a crawl did."""

import asyncio
import contextlib
import json
import threading
import urllib.request
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

from frontier import Frontier, connect
from frontier.job import Job
from tests.integration.commands import tieba
from tieba.config import load
from tieba.records import RECORD_TYPES, Extent, Presence, Visit
from tieba.storage.stores import make_store

FORUMS = [{"name": "聊天", "pages": 1, "floors_per_thread": 4}]
SEED = {"forum": "聊天", "pages": 1}
NOTHING = {"missing": 0, "unexpected": 0, "doubled": 0, "wrong": 0}
KINDS = {kind.__name__.lower(): kind for kind in RECORD_TYPES}


@pytest.fixture(scope="module")
def site(serve_replica):
    return serve_replica(forums=FORUMS)


@pytest.fixture(scope="module")
def lines(site):
    with urllib.request.urlopen(f"{site}/replica/truth?forum={quote('聊天')}", timeout=30) as answer:
        return [json.loads(text) for text in answer]


@pytest.fixture
def truth(lines):
    """Give the true records by kind, those of threads that are deleted with their marks."""
    found = {name: [] for name in KINDS} | {"marks": []}
    for line in lines:
        row = dict(line)
        name = row.pop("record")
        if name == "requests":
            continue
        if row.pop("deleted", False):
            found["marks"].append(mark("threads", "thread_id", row["thread_id"]))
        for field in {"created_at", "last_reply_at"} & row.keys():
            row[field] = datetime.fromisoformat(row[field])
        if "images" in row:
            row["images"] = tuple(row["images"])
        found[name].append(KINDS[name](**row))
    return found


def mark(collection, key_field, key):
    return Presence(collection=collection, key_field=key_field, key=key, gone=True)


@pytest.fixture
def crawled(environment, redis_url, tmp_path):
    """Give a function that makes it look as if a crawl from some seeds, of 42 requests, had ended."""

    async def crawl(seeds):
        async with contextlib.aclosing(connect(redis_url)) as redis:
            frontier = Frontier(redis, "tieba")
            job = Job(frontier)
            await frontier.begin(abandon=True)
            for seed in seeds:
                await job.note_seed(json.dumps(seed, ensure_ascii=False))
            crawl_id = (await job.facts()).crawl["id"]
            await job.beat("me", {}, crawl_id=crawl_id, counted_as="here", outcomes={"ok": 42})
            await job.leave("me")
            await asyncio.sleep(1.1)  # a crawl does not end in its first second
            assert await frontier.finish(crawl_id)

    def crawled(*seeds, storage="mongodb"):
        asyncio.run(crawl(seeds))
        environment.update(TIEBA_STORAGE=storage, TIEBA_JSONL_DIR=str(tmp_path / "records"))

    crawled(SEED)
    return crawled


@pytest.fixture
def save(environment, crawled):
    """Give a function that saves batches of records."""

    def save(*batches):
        async def run():
            store = make_store(load(environment))
            await store.open()
            for batch in batches:
                await store.save(batch)
            await store.close()

        asyncio.run(run())

    return save


@pytest.fixture
def save_truth(save, truth):
    return lambda: save(*(truth[name] for name in (*KINDS, "marks") if truth[name]))


@pytest.fixture
def report(environment, site):
    def run(url=site):
        done = tieba(environment, "report", "--json", "--truth", url)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def counts(report):
    return {name: {kind: found[kind]["count"] for kind in NOTHING} for name, found in report["truth"].items()}


@pytest.mark.parametrize("storage", ["mongodb", "mysql", "jsonl"])
def test_store_that_holds_the_truth_is_complete(
    crawled, environment, mariadb_url, save_truth, report, storage
):
    environment["TIEBA_MYSQL_URL"] = mariadb_url
    crawled(SEED, storage=storage)
    save_truth()
    status, found = report()
    assert status == 0, found
    assert counts(found) == dict.fromkeys(("forums", "threads", "posts", "comments"), NOTHING)
    assert found["truth"]["posts"]["true"] > 100
    assert found["requests"]["made"] == 42
    assert found["requests"]["fewest"] > 50  # a list page, and one page of each thread at least


@pytest.mark.parametrize("kind", ["thread", "post", "comment"])
def test_copy_under_another_key_is_doubled(save_truth, save, truth, report, kind):
    save_truth()
    gone = {presence.key for presence in truth["marks"]}
    original = next(record for record in truth[kind] if record.key not in gone)
    copy = replace(original, **{original.key_field: original.key + 10**15})
    save([copy])
    status, found = report()
    assert status == 1
    assert counts(found)[f"{kind}s"] == {**NOTHING, "unexpected": 1, "doubled": 1}
    assert found["truth"][f"{kind}s"]["doubled"]["examples"] == [
        {f"{kind}_id": [original.key, copy.key], "count": 2, "true": 1}
    ]


def test_record_under_the_key_of_another_one_is_doubled_and_wrong(save, truth, report):
    first, second, *others = truth["post"]
    copy = replace(first, post_id=second.post_id, author_id=first.author_id, author_name=first.author_name)
    save(
        *(truth[name] for name in KINDS if truth[name] and name != "post"),
        [first, copy, *others],
        truth["marks"],
    )
    _, found = report()
    posts = counts(found)["posts"]
    assert (posts["doubled"], posts["unexpected"], posts["missing"]) == (1, 0, 0)
    assert posts["wrong"] > 0


@pytest.fixture
def site_of_twins(lines):
    """Serve the truth with a comment that was truly written twice; gives the address and its twin's key."""
    original = next(row for row in lines if row["record"] == "comment")
    twin = {**original, "comment_id": original["comment_id"] + 10**15}
    body = "\n".join(json.dumps(row) for row in [*lines, twin]).encode()

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


def test_pair_that_is_true_is_not_doubled_but_a_third_is(save_truth, save, truth, report, site_of_twins):
    url, original, twin = site_of_twins
    save_truth()
    (comment,) = (record for record in truth["comment"] if record.key == original)
    save([replace(comment, comment_id=twin)])
    status, found = report(url)
    assert (status, counts(found)["comments"]) == (0, NOTHING)
    save([replace(comment, comment_id=twin + 1)])
    status, found = report(url)
    assert (status, counts(found)["comments"]) == (1, {**NOTHING, "unexpected": 1, "doubled": 1})


def long_ago(folder, lines):
    """Write lines as a crawl of last year would have."""
    folder.mkdir(exist_ok=True)
    seen = {"seen_at": "2025-11-20T12:00:00.000+00:00"}
    rows = [{**row, **seen} for row in lines if row["record"] != "requests"]
    folder.joinpath("old.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def test_update_is_held_against_all_that_the_store_has(crawled, save, lines, truth, report, tmp_path):
    """Old records count, and those that are not true any more have to be marked, or what they are in."""
    crawled(SEED, storage="jsonl")
    first = next(post for post in truth["post"])
    ghost = {"record": "post", "post_id": 1, "thread_id": first.thread_id, "forum_id": first.forum_id}
    inside = {"record": "comment", "comment_id": 2, "post_id": 1, "thread_id": first.thread_id}
    long_ago(tmp_path / "records", [*lines, ghost, inside])
    _, found = report()
    assert counts(found)["posts"]["missing"] == len(truth["post"])  # for a crawl that does not update

    crawled({"forum": "聊天", "update": True}, storage="jsonl")
    save(truth["marks"])
    status, found = report()
    assert status == 1
    assert counts(found)["posts"] == counts(found)["comments"] == {**NOTHING, "unexpected": 1}
    own = [post.key for post in truth["post"] if post.thread_id == first.thread_id]
    save(
        [
            Extent(
                collection="posts",
                parent_field="thread_id",
                parent=first.thread_id,
                after=0,
                upto=None,
                keys=tuple(own),
            )
        ]
    )
    status, found = report()
    assert (status, counts(found)) == (0, dict.fromkeys(("forums", "threads", "posts", "comments"), NOTHING))
    save([mark("threads", "thread_id", first.thread_id)])
    status, found = report()
    assert status == 1
    assert counts(found)["posts"] == {**NOTHING, "wrong": len(own)}


def test_threads_of_a_forum_are_told_apart_by_what_was_done_with_them(save_truth, save, truth, report):
    save_truth()
    gone = {presence.key for presence in truth["marks"]}
    fetched = [thread.key for thread in truth["thread"] if thread.key not in gone][2:]
    save([Visit(thread_id=key, crawl_id="a") for key in fetched])
    _, found = report()
    (forum,) = found["forums"]
    total = len(truth["thread"])
    assert forum.pop("why")[0] == "only list pages 1 to 1 were asked for"
    assert forum == {
        "name": "聊天",
        "forum_id": truth["forum"][0].key,
        "claimed": truth["forum"][0].thread_count,
        "listed": total,
        "fetched": len(fetched),
        "unchanged": 0,
        "not_fetched": 2,
        "gone": len(gone),
        "failed": 0,
    }


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"since": "2026-11-01T00:00:00+08:00"}, "no limits of time"),
        ({"max_requests": 42}, "ended at max_requests"),
        ({"forum": None, "thread": 7}, "knows forums only"),
    ],
)
def test_what_cannot_be_compared_is_said(crawled, report, limits, told):
    crawled({name: value for name, value in {**SEED, **limits}.items() if value is not None})
    status, found = report()
    assert told in found["not_compared"]
    assert "truth" not in found
    assert status == 0
