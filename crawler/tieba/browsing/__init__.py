"""Reads stored records a page at a time, for people who look at them: on indexes, however many there are."""

from tieba.browsing.browser import Browser, Page, open_browser
from tieba.browsing.counting import Counted

__all__ = ["Browser", "Counted", "Page", "open_browser"]
