"""The stand-in site's data model and its ground truth."""

import hashlib
import itertools
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replica import truth
from replica.config import Config
from replica.content import INLINE_COMMENTS, THREAD_PAGE_SIZE
from replica.truth import Part
from replica.world import (
    HIDDEN,
    LIST_PAGE_SIZE,
    MAX_FLOORS,
    PROMOTED,
    Forum,
    ForumSettings,
    World,
)

FORUMS = [ForumSettings("甲", 4, 12.0), ForumSettings("乙", 1, 5.0)]


@pytest.fixture(scope="module")
def default_world() -> World:
    config = Config()
    return World(config.seed, config.forums)


def test_two_processes_list_the_same_truth():
    command = [sys.executable, "-m", "replica.cli", "truth", "--forum", "读书", "--pages", "1", "--seed", "7"]
    outputs = [
        subprocess.run(
            command,
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0]
    assert hashlib.sha256(outputs[0]).digest() == hashlib.sha256(outputs[1]).digest()


def test_another_seed_gives_another_truth():
    one, other = (list(truth.records(World(seed, FORUMS).forums[0], Part())) for seed in (1, 2))
    assert one != other


def test_order_of_requests_changes_nothing():
    forward, backward = World(3, FORUMS), World(3, FORUMS)
    indexes = range(forward.forums[0].thread_count)
    first = {index: list(truth.thread_records(forward.forums[0].thread(index))) for index in indexes}
    last = {
        index: list(truth.thread_records(backward.forums[0].thread(index))) for index in reversed(indexes)
    }
    assert first == last


def test_ids_never_collide():
    world = World(3, FORUMS)
    ids: dict[str, list[int]] = {"thread": [], "post": [], "comment": []}
    for forum in world.forums:
        for record in truth.records(forum, Part()):
            if record["record"] in ids:
                ids[record["record"]].append(record[f"{record['record']}_id"])
    shared = ids["post"] + ids["comment"]
    assert len(set(shared)) == len(shared) > 2_000
    assert len(set(ids["thread"])) == len(ids["thread"])
    assert all(10**10 <= number < 11 * 10**9 for number in ids["thread"])
    assert all(15 * 10**10 <= number < 21 * 10**10 for number in shared)


def test_a_threads_ids_stay_in_its_block():
    forum = World(1, [ForumSettings("长", 3, 100.0)]).forums[0]
    for thread in forum.listed(forum.entries):
        assert len(thread.shapes) <= MAX_FLOORS
        last = max(max([floor.post_id, *(c.comment_id for c in floor.comments)]) for floor in thread.floors)
        assert last - thread.first_post_id < 8_192


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_unknown_thread_ids_are_unknown(number):
    world = World(3, FORUMS)
    known = {thread.thread_id for forum in world.forums for thread in forum.listed(forum.entries)}
    assert (world.thread(number) is not None) == (number in known)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.floats(1, 30))
def test_every_thread_is_found_by_its_id(seed, pages, floors):
    forum = World(seed, [ForumSettings("甲", pages, floors)]).forums[0]
    for thread in forum.listed(forum.entries):
        assert forum._world.thread(thread.thread_id) is thread


def test_list_has_short_pages_repeats_and_promotions(default_world):
    forum = default_world.forums[0]
    pages = [
        forum.entries[start : start + LIST_PAGE_SIZE]
        for start in range(0, len(forum.entries), LIST_PAGE_SIZE)
    ]
    shown = [sum(entry != HIDDEN for entry in page) for page in pages]
    assert forum.pages == len(pages) >= 30
    assert any(count < 40 for count in shown[1:-1])
    assert shown.count(50) > len(pages) / 2
    assert any(page[0] in previous for previous, page in itertools.pairwise(pages))
    assert PROMOTED in pages[0]
    assert all(page and any(entry >= 0 for entry in page) for page in pages)


def test_default_crawl_is_work_for_a_cluster(default_world):
    forum = default_world.forums[0]
    threads = list(forum.listed(forum.entries[: 20 * LIST_PAGE_SIZE]))
    floors = [floor for thread in threads if not thread.is_deleted for floor in thread.floors]
    comments = sum(len(floor.comments) for floor in floors)
    assert 850 <= len(threads) <= 1_000
    assert 20_000 <= len(floors) <= 30_000
    assert 15_000 <= comments <= 25_000
    assert any(len(thread.slots) > 10 * THREAD_PAGE_SIZE for thread in threads)
    assert any(len(floor.comments) > 40 for floor in floors)
    assert any(thread.is_deleted for thread in threads)
    assert sum(floor.is_repeated for floor in floors) > 20
    assert sum(slot.floor is None for thread in threads for slot in thread.slots) > 100


@pytest.mark.parametrize("forum_number", range(5))
def test_every_default_forum_has_the_traps(default_world, forum_number):
    forum = default_world.forums[forum_number]
    threads = list(forum.listed(forum.entries[:LIST_PAGE_SIZE]))
    floors = [floor for thread in threads if not thread.is_deleted for floor in thread.floors]
    assert any(thread.is_deleted for thread in threads)
    assert any(len(floor.comments) > 60 for floor in floors)
    assert any(floor.is_repeated for floor in floors)
    assert any(not floor.author.user_id for floor in floors)
    assert any(not floor.author.name and floor.author.user_id for floor in floors)


def test_repeated_floor_is_the_first_of_the_next_page(default_world):
    for thread in default_world.forums[0].listed(default_world.forums[0].entries):
        assert_repetitions_cross_pages(thread)


