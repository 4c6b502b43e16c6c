"""The contract of a store, on real servers: MongoDB, MariaDB, MySQL, files, and several of them at once."""

import asyncio
import contextlib
import gzip
import json
import socket
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pymysql
import pytest
import yaml
from pymongo import AsyncMongoClient, MongoClient

from tests.conftest import (
    ROOT,
    free_port,
    mariadbd_command,
    mongod_command,
    running,
)
from tests.integration.commands import crawl, tieba, wait_for
from tieba.records import Comment, Crawl, Extent, Forum, Post, Presence, Thread, User, Visit
from tieba.storage import ForumTotals, Query, StoreError, StoreUnavailable
from tieba.storage.jsonl import JsonlStore
from tieba.storage.mongodb import MongoStore
from tieba.storage.mysql import MysqlStore
from tieba.storage.stores import StoreGroup

KINDS = ("mongodb", "mariadb", "mysql", "jsonl", "group")
INDEXED = ("mongodb", "mariadb", "mysql", "group")  # those that can be asked for single records
THREAD = Thread(thread_id=7, forum_id=1, title="题", reply_count=3)
NOON = datetime(2026, 11, 20, 12, 0, 0, 123_000, tzinfo=timezone.utc)
LINE = b'{"record":"post","seen_at":"2026-11-20T12:00:00.123+00:00","post_id":1}\n'
NASTY = "Ａ\0b'\"\\%s? \n👨‍👩‍👧 e\u0301 " * 500  # longer than any name


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    """Have stores give up soon on servers that are away."""
    # The driver looks for a server that is away every half second.
    monkeypatch.setattr("tieba.storage.mongodb_server._SERVER_SELECTION_MS", 2_000)


@pytest.fixture
def make(request, tmp_path):
    """Give a function that makes stores of a kind on the same empty place."""
    places = {}

    def place(name):
        if name not in places:
            places[name] = request.getfixturevalue(f"{name}_url")
        return places[name]

    def make(kind):
        if kind == "mongodb":
            return MongoStore(place("mongodb"))
        if kind == "jsonl":
            return JsonlStore(tmp_path / "records")
        if kind == "group":
            return StoreGroup([make(name) for name in ("mongodb", "mariadb", "jsonl")])
        return MysqlStore(place("mysql" if kind == "mysql" else "mariadb"))

    return make


