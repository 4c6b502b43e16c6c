"""Which records of an answer are stored."""

from datetime import datetime, timezone

import pytest

from tieba.pages import Answer, Fetch, ForumPage, Outcome, Scope, ThreadPage, wanted_records
from tieba.records import Comment, Post, Thread, User

FIRST, SECOND, THIRD = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3))


def wanted(scope, target=ThreadPage(7), **content):  # noqa: B008
    return wanted_records(Fetch(target, scope), Answer(outcome=Outcome.OK, **content))


@pytest.mark.parametrize(
    ("scope", "post_ids", "comment_ids"),
    [
        (Scope(), [1, 2, 3, 4], [21, 24]),
        (Scope(since=SECOND), [2, 3, 4], [24]),
        (Scope(until=SECOND), [1, 4], [21, 24]),
        (Scope(since=SECOND, until=THIRD), [2, 4], [24]),
        (Scope(comments=False), [1, 2, 3, 4], []),
    ],
    ids=["all", "since", "until", "both", "no comments"],
)
def test_floors_and_comments_are_of_the_scope_and_those_without_a_time_are_kept(scope, post_ids, comment_ids):
    thread, user = Thread(thread_id=7, created_at=FIRST), User(user_id=5)
    records = wanted(
        scope,
        thread=thread,
        posts=tuple(Post(post_id=n, created_at=at) for n, at in enumerate((FIRST, SECOND, THIRD, None), 1)),
        comments=tuple(Comment(comment_id=n, created_at=at) for n, at in ((21, FIRST), (24, None))),
        users=(user,),
    )
    assert [record.post_id for record in records if isinstance(record, Post)] == post_ids
    assert [record.comment_id for record in records if isinstance(record, Comment)] == comment_ids
    assert (records[0], records[-1]) == (thread, user)


def test_a_cut_title_is_left_out():
    whole, cut = Thread(thread_id=7, title="完..."), Thread(thread_id=8, title="半", reply_count=3)
    records = wanted(Scope(), ForumPage("甲"), threads=(whole, cut), cut_titles=frozenset({8}))
    assert records == [whole, Thread(thread_id=8, reply_count=3)]
