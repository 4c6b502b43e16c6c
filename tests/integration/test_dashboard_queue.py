"""The pages of the queue: all of it can be seen, what they say is so, and what they do is what was asked."""

import contextlib
import html
import json
import re

import pytest

from frontier import Request, connect_blocking, fingerprint, operations
from frontier.blocking import Frontier
from tests.webpage import Visitor, serving
from tieba.fetches import identity
from tieba.pages import Fetch, ForumPage, ThreadPage


@pytest.fixture
def frontier(redis_url):
    with contextlib.closing(connect_blocking(redis_url)) as client:
        frontier = Frontier(client, "tieba")
        frontier.begin()
        yield frontier


@pytest.fixture
def visitor(tmp_path, redis_url, mongodb_url):
    with serving(tmp_path, {"redis_url": redis_url, "mongodb_url": mongodb_url}) as port:
        visitor = Visitor(port)
        visitor.log_in()
        visitor.get("/")
        yield visitor


def payload(thread, page=1):
    return f'{{"target":["thread",{thread},{page}]}}'


def push(frontier, threads):
    frontier.push([Request("posts", payload(thread)) for thread in threads])


def lease(frontier, count):
    """Lease so many, which takes several calls."""
    leases = []
    while len(leases) < count:
        more = frontier.lease(count - len(leases), "worker").leases
        assert more
        leases += more
    return leases


def threads_of(visitor, which):
    """Follow the links of a list to its end; gives the threads that were seen, and the last page."""
    seen, path = [], "/queue?endpoint=posts&priority=0"
    while path:
        page = visitor.get(path).text
        seen += map(int, re.findall(r"thread (\d+), page 1", part_of(page, which)))
        link = re.search(rf'id="{which}-on" href="([^"]+)"', page)
        path = link and link[1].replace("&amp;", "&")
    return seen, page


def part_of(page, which):
    return page.split('<section class="card">')[-3:][("start", "held", "later").index(which)]


def test_everything_that_is_held_or_waits_can_be_seen(visitor, frontier):
    push(frontier, range(1_000, 1_260))
    leases = lease(frontier, 130)
    for item in leases[:60]:
        frontier.fail("worker", item.id, "server_error", 600.0)
    for which, threads in {
        "held": range(1_060, 1_130),
        "later": range(1_000, 1_060),
        "start": range(1_130, 1_260),
    }.items():
        seen, last = threads_of(visitor, which)
        assert sorted(seen) == list(threads), which
        assert "There are more" not in last


def test_of_very_many_held_it_says_that_there_are_more(visitor, frontier):
    push(frontier, range(10_000, 13_000))
    lease(frontier, 3_000)
    seen, last = threads_of(visitor, "held")
    assert len(set(seen)) == len(seen) >= 1_000
    assert "There are more" in last


def test_what_lies_far_behind_is_looked_for_until_it_is_found(visitor, frontier):
    push(frontier, range(100_000, 130_000))
    wanted = fingerprint(identity(Fetch(ThreadPage(7, 1))))
    frontier.push([Request("posts", payload(7), fingerprint=wanted)])
    page = visitor.get("/queue/find?q=7")
    assert "the queue is still looked through" in page.shown
    assert "is done" not in page.shown
    pieces = [page]
    while on := re.search(r'hx-get="(/queue/find[^"]+)"', pieces[-1].text):
        pieces.append(visitor.get(html.unescape(on[1]), hx_request="true"))
    assert len(pieces) >= 3
    assert "<html" not in pieces[-1].text
    assert re.search(r"Looked at 1\d,\d{3} of 30,001 requests", page.shown)
    assert "thread 7, page 1" in pieces[-1].shown
    assert "place 30,001" in pieces[-1].shown
    assert "Looked at all 30,001 requests." in pieces[-1].shown
    assert "not queued" not in pieces[-1].shown
    by_itself = visitor.get(html.unescape(re.search(r'hx-get="([^"]+)"', pieces[-2].text)[1]))
    assert "<html" in by_itself.text
    assert "thread 7, page 1" in by_itself.shown
    assert "is done" not in by_itself.shown
    frontier.complete("worker", [(item.id, []) for item in lease(frontier, 30_001)])
    assert "and is done" in visitor.get("/queue/find?q=7").shown
    assert "was not asked for it" in visitor.get("/queue/find?q=8").shown


