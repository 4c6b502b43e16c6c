"""What the queue keeps of a request."""

import json
from datetime import datetime, timezone

import pytest

from tieba.pages import Before, CommentPage, Fetch, ForumPage, Listed, Scope, ThreadComments, ThreadPage

DAY = datetime(2026, 1, 31, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "fetch",
    [
        Fetch(ForumPage("聊天", 3), Scope(first_page=3, last_page=7, good=True, since=DAY)),
        Fetch(ThreadPage(7), Scope(starter=True, comments=False, until=DAY), Listed(12, DAY)),
        Fetch(ThreadPage(7, 2), Scope(update=True), Listed(None, None), Before(70, 12)),
        Fetch(ThreadComments(7, 2)),
        Fetch(CommentPage(7, 70, 2)),
    ],
)
def test_a_fetch_survives_the_queue(fetch):
    assert Fetch.from_json(json.loads(json.dumps(fetch.to_json()))) == fetch


def test_what_is_as_by_default_takes_no_room():
    assert Fetch(ThreadPage(7777)).to_json() == {"target": ["thread", 7777, 1]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"target": ["thread"]},
        {"target": ["thread", "7", 1]},
        {"target": ["x", 1, 1]},
        {"target": {"forum": 1}},
        {"target": ["thread", 7, 1], "scope": ["good"]},
        {"target": ["thread", 7, 1], "scope": {"god": True}},
        {"target": ["thread", 7, 1], "scope": {"good": "yes"}},
        {"target": ["thread", 7, 1], "scope": {"since": 10**30}},
        {"target": ["thread", 7, 1], "listed": [1]},
        {"target": ["thread", 7, 1], "before": [70]},
    ],
)
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match="not a "):
        Fetch.from_json(value)


def test_only_what_concerns_a_thread_follows_it():
    scope = Scope(first_page=2, last_page=3, good=True, starter=True, since=DAY, update=True)
    assert scope.of_thread() == Scope(starter=True, since=DAY, update=True)


def test_what_is_left_out_of_threads_tells_visits_apart():
    assert Scope(first_page=2, good=True, update=True).left_out == ""
    assert Scope(comments=False).left_out == "comments=False"
    assert Scope(starter=True).left_out != Scope(since=DAY).left_out
