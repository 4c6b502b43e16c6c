"""How the page shows foreign text and numbers."""

from datetime import datetime, timezone

import pytest

from dashboard.pages import preferred, templates
from dashboard.text import clock, foreign, foreign_text, moment, number, plain, size, span


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>", "<bdi>&lt;script&gt;</bdi>"),
        ('" onload=x', "<bdi>&#34; onload=x</bdi>"),
        ("a\u202eb", "<bdi>a⟦RLO⟧b</bdi>"),
        ("a\x07\x1b[1m", "<bdi>a␇␛[1m</bdi>"),
        ("a\nb\tc\u2028d", "<bdi>a b c d</bdi>"),
        ("\udc80", "<bdi>\ufffd</bdi>"),
        ("\ufeff看\u200b不见", "<bdi>⟦ZWNBSP⟧看⟦ZWSP⟧不见</bdi>"),
        ("👨\u200d👩\u200d👧", "<bdi>👨\u200d👩\u200d👧</bdi>"),
        ("长" * 34_000, f"<bdi>{'长' * 500}…</bdi>"),
        (None, "<bdi></bdi>"),
        (7, "<bdi>7</bdi>"),
    ],
)
def test_foreign_text_stands_for_itself(text, shown):
    assert foreign(text) == shown


def test_texts_keep_their_line_breaks_alone():
    assert foreign_text("a\r\nb\u2029c\x00") == "<bdi>a\nb\nc␀</bdi>"
    assert len(foreign_text("x" * 100_000)) < 21_000


def test_what_is_cut_is_not_measured_in_symbols():
    assert plain("\u202e" * 3, 2) == "⟦RLO⟧⟦RLO⟧…"


@pytest.mark.parametrize("mark", ["\u0301", "\u0e34", "\u0e49", "\u064e", "\u05b8", "\u20dd", "\u0f71"])
def test_marks_do_not_tower_over_the_lines_around(mark):
    for piled in (plain, foreign_text):
        assert str(piled(f"a{mark * 99}b!{mark * 5}")).count(mark) == 8
    assert plain("a" + f"{mark * 4}\u200d" * 20).count(mark) == 4  # joiners take no room
    assert plain(f"a{mark}b{mark}c{mark}d{mark}e{mark}").count(mark) == 5


@pytest.mark.parametrize(
    "text",
    [
        "บริษัทนี้ดีที่สุด",
        "مُحَمَّدٌ",
        "בְּרֵאשִׁ֖ית",
        "བསྒྲུབས་",
        "हिन्दी",
        "👩🏽\u200d❤️\u200d👨🏿",
        "……！！！？？？",
        "e\u0302\u0323\u0301",
    ],
)
def test_texts_that_people_write_stay_whole(text):
    assert plain(text) == text


def test_numbers():
    assert [number(value) for value in (None, 0, 1234567, 0.04, 9.96, 1234.5)] == [
        "–", "0", "1,234,567", "0.0", "10.0", "1,234",
    ]  # fmt: skip
    assert [size(value) for value in (None, 0, 2048, 3 * 2**30, 2**50)] == [
        "–", "0 B", "2.0 KiB", "3.0 GiB", "1024.0 TiB",
    ]  # fmt: skip
    assert [span(value) for value in (None, 7.4, 125, 3725)] == ["–", "7 s", "2 min 5 s", "1 h 2 min"]


def test_times_are_those_of_beijing():
    at = datetime(2026, 11, 20, 20, 30, tzinfo=timezone.utc)
    assert moment(at) == '<time datetime="2026-11-21T04:30:00+08:00">2026-11-21 04:30</time>'
    assert moment(at.timestamp()) == moment(at)
    assert clock(at.timestamp()) == "04:30:00"
    assert moment(None) == "–"
    assert "99999999999999" in moment(99999999999999)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("de-DE,de;q=0.9,zh;q=0.8,en;q=0.7", "zh"),
        ("fr", "en"),
        ("en;q=0.1, zh;q=x", "en"),
        (",;q=,,zh", "zh"),
    ],
)
def test_language_is_what_the_browser_prefers(header, language):
    assert preferred(header) == language


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_template_can_be_read(language):
    environment = templates(language)
    assert len([environment.get_template(name) for name in environment.list_templates()]) > 20
