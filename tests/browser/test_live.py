"""What happens while somebody looks: numbers move, and orders reach the queue."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import LARGE
from tests.waiting import wait_until

# The browser takes all tabs of tests for visible.
_HIDING = """
Object.defineProperty(document, "hidden", { get: () => window.isHidden ?? false });
window.hide = (isHidden) => {
  window.isHidden = isHidden;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
_CONNECTIONS = 6  # that a browser keeps to a host


def _big(page, name):
    """Give the number of a tile of the overview."""
    tile = page.locator(".tile").filter(has=page.get_by_role("heading", name=name, exact=True))
    return tile.locator(".big")


def test_numbers_change_without_reloading(usual, open_page):
    page = open_page(usual)
    page.evaluate("window.isSame = true")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Crawling"))
    expect(page.locator(".seeds")).to_contain_text(LARGE)
    before = _done(page)
    posts = page.locator(".found dl > div").filter(has=page.get_by_text("Posts", exact=True)).locator("dd")
    found = _number(posts)
    wait_until(lambda: _done(page) >= before + 3)
    wait_until(lambda: _number(posts) > found)
    expect(page.locator("[sse-swap=slaves] tbody tr")).to_have_count(1)
    expect(page.locator(".state .rate")).to_contain_text("pages/s")
    assert page.evaluate("window.isSame")
    assert before < _done(page) <= usual.done()


def test_tabs_that_nobody_sees_leave_their_connections_to_others(usual, open_page):
    page = open_page(usual, "")
    page.context.add_init_script(_HIDING)
    for tab in (page, *(page.context.new_page() for _ in range(_CONNECTIONS))):
        tab.goto("/")
        shown = _done(tab)
        wait_until(lambda tab=tab, shown=shown: _done(tab) > shown)
        tab.evaluate("hide(true)")
    page.evaluate("window.isSame = true")
    before = usual.done()
    wait_until(lambda: usual.done() > before + 3)
    assert _done(page) <= before
    page.evaluate("hide(false)")
    wait_until(lambda: _done(page) > before + 3)
    shown = _done(page)
    wait_until(lambda: _done(page) > shown)
    assert page.evaluate("window.isSame")


def test_a_tab_opened_in_the_background_begins_when_it_is_seen(usual, open_page):
    page = open_page(usual, "")
    page.context.add_init_script(f"{_HIDING} window.isHidden = true")
    page.goto("/")
    shown = _done(page)
    wait_until(lambda: usual.done() > shown + 3)
    assert _done(page) == shown
    page.evaluate("hide(false)")
    wait_until(lambda: _done(page) > shown + 3)


def test_a_chart_of_the_last_hour_is_drawn(usual, open_page):
    page = open_page(usual)
    chart = page.get_by_role("img", name=re.compile("Pages and posts a second during the last hour"))
    expect(chart.locator("canvas")).to_be_visible()
    painted = (
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    )
    wait_until(lambda: chart.locator("canvas").evaluate(painted))


def test_holding_and_going_on_reach_the_queue(usual, open_page):
    page = open_page(usual, "/queue")
    watching = page.context.new_page()
    watching.goto("/")
    page.get_by_label("Why").fill("the site is being <b>mended</b>")
    page.get_by_role("button", name="Hold the crawl").click()
    expect(page.locator(".told")).to_contain_text("The crawl is held")
    expect(watching.get_by_role("heading", level=1)).to_have_text("On hold")
    expect(watching.locator(".verdict")).to_contain_text("the site is being <b>mended</b>")
    wait_until(lambda: not usual.stats().leased)
    done, queued = usual.done(), usual.stats().queued
    page.wait_for_timeout(1_500)
    assert (usual.done(), usual.stats().queued) == (done, queued)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".told")).to_have_text("The crawl goes on.")
    expect(watching.get_by_role("heading", level=1)).to_have_text(re.compile("Crawling"))
    wait_until(lambda: usual.done() > done)


def test_dead_letters_are_retried_and_fetched(spent, open_page):
    page = open_page(spent, "/")
    page.locator(".tile.warn").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dead letters")
    before = spent.stats().dead

    # One.
    first = page.locator("tbody tr").first.get_by_role("link")
    request, address = first.inner_text(), first.get_attribute("href")
    first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(request)
    expect(page.locator(".facts").first).to_contain_text("HTTP 500")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator(".told")).to_have_text("1 dead letter is queued again.")
    expect(page.locator(f'a[href="{address}"]')).to_have_count(0)
    assert (spent.stats().dead, spent.stats().queued) == (before - 1, 1)

    # Some.
    for box in page.get_by_role("checkbox", name="Choose").all()[:2]:
        box.check()
    page.get_by_role("button", name="Retry the chosen ones").click()
    expect(page.locator(".told")).to_have_text("2 dead letters are queued again.")
    assert (spent.stats().dead, spent.stats().queued) == (before - 3, 3)

    # All.
    page.get_by_role("button", name="Retry all", exact=True).click()
    expect(page.get_by_text("None: nothing was given up.")).to_be_visible()
    read = len(spent.records("posts"))
    spent.crawl()
    assert spent.stats().dead == spent.stats().queued == 0
    assert len(spent.records("posts")) > read
    page.get_by_role("link", name="Overview").click()
    expect(_big(page, "Dead")).to_have_text("0")


def test_a_priority_is_changed(usual, open_page):
    with usual.frontier() as frontier:
        frontier.hold("")  # else workers may take all that was moved before it is looked for
        try:
            page = open_page(usual, "/queue")
            page.get_by_text("Change a priority").click()
            field = page.get_by_label(re.compile("Priority of"))
            form = page.locator("form[action='/queue/reprioritize']")
            endpoint = form.locator("input[name=endpoint]").get_attribute("value")
            old = int(field.input_value())
            field.fill(str(old + 7))
            page.get_by_role("button", name="Change", exact=True).click()
            expect(page.locator(".told")).to_contain_text("another priority")
            queued = {(item.endpoint, item.priority) for item in frontier.stats().queues}
            assert (endpoint, old + 7) in queued
            frontier.reprioritize(endpoint, old + 7, old, 10_000)
        finally:
            frontier.let_go()


def _done(page):
    """Give how many pages are shown as done."""
    return _number(page.locator(".verdict .under strong"))


def _number(locator):
    return int(locator.inner_text().replace(",", ""))
