"""What holds for every page: for all people, on all screens, and whatever stands in the texts of the site."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, addresses, refused
from tests.webpage import PASSWORD

_REFUSED = refused(404, 422)  # the pages of addresses where nothing is, and of what cannot be found

# Gives what reaches beyond the right edge of a page that can be scrolled sideways.
_OUTSIDE = """async () => {
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // charts are drawn anew
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const reaches = (item) => item.getBoundingClientRect().right > width + 1;
  return [...document.querySelectorAll("body *")].filter((item) => reaches(item) && !item.children.length)
    .map((item) => item.outerHTML.slice(0, 100));
}"""
# Numbers what can be reached by Tab; all buttons of a group of radio buttons would be one stop.
_NUMBER_STOPS = """() => {
  const wanted = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  window.stops = 0;
  for (const item of document.querySelectorAll(wanted))
    if (item.tabIndex >= 0 && item.checkVisibility({ visibilityProperty: true })) item.stop = ++window.stops;
}"""
_STOP = """() => {
  const item = document.activeElement;
  if (item === document.body) return null;
  // The browser itself marks the button of a date, which is inside of its field.
  const isMarked = item.type === "date" || getComputedStyle(item).outlineStyle !== "none";
  return { number: item.stop, isMarked, html: item.outerHTML };
}"""
# Marks that change how what follows is shown, and those that cannot be seen.
_UNSEEN = set(
    "\x07\x08\x1b\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)


@pytest.fixture(params=["usual", "hostile"])
def cluster(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(usual, open_page, scheme):
    page = open_page(usual, "", color_scheme=scheme, expected=_REFUSED)
    faults = {}
    for address in addresses(usual):
        page.goto(address)
        found = Axe().run(page).response["violations"]
        if bad := [_told(fault) for fault in found if fault["impact"] in {"serious", "critical"}]:
            faults[address] = bad
    page.context.clear_cookies()
    page.goto("/login")
    faults |= {"/login": found} if (found := Axe().run(page).response["violations"]) else {}
    assert not faults, faults


def _told(fault):
    return f"{fault['id']}: {[node['html'][:200] for node in fault['nodes'][:3]]}"


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_nothing_is_wider_than_the_screen(cluster, open_page, language):
    page = open_page(cluster, "", locale=language, expected=_REFUSED)
    wide = {}
    for address in addresses(cluster):
        page.goto(address)
        for width, height in (DESK, PHONE, (320, 640)):
            page.set_viewport_size({"width": width, "height": height})
            if outside := page.evaluate(_OUTSIDE):
                wide[address, width] = outside
    assert not wide, wide


def test_everything_is_reached_by_keyboard(usual, open_page):
    page = open_page(usual, "", expected=_REFUSED)
    for address in addresses(usual):
        page.goto(address)
        page.evaluate(_NUMBER_STOPS)
        reached = set()
        while True:
            page.keyboard.press("Tab")
            stop = page.evaluate(_STOP)
            if stop is None or (stop["number"] == 1 and reached):
                break
            assert stop["isMarked"], (address, stop)
            reached.add(stop["number"])
        assert len(reached) == page.evaluate("stops"), (address, sorted(reached))


def test_a_crawl_is_held_by_keyboard_alone(usual, open_page):
    page = open_page(usual, "/login", login=False)
    page.keyboard.type(PASSWORD)  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Crawling")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    _tab_to(page, page.get_by_role("link", name="Queue", exact=True), key="Shift+Tab")
    page.keyboard.press("Enter")
    _tab_to(page, page.get_by_label("Why"))
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".told")).to_contain_text("The crawl is held")
    _tab_to(page, page.get_by_role("button", name="Go on"))
    page.keyboard.press("Space")
    expect(page.locator(".told")).to_have_text("The crawl goes on.")


def test_what_has_the_focus_keeps_it_when_numbers_change(usual, open_page):
    page = open_page(usual)
    link = page.locator("#dead-link")
    link.focus()
    queued = page.locator("[sse-swap=numbers]")
    text = queued.inner_text()
    expect(queued).not_to_have_text(text)
    expect(link).to_be_focused()


def _tab_to(page, wanted, key="Tab"):
    for _ in range(100):
        page.keyboard.press(key)
        if wanted.evaluate("item => item === document.activeElement"):
            return
    raise AssertionError("it is not reached")


def test_hostile_text_is_inert(hostile, open_page):
    page = open_page(hostile, "", expected=_REFUSED)
    shown = ""
    for address in _all_addresses(hostile):
        page.goto(address)
        assert page.evaluate("document.title") not in {"owned", "1"}
        expect(page.locator("header.top")).to_be_visible()  # no style of theirs hides it
        inside = page.evaluate("[...document.querySelectorAll('bdi *')].map(item => item.outerHTML)")
        assert not inside, (address, inside)
        assert page.locator("script:not([src]), style, iframe, [onerror], [href^='javascript:']").count() == 0
        text = page.locator("body").inner_text()
        shown += text
        assert not (set(text) & _UNSEEN), (address, set(text) & _UNSEEN)
        assert len(max(text.split("\n"), key=len)) < 2_500, address
    # It is there to be read all the same.
    assert "<script>document.title = 'owned'</script>" in shown
    assert "\u27e6RLO\u27e7迷惑人的方向\u27e6LRI\u27e7" in shown
    assert "看不\u27e6ZWSP\u27e7见\u27e6WJ\u27e7的\u27e6ZWNBSP\u27e7字\u27e6SHY\u27e7" in shown
    assert "&lt;b&gt; &amp;quot; &#x27;" in shown
    assert "{{ 7 * 7 }} ${7 * 7} %s %(name)s" in shown
    assert "长" * 60 + "…" in shown


def _all_addresses(cluster):
    """Give the pages, and those of all threads and of users with the worst names."""
    threads = [f"/data/thread/{thread['thread_id']}" for thread in cluster.records("threads")[:12]]
    users = sorted(cluster.records("users"), key=lambda user: -len(user.get("name") or ""))
    return [*addresses(cluster), *threads, *(f"/data/user/{user['user_id']}" for user in users[:6])]
