"""Seeds, as users write them."""

from datetime import datetime, timezone

import pytest

from tieba.pages import ForumPage, Scope, ThreadPage
from tieba.seeds import Seed, SeedError, is_address, make_seeds, parse_seeds

CHAT = ForumPage("聊天")
JANUARY = datetime(2025, 12, 31, 16, tzinfo=timezone.utc)  # its beginning in Beijing


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ('{"forum": "聊天", "pages": 20}', Seed(CHAT, Scope(last_page=20))),
        ('{"forum": "聊天", "pages": "20"}', Seed(CHAT, Scope(last_page=20))),
        ('{"forum": "聊天", "pages": "3-7"}', Seed(ForumPage("聊天", 3), Scope(first_page=3, last_page=7))),
        ('{"forum": "聊天", "pages": "3-"}', Seed(ForumPage("聊天", 3), Scope(first_page=3))),
        ('{"forum": " 聊天 "}', Seed(CHAT)),
        ('{"forum": "聊天", "good": true, "comments": "no"}', Seed(CHAT, Scope(good=True, comments=False))),
        ('{"forum": "聊天", "since": "2026-01-01"}', Seed(CHAT, Scope(since=JANUARY))),
        ('{"forum": "聊天", "until": "2025-12-31T16:00:00Z"}', Seed(CHAT, Scope(until=JANUARY))),
        ('{"forum": "聊天", "update": true, "max_requests": 9}', Seed(CHAT, Scope(update=True), 9)),
        ('{"thread": 7777, "starter": true}', Seed(ThreadPage(7777), Scope(starter=True))),
        ('{"url": "https://tieba.baidu.com/p/7777?pn=2"}', Seed(ThreadPage(7777))),
        ("聊天", Seed(CHAT)),
        ("2048", Seed(ForumPage("2048"))),
        ("https://tieba.baidu.com/f?kw=%E8%81%8A%E5%A4%A9&ie=utf-8", Seed(CHAT)),
        ("https://tieba.baidu.com/f?kw=%C1%C4%CC%EC", Seed(CHAT)),  # in GBK, as links were
        ("tieba.baidu.com/p/7777", Seed(ThreadPage(7777))),
    ],
)
def test_seeds(text, seed):
    assert parse_seeds(text) == [seed]
    assert parse_seeds(str(seed)) == [seed]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"forum": "聊天", "pages": 0}', "pages must be a number from 1 to 100000"),
        ('{"forum": "聊天", "pages": 1.5}', "not 1.5"),
        ('{"forum": "聊天", "pages": true}', "not True"),
        ('{"forum": "聊天", "pages": "7-3"}', "not '7-3'"),
        ('{"forum": "聊天", "pages": "-3"}', "not '-3'"),
        ('{"forum": ""}', "forum must be the name of a forum"),
        ('{"forum": 5}', "not 5"),
        ('{"forum": "聊天", "page": 2}', "page is unknown; known are"),
        ('{"name": "聊天"}', "name is unknown"),
        ("{}", "one of the keys forum, thread, url"),
        ('{"good": true}', "good=True needs a forum or a thread"),
        ('{"thread": 7, "pages": 2}', "pages is for forums"),
        ('{"forum": "聊天", "good": "perhaps"}', "good must be true or false, not 'perhaps'"),
        ('{"forum": "聊天", "since": "yesterday"}', "since must be a day or a moment"),
        ('{"forum": "聊天", "since": "2026-02-01", "until": "2026-01-01"}', "must be before"),
        ('{"forum": "聊天", "max_requests": 0}', "max_requests must be an integer from 1"),
        ('{"forum": "聊天", "until": "9999-12-31T23:00+00:00"}', "until must be a day or a moment"),
        ('{"thread": 1.5}', "thread must be the number of a thread, as in tieba.baidu.com/p/7777, not 1.5"),
        ("https://tieba.baidu.com/f?kw=x&tab=good", "for good threads give good"),
        ('{"thread": "x"}', "thread must be the number of a thread"),
        ('{"forum": "聊天"', "not valid JSON"),
        ("[1]", "one JSON object or a text, not a list"),
        ("https://example.com/p/7", "url must be one of tieba.baidu.com"),
        ("https://tieba.baidu.com/home", "url must be that of a forum"),
        ("", "forum must be the name"),
        ("a\x00b", "printable"),
        ("吧" * 101, "at most 100"),
    ],
)
def test_errors_name_the_key_and_the_value(text, told):
    with pytest.raises(SeedError) as error:
        parse_seeds(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_several_at_once():
    assert make_seeds({"forums": "聊天， 读书", "threads": "1,2", "comments": "false"}) == [
        *(Seed(ForumPage(name), Scope(comments=False)) for name in ("聊天", "读书")),
        *(Seed(ThreadPage(thread_id), Scope(comments=False)) for thread_id in (1, 2)),
    ]


def test_errors_call_options_by_their_names():
    with pytest.raises(SeedError, match="--max-requests must be"):
        make_seeds({"forum": "x", "max_requests": "many"}, lambda key: f"--{key.replace('_', '-')}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tieba.baidu.com/p/7777", True),
        ("Tieba.Baidu.com/p/7777", True),
        ("wapp.tieba.baidu.com/p/7777", True),
        ("https://example.com", True),
        ("tieba.community", False),
        ("AC/DC", False),
        ("聊天", False),
    ],
)
def test_an_address_is_told_from_the_name_of_a_forum(text, expected):
    assert is_address(text) == expected