@pytest.fixture
async def opened(make):
    """Give a function that makes and opens stores, which are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def opened(kind):
            store = make(kind)
            stack.push_async_callback(store.close)
            await store.open()
            return store

        yield opened


@pytest.fixture(params=KINDS)
async def store(request, opened):
    return await opened(request.param)


@pytest.fixture(params=INDEXED)
async def indexed(request, opened):
    return await opened(request.param)


async def scan(store, collection, **conditions):
    return [document async for document in store.scan(Query(collection=collection, **conditions))]


async def only(store, collection):
    (document,) = await scan(store, collection)
    return document


async def gone(store, collection):
    key = {"threads": "thread_id", "posts": "post_id", "comments": "comment_id"}[collection]
    return {document[key] for document in await scan(store, collection) if document["deleted_at"] is not None}


def presence(*, gone, key=7):
    return Presence(collection="threads", key_field="thread_id", key=key, gone=gone)


def floors(thread_id, *keys, after=0, upto=None):
    """Give what proves that a thread has these floors and no others."""
    return Extent(
        collection="posts", parent_field="thread_id", parent=thread_id, after=after, upto=upto, keys=keys
    )


def full(kind):
    """Make a record that knows every field."""
    values = {
        "int": 2**63 - 1,
        "str": "c" if kind is Crawl else NASTY,
        "bool": True,
        "datetime": NOON,
        "tuple[str, ...]": ("https://a/?b", NASTY),
    }
    return kind(**{field.name: values[field.type.partition(" |")[0]] for field in fields(kind)})


async def test_every_field_comes_back_as_it_was(store):
    records = [full(kind) for kind in (Forum, Thread, Post, Comment, User, Crawl)]
    await store.save(records)
    for record in records:
        found = await only(store, record.collection)
        assert found.pop("first_seen") == found.pop("last_seen")
        assert found.pop("deleted_at") is None
        want = record.fields()
        assert found == {
            name: list(value) if isinstance(value, tuple) else value for name, value in want.items()
        }
    assert await store.counts() == {"forums": 1, "threads": 1, "posts": 1, "comments": 1, "users": 1}


async def test_the_same_record_twice_changes_only_last_seen(store):
    post = Post(post_id=70, thread_id=7, floor=2, text="一\n二", images=("a", "b"))
    await store.save([post])
    first = await only(store, "posts")
    await asyncio.sleep(0.01)
    await store.save([post])
    second = await only(store, "posts")
    assert second.pop("last_seen") > first.pop("last_seen")
    assert second == first


async def test_newer_values_replace_older_ones_and_unknown_ones_erase_nothing(store):
    await store.save([THREAD, Thread(thread_id=7, author_name="甲")])  # in one batch
    await store.save([Thread(thread_id=7, reply_count=5, is_good=False)])  # and in the next
    found = await only(store, "threads")
    assert (found["title"], found["author_name"], found["reply_count"], found["is_good"]) == (
        "题",
        "甲",
        5,
        False,
    )


async def test_names_that_differ_in_case_accents_or_spaces_are_different_users(store):
    names = ["tb.1.a", "tb.1.A", "tb.1.á", "tb.1.a ", "tb.1." + "a" * 5000, "tb.1." + "a" * 4999 + "b", "7"]
    await store.save(
        [User(portrait=name, nickname=name) for name in names] + [User(user_id=7), User(user_id=10)]
    )
    users = await scan(store, "users")
    assert [user["user_id"] for user in users][:2] == [7, 10]
    assert {user["nickname"] for user in users[2:]} == set(names)
    assert len(users) == len(names) + 2


async def test_a_thread_is_marked_by_its_own_page_alone(store):
    await store.save([THREAD])
    await store.save([presence(gone=True)])
    marked = await only(store, "threads")
    assert marked["title"] == "题"
    assert marked["deleted_at"] is not None
    await asyncio.sleep(0.01)
    await store.save([presence(gone=True)])
    assert await only(store, "threads") == marked  # the first mark stays, and it is no sighting
    await store.save([THREAD])  # lists go on naming it
    assert (await only(store, "threads"))["deleted_at"] == marked["deleted_at"]
    await store.save([THREAD, presence(gone=False)])
    assert (await only(store, "threads"))["deleted_at"] is None


async def test_a_thread_that_was_never_seen_alive_is_marked_too(store):
    await store.save([presence(gone=True)])
    assert await gone(store, "threads") == {7}


async def test_a_floor_that_is_shown_again_is_there(store):
    await store.save([Post(post_id=key, thread_id=7) for key in (1, 2)])
    await store.save([floors(7)])
    assert await gone(store, "posts") == {1, 2}
    await store.save([Post(post_id=2)])
    assert await gone(store, "posts") == {1}


async def test_an_extent_marks_what_it_leaves_out_in_its_range(store):
    await store.save([Post(post_id=key, thread_id=7) for key in range(1, 10)])
    await store.save([Post(post_id=20, thread_id=8)])
    await store.save([floors(7, 4, 6, after=3, upto=8), Post(post_id=6, thread_id=7)])
    assert await gone(store, "posts") == {5, 7, 8}
    await store.save([floors(7, 4, after=8)])
    assert await gone(store, "posts") == {5, 7, 8, 9}
    comments = [Comment(comment_id=key, post_id=1, thread_id=7) for key in (30, 31)]
    extent = Extent(collection="comments", parent_field="post_id", parent=1, after=0, upto=None, keys=(31,))
    await store.save([*comments, extent])
    assert await gone(store, "comments") == {30}


async def test_what_is_saved_after_an_extent_is_there_even_if_both_are_written_together(store):
    await store.save([Post(post_id=1, thread_id=7)])
    await asyncio.gather(store.save([floors(7)]), store.save([Post(post_id=1, thread_id=7)]))
    assert await gone(store, "posts") == set()


async def test_a_visit_is_remembered_and_creates_no_thread(indexed):
    visit = Visit(thread_id=7, crawl_id="a", scope="starter=True", reply_count=3, last_reply_at=NOON)
    await indexed.save([visit])
    assert await scan(indexed, "threads") == []
    await indexed.save([visit, THREAD, Thread(thread_id=8)])
    assert await indexed.visits([6, 7, 8]) == {7: visit}
    before = await scan(indexed, "threads")
    later = Visit(thread_id=7, crawl_id="b")
    await indexed.save([later])  # what is not known overwrites, too
    assert await indexed.visits([7]) == {7: later}
    await indexed.save([Visit(thread_id=7, crawl_id=None)])
    assert await indexed.visits([7]) == {}
    assert await indexed.visits([]) == {}
    assert await scan(indexed, "threads") == before


async def test_only_crawls_with_an_end_are_finished(indexed):
    await indexed.save([Crawl(crawl_id="a", started_at=NOON), Crawl(crawl_id="b", finished_at=NOON)])
    assert await indexed.finished_crawls(["a", "b", "c"]) == {"b"}
    await indexed.save([Crawl(crawl_id="a", finished_at=NOON, requests=5)])
    assert await indexed.finished_crawls(["a", "b"]) == {"a", "b"}


async def test_threads_of_a_forum_that_were_not_seen_since(indexed):
    def thread(key, minutes=0, **known):
        return Thread(
            thread_id=key, **{"forum_id": 1, "last_reply_at": NOON + timedelta(minutes=minutes), **known}
        )

    await indexed.save(
        [thread(1), thread(2, 1), thread(3, 2), thread(4, is_pinned=True), thread(5, 3, forum_id=2)]
    )
    await indexed.save([Thread(thread_id=6, forum_id=1), thread(7, 2), presence(gone=True, key=7)])
    last_seen = max([found["last_seen"] for found in await scan(indexed, "threads")])
    since = last_seen + timedelta(milliseconds=1)
    await asyncio.sleep(0.01)
    await indexed.save([thread(2, 1)])
    assert await indexed.unseen_threads(1, since) == {1, 3, 4, 6}
    assert await indexed.unseen_threads(1, since, replied_from=NOON + timedelta(minutes=1)) == {3, 4}


async def test_files_cannot_be_asked_for_single_records(opened):
    store = await opened("jsonl")
    for call in (
        store.visits([7]),
        store.finished_crawls(["a"]),
        store.unseen_threads(1, NOON),
    ):
        with pytest.raises(StoreError, match="add mongodb or mysql"):
            await call


async def test_totals_count_what_a_crawl_did_with_the_threads_of_a_forum(store):
    await store.save([Thread(thread_id=key, forum_id=1) for key in range(1, 8)])
    await store.save([Visit(thread_id=key, crawl_id="a") for key in (1, 2)])
    await store.save([presence(gone=True, key=key) for key in (5, 6)])
    marks = [thread["deleted_at"] for thread in await scan(store, "threads")]
    since = max(mark for mark in marks if mark) + timedelta(milliseconds=1)
    nothing = ForumTotals(1, listed=0, fetched=0, unchanged=0, not_fetched=0, gone=0)
    assert await store.totals(since) == [nothing]
    await asyncio.sleep(0.01)
    await store.save([Thread(thread_id=key, forum_id=1) for key in (1, 2, 3, 4, 5)])
    await store.save([Visit(thread_id=1, crawl_id="b"), Visit(thread_id=3, crawl_id="b")])
    await store.save([presence(gone=True, key=7), Thread(thread_id=9, forum_id=2)])
    assert await store.totals(since) == [
        ForumTotals(1, listed=5, fetched=2, unchanged=1, not_fetched=1, gone=2),
        ForumTotals(2, listed=1, fetched=0, unchanged=0, not_fetched=1, gone=0),
    ]


async def test_scan_gives_records_in_reading_order(store):
    threads = {9: 1, 10: 1, 11: 2}
    floors = {5: (9, 2), 6: (9, 1), 3: (10, 1), 2: (11, 1), 7: (9, 1)}
    comments = {3: (9, 6), 2: (9, 6), 1: (9, 5), 4: (11, 2)}
    await store.save([Thread(thread_id=key, forum_id=forum) for key, forum in threads.items()])
    await store.save([Post(post_id=key, thread_id=thread, floor=no) for key, (thread, no) in floors.items()])
    await store.save(
        [Comment(comment_id=key, thread_id=thread, post_id=post) for key, (thread, post) in comments.items()]
    )
    assert [post["post_id"] for post in await scan(store, "posts")] == [6, 7, 5, 3, 2]
    assert [post["post_id"] for post in await scan(store, "posts", forum_id=1)] == [6, 7, 5, 3]
    assert [post["post_id"] for post in await scan(store, "posts", thread_id=9, forum_id=1)] == [6, 7, 5]
    assert [post["post_id"] for post in await scan(store, "posts", thread_id=9, forum_id=2)] == []
    assert [item["comment_id"] for item in await scan(store, "comments", forum_id=1)] == [1, 2, 3]
    assert [thread["thread_id"] for thread in await scan(store, "threads", forum_id=1)] == [9, 10]
    assert await scan(store, "users", forum_id=1) == []


async def test_scan_of_a_forum_with_more_threads_than_are_read_at_once(store):
    keys = range(1, 1202)
    await store.save([Thread(thread_id=key, forum_id=key % 2) for key in keys])
    await store.save([Post(post_id=5000 - key, thread_id=key) for key in keys])
    assert [post["thread_id"] for post in await scan(store, "posts", forum_id=1)] == list(keys[::2])


async def test_scan_is_limited_by_times(store):
    await store.save([Post(post_id=key, created_at=NOON + timedelta(hours=key)) for key in (1, 2, 3)])
    await asyncio.sleep(0.01)
    await store.save([Post(post_id=3), Post(post_id=4)])
    limits = {"created_since": NOON + timedelta(hours=1), "created_until": NOON + timedelta(hours=3)}
    assert [post["post_id"] for post in await scan(store, "posts", **limits)] == [1, 2]
    last = max(post["last_seen"] for post in await scan(store, "posts"))
    assert {post["post_id"] for post in await scan(store, "posts", seen_since=last)} == {3, 4}


async def test_workers_that_start_and_save_the_same_records_at_once(store, request, opened):
    kind = request.node.callspec.params["store"]
    stores = await asyncio.gather(*(opened(kind) for _ in range(10)))
    users = [User(user_id=number, name=f"u{number}") for number in range(1, 300)]
    batches = [[Post(post_id=number, thread_id=7), *users] for number in range(40)]
    await asyncio.gather(*(stores[number % 10].save(batch) for number, batch in enumerate(batches, start=1)))
    counts = await stores[0].counts()
    assert (counts["users"], counts["posts"]) == (299, 40)


async def test_a_thousand_records_in_one_batch(store):
    await store.save([Post(post_id=number, thread_id=7, text="字" * 3000) for number in range(1, 1001)])
    assert (await store.counts())["posts"] == 1000


@pytest.mark.parametrize(
    "bad", [Post(post_id=71, floor=2**63), Post(post_id=71, text="\ud800")], ids=["number", "text"]
)
async def test_a_record_that_cannot_be_stored_harms_no_other(store, bad):
    results = await asyncio.gather(
        store.save([Post(post_id=70)]),
        store.save([bad]),
        store.save([Post(post_id=72)]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StoreError, type(None)]
    assert (await store.counts())["posts"] == 2


@pytest.mark.parametrize("kind", ["mongodb", "mariadb"])
async def test_a_record_that_is_larger_than_the_server_takes(opened, kind):
    store = await opened(kind)
    with pytest.raises(StoreError) as error:
        await store.save([Post(post_id=71, text="x" * 17_000_000)])
    assert not isinstance(error.value, StoreUnavailable)


@pytest.fixture(params=["mongodb", "mariadb"])
def server(request, tmp_path):
    """Give a store's address and a function that starts its server, to be killed by leaving what it gives."""
    command_of = {"mongodb": mongod_command, "mariadb": mariadbd_command}[request.param]
    port = free_port()
    tmp_path.joinpath("server").mkdir()

    def start():
        return running(command_of(port, tmp_path / "server"), port, tmp_path / "log")

    if request.param == "mongodb":
        return MongoStore(f"mongodb://127.0.0.1:{port}/t"), start
    return MysqlStore(f"mysql://root@127.0.0.1:{port}/mysql"), start


