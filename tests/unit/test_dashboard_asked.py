"""Numbers that addresses and forms give."""

import pytest

from dashboard.asked import number, signed

NONE = [
    "",
    "-",
    "--1",
    "+1",
    " 1",
    "1 ",
    "1_0",
    "1.0",
    "1e3",
    "0x1",
    "\u0661",
    "\uff11",
    "\u00b2",
    "1\0",
    "9" * 19,
    "9" * 5_000,
]


@pytest.mark.parametrize("text", [None, "-1", *NONE])
def test_what_is_no_number(text):
    assert number(text) is None


@pytest.mark.parametrize("text", [None, *NONE])
def test_what_is_no_number_with_a_sign(text):
    assert signed(text) is None


def test_numbers():
    assert [number(text) for text in ("0", "007", str(2**63 - 1))] == [0, 7, 2**63 - 1]
    assert [signed(text) for text in ("0", "-7", "7")] == [0, -7, 7]
