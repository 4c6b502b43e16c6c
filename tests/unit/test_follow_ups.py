"""Which requests follow from an answer, and what it proves gone."""

from datetime import datetime, timedelta, timezone

import pytest

from tieba.pages import (
    Answer,
    Before,
    CommentPage,
    Fetch,
    ForumPage,
    Listed,
    Outcome,
    Page,
    Scope,
    ThreadComments,
    ThreadPage,
    extents,
    follow_ups,
)
from tieba.pages.client import ClientApi
from tieba.pages.following import MOST_PAGES_AT_ONCE
from tieba.pages.web import WebPages
from tieba.records import Comment, Post, Thread

API, WEB = ClientApi("json", "12.20.1.0"), WebPages()
DAY = datetime(2026, 1, 31, tzinfo=timezone.utc)
UPDATE = Scope(update=True)


def answer(**content):
    return Answer(outcome=Outcome.OK, **content)


def follow(target, scope=Scope(), source=API, before=None, unchanged=(), **content):  # noqa: B008
    fetch = Fetch(target, scope, before=before)
    return list(follow_ups(fetch, answer(**content), source, unchanged=unchanged))


def targets(fetches):
    return [fetch.target for fetch in fetches]


def thread(thread_id, days_ago=0, **fields):
    return Thread(thread_id=thread_id, last_reply_at=DAY - timedelta(days=days_ago), **fields)


# Lists.


def test_first_list_page_asks_for_the_others_within_the_scope():
    found = follow(ForumPage("聊天"), Scope(last_page=3), page=Page(1, 770), has_more=True)
    assert targets(found) == [ForumPage("聊天", 2), ForumPage("聊天", 3)]
    assert {fetch.scope for fetch in found} == {Scope(last_page=3)}


def test_a_range_begins_with_its_first_page():
    found = follow(ForumPage("聊天", 5), Scope(first_page=5, last_page=7), page=Page(5, 770))
    assert targets(found) == [ForumPage("聊天", 6), ForumPage("聊天", 7)]


def test_scope_beyond_the_end_of_the_list():
    assert targets(follow(ForumPage("聊天"), Scope(last_page=20), page=Page(1, 2))) == [ForumPage("聊天", 2)]
    assert follow(ForumPage("聊天"), Scope(last_page=1), page=Page(1, 2), has_more=True) == []


def test_a_number_of_pages_that_cannot_be_does_not_fill_the_queue():
    asked = targets(follow(ForumPage("聊天"), page=Page(1, 10**12)))
    assert len(asked) == MOST_PAGES_AT_ONCE
    further = follow(asked[-1], page=Page(MOST_PAGES_AT_ONCE + 1, 10**12), threads=(Thread(thread_id=7),))
    assert targets(further)[:MOST_PAGES_AT_ONCE] == [
        ForumPage("聊天", MOST_PAGES_AT_ONCE + 1 + number) for number in range(1, MOST_PAGES_AT_ONCE + 1)
    ]


def test_a_page_past_the_end_leads_nowhere():
    assert follow(ForumPage("聊天", 9), page=Page(9, 3), has_more=True) == []


def test_every_listed_thread_is_asked_for_with_what_the_list_shows_of_it():
    found = follow(
        ForumPage("聊天", 2),
        Scope(last_page=9, good=True),
        page=Page(2, 9),
        has_more=True,
        threads=(thread(7, reply_count=3), Thread(thread_id=8)),
    )
    assert found[1:] == [
        Fetch(ThreadPage(7), Scope(), Listed(3, DAY)),
        Fetch(ThreadPage(8), Scope(), Listed(None, None)),
    ]


def test_since_ends_the_list_where_it_becomes_older():
    scope = Scope(since=DAY - timedelta(days=5))
    pinned = thread(1, is_pinned=True)
    young = follow(ForumPage("聊天"), scope, page=Page(1, 9), threads=(pinned, thread(7, 4), thread(8, 6)))
    assert targets(young) == [ForumPage("聊天", 2), ThreadPage(1), ThreadPage(7)]
    assert follow(ForumPage("聊天", 2), scope, page=Page(2, 9), threads=(pinned, thread(8, 6))) == [
        Fetch(ThreadPage(1), scope, Listed(None, DAY))
    ]