async def test_what_is_confirmed_survives_kills_and_the_store_comes_back(server):
    store, start = server
    confirmed = []
    for life in range(3):
        with start():
            await store.open()
            saving = asyncio.create_task(save_until_it_fails(store, life, confirmed))
            await asyncio.sleep(0.5)
        with pytest.raises(StoreUnavailable) as error:  # the server is killed
            await saving
        assert "\n" not in str(error.value)
        with pytest.raises(StoreUnavailable):
            await store.counts()
    with start():
        found = {post["post_id"] for post in await scan(store, "posts")}
        await store.close()
    assert len(confirmed) > 30
    assert set(confirmed) <= found


async def save_until_it_fails(store, life, confirmed):
    for number in range(10**6):
        keys = [life * 10**9 + number * 10 + index for index in range(10)]
        await store.save([Post(post_id=key) for key in keys])
        confirmed += keys


async def test_mongodb_that_says_nothing_is_named(monkeypatch):
    monkeypatch.setattr("tieba.storage.mongodb_server._SERVER_SELECTION_MS", 1_000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=f"^MongoDB at {place} does not answer within 1 s$"):
            await MongoStore(f"mongodb://me:secret@{place}/tieba").open()


async def test_mongodb_that_is_away_is_told_from_an_address_that_is_wrong():
    away = MongoStore("mongodb://127.0.0.1:1/x")
    with pytest.raises(StoreUnavailable, match="does not answer") as error:
        await away.open()
    assert "\n" not in str(error.value)
    await away.close()
    with pytest.raises(StoreError, match="cannot be used"):
        MongoStore("mongodb://127.0.0.1:1")


