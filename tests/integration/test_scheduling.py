"""The scheduler on a real Redis."""

import json

import pytest
from redis import Redis
from scrapy import Request, Spider

from tieba import serializer
from tieba.config import Config
from tieba.pages import CommentPage, ForumPage, Scope, ThreadPage
from tieba.requests import make_request, target_of
from tieba.scheduling import DupeFilter, Queue, Scheduler

CONFIG = Config()


@pytest.fixture
def server(redis_url):
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def scheduler(server):
    spider = Spider("tieba")
    scheduler = Scheduler(server, persist=True)
    scheduler.queue = Queue(server, spider, "tieba:requests", serializer=serializer)
    scheduler.df = DupeFilter(server, "tieba:dupefilter")
    scheduler.spider = spider
    return scheduler


def request(target, pages=None, **kwargs):
    return make_request(target, Scope(pages), CONFIG, **kwargs)


def test_comments_come_before_threads_and_threads_before_lists(scheduler):
    targets = [ForumPage("聊天", 2), ThreadPage(7), CommentPage(7, 70)]
    for target in targets:
        assert scheduler.enqueue_request(request(target))
    assert [target_of(scheduler.next_request()) for _ in targets] == targets[::-1]
    assert scheduler.next_request() is None
    assert scheduler.taken == 3


def test_a_target_is_queued_once_whatever_its_bytes(scheduler):
    assert scheduler.enqueue_request(request(ThreadPage(7)))
    newer = make_request(ThreadPage(7), Scope(), Config(api_client_version="13.0"))
    assert not scheduler.enqueue_request(newer)
    assert scheduler.enqueue_request(request(ThreadPage(7, 2)))


def test_a_seed_that_reaches_further_is_another_request(scheduler):
    assert scheduler.enqueue_request(request(ForumPage("聊天"), 5, is_seed=True))
    assert not scheduler.enqueue_request(request(ForumPage("聊天"), 5, is_seed=True))
    assert scheduler.enqueue_request(request(ForumPage("聊天"), 20, is_seed=True))


def test_requests_that_are_not_ours_work_too(scheduler):
    other = Request("http://example.com/?b=1&a=2", meta={"x": b"bytes"})
    assert scheduler.enqueue_request(other)
    assert not scheduler.enqueue_request(Request("http://example.com/?a=2&b=1"))
    assert scheduler.next_request().meta == {"x": b"bytes"}


@pytest.mark.parametrize(
    "entry", [b"\x80\x04K\x01.", b"{}", b'{"url": "http://x/", "callback": "no_such"}', b"\xff"]
)
def test_entries_that_cannot_be_decoded_are_recorded_as_failed(scheduler, server, entry):
    server.zadd("tieba:requests", {entry: -99})
    assert scheduler.enqueue_request(request(ThreadPage(7)))
    assert scheduler.next_request() is None
    assert target_of(scheduler.next_request()) == ThreadPage(7)
    (failure,) = server.lrange("tieba:failed", 0, -1)
    assert "cannot be decoded" in json.loads(failure)["reason"]


def test_a_request_whose_reply_was_lost_is_given_again_and_to_nobody_else(scheduler, server):
    """As when Redis stops after it has taken the request out of the queue, before the worker hears of it."""
    for page in (1, 2, 3):
        scheduler.enqueue_request(request(ThreadPage(7, page)))
    first = scheduler.next_request()
    scheduler.queue._received -= 1  # the worker never heard of it
    other = Queue(server, scheduler.spider, "tieba:requests", serializer=serializer)
    assert target_of(other.pop()) != target_of(first)
    assert target_of(scheduler.next_request()) == target_of(first)
    assert target_of(scheduler.next_request()) not in (None, target_of(first))
    assert scheduler.next_request() is None
