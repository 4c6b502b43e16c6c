"""The search index beside a real store: what it finds, and that it follows the store whatever happens."""

import asyncio
import contextlib
import sqlite3
import time
from datetime import datetime, timedelta, timezone

import pytest

from dashboard.search import Search
from dashboard.text_index import TextIndex
from tests.conftest import free_port, mongod_command, running
from tests.waiting import until
from tieba.browsing import open_browser
from tieba.config import Config
from tieba.records import Thread, User
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore

THREADS = [
    Thread(thread_id=1, title="【讨论】今天天气真好", author_name="晴天娃娃"),
    Thread(thread_id=2, title="天今不好", author_name="User_007"),
    Thread(thread_id=3, title="Python 爬虫 入门", author_name="晴天"),
    Thread(thread_id=4, title="ＰＹＴＨＯＮ🐍第123楼", author_name="x' OR 1=1 --"),
    Thread(thread_id=5),
]
USERS = [
    User(user_id=1, name="晴天娃娃", nickname="小晴天"),
    User(user_id=2, name="晴天"),
    User(user_id=3, nickname="晴 天"),
    User(portrait="tb.1.x?", name="晴天的🌞"),
    User(user_id=5, name="nobody"),
]

FOUND = [
    ("今天", [1]),  # not what has both characters elsewhere
    ("天", [3, 2, 1]),
    ("不好 天", [2]),
    ("python", [4, 3]),  # of any width and case
    ("PYT", [4, 3]),
    ("p", []),
    ("ython", []),
    ("爬虫入门", [3]),  # blanks do not count
    ("爬虫 入门", [3]),
    ("入门 晴", [3]),  # title and author
    ("晴天", [3, 1]),
    ("user", [2]),
    ("user_007", [2]),
    ("🐍", [4]),
    ("第123楼", [4]),
    ("讨论】今", [1]),
    ("x' OR 1=1 --", [4]),
    ('" OR one:天 *', []),
    ("NEAR(天)", []),
    ("", []),
    ("  ！？ ", []),
    ("\ud800", []),
    ("天" * 100_000, []),
]


@pytest.fixture(autouse=True)
def haste(monkeypatch):
    """Have nothing wait until it has settled."""
    monkeypatch.setattr("tieba.browsing.browser._SETTLED", timedelta(seconds=-5))
    monkeypatch.setattr("dashboard.search._ROUND_SECONDS", 0.02)


@pytest.fixture(params=["mongodb", "mysql"])
async def store(request):
    if request.param == "mongodb":
        store = MongoStore(request.getfixturevalue("mongodb_url"))
    else:
        store = MysqlStore(request.getfixturevalue("mariadb_url"))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def browser(request, store):
    if isinstance(store, MongoStore):
        config = Config(storage=("mongodb",), mongodb_url=request.getfixturevalue("mongodb_url"))
    else:
        config = Config(storage=("mysql",), mysql_url=request.getfixturevalue("mariadb_url"))
    browser = open_browser(config)
    yield browser
    await browser.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "search.sqlite"


@pytest.fixture
async def search(store, browser, path):
    """Give the index of THREADS and USERS."""
    await store.save([*THREADS, *USERS])
    with contextlib.closing(Search(path, browser)) as search:
        await search.update()
        yield search


async def test_threads_are_found_by_parts_of_their_title_and_author(search):
    assert [(text, await search.threads(text)) for text, _ in FOUND] == FOUND


async def test_pages_of_threads(search):
    assert await search.threads("天", limit=2) == [3, 2]
    assert await search.threads("天", limit=2, before=2) == [1]


async def test_threads_of_some_time_are_found_behind_any_number_of_others(search, store):
    """Their ids tell nothing of when they were begun."""
    day = datetime(2024, 5, 1, tzinfo=timezone.utc)
    others = [Thread(thread_id=number, title="很多", created_at=day) for number in range(100, 6_200)]
    wanted = [
        Thread(thread_id=number, title="很多", created_at=day - timedelta(days=1)) for number in (10, 11)
    ]
    await store.save([*others, *wanted, Thread(thread_id=12, title="很多")])
    await search.update()
    assert await search.threads("很多", until=day) == [11, 10]
    assert await search.threads("很多", until=day, limit=1, before=11) == [10]
    assert await search.threads("很多", since=day, limit=2) == [6_199, 6_198]
    assert await search.threads("很多", since=day - timedelta(days=1), until=day) == [11, 10]
    assert await search.threads("很多", since=day + timedelta(seconds=1)) == []
    assert await search.threads("很多", before=13) == [12, 11, 10]


async def test_users_whose_whole_name_it_is_come_first(search):
    assert await search.users("晴天") == [3, 2, 1, "tb.1.x?"]
    assert await search.users("晴天", limit=1) == [3]
    assert await search.users("🌞") == ["tb.1.x?"]
    assert await search.users("nobo") == [5]
    progress = await search.progress()
    assert (progress.threads, progress.users, progress.problem) == (5, 5, None)
    assert progress.complete_at is not None