def test_since_ends_the_list_where_all_days_that_it_shows_are_before():
    scope = Scope(since=DAY)
    days = {7: DAY + timedelta(hours=16), 8: DAY, 9: DAY - timedelta(days=1)}
    threads = tuple(Thread(thread_id=thread_id, is_pinned=thread_id == 1) for thread_id in (1, *days))
    young = follow(ForumPage("聊天"), scope, page=Page(1, 9), threads=threads, replied_before=days)
    assert targets(young) == [ForumPage("聊天", 2), ThreadPage(1), ThreadPage(7)]
    old = {8: DAY, 9: DAY}
    last = follow(ForumPage("聊天"), scope, page=Page(1, 9), threads=threads[2:], replied_before=old)
    assert last == []


def test_an_update_reads_lists_page_by_page_and_leaves_out_what_is_unchanged():
    found = follow(
        ForumPage("聊天"),
        UPDATE,
        page=Page(1, 9),
        threads=(thread(7, 1), thread(8, 2)),
        unchanged={7},
    )
    assert targets(found) == [ForumPage("聊天", 2), ThreadPage(8)]


# Threads and comments.


def test_first_thread_page_asks_for_the_others():
    assert targets(follow(ThreadPage(7), page=Page(1, 3))) == [ThreadPage(7, 2), ThreadPage(7, 3)]


def test_last_thread_page_asks_on_while_there_is_more():
    post = Post(post_id=70)
    assert targets(follow(ThreadPage(7, 3), page=Page(3, 3), has_more=True, posts=(post,))) == [
        ThreadPage(7, 4)
    ]
    assert targets(follow(ThreadPage(7, 3), page=Page(3, 4))) == [ThreadPage(7, 4)]
    assert follow(ThreadPage(7, 3), page=Page(3, 3), posts=(post,)) == []


def test_comments_are_fetched_where_fewer_came_than_there_are():
    posts = (
        Post(post_id=70, comment_count=1),
        Post(post_id=71, comment_count=61),
        Post(post_id=72, comment_count=None),
        Post(post_id=73, comment_count=2),
    )
    comments = (Comment(comment_id=90, post_id=70), Comment(comment_id=91, post_id=73))
    found = follow(ThreadPage(7), page=Page(1, 1), posts=posts, comments=comments)
    assert targets(found) == [
        CommentPage(7, 71, 1),
        CommentPage(7, 71, 2),
        CommentPage(7, 71, 3),
        CommentPage(7, 73, 1),
    ]
    assert follow(ThreadPage(7), Scope(comments=False), page=Page(1, 1), posts=posts) == []


def test_the_web_has_the_first_comments_of_all_floors_apart():
    posts = (Post(post_id=70, comment_count=0), Post(post_id=71, comment_count=41))
    assert targets(follow(ThreadPage(7, 2), source=WEB, page=Page(2, 2), posts=posts)) == [
        ThreadComments(7, 2)
    ]
    assert follow(ThreadPage(7, 2), source=WEB, page=Page(2, 2), posts=posts[:1]) == []


def test_comments_beyond_the_first_of_a_floor():
    first = tuple(Comment(comment_id=90 + number, post_id=71) for number in range(10))
    few = (Comment(comment_id=80, post_id=72),)
    counts = {71: 25, 72: 11, 73: 0}
    found = follow(ThreadComments(7, 2), source=WEB, comments=first + few, comment_counts=counts)
    assert targets(found) == [
        CommentPage(7, 71, 2),
        CommentPage(7, 71, 3),
        CommentPage(7, 72, 1),
        CommentPage(7, 72, 2),
    ]


