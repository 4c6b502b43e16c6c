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

from frontier import Frontier, Request, connect
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
    """Give a function that makes it look as if a crawl from some seeds had ended, after 42 pages.

    Workers told of `told` of them. `given_up` are the targets of more requests, with reasons; `left` are how
    many more its maximum kept from being made.
    """

    async def crawl(seeds, told, given_up, left):
        async with contextlib.aclosing(connect(redis_url)) as redis:
            frontier = Frontier(redis, "tieba")
            job = Job(frontier)
            await frontier.begin(abandon=True)
            for seed in seeds:
                await job.note_seed(json.dumps(seed, ensure_ascii=False))
            payloads = [json.dumps({"target": target}) for target, _ in given_up] + ["{}"] * (42 + left)
            await frontier.push([Request("posts", payload) for payload in payloads])
            if left:
                await frontier.set_max_requests(len(given_up) + 42)
            leases = (await frontier.lease(len(given_up) + 42, "me")).leases
            for lease, (_, reason) in zip(leases, given_up, strict=False):
                await frontier.fail("me", lease.id, reason, is_final=True)
            done = [(lease.id, []) for lease in leases[len(given_up) :]]
            await frontier.complete("me", done, counted_as="here")
            crawl_id = (await job.facts()).crawl["id"]
            await job.beat("me", {}, crawl_id=crawl_id, counted_as="here", outcomes=told)
            await job.leave("me")
            await asyncio.sleep(1.1)  # a crawl does not end in its first second
            assert await frontier.finish(crawl_id)

    def crawled(*seeds, storage="mongodb", told=None, given_up=(), left=0):
        asyncio.run(crawl(seeds, told or {"ok": 42}, given_up, left))
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
    assert found["requests"]["fewest_by"] == "site"


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
    assert forum.pop("why") == [
        "only threads of list page 1 were asked for",
        "2 threads were listed and not fetched, and not all for a known reason",
    ]
    assert forum == {
        "name": "聊天",
        "forum_id": truth["forum"][0].key,
        "claimed": truth["forum"][0].thread_count,
        "listed": total,
        "fetched": len(fetched),
        "unchanged": 0,
        "not_fetched": 2,
        "gone": len(gone),
        "refused": 0,
        "failed": 0,
    }


def test_given_up_are_threads_and_list_pages_not_requests(crawled, save_truth, truth, report):
    first, second = (thread.key for thread in truth["thread"][:2])
    crawled(
        {"forum": "聊天"},
        given_up=[
            (["thread", first, 2], "refused: error 340006"),
            (["comments", first, 9, 1], "server_error: HTTP 500 (attempt 6 of 6)"),
            (["comments", second, 9, 1], "network_error: TimeoutError (attempt 6 of 6)"),
            (["comments", second, 9, 2], "network_error: TimeoutError (attempt 6 of 6)"),
            (["forum", "聊天", 2], "server_error: HTTP 500 (attempt 6 of 6)"),
        ],
    )
    save_truth()
    status, found = report()
    assert (status, found["result"]) == (1, "failed")
    (forum,) = found["forums"]
    assert (forum["refused"], forum["failed"]) == (1, 1)
    assert "page 2 of its list was given up after failures" in forum["why"]
    # A refusal is an answer, and no other way would have spared it.
    assert (found["requests"]["made"], found["requests"]["in_vain"]) == (47, 4)


def test_what_killed_workers_did_not_tell_is_counted(crawled, environment):
    crawled(SEED, told={"ok": 20, "empty": 3})
    found = json.loads(tieba(environment, "report", "--json").stdout)
    requests = found["requests"]
    assert (requests["made"], requests["in_vain"]) == (42, 3)
    assert (requests["fewest"], requests["fewest_by"]) == (39, "answers")
    shown = tieba(environment, "report").stdout
    assert (
        "42 made, 3 of them in vain; the fewest for the same data are 39, as far as the answers tell" in shown
    )
    assert "3 empty, 20 ok (workers lived to tell of 23)" in shown


def test_crawl_that_ended_at_its_maximum_is_neither_complete_nor_a_failure(crawled, environment, report):
    crawled({**SEED, "max_requests": 7}, {**SEED, "max_requests": 42}, left=3)
    status, found = report()
    assert (status, found["result"], found["complete"]) == (0, "maximum", False)
    assert found["maximum"] == {"requests": 42, "left": 3}
    assert found["not_compared"] == "the crawl ended at its maximum of 42 requests of all seeds together"
    assert "truth" not in found
    shown = tieba(environment, "report").stdout
    assert "ended at its maximum of 42 requests; 3 are left" in shown
    assert "omplete" not in shown


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"since": "2026-11-01T00:00:00+08:00"}, "no limits of time"),
        ({"forum": None, "thread": 7}, "knows forums only"),
    ],
)
def test_what_cannot_be_compared_is_said(crawled, report, limits, told):
    crawled({name: value for name, value in {**SEED, **limits}.items() if value is not None})
    status, found = report()
    assert told in found["not_compared"]
    assert "truth" not in found
    assert status == 0
