"""What people look at, read from real servers: each page is right, and costs no more than what it shows."""

import asyncio
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pymysql
import pytest
from pymongo import AsyncMongoClient, MongoClient

from tests.conftest import free_port
from tieba.browsing import open_browser
from tieba.browsing.browser import Browser
from tieba.browsing.counting import Counter
from tieba.browsing.mongodb import MongoReader
from tieba.browsing.mysql import MysqlReader, pieces
from tieba.browsing.reading import IndexMissing, Walk
from tieba.config import Config
from tieba.records import Comment, Forum, Post, Thread, User
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore

KINDS = ("mongodb", "mariadb", "mysql")
NOON = datetime(2026, 11, 20, 12, 0, 0, 123_000, tzinfo=timezone.utc)
FORUMS = [Forum(forum_id=number, name=f"吧{number}") for number in (1, 2, 3)]
# Replies come to many threads in the same minute, and of some no time is known.
THREADS = [
    Thread(
        thread_id=1_000 + number,
        forum_id=number % 2 + 1,
        title=f"题{number}",
        author_id=number % 50,
        created_at=None if number % 11 == 0 else NOON + timedelta(minutes=number * 7 % 400),
        last_reply_at=None if number % 7 == 0 else NOON + timedelta(minutes=number * 13 % 60),
    )
    for number in range(600)
]
POSTS = [
    Post(
        post_id=10_000 + number,
        thread_id=1_000 + number % 20,
        floor=None if number % 19 == 0 else number // 25,
        author_id=number % 50,
        text=f"楼{number}",
        created_at=NOON + timedelta(minutes=number),
    )
    for number in range(1_000)
]
COMMENTS = [
    Comment(comment_id=90_000 - number, post_id=10_000 + number % 5, thread_id=1_000, text=f"评{number}")
    for number in range(400)
]
USERS = [User(user_id=number, name=f"名{number}") for number in range(200)]
USERS += [User(portrait=f"tb.1.{number}?", nickname=f"昵{number}") for number in range(200)]
ALL = [*FORUMS, *THREADS, *POSTS, *COMMENTS, *USERS]


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def url(request, kind):
    """Give the address of a database with ALL records."""
    port = request.getfixturevalue(f"{kind}_server")
    place = "mongodb://127.0.0.1" if kind == "mongodb" else "mysql://root@127.0.0.1"
    if kind != "mongodb":
        with pymysql.connect(host="127.0.0.1", port=port, user="root") as client, client.cursor() as cursor:
            cursor.execute("CREATE DATABASE browsing")
    url = f"{place}:{port}/browsing"
    asyncio.run(fill(kind, url))
    return url


async def fill(kind, url, records=ALL):
    store = MongoStore(url) if kind == "mongodb" else MysqlStore(url)
    await store.open()
    await store.save(records)
    await store.close()


@pytest.fixture
async def browser(kind, url):
    browser = make(kind, url)
    yield browser
    await browser.close()


def make(kind, url):
    storage, name = ("mongodb", "mongodb_url") if kind == "mongodb" else ("mysql", "mysql_url")
    return open_browser(Config(storage=(storage,), **{name: url}))


@pytest.fixture
def reads(kind, url):
    """Give a function that tells how many entries or records were read since it was last asked."""
    if kind == "mongodb":
        with MongoClient(url) as client:
            database = client.get_default_database()
            database.command("profile", 2)

            def read():
                entries = list(database["system.profile"].find({"ns": {"$regex": r"\.(?!system)"}}))
                database.command("profile", 0)
                database.drop_collection("system.profile")
                database.command("profile", 2)
                assert not [entry for entry in entries if "COLLSCAN" in entry.get("planSummary", "")]
                assert not [entry for entry in entries if entry.get("hasSortStage")]
                return sum(
                    max(entry.get("keysExamined", 0), entry.get("docsExamined", 0)) for entry in entries
                )

            yield read
            database.command("profile", 0)
            database.drop_collection("system.profile")
    else:
        place = urlsplit(url)
        with pymysql.connect(host=place.hostname, port=place.port, user="root") as client:
            last = 0

            def read():
                nonlocal last
                with client.cursor() as cursor:
                    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_rows_read'")
                    before, last = last, int(cursor.fetchone()[1])
                return last - before

            read()
            yield read


async def pages(ask, **options):
    """Give all items of a list, page by page."""
    items, cursor = [], None
    while True:
        page = await ask(cursor=cursor, limit=7, **options)
        assert len(page.items) <= 7
        items += page.items
        if page.next is None:
            return items
        assert len(page.items) == 7
        cursor = page.next


def ids(documents, name="thread_id"):
    return [document[name] for document in documents]