async def test_mysql_says_what_is_wrong_with_its_address(mariadb_url):
    place, _ = mariadb_url.rsplit("/", 1)
    for url, told in (
        (f"{place}/nowhere", "no such database"),
        (mariadb_url.replace("root@", "nobody:p%40ss@"), "refuses the user"),
    ):
        store = MysqlStore(url)
        with pytest.raises(StoreError, match=told) as error:
            await store.open()
        assert not isinstance(error.value, StoreUnavailable)
        assert "p@ss" not in str(error.value)
        await store.close()
    with pytest.raises(StoreError, match="unknown option 'charset'"):
        MysqlStore(f"{mariadb_url}?charset=latin1")


@pytest.fixture
def mariadb(mariadb_url):
    """Give an administrator's cursor in the database of MariaDB's stores."""
    place = urlsplit(mariadb_url)
    options = {"user": "root", "database": place.path.strip("/"), "autocommit": True}
    with pymysql.connect(host=place.hostname, port=place.port, **options) as client:
        yield client.cursor()


async def test_mysql_user_needs_no_more_rights_than_the_role_gives(mariadb_url, mariadb):
    role = yaml.safe_load((ROOT / "roles/mysql/vars/main.yml").read_text(encoding="utf-8"))
    database = mariadb_url.rpartition("/")[2]
    mariadb.execute(f"GRANT {role['__mysql_rights']} ON {database}.* TO crawler@'%' IDENTIFIED BY 'p@ss'")
    store = MysqlStore(mariadb_url.replace("root@", "crawler:p%40ss@"))
    await store.open()
    await store.save([THREAD, floors(7), Visit(thread_id=7, crawl_id="a"), presence(gone=True)])
    assert await gone(store, "threads") == {7}
    assert (await store.counts())["threads"] == 1
    await store.close()
    mariadb.execute("DROP USER crawler@'%'")