async def test_it_follows_the_store(search, store):
    running = asyncio.create_task(search.run())
    await store.save([Thread(thread_id=9, title="新的"), User(user_id=9, name="新人")])
    await until_found(lambda: search.threads("新"), [9])
    await store.save([Thread(thread_id=1, title="改了"), User(user_id=5, nickname="旧人")])
    await until_found(lambda: search.threads("改了"), [1])
    await until_found(lambda: search.users("旧人"), [5])
    assert await search.threads("今天") == []
    progress = await search.progress()
    assert (progress.threads, progress.users) == (6, 6)
    running.cancel()


async def until_found(ask, wanted):
    """Wait until just that is found."""

    async def is_so():
        return await ask() == wanted

    await until(is_so)


async def problem_of(search):
    return (await search.progress()).problem


async def test_it_goes_on_where_it_was(search, store, browser, path):
    search.close()
    await store.save([Thread(thread_id=number, title="多") for number in range(100, 2_200)])
    seen = []
    ask = browser.new_threads

    async def new_threads(cursor, limit):
        page = await ask(cursor, limit)
        seen.append(len(page.items))
        return page

    browser.new_threads = new_threads
    with contextlib.closing(Search(path, browser)) as again:
        await again.update()
        assert (await again.progress()).threads == 2_105
        assert len(await again.threads("多", limit=5_000)) == 2_100
    assert seen == [1_000, 1_000, 100, 0]


async def test_a_damaged_file_and_one_of_another_store_are_made_anew(search, browser, path):
    search.close()
    for content in (b"no database at all" * 1_000, b"", path.read_bytes()[:5_000] + b"x" * 9_000):
        path.write_bytes(content)
        path.with_name("search.sqlite-wal").unlink(missing_ok=True)
        with contextlib.closing(Search(path, browser)) as again:
            await again.update()
            assert await again.threads("今天") == [1]
    with contextlib.closing(sqlite3.connect(path)) as older:  # one of another layout
        older.execute("DROP TABLE threads")
        older.execute("CREATE VIRTUAL TABLE threads USING fts5(one, two, key UNINDEXED)")
        older.execute("PRAGMA user_version = 1")
    with contextlib.closing(Search(path, browser)) as again:
        await again.update()
        assert await again.threads("今天") == [1]
    browser.place = "elsewhere"
    with contextlib.closing(Search(path, browser)) as other:
        assert await other.threads("今天") == []
        assert (await other.progress()).threads == 0


async def test_without_room_for_it_there_is_no_search_until_there_is(store, browser, tmp_path):
    await store.save(THREADS)
    path = tmp_path / "later" / "search.sqlite"
    with contextlib.closing(Search(path, browser)) as search:
        following = asyncio.create_task(search.run())
        assert "unable to open" in await until(lambda: problem_of(search))
        assert not (await search.progress()).is_open
        assert await search.threads("天") == await search.users("天") == []
        path.parent.mkdir()
        await until_found(lambda: search.threads("天"), [3, 2, 1])
        assert (await search.progress()).is_open
        following.cancel()


async def test_a_batch_is_stored_whole_or_not_at_all(path):
    index = TextIndex(path, "here")
    index.store("threads", [(1, "一", "", "", None)], cursor="a")

    def rows():
        yield 2, "二", "", "", None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.store("threads", rows(), cursor="b")
    with pytest.raises(sqlite3.Error):
        index.store("threads", [(3, "三", "", "", None)], nothing="b")
    assert index.state("threads") == ("a", None, 1)
    assert index.find("threads", '"三"', 10) == []
    index.close()


async def test_it_waits_for_a_store_that_is_away(tmp_path, path, monkeypatch):
    monkeypatch.setattr("tieba.storage.mongodb_server._SERVER_SELECTION_MS", 300)
    port = free_port()
    url = f"mongodb://127.0.0.1:{port}/x"
    browser = open_browser(Config(mongodb_url=url))
    search = Search(path, browser)
    following = asyncio.create_task(search.run())
    assert "does not answer" in await until(lambda: problem_of(search))
    with running(mongod_command(port, tmp_path), port, tmp_path / "log"):
        store = MongoStore(url)
        await store.open()
        await store.save(THREADS)
        await store.close()
        await until_found(lambda: search.threads("今天"), [1])
        await until_found(lambda: problem_of(search), None)
    following.cancel()
    search.close()
    await browser.close()


async def test_a_long_search_holds_up_nobody_else(search):
    with search._index._reading():  # as somebody's search in another thread does
        asked = asyncio.create_task(search.progress())
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert time.monotonic() - began < 10
        assert not asked.done()
    await asked
