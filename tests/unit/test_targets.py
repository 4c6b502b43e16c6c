"""Which requests follow from an answer."""

import json

import pytest

from tieba.pages import (
    Answer,
    CommentPage,
    ForumPage,
    Outcome,
    Page,
    Scope,
    ThreadPage,
    follow_ups,
    target_from_list,
    target_to_list,
)
from tieba.records import Comment, Post, Thread


def follow(target, pages=None, **answer):
    return list(follow_ups(target, Answer(outcome=Outcome.OK, **answer), Scope(pages)))


def test_first_list_page_asks_for_the_others_within_the_scope():
    found = follow(ForumPage("聊天"), 3, page=Page(1, 770), has_more=True)
    assert found == [ForumPage("聊天", 2), ForumPage("聊天", 3)]


def test_scope_beyond_the_end_of_the_list():
    assert follow(ForumPage("聊天"), 20, page=Page(1, 2)) == [ForumPage("聊天", 2)]
    assert follow(ForumPage("聊天"), 1, page=Page(1, 2), has_more=True) == []


def test_without_a_scope_the_whole_list_is_asked_for():
    assert len(follow(ForumPage("聊天"), None, page=Page(1, 770))) == 769


def test_every_listed_thread_is_asked_for_on_a_short_page_too():
    threads = (Thread(thread_id=7), Thread(thread_id=8))
    found = follow(ForumPage("聊天", 2), 9, page=Page(2, 9), has_more=True, threads=threads)
    assert found == [ForumPage("聊天", 3), ThreadPage(7), ThreadPage(8)]


def test_first_thread_page_asks_for_the_others():
    assert follow(ThreadPage(7), page=Page(1, 3)) == [ThreadPage(7, 2), ThreadPage(7, 3)]


def test_last_thread_page_asks_on_while_there_is_more():
    assert follow(ThreadPage(7, 3), page=Page(3, 3), has_more=True) == [ThreadPage(7, 4)]
    assert follow(ThreadPage(7, 3), page=Page(3, 4)) == [ThreadPage(7, 4)]
    assert follow(ThreadPage(7, 3), page=Page(3, 3)) == []


def test_comments_are_fetched_where_fewer_came_than_there_are():
    posts = (
        Post(post_id=70, comment_count=1),
        Post(post_id=71, comment_count=61),
        Post(post_id=72, comment_count=None),
        Post(post_id=73, comment_count=2),
    )
    comments = (Comment(comment_id=90, post_id=70), Comment(comment_id=91, post_id=73))
    found = follow(ThreadPage(7), page=Page(1, 1), posts=posts, comments=comments)
    assert found == [
        CommentPage(7, 71, 1),
        CommentPage(7, 71, 2),
        CommentPage(7, 71, 3),
        CommentPage(7, 73, 1),
    ]


def test_comment_page_asks_for_the_rest():
    assert follow(CommentPage(7, 70), page=Page(1, 3)) == [CommentPage(7, 70, 2), CommentPage(7, 70, 3)]


@pytest.mark.parametrize("target", [ForumPage("聊天", 3), ThreadPage(7), CommentPage(7, 70, 2)])
def test_targets_survive_the_queue(target):
    assert target_from_list(json.loads(json.dumps(target_to_list(target)))) == target


@pytest.mark.parametrize("values", [None, [], ["thread"], ["thread", "7", 1], ["x", 1, 1], {"forum": 1}])
def test_other_values_are_no_targets(values):
    with pytest.raises(ValueError, match="not a target"):
        target_from_list(values)