async def test_mysql_user_whose_password_changes_makes_wait(mariadb_url, mariadb):
    """A worker waits for its new settings; one that begins with the old ones is refused."""
    mariadb.execute("CREATE USER rotated IDENTIFIED BY 'old'")
    mariadb.execute("GRANT ALL ON *.* TO rotated")
    url = mariadb_url.replace("root@", "rotated:old@")
    worker, late = MysqlStore(url), MysqlStore(url)
    await worker.open()
    mariadb.execute("ALTER USER rotated IDENTIFIED BY 'new'")
    mariadb.execute("KILL USER rotated")
    with pytest.raises(StoreUnavailable):
        await worker.save([THREAD])
    with pytest.raises(StoreUnavailable, match="refuses the user"):
        await worker.save([THREAD])
    with pytest.raises(StoreError, match="refuses the user") as error:
        await late.open()
    assert not isinstance(error.value, StoreUnavailable)
    await worker.close()
    await late.close()
    mariadb.execute("DROP USER rotated")


async def test_mongodb_user_whose_password_changes_makes_wait(tmp_path):
    port = free_port()
    with running([*mongod_command(port, tmp_path), "--auth"], port, tmp_path / "log"):
        with MongoClient(port=port) as local:
            local.admin.command("createUser", "admin", pwd="a", roles=["root"])
        admin = MongoClient(port=port, username="admin", password="a")
        admin.x.command("createUser", "rotated", pwd="old", roles=["readWrite"])
        url = f"mongodb://rotated:old@127.0.0.1:{port}/x"
        worker, late = MongoStore(url), MongoStore(url)
        await worker.open()
        admin.x.command("dropUser", "rotated")  # which ends its connections, too
        with pytest.raises(StoreUnavailable, match="refuses the user"):
            await worker.save([THREAD])
        with pytest.raises(StoreError, match="refuses the user") as error:
            await late.open()
        assert not isinstance(error.value, StoreUnavailable)
        await worker.close()
        await late.close()
        admin.close()