def newest(threads, field):
    """Give ids in the order of a list: the latest first, those without a time last, ids decide."""
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    return [
        thread.thread_id
        for thread in sorted(
            threads, key=lambda thread: (getattr(thread, field) or oldest, thread.thread_id), reverse=True
        )
    ]


@pytest.mark.parametrize(("by", "field"), [("replied", "last_reply_at"), ("begun", "created_at")])
@pytest.mark.parametrize("forum_id", [None, 1, 3])
async def test_threads_of_a_forum_or_of_all_come_in_order(browser, by, field, forum_id):
    wanted = [thread for thread in THREADS if forum_id in {None, thread.forum_id}]
    assert ids(await pages(browser.threads, forum_id=forum_id, by=by)) == newest(wanted, field)


@pytest.mark.parametrize("forum_id", [None, 2])
@pytest.mark.parametrize("bounds", [(5, 25), (5, None), (None, 25), (70, None)])
async def test_threads_are_limited_by_times(browser, forum_id, bounds):
    since, until = (None if bound is None else NOON + timedelta(minutes=bound) for bound in bounds)
    wanted = [
        thread
        for thread in THREADS
        if forum_id in {None, thread.forum_id}
        and thread.last_reply_at is not None
        and (since is None or thread.last_reply_at >= since)
        and (until is None or thread.last_reply_at < until)
    ]
    found = await pages(browser.threads, forum_id=forum_id, since=since, until=until)
    assert ids(found) == newest(wanted, "last_reply_at")


async def test_threads_of_an_author_come_by_their_beginning(browser):
    wanted = [thread for thread in THREADS if thread.author_id == 3]
    assert ids(await pages(browser.threads, author_id=3, by="begun")) == newest(wanted, "created_at")
    for options in ({"author_id": 3}, {"author_id": 3, "forum_id": 1, "by": "begun"}):
        with pytest.raises(ValueError, match="of an author"):
            await browser.threads(**options)


async def test_floors_come_in_order_and_hold_what_was_stored(browser):
    wanted = [post for post in POSTS if post.thread_id == 1_003]
    wanted.sort(key=lambda post: (-1 if post.floor is None else post.floor, post.post_id))
    found = await pages(browser.floors, thread_id=1_003)
    assert ids(found, "post_id") == [post.post_id for post in wanted]
    assert found[5]["first_seen"] <= found[5]["last_seen"]
    assert {name: found[5][name] for name in wanted[5].fields()} == wanted[5].fields()
    assert await pages(browser.floors, thread_id=5) == []


async def test_posts_of_a_user_come_newest_first(browser):
    assert ids(await pages(browser.posts_by, author_id=3), "post_id") == [
        post.post_id for post in reversed(POSTS) if post.author_id == 3
    ]


async def test_comments_of_floors_come_in_order(browser):
    wanted = {
        post_id: sorted(comment.comment_id for comment in COMMENTS if comment.post_id == post_id)
        for post_id in (10_000, 10_003)
    }
    found = await browser.comments([10_003, 10_900, 10_000, 10_003], limit_each=10)
    assert {post_id: ids(comments, "comment_id") for post_id, comments in found.items()} == {
        post_id: keys[:10] for post_id, keys in wanted.items()
    }
    assert ids(await pages(browser.comments_of, post_id=10_003), "comment_id") == wanted[10_003]
    assert await browser.comments([]) == {}


async def test_single_records(browser):
    assert (await browser.forum(2))["name"] == "吧2"
    assert (await browser.thread(1_001))["title"] == "题1"
    assert (await browser.post(10_001))["text"] == "楼1"
    assert (await browser.comment(90_000))["text"] == "评0"
    assert (await browser.user(5))["name"] == "名5"
    assert (await browser.user("tb.1.5?"))["nickname"] == "昵5"
    assert await browser.thread(5) is None
    assert await browser.user("5") is None
    found = await browser.many("users", ["tb.1.5?", 77, 12_345, 5])
    assert [user["name"] or user["nickname"] for user in found] == ["昵5", "名77", "名5"]
    assert await browser.many("threads", []) == []


async def test_forums_with_the_most_stored_threads_come_first(browser):
    counts = {1: 300, 2: 300, 3: 0}
    forums = await until_counted(browser.forums)
    assert {forum["forum_id"]: forum["threads"] for forum in forums} == counts
    assert ids(forums, "forum_id") == [1, 2, 3]
    assert (await until_counted(browser.counts)).value == {
        "forums": 3, "threads": 600, "posts": 1_000, "comments": 400, "users": 400,
    }  # fmt: skip


