"""Times of web lists, which stand there without their day."""

from datetime import datetime, timezone

import pytest

from replica.web.lists import forum_page
from replica.world import ForumSettings, World
from tieba.pages import Outcome
from tieba.pages.targets import ForumPage
from tieba.pages.web import WebPages


@pytest.mark.parametrize("page", [1, 3], ids=["in a comment", "in the page"])
def test_times_of_a_list_are_of_the_day_on_which_the_page_was_made(page):
    world = World(2, (ForumSettings("甲", 4, 5.0),))
    years_later = datetime(2031, 5, 5, tzinfo=timezone.utc)
    body = forum_page(world, world.forums[0], page, good=False)
    answer = WebPages().read(body, target=ForumPage("甲", page), at=years_later)
    assert answer.outcome is Outcome.OK
    known = [thread for thread in answer.threads if thread.last_reply_at]
    assert known
    for thread in known:
        seconds = world.thread(thread.thread_id).last_reply
        assert thread.last_reply_at == datetime.fromtimestamp(seconds - seconds % 60, tz=timezone.utc)