async def test_mysql_that_does_not_answer_in_time_is_away(opened, mariadb, monkeypatch):
    monkeypatch.setattr("tieba.storage.mysql_server._ANSWER_SECONDS", 0.3)
    store = await opened("mariadb")
    mariadb.execute("LOCK TABLES posts WRITE")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await store.save(posts(1))
    mariadb.execute("UNLOCK TABLES")
    await store.save(posts(2))
    assert {post["post_id"] for post in await scan(store, "posts")} == {2}


@pytest.mark.parametrize(("version", "way_out"), [(99, "upgrade it"), (0, "name another database")])
async def test_mysql_tables_of_another_version_are_left_alone(opened, mariadb, version, way_out):
    await opened("mariadb")
    mariadb.execute("UPDATE tieba_schema SET version = %s", (version,))
    with pytest.raises(StoreError, match=f"of version {version}, this program knows 1: {way_out}"):
        await opened("mariadb")


async def test_opening_again_keeps_mongodb_indexes(opened, mongodb_url):
    await opened("mongodb")
    await opened("mongodb")
    async with AsyncMongoClient(mongodb_url) as client:
        indexes = await client.get_default_database()["posts"].index_information()
    assert {"_id_", "thread_id_1_floor_1__id_1", "author_id_1__id_1", "created_at_1__id_1"} == set(indexes)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "records"


async def closed(store, *batches):
    await store.open()
    for batch in batches:
        await store.save(batch)
    await store.close()


def posts(*keys):
    return [Post(post_id=key) for key in keys]


async def test_files_are_rotated_and_compressed(folder):
    store = JsonlStore(folder, file_bytes=1_500)
    await closed(store, *([Post(post_id=number, text="字" * 300)] for number in range(1, 8)))
    names = sorted(path.name for path in folder.iterdir())
    assert [name.endswith(".jsonl.gz") for name in names] == [True, True, True, False]
    with gzip.open(folder / names[0], "rt", encoding="utf-8") as file:
        line = json.loads(file.readline())
    assert line.keys() == {"record", "seen_at", "post_id", "text"}
    assert (await JsonlStore(folder).counts())["posts"] == 7


async def test_files_of_killed_workers_are_compressed_without_their_torn_line(folder):
    await closed(JsonlStore(folder), posts(1, 2))
    (path,) = folder.iterdir()
    with path.open("ab") as file:
        file.write(b'{"record":"post","seen_at":"2026-')
    (folder / f".{path.name}.gz.part-1").touch()
    alive = JsonlStore(folder)
    await alive.save(posts(3))
    await closed(JsonlStore(folder))  # leaves the file of the one that is alive
    assert sorted(path.suffix for path in folder.iterdir()) == [".gz", ".jsonl"]
    assert (await alive.counts())["posts"] == 3
    await alive.close()


