"""The pages of data: what they show of a store, and where they lead."""

import asyncio
import html
import re
from datetime import datetime, timezone
from urllib.parse import quote

import pytest

from dashboard.pages import templates
from tests.waiting import wait_until
from tests.webpage import Visitor, serving
from tieba.records import Forum, Post, Thread, User
from tieba.storage.mongodb import MongoStore

AT = datetime(2026, 1, 1, 4, 30, tzinfo=timezone.utc)
RECORDS = [
    Forum(forum_id=1, name="LOL"),
    Thread(thread_id=7, forum_id=1, title="一", author_id=1, created_at=AT, last_reply_at=AT),
    Post(post_id=1, thread_id=7, floor=1, author_id=1, created_at=AT),
    User(user_id=1, name="一"),
]


@pytest.fixture
def store(mongodb_url):
    """Give a function that stores records; RECORDS are."""

    def save(*records):
        async def run():
            store = MongoStore(mongodb_url)
            await store.open()
            try:
                await store.save(list(records))
            finally:
                await store.close()

        asyncio.run(run())

    save(*RECORDS)
    return save


@pytest.fixture
def crawler(redis_url, mongodb_url, store):
    return {"redis_url": redis_url, "mongodb_url": mongodb_url}


@pytest.fixture
def visitor(tmp_path, crawler):
    with serving(tmp_path, crawler) as port:
        visitor = Visitor(port)
        visitor.log_in()
        yield visitor


def test_a_thread_leads_to_the_queue_where_that_can_be_looked_into(visitor):
    assert "/queue/find?q=7" in visitor.get("/data/thread/7").text


def test_a_thread_does_not_lead_to_a_queue_of_scrapy_redis(tmp_path, crawler):
    with serving(tmp_path, {**crawler, "scheduler": "scrapy_redis"}) as port:
        visitor = Visitor(port)
        visitor.log_in()
        page = visitor.get("/data/thread/7")
        assert page.status == 200
        assert "/queue/find" not in page.text


def hours(visitor):
    """Give the chart's text, once it is counted."""

    def label():
        page = visitor.get("/data?part=hours&days=7").text
        assert "<html" not in page
        return re.search('data-label="([^"]*)"', page)

    return wait_until(label)[1]


def test_a_post_of_the_future_does_not_empty_the_chart(visitor, store):
    store(Post(post_id=2, thread_id=7, floor=2, created_at=datetime(2037, 1, 1, tzinfo=timezone.utc)))
    assert hours(visitor) == "Posts per hour of the last 7 days: 1 together, at most 1 in an hour."
    assert 'class="hours"' in visitor.get("/data").text


def test_a_chart_that_is_not_counted_yet_is_asked_for_again():
    shown = templates("en").get_template("data/hours.html").render(chart={"days": 7, "points": None})
    assert 'hx-get="/data?part=hours&amp;days=7" hx-trigger="every 2s" hx-target="closest .hours"' in shown


def test_counts_that_are_not_there_yet_are_asked_for_again(visitor):
    shown = templates("en").get_template("data/counts.html").render(counts=None)
    assert 'hx-get="/data?part=counts" hx-trigger="every 2s"' in shown

    def are_there():
        page = visitor.get("/data?part=counts")
        assert "<html" not in page.text
        return "Threads" in page.shown

    wait_until(are_there)


@pytest.mark.parametrize("wanted", ["LOL", "lol", "ＬＯＬ", "lol吧", "L"])
def test_forums_are_found_in_any_case_and_with_their_suffix(visitor, wanted):
    assert "Forum LOL" in visitor.get(f"/data/search?q={quote(wanted)}").shown
    assert "Nothing was found" in visitor.get(f"/data/search?q={quote(wanted + 'x')}").shown


def test_times_without_words_give_the_threads_that_began_then(visitor):
    def threads(times):
        asked = visitor.get(f"/data/search?q=&{times}")
        assert asked.status == 303
        return "/data/thread/7" in visitor.get(asked.location).text

    assert threads("since=2026-01-01&until=2026-01-02")
    assert not threads("since=2026-01-02")
    assert visitor.get("/data/search?q=").location == "/data"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/data?since=2026-01-01", {"since": "2026-01-01", "until": ""}),
        ("/data/forum/1?until=2026-01-02", {"forum": "LOL", "since": "", "until": "2026-01-02"}),
        ("/data/thread/7", {"thread": "7"}),
    ],
)
def test_a_page_leads_to_the_export_of_what_it_shows(visitor, path, fields):
    (address,) = re.findall(r'href="(/data/export\?[^"]*)"', visitor.get(path).text)
    form = visitor.get(html.unescape(address)).text
    for name, value in fields.items():
        assert re.search(rf'<input name="{name}" [^>]*value="{value}"', form), name


def test_a_search_of_some_time_leads_to_the_export_of_that_time(visitor):
    def page_with_the_thread():
        page = visitor.get(f"/data/search?q={quote('一')}&since=2026-01-01").text
        return "/data/thread/7" in page and page

    page = wait_until(page_with_the_thread)
    form = visitor.get(html.unescape(re.search(r'href="(/data/export\?[^"]*)"', page)[1])).text
    assert '<option value="threads" selected>' in form
    assert 'name="since" type="date" value="2026-01-01"' in form
