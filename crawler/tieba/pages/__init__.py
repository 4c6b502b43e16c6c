"""Turns the bytes of one answer into an outcome, records and follow-up requests.

Pure functions: no network, no Scrapy, no clock.
"""

from tieba.pages.answers import Answer, Outcome, Page, answer_to_json
from tieba.pages.following import follow_ups, oldest_reply
from tieba.pages.gone import extents
from tieba.pages.sources import Call, Received, Source
from tieba.pages.targets import (
    Before,
    CommentPage,
    Fetch,
    ForumPage,
    Listed,
    Scope,
    Target,
    ThreadComments,
    ThreadPage,
    kind_of,
    target_from_list,
    target_to_list,
)
from tieba.pages.wanted import wanted_records

__all__ = [
    "Answer",
    "Before",
    "Call",
    "CommentPage",
    "Fetch",
    "ForumPage",
    "Listed",
    "Outcome",
    "Page",
    "Received",
    "Scope",
    "Source",
    "Target",
    "ThreadComments",
    "ThreadPage",
    "answer_to_json",
    "extents",
    "follow_ups",
    "kind_of",
    "oldest_reply",
    "target_from_list",
    "target_to_list",
    "wanted_records",
]
