"""Reading what was found, finding it, and taking it away."""

import csv
import re

import pytest
from playwright.sync_api import expect

from dashboard.pages import templates
from tests.browser.conftest import SMALL, refused, truth


@pytest.fixture(scope="module")
def found(usual):
    """Give what a perfect crawl of SMALL stores, by kind, of threads that the crawl has read."""
    records = {}
    read = {record["thread_id"] for record in usual.records("posts")}
    for record in truth(usual, SMALL):
        if record.get("thread_id") in read and not record.get("deleted"):
            records.setdefault(record["record"], []).append(record)
    return records


@pytest.fixture(scope="module")
def talkative(found):
    """Give the thread whose second floor has three pages of comments."""
    floor = max(found["post"], key=lambda post: post["comment_count"])
    assert floor["comment_count"] > 60
    return next(thread for thread in found["thread"] if thread["thread_id"] == floor["thread_id"]), floor


def test_a_thread_is_read_with_its_floors_and_comments(usual, open_page, found, talkative):
    thread, floor = talkative
    page = open_page(usual, "/data")
    page.get_by_role("table").get_by_role("link", name=SMALL, exact=True).click()
    page.get_by_role("link", name=thread["title"], exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(thread["title"])
    posts = [post for post in found["post"] if post["thread_id"] == thread["thread_id"]]
    for post in posts[:30]:
        shown = page.locator(f"#floor-{post['post_id']}")
        expect(shown.locator("> .text")).to_have_text(post["text"], use_inner_text=True)
        expect(shown).to_contain_text(post["author_name"])
    under = page.locator(f"#floor-{floor['post_id']} .comments")
    expect(under.locator("li:not(.more)")).to_have_count(5)
    under.get_by_role("link", name=re.compile("comments")).click()
    expect(under.locator("li:not(.more)")).to_have_count(50)
    under.get_by_role("link", name="show more").click()
    comments = [comment for comment in found["comment"] if comment["post_id"] == floor["post_id"]]
    expect(under.locator("li:not(.more) .text")).to_have_text([comment["text"] for comment in comments])
    expect(page).to_have_url(f"{usual.url}/data/thread/{thread['thread_id']}")


def test_a_long_thread_has_pages(usual, open_page, found):
    posts = [post["thread_id"] for post in found["post"]]
    longest = max(set(posts), key=posts.count)
    page = open_page(usual, f"/data/thread/{longest}")
    floors = page.locator("section.floor")
    ids = []
    while True:
        ids += floors.evaluate_all("floors => floors.map(floor => floor.id)")
        turn = page.get_by_role("link", name="next page")
        if not turn.count():
            break
        turn.click()
        expect(page.get_by_role("link", name="first page")).to_be_visible()
        page.wait_for_load_state()
    assert len(ids) == len(set(ids)) == posts.count(longest) > 30


def test_threads_and_users_are_found_by_title_name_and_number(usual, open_page, talkative):
    thread, floor = talkative
    page = open_page(usual, "/data")

    def search(text):
        page.get_by_role("search").get_by_role("searchbox").fill(str(text))
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()

    search(thread["title"][:5])
    expect(page.get_by_role("link", name=thread["title"], exact=True).first).to_be_visible()
    search(thread["thread_id"])
    expect(page.get_by_role("link", name=f"Thread {thread['thread_id']}")).to_be_visible()
    search(floor["post_id"])
    page.get_by_role("link", name=f"Post {floor['post_id']}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Post {floor['post_id']}")
    page.goto("/data")
    search(thread["author_name"])
    page.get_by_role("listitem").get_by_role("link").filter(has_text=thread["author_name"]).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"\S"))
    page.goto("/data")
    search("zzz of which there is nothing")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()


def test_a_chart_that_is_still_being_counted_appears_by_itself(usual, open_page):
    page = open_page(usual, "/data")
    expect(page.locator(".hours canvas")).to_be_visible()
    counting = templates("en").get_template("data/hours.html").render(chart={"days": 7, "points": None})
    page.evaluate(
        "text => { const box = document.querySelector('.hours'); box.innerHTML = text; htmx.process(box) }",
        counting,
    )
    expect(page.locator(".hours")).to_have_text("Still being counted …")
    expect(page.locator(".hours canvas")).to_be_visible()


def test_requests_are_found_in_the_queue(usual, open_page, talkative):
    thread, _ = talkative
    page = open_page(usual, "/queue", expected=refused(422))

    def find(text):
        page.get_by_role("search").get_by_role("searchbox").fill(str(text))
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("heading", name="Find in the queue")).to_be_visible()

    page.goto("/queue")
    find(thread["thread_id"])
    expect(page.locator(".lead")).to_contain_text("This crawl was not asked for it.")
    with usual.frontier() as frontier:
        numbers = [re.search(r"\d{6,}", letter.payload) for letter in frontier.dead()]
    find(f"https://tieba.baidu.com/p/{next(filter(None, numbers))[0]}")
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    find("tieba.baidu.com/no-forum-no-thread")
    expect(page.get_by_role("alert")).to_be_visible()


def test_an_export_is_made_and_taken_away(usual, open_page, found):
    page = open_page(usual, "/data")
    page.get_by_role("link", name="Export").click()
    page.get_by_role("combobox", name="What").select_option("threads")
    page.get_by_role("combobox", name="Format").select_option("csv")
    page.get_by_role("textbox", name="Forum").fill(SMALL)
    page.get_by_role("button", name="Export").click()
    file = page.locator("a[download]")
    file.wait_for(timeout=30_000)
    with page.expect_download() as download:
        file.click()
    with download.value.path().open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert {thread["title"] for thread in found["thread"]} <= {row["title"] for row in rows}
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