def assert_repetitions_cross_pages(thread):
    for place, slot in enumerate(thread.slots):
        if slot.floor and slot.floor.is_repeated and slot.shown_number == slot.floor.number:
            following = thread.slots[place + 1]
            assert following.floor is slot.floor
            assert following.shown_number == slot.floor.number + 1
            assert (place + 1) % THREAD_PAGE_SIZE == 0


def test_truth_follows_its_conventions():
    forum = World(3, FORUMS).forums[0]
    found = [json.loads(truth.encode(record)) for record in truth.records(forum, Part())]
    by_kind: dict[str, list[dict]] = {}
    for record in found:
        by_kind.setdefault(record["record"], []).append(record)
    assert found[0]["record"] == "forum"
    assert found[0]["name"] == "甲"
    assert found[0]["thread_count"] == len(by_kind["thread"])
    posts = {post["post_id"]: post for post in by_kind["post"]}
    for thread in by_kind["thread"]:
        assert thread["created_at"] <= thread["last_reply_at"]
        assert thread["created_at"].endswith("+00:00")
        assert ("first_post_id" in thread) != ("deleted" in thread)
        if "first_post_id" in thread:
            first = posts[thread["first_post_id"]]
            assert (first["floor"], first["comment_count"], first["thread_id"]) == (1, 0, thread["thread_id"])
    for record in by_kind["post"] + by_kind["comment"]:
        assert record["author_name"]
        assert record["text"] == record["text"].strip()
        assert record.get("author_id") != 0
    counted: dict[int, int] = {}
    for comment in by_kind["comment"]:
        assert not comment["text"].startswith("回复")
        counted[comment["post_id"]] = counted.get(comment["post_id"], 0) + 1
    assert {key: post["comment_count"] for key, post in posts.items() if post["comment_count"]} == counted
    texts = "".join(post["text"] for post in by_kind["post"])
    assert "[滑稽]" in texts
    assert "@" in texts
    assert "\n" in texts
    assert any(comment.get("reply_to_name") for comment in by_kind["comment"])
    assert any(post["images"] for post in by_kind["post"])
    assert any("floor" not in post for post in by_kind["post"])


def by_id(forum: Forum) -> dict[str, dict[int, dict]]:
    found: dict[str, dict[int, dict]] = {"thread": {}, "post": {}, "comment": {}}
    for record in truth.records(forum, Part()):
        if (kind := record["record"]) in found:
            found[kind][record[f"{kind}_id"]] = record
    return found


def comments_of(found):
    of_post: dict[int, list[int]] = {}
    for key, comment in found["comment"].items():
        of_post.setdefault(comment["post_id"], []).append(key)
    return of_post


@pytest.mark.parametrize("seed", [1, 2])
def test_a_generation_changes_something_of_every_kind_in_every_forum_and_leaves_the_rest(seed):
    settings = [ForumSettings("大", 3, 7.0), ForumSettings("小", 1, 1.0)]
    world, same = World(seed, settings), World(seed, settings)
    for _ in range(3):
        before = [by_id(forum) for forum in world.forums]
        world.advance(0.05)
        same.advance(0.05)
        for forum, old in zip(world.forums, before, strict=True):
            new = by_id(forum)
            assert new == by_id(same.forum(forum.name))
            assert_changed(old, new)


def assert_changed(old, new):
    kept = old["thread"].keys() & new["thread"].keys()
    assert old["thread"].keys() - kept  # deleted
    assert new["thread"].keys() - kept  # new ones
    assert min(new["thread"].keys() - kept) > max(kept)
    changed = {key for key in kept if old["thread"][key] != new["thread"][key]}
    for key in changed:
        was, now = old["thread"][key], new["thread"][key]
        assert now["reply_count"] > was["reply_count"]
        assert now["last_reply_at"] > max(thread["last_reply_at"] for thread in old["thread"].values())
    for kind in ("post", "comment"):
        of_others = [
            {key: record for key, record in found[kind].items() if record["thread_id"] in kept - changed}
            for found in (old, new)
        ]
        assert of_others[0] == of_others[1]
    # Inside of changed threads.
    posts = {key for key, post in old["post"].items() if post["thread_id"] in kept}
    new_posts = {key for key, post in new["post"].items() if post["thread_id"] in kept} - posts
    assert new_posts
    assert min(new_posts) > max(posts)
    assert posts - new["post"].keys()
    had, have = comments_of(old), comments_of(new)
    pairs = [(had.get(key, []), have.get(key, [])) for key in posts & new["post"].keys()]
    assert any(set(was) < set(now) for was, now in pairs)
    assert any(len(now) - len(was) > INLINE_COMMENTS for was, now in pairs)
    assert any(set(was) - set(now) for was, now in pairs)
    assert any(was != now and len(was) == len(now) for was, now in pairs)
    assert all(now == sorted(now) for _, now in pairs)
    times = [thread["last_reply_at"] for thread in new["thread"].values() if not thread["is_pinned"]]
    assert times == sorted(times, reverse=True)


def test_pages_stay_in_order_while_threads_grow():
    world = World(1, [ForumSettings("甲", 2, 30.0)])
    for _ in range(5):
        world.advance(1.0)
    threads = [thread for thread in world.forums[0].listed(world.forums[0].entries) if not thread.is_deleted]
    assert len(threads) > 50
    for thread in threads:
        assert [floor.post_id for floor in thread.floors] == sorted(thread.floors_by_id)
        numbers = [floor.number for floor in thread.floors]
        assert numbers == sorted(set(numbers))
        assert_repetitions_cross_pages(thread)
