"""Why a forum's numbers differ: reasons come from what was asked for and what happened."""

import pytest

from tieba.totals import FAILED, REFUSED, reasons

FULL = {
    "claimed": 9,
    "listed": 9,
    "fetched": 9,
    "unchanged": 0,
    "not_fetched": 0,
    "gone": 0,
    REFUSED: 0,
    FAILED: 0,
}
WHOLE = {"forum": "聊天"}
SHORT = "the pages of its list show no more, maybe since the site hides threads and ends long lists"


@pytest.mark.parametrize(
    ("row", "seeds", "lists", "why"),
    [
        ({}, [WHOLE], {}, []),
        ({"listed": 5}, [WHOLE], {}, [SHORT]),
        ({"listed": 5}, [{**WHOLE, "pages": 3}], {}, ["only threads of list pages 1 to 3 were asked for"]),
        ({"listed": 5}, [WHOLE, {**WHOLE, "pages": 3}], {}, [SHORT]),
        (
            {"listed": 5},
            [{**WHOLE, "good": True}, {**WHOLE, "pages": "4-"}],
            {},
            ["only threads that are good and threads of list pages 4 to the last were asked for"],
        ),
        ({"listed": 5}, [WHOLE], {7: FAILED}, ["page 7 of its list was given up after failures"]),
        (
            {"listed": 0},
            [WHOLE],
            dict.fromkeys(range(7), REFUSED),
            ["pages 0, 1, 2, 3, 4 and 2 more of its list were refused by the site"],
        ),
        (
            {"not_fetched": 4},
            [{**WHOLE, "since": "2026-03-01", "until": "2026-04-01"}],
            {},
            ["only threads with a reply since 2026-03-01 begun before 2026-04-01 were asked for"],
        ),
        ({"not_fetched": 4, REFUSED: 4}, [WHOLE], {}, ["requests of 4 threads were refused by the site"]),
        (
            {"not_fetched": 4, FAILED: 3},
            [WHOLE],
            {},
            [
                "requests of 3 threads were given up after failures",
                "4 threads were listed and not fetched, and not all for a known reason",
            ],
        ),
        ({"claimed": None}, [WHOLE], {}, ["the site told nothing of this forum"]),
        (
            {"listed": 12, "gone": 3},
            [WHOLE],
            {},
            ["its list shows more than it claims, maybe since 3 are gone"],
        ),
        (
            {"listed": 12},
            [WHOLE],
            {},
            ["its list shows more than it claims, and the site does not say why"],
        ),
    ],
)
def test_reasons_are_facts(row, seeds, lists, why):
    assert list(reasons({**FULL, **row}, seeds, lists, None)) == why


def test_nothing_else_is_blamed_while_requests_are_left():
    row = {**FULL, "listed": 5, "not_fetched": 4}
    assert list(reasons(row, [WHOLE], {}, "the crawl goes on")) == ["the crawl goes on"]