def test_comment_page_asks_for_the_rest():
    found = follow(CommentPage(7, 70), page=Page(1, 3))
    assert targets(found) == [CommentPage(7, 70, 2), CommentPage(7, 70, 3)]


# What is gone.


def extents_of(target, scope=UPDATE, before=None, source=API, **content):
    return [
        (extent.collection, extent.parent, extent.after, extent.upto, extent.keys)
        for extent in extents(Fetch(target, scope, before=before), answer(**content), source)
    ]


POSTS = (
    Post(post_id=70, comment_count=0),
    Post(post_id=75, comment_count=2),
    Post(post_id=72, comment_count=1),
)
COMMENT = Comment(comment_id=90, post_id=72)


def test_an_update_walks_through_a_thread_and_says_what_is_all_of_it():
    shown = Thread(thread_id=7, reply_count=80)
    page = {"page": Page(2, 3), "thread": shown}
    (following,) = follow(ThreadPage(7, 2), UPDATE, before=Before(60, 80), posts=POSTS[:1], **page)
    assert following == Fetch(ThreadPage(7, 3), UPDATE, before=Before(70, 80))
    found = extents_of(ThreadPage(7, 2), before=Before(60, 80), posts=POSTS, comments=(COMMENT,), **page)
    assert found == [
        ("posts", 7, 60, 75, (70, 75, 72)),
        ("comments", 70, 0, None, ()),
        ("comments", 72, 0, None, (90,)),
    ]
    last = extents_of(
        ThreadPage(7, 3), before=Before(75, 80), posts=(Post(post_id=80),), page=Page(3, 3), thread=shown
    )
    assert last == [("posts", 7, 75, None, (80,))]


def test_where_the_site_counts_otherwise_than_before_pages_may_have_moved():
    thread = Thread(thread_id=7, reply_count=79)
    found = extents_of(
        ThreadPage(7, 2), before=Before(60, 80), posts=POSTS[:1], page=Page(2, 3), thread=thread
    )
    assert found[0] == ("posts", 7, 69, 70, (70,))


@pytest.mark.parametrize("target", [ThreadPage(7, 3), CommentPage(7, 71, 3)])
def test_an_empty_page_proves_nothing(target):
    assert extents_of(target, before=Before(75, None), page=Page(3, 3)) == []


def test_comment_pages_of_an_update():
    posts = (Post(post_id=71, comment_count=61),)
    assert targets(follow(ThreadPage(7), UPDATE, page=Page(1, 1), posts=posts)) == [CommentPage(7, 71, 1)]
    content = {"comments": (COMMENT,), "comment_counts": {71: 61}}
    (following,) = follow(CommentPage(7, 71), UPDATE, page=Page(1, 3), **content)
    assert following == Fetch(CommentPage(7, 71, 2), UPDATE, before=Before(90, 61))
    assert extents_of(CommentPage(7, 71, 3), before=Before(80, 61), page=Page(3, 3), **content) == [
        ("comments", 71, 80, None, (90,))
    ]


def test_the_first_comments_of_floors_are_all_of_them_or_their_first_page():
    first = tuple(Comment(comment_id=100 + number, post_id=74) for number in range(10))
    content = {"comments": (COMMENT, *first), "comment_counts": {72: 1, 73: 11, 74: 25}}
    assert extents_of(ThreadComments(7), source=WEB, **content) == [
        ("comments", 72, 0, None, (90,)),
        ("comments", 74, 0, 109, tuple(range(100, 110))),
    ]
    assert follow(ThreadComments(7), UPDATE, WEB, **content) == [
        Fetch(CommentPage(7, 73, 1), UPDATE),
        Fetch(CommentPage(7, 74, 2), UPDATE, before=Before(109, 25)),
    ]


@pytest.mark.parametrize("scope", [Scope(), Scope(update=True, starter=True)])
def test_nothing_is_proved_by_what_shows_only_a_part(scope):
    assert extents_of(ThreadPage(7), scope, posts=POSTS) == []