def test_who_looks_on_after_many_is_not_told_that_there_were_none(visitor, frontier):
    frontier.push([Request("posts", payload(7, page), fingerprint=page) for page in range(1, 31)])
    push(frontier, range(100_000, 105_000))
    page = visitor.get("/queue/find?q=7")
    assert "thread 7, page 30" in page.shown
    (on,) = re.findall(r'<a href="(/queue/find[^"]+after=[^"]+)"', page.text)
    rest = visitor.get(html.unescape(on), hx_request="true")
    assert "Looked at all 5,030 requests." in rest.shown
    assert "not queued" not in rest.shown


def test_forums_are_found_whatever_their_names_look_like(visitor, frontier):
    for name in ("AC/DC", "2048", "聊天"):
        wanted = fingerprint(identity(Fetch(ForumPage(name, 1))))
        frontier.push([Request("threads", json.dumps({"target": ["forum", name, 1]}), fingerprint=wanted)])
    push(frontier, [2048])
    for asked, name in {"AC%2FDC": "AC/DC", "2048&kind=forum": "2048", "%E8%81%8A%E5%A4%A9": "聊天"}.items():
        page = visitor.get(f"/queue/find?q={asked}").shown
        assert "It waits, or is being fetched." in page
        assert f"Forum {name} " in page
        assert f"forum {name}, list page 1" in page
    page = visitor.get("/queue/find?q=2048")
    assert "Thread 2048" in page.shown
    assert "thread 2048, page 1" in page.shown
    assert "/queue/find?q=2048&amp;kind=forum" in page.text
    address = "https%3A%2F%2Ftieba.baidu.com%2Fp%2F2048"
    assert "thread 2048, page 1" in visitor.get(f"/queue/find?q={address}").shown
    assert visitor.get("/queue/find?q=tieba.baidu.com%2Fnothing").status == 422


def test_a_hold_is_told_while_it_is_so(visitor, frontier):
    push(frontier, [1])
    held = visitor.post("/queue/hold", {"reason": "a look"}).location
    assert held == "/queue?did=held&count=1"
    assert "The crawl is held" in visitor.get(held).shown
    let_go = visitor.post("/queue/go-on").location
    assert "The crawl goes on." in visitor.get(let_go).shown
    assert "The crawl is held" not in visitor.get(held).shown
    assert "The crawl was not held." in visitor.get(visitor.post("/queue/go-on").location).shown


def test_a_priority_that_is_changed_for_some_is_told_as_such(visitor, frontier):
    push(frontier, range(100))
    assert visitor.post("/queue/reprioritize", {"endpoint": "posts", "old": 0, "new": 5}).location == (
        "/queue?did=moved&count=100"
    )
    assert "Some are left" not in visitor.get("/queue?did=moved&count=100").shown
    assert "3 requests have another priority. Some are left" in (
        visitor.get("/queue?did=moved_some&count=3").shown
    )


@pytest.mark.parametrize("ending", ["", "\nand more", "\r\nand more", "\rand more"])
def test_letters_of_one_reason_are_retried_whatever_it_holds(visitor, frontier, ending):
    for thread in range(1, 4):
        frontier.run(operations.bury("posts", payload(thread), f"unknown: it said{ending}"))
    frontier.run(operations.bury("posts", payload(9), "server_error: HTTP 500"))
    page = visitor.get("/queue/dead").text
    choices = dict(re.findall(r'<option value="([^"]*)">([^<]*)', page))
    (chosen,) = (value for value, cause in choices.items() if cause.startswith("unknown"))
    answer = visitor.post("/queue/retry", {"which": "cause", "like": chosen})
    assert answer.location == "/queue/dead?did=retried&count=3"
    assert [letter.reason for letter in frontier.dead()] == ["server_error: HTTP 500"]
    assert visitor.post("/queue/retry", {"which": "cause", "like": "x"}).status == 404


def test_letters_of_one_reason_can_be_retried_whatever_others_a_page_shows(visitor, frontier):
    for thread in range(40):
        frontier.run(operations.bury("posts", payload(thread), "not_found: HTTP 404"))
    for thread in range(100, 160):
        frontier.run(operations.bury("posts", payload(thread), "server_error: HTTP 500"))
    page = visitor.get("/queue/dead").text
    assert "not_found" not in page
    assert len(re.findall(r'<option value="([^"]*)">server_error', page)) == 1
    letter = visitor.get(re.search(r"/queue/letter/\d+", page)[0]).text
    like = re.search(r'name="like" value="(\d+)"', letter)[1]
    answer = visitor.post("/queue/retry", {"which": "cause", "like": like})
    assert answer.location == "/queue/dead?did=retried&count=60"
    assert len(list(frontier.dead())) == 40
