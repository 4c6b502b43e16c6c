"""Seeds, as users write them."""

import pytest

from tieba.pages import ForumPage, Scope, ThreadPage
from tieba.seeds import Seed, SeedError, parse_seed, spider_seeds


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ('{"forum": "聊天", "pages": 20}', Seed(ForumPage("聊天"), Scope(20))),
        ('{"forum": "聊天", "pages": "20"}', Seed(ForumPage("聊天"), Scope(20))),
        ('{"forum": " 聊天 "}', Seed(ForumPage("聊天"), Scope())),
        ('{"thread": 7777}', Seed(ThreadPage(7777), Scope())),
        ('{"url": "https://tieba.baidu.com/p/7777?pn=2"}', Seed(ThreadPage(7777), Scope())),
        ("聊天", Seed(ForumPage("聊天"), Scope())),
        ("2048", Seed(ForumPage("2048"), Scope())),
        ("https://tieba.baidu.com/f?kw=%E8%81%8A%E5%A4%A9&ie=utf-8", Seed(ForumPage("聊天"), Scope())),
        ("tieba.baidu.com/p/7777", Seed(ThreadPage(7777), Scope())),
    ],
)
def test_seeds(text, seed):
    assert parse_seed(text) == seed
    assert parse_seed(str(seed)) == seed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"forum": "聊天", "pages": 0}', "pages must be an integer from 1 to 100000, not 0"),
        ('{"forum": "聊天", "pages": 1.5}', "not 1.5"),
        ('{"forum": "聊天", "pages": true}', "not True"),
        ('{"forum": ""}', "forum must be the name of a forum"),
        ('{"forum": 5}', "not 5"),
        ('{"forum": "聊天", "page": 2}', "unknown key 'page'"),
        ('{"name": "聊天"}', "one of the keys forum, thread, url"),
        ('{"thread": "x"}', "thread must be the number of a thread"),
        ('{"forum": "聊天"', "not valid JSON"),
        ("https://example.com/p/7", "url must be one of tieba.baidu.com"),
        ("https://tieba.baidu.com/home", "url must be that of a forum"),
        ("", "forum must be the name"),
        ("a\x00b", "printable"),
        ("吧" * 101, "at most 100"),
    ],
)
def test_errors_name_the_key_and_the_value(text, told):
    with pytest.raises(SeedError) as error:
        parse_seed(text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_spider_arguments():
    assert spider_seeds() == []
    assert spider_seeds("聊天", "5") == [Seed(ForumPage("聊天"), Scope(5))]
    assert spider_seeds(threads="1, 2") == [Seed(ThreadPage(1), Scope()), Seed(ThreadPage(2), Scope())]


@pytest.mark.parametrize(
    "arguments", [{"pages": "5"}, {"forum": "x", "pages": "abc"}, {"threads": ""}, {"forum": " "}]
)
def test_spider_arguments_that_cannot_be_used(arguments):
    with pytest.raises(SeedError):
        spider_seeds(**arguments)
