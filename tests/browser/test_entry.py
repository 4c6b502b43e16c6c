"""The login, and what visitors choose: language and colours."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, STREAM_ENDED, refused
from tests.waiting import wait_until
from tests.webpage import PASSWORD, Visitor, serving


def test_the_password_opens_the_page_that_was_asked_for(usual, open_page):
    page = open_page(usual, "/queue/dead", login=False)
    expect(page).to_have_url(f"{usual.url}/login?next=/queue/dead")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{usual.url}/queue/dead")
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    (cookie,) = (cookie for cookie in page.context.cookies() if not cookie["name"].startswith("tieba-l"))
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
    assert page.evaluate("document.cookie") == ""


def test_logging_out_ends_the_session_in_all_tabs(usual, open_page):
    page = open_page(usual, login=False, expected=[*refused(401), STREAM_ENDED])
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    other = page.context.new_page()
    other.goto("/queue")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    # The other tab notices by its stream of events, which ends and is refused from then on.
    expect(other.get_by_label("Password")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()


def test_wrong_passwords_are_told_and_soon_refused(usual, open_page, tmp_path):
    with serving(tmp_path, {"redis_url": usual.redis_url, "mongodb_url": usual.mongodb_url}) as port:
        cluster = replace(usual, url=f"http://localhost:{port}")
        page = open_page(cluster, login=False, expected=refused(403, 429))
        assert _guess(page) == "This is not the password."

        def is_refused():
            while Visitor(port).log_in("wrong").status == 403:
                pass  # until nobody of this machine may try for two seconds
            return _guess(page).startswith("Too many wrong passwords: try again in")

        wait_until(is_refused, 60)


def _guess(page):
    """Try a wrong password; gives what the page tells."""
    page.get_by_label("Password").fill("wrong")
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()
    return page.get_by_role("alert").inner_text()


def test_chinese_by_the_browser_and_by_choice(usual, open_page):
    page = open_page(usual, locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.get_by_role("link", name="总览")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("link", name="Overview")).to_be_visible()
    page.get_by_role("link", name="Queue").click()
    page.get_by_role("button", name="中文").click()
    expect(page).to_have_url(f"{usual.url}/queue")
    expect(page.get_by_role("heading", name="队列", exact=True)).to_be_visible()


@pytest.mark.parametrize(("scheme", "ground"), [("light", "dark"), ("dark", "light")])
def test_colours_by_the_system_and_by_choice(usual, open_page, scheme, ground):
    page = open_page(usual, "/", DESK, color_scheme=scheme)
    assert _ground(page) == scheme
    switch = page.get_by_role("button", name="Colours")
    switch.click()  # auto, dark, light
    if ground == "light":
        switch.click()
    expect(page.locator("html")).to_have_attribute("data-theme", ground)
    assert _ground(page) == ground
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", ground)


def _ground(page):
    """Tell whether the page is light or dark, by its ground."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in colour[4:-1].split(","))
    return "dark" if red + green + blue < 384 else "light"
