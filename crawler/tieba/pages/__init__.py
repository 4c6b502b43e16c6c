"""Turns the bytes of one answer into an outcome, records and follow-up targets.

Pure functions: no network, no Scrapy, no clock.
"""

from tieba.pages.answers import Answer, Outcome, Page, answer_to_json
from tieba.pages.targets import (
    CommentPage,
    ForumPage,
    Scope,
    Target,
    ThreadPage,
    follow_ups,
    kind_of,
    target_from_list,
    target_to_list,
)

__all__ = [
    "Answer",
    "CommentPage",
    "ForumPage",
    "Outcome",
    "Page",
    "Scope",
    "Target",
    "ThreadPage",
    "answer_to_json",
    "follow_ups",
    "kind_of",
    "target_from_list",
    "target_to_list",
]