async def until_counted(ask):
    for _ in range(600):
        found = await ask()
        if found is not None and not (isinstance(found, list) and found and found[0]["threads"] is None):
            return found
        await asyncio.sleep(0.05)
    pytest.fail("it is not counted")


async def test_posts_per_hour(browser):
    since, until = NOON - timedelta(hours=2), NOON + timedelta(hours=3, minutes=1)
    counted = await until_counted(lambda: browser.posts_per_hour(since, until))
    hours = [counted.value[0][0] + timedelta(hours=number) for number in range(6)]
    assert hours[0] == datetime(2026, 11, 20, 10, tzinfo=timezone.utc)
    assert counted.value == list(zip(hours, [0, 0, 60, 60, 60, 60], strict=True))
    assert 0 <= counted.age < 60
    assert await browser.span() == (NOON, NOON + timedelta(minutes=999))
    with pytest.raises(ValueError, match="366 days"):
        await browser.posts_per_hour(NOON - timedelta(days=367), NOON)


async def test_new_records_come_once_in_the_order_in_which_they_were_stored(browser, monkeypatch):
    assert (await browser.new_threads()).items == []  # those of the last minute are left
    monkeypatch.setattr("tieba.browsing.browser._SETTLED", timedelta(seconds=-1))
    for ask, name, count in ((browser.new_threads, "thread_id", 600), (browser.new_users, "name", 400)):
        found, cursor = [], None
        while (page := await ask(cursor, 70)).items:
            found += page.items
            cursor = page.next
        assert page.next == cursor
        assert len(found) == len({(item[name], item.get("portrait")) for item in found}) == count
        assert found == sorted(found, key=lambda item: item["first_seen"])


async def test_each_page_reads_no_more_than_it_shows(browser, reads):
    """Of six hundred threads and a thousand posts; a page of ten, and one of the middle."""
    minutes = [NOON + timedelta(minutes=number) for number in (5, 25)]
    lists = {
        "all, replied": lambda **page: browser.threads(**page),
        "all, begun": lambda **page: browser.threads(by="begun", **page),
        "forum, replied": lambda **page: browser.threads(forum_id=1, **page),
        "forum, begun": lambda **page: browser.threads(forum_id=1, by="begun", **page),
        "forum, times": lambda **page: browser.threads(
            forum_id=1, since=minutes[0], until=minutes[1], **page
        ),
        "author": lambda **page: browser.threads(author_id=3, by="begun", **page),
        "floors": lambda **page: browser.floors(1_003, **page),
        "posts of a user": lambda **page: browser.posts_by(3, **page),
        "comments": lambda **page: browser.comments_of(10_003, **page),
        "new": lambda **page: browser.new_users(**page),
    }
    await browser.thread(1)  # connects
    reads()
    cost = {}
    for name, ask in lists.items():
        page = await ask(limit=5)
        cost[name] = reads()
        if page.next:
            await ask(limit=5, cursor=page.next)
            cost[f"{name}, next"] = reads()
    await browser.comments(range(10_000, 10_010), limit_each=3)
    cost["comments of floors"] = reads() - 15
    await browser.user("tb.1.5?")
    cost["user"] = reads()
    await browser.span()
    cost["span"] = reads()
    assert {name: count for name, count in cost.items() if count > 12} == {}


def walks():
    position = (NOON, 1_005)
    for equal, by in (
        (None, "last_reply_at"),
        (("forum_id", 1), "last_reply_at"),
        (("forum_id", 1), "created_at"),
    ):
        for after in (None, position, (None, 1_005)):
            for until in (None, NOON):
                yield Walk(
                    collection="threads",
                    equal=equal,
                    by=by,
                    descending=True,
                    after=after,
                    until=until,
                    limit=9,
                )
    for after in (None, (5, 10_050), (None, 10_050)):
        yield Walk(collection="posts", equal=("thread_id", 1_003), by="floor", after=after, limit=9)
        yield Walk(collection="posts", equal=("author_id", 3), descending=True, after=after, limit=9)
        yield Walk(collection="comments", equal=("post_id", 10_001), after=after, limit=9)