async def test_an_early_state_of_a_compressed_file_does_not_replace_it(folder):
    """As restore.yml brings it, of a file that was compressed after the backup."""
    store = JsonlStore(folder)
    await store.open()
    await store.save(posts(1))
    (path,) = folder.iterdir()
    early = path.read_bytes()
    await store.save(posts(2))
    await store.close()
    await closed(JsonlStore(folder))
    path.write_bytes(early)
    await closed(JsonlStore(folder))
    assert [found.suffix for found in folder.iterdir()] == [".gz"]
    assert (await JsonlStore(folder).counts())["posts"] == 2


async def test_folders_of_several_nodes_are_one_store(folder):
    nodes = [folder / "a", folder / "b"]
    await closed(JsonlStore(nodes[0]), [THREAD])
    await asyncio.sleep(0.01)
    await closed(JsonlStore(nodes[1]), [Thread(thread_id=7, reply_count=9)], [presence(gone=True)])
    await asyncio.sleep(0.01)
    await closed(JsonlStore(nodes[0]), [Thread(thread_id=7, author_name="甲")])
    for store in (JsonlStore(*nodes), JsonlStore(folder)):
        found = await only(store, "threads")
        assert (found["title"], found["reply_count"], found["author_name"]) == ("题", 9, "甲")
        assert found["first_seen"] < found["deleted_at"] < found["last_seen"]


async def test_files_are_read_while_a_worker_writes_and_compresses_them(folder):
    worker = JsonlStore(folder, file_bytes=1)
    await worker.open()

    async def write():
        for key in range(1, 101):
            await worker.save(posts(key))

    found, writing = [], asyncio.create_task(write())
    while not writing.done():
        found.append((await JsonlStore(folder).counts())["posts"])
    await worker.close()
    assert found == sorted(found)
    assert (await JsonlStore(folder).counts())["posts"] == 100


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", LINE + b"x\n", "line 2 is not a record"),
        ("a.jsonl.gz", gzip.compress(LINE * 9, mtime=0)[:-9], "gather it again"),
    ],
)
async def test_files_that_are_damaged_are_named(folder, name, content, told):
    folder.mkdir()
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}: .*{told}"):
        await JsonlStore(folder).counts()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/records \(jsonl_dir\) cannot be used: Not a directory"):
        await JsonlStore(tmp_path / "file" / "records").open()


async def test_a_disk_that_is_full_makes_wait_and_leaves_whole_lines(folder):
    """The limit of a process' files stands in for the disk."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = JsonlStore(folder)
    await store.open()
    await store.save(posts(1))
    size = next(folder.iterdir()).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="File too large"):
            await store.save(posts(*range(2, 20)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await store.save(posts(20))
    assert [post["post_id"] for post in await scan(store, "posts")] == [1, 20]
    await store.close()


async def test_a_group_saves_lines_once_the_servers_have_the_records(folder):
    group = StoreGroup([MongoStore("mongodb://127.0.0.1:1/x"), JsonlStore(folder)])
    with pytest.raises(StoreUnavailable, match="MongoDB"):
        await group.open()
    with pytest.raises(StoreUnavailable, match="MongoDB"):
        await group.save([THREAD])
    await group.close()
    assert await JsonlStore(folder).counts() == dict.fromkeys(
        ("forums", "threads", "posts", "comments", "users"), 0
    )


def test_a_crawl_stores_the_truth_in_every_store_at_once(environment, mariadb_url, serve_replica, tmp_path):
    site = serve_replica(forums=[{"name": "聊天", "pages": 1, "floors_per_thread": 4}])
    environment |= {"TIEBA_API_URL": site, "TIEBA_MYSQL_URL": mariadb_url}
    environment |= {"TIEBA_JSONL_DIR": str(tmp_path / "records"), "TIEBA_STORAGE": "jsonl,mysql,mongodb"}
    assert tieba(environment, "seed", "--forum=聊天", "--pages=1").returncode == 0
    for worker in [crawl(environment) for _ in range(2)]:
        wait_for(worker)
    for store in ("mongodb", "mysql", "jsonl"):
        report = tieba({**environment, "TIEBA_STORAGE": store}, "report", "--truth", site)
        assert "nothing is missing, nothing is doubled" in report.stdout, report.stdout + report.stderr