def test_mysql_sorts_nothing(kind, url):
    if kind == "mongodb":
        pytest.skip("its profile tells so")
    from tieba.storage.mysql_statements import filled

    place = urlsplit(url)
    with pymysql.connect(host=place.hostname, port=place.port, user="root", database="browsing") as client:
        for walk in walks():
            for sql, parameters in pieces(walk):
                cursor = client.cursor(pymysql.cursors.DictCursor)
                cursor.execute(f"EXPLAIN {filled(sql, parameters)} LIMIT 9")
                (plan,) = cursor.fetchall()
                assert plan["key"], plan
                assert plan["type"] in {"ref", "range", "index"}, plan
                assert "filesort" not in (plan["Extra"] or ""), plan


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "e30",
        "WzEsMl0x",
        "W251bGwsW11d",
        "W251bGwseyIkZ3QiOjF9XQ",
        "WzEsMV0" * 9_000,
        "\ud800",
        "W251bGwsMWU5OV0",
    ],
)
async def test_a_cursor_that_is_none_of_ours_is_refused(browser, cursor):
    with pytest.raises(ValueError, match=r"no such page|no number"):
        await browser.threads(cursor=cursor)


async def test_numbers_beyond_64_bits_are_refused(browser):
    for ask in (browser.thread, browser.user, browser.floors, browser.posts_by, browser.comments_of):
        with pytest.raises(ValueError, match="64 bits"):
            await ask(2**63)


async def test_a_store_in_which_nothing_was_ever_stored(kind, request):
    browser = make(kind, request.getfixturevalue(f"{kind}_url"))
    assert await browser.forums() == []
    assert (await browser.threads()).items == []
    assert await browser.thread(5) is None
    assert await browser.span() is None
    assert await browser.comments([5]) == {}
    assert (await browser.new_users()).items == []
    assert set((await until_counted(browser.counts)).value.values()) == {0}
    hours = await until_counted(lambda: browser.posts_per_hour(NOON, NOON + timedelta(hours=2)))
    assert [count for _, count in hours.value] == [0, 0, 0] or len(hours.value) == 3
    await browser.close()


async def test_an_index_that_is_not_there_yet_is_named_and_nothing_is_read(kind, request):
    url = request.getfixturevalue(f"{kind}_url")
    await fill(kind, url, [THREADS[1], FORUMS[0]])
    await drop_index(kind, url)
    browser = make(kind, url)
    with pytest.raises(IndexMissing, match="is not there yet"):
        await browser.threads(forum_id=1, by="begun")
    assert len((await browser.threads(by="begun")).items) == 1
    await browser.close()


async def drop_index(kind, url):
    if kind == "mongodb":
        async with AsyncMongoClient(url) as client:
            await client.get_default_database()["threads"].drop_index("forum_id_1_created_at_1__id_1")
    else:
        place = urlsplit(url)
        with pymysql.connect(
            host=place.hostname, port=place.port, user="root", database=place.path[1:]
        ) as client:
            client.cursor().execute("DROP INDEX forum_created ON threads")


async def test_a_store_that_is_away(kind, monkeypatch):
    monkeypatch.setattr("tieba.storage.mongodb_server._SERVER_SELECTION_MS", 300)
    place = f"127.0.0.1:{free_port()}/x"
    browser = make(kind, f"mongodb://{place}" if kind == "mongodb" else f"mysql://root@{place}")
    for ask in (browser.threads, browser.forums, browser.counts, browser.span):
        with pytest.raises(StoreUnavailable):
            await until_counted(ask)
    await browser.close()


def test_files_alone_cannot_be_looked_at():
    assert open_browser(Config(storage=("jsonl",))) is None
    assert open_browser(Config(storage=("jsonl", "mysql"))) is not None


async def test_a_count_is_given_at_once_and_made_anew_in_the_background(monkeypatch):
    monkeypatch.setattr("tieba.browsing.counting._FRESH_SECONDS", 0.0)
    monkeypatch.setattr("tieba.browsing.counting._SHARE", 0)
    counted, gate = [], asyncio.Event()

    async def count(key):
        await gate.wait()
        if key == "broken":
            raise StoreUnavailable("away")
        counted.append(key)
        return len(counted)

    counter = Counter(count)
    assert await counter("a") is None
    gate.set()
    await asyncio.sleep(0.01)
    gate.clear()
    with monkeypatch.context() as patience:
        patience.setattr("tieba.browsing.counting._WAIT_SECONDS", 60.0)
        started = time.monotonic()
        assert [(await counter("a")).value for _ in range(3)] == [1, 1, 1]
        assert time.monotonic() - started < 10
    gate.set()
    await asyncio.sleep(0.01)
    assert counted == ["a", "a"]  # once for all three
    assert (await counter("a")).value == 2
    with pytest.raises(StoreError):
        await counter("broken")
    gate.clear()
    await counter("b")
    await counter.close()


def test_readers_are_chosen_by_the_configuration():
    config = Config(storage=("mysql", "mongodb"))
    assert isinstance(open_browser(config)._reader, MongoReader)
    assert isinstance(open_browser(Config(storage=("mysql",)))._reader, MysqlReader)
    assert isinstance(open_browser(config), Browser)
