"""Stores of earlier versions get the indexes that they lack, while crawls go on; readers create nothing."""

import asyncio
import logging
import time
from datetime import datetime, timezone
from urllib.parse import urlsplit

import pymysql
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.conftest import free_port, mongod_command, running
from tests.waiting import until
from tieba.browsing import open_browser
from tieba.config import Config
from tieba.records import Post, Thread
from tieba.storage import Query, StoreError
from tieba.storage.mongodb import MongoStore
from tieba.storage.mongodb_indexes import INDEXES as MONGODB
from tieba.storage.mysql import MysqlStore
from tieba.storage.mysql_statements import INDEXES as MYSQL
from tieba.storage.stores import open_reader

POSTS = [Post(post_id=number, thread_id=7, text="字" * 200) for number in range(1, 2_001)]
MANY = 100_000


@pytest.fixture
def haste(monkeypatch):
    """Have builds go to the background at once, and be tried again soon."""
    monkeypatch.setattr("tieba.storage.indexing._PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr("tieba.storage.indexing._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("tieba.storage.mysql_indexes._LOCK_WAIT_SECONDS", 1)


@pytest.fixture
def database(mongodb_url):
    with MongoClient(mongodb_url) as client:
        yield client.get_default_database()


@pytest.fixture
def mariadb(mariadb_url):
    """Give an administrator's cursor."""
    place = urlsplit(mariadb_url)
    options = {"user": "root", "database": place.path.strip("/"), "autocommit": True}
    with pymysql.connect(host=place.hostname, port=place.port, **options) as client:
        yield client.cursor()


def names(mariadb):
    mariadb.execute("SELECT DISTINCT table_name, index_name FROM information_schema.statistics"
                    " WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY'")  # fmt: skip
    return set(mariadb.fetchall())


WANTED = {(table, name) for table, indexes in MYSQL.items() for name in indexes}


async def opened(store):
    await store.open()
    return store


async def test_mongodb_of_an_earlier_version(database, mongodb_url):
    database.threads.insert_one({"_id": 1, "forum_id": 1})
    database.threads.create_index([("forum_id", 1), ("last_reply_at", -1)])
    database.posts.create_index([("author_id", 1)])
    database.comments.create_index([("post_id", 1)])
    database.comments.create_index([("own", 1)])  # the user's
    stores = await asyncio.gather(*(opened(MongoStore(mongodb_url)) for _ in range(5)))
    for name, indexes in MONGODB.items():
        wanted = {"".join(f"{field}_1_" for field in fields)[:-1] for fields in indexes} | {"_id_"}
        assert set(database[name].index_information()) - {"own_1"} == wanted
    assert "own_1" in database.comments.index_information()
    await asyncio.gather(*(store.close() for store in stores))


async def test_mariadb_of_an_earlier_version(mariadb, mariadb_url):
    await (await opened(MysqlStore(mariadb_url))).close()
    assert names(mariadb) == WANTED
    for table, name in WANTED - {("posts", "thread_id")}:
        mariadb.execute(f"DROP INDEX {name} ON {table}")
    stores = await asyncio.gather(*(opened(MysqlStore(mariadb_url)) for _ in range(5)))
    assert names(mariadb) == WANTED
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_large_mongodb_is_written_while_its_indexes_are_built(database, mongodb_url, haste):
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    posts = ({"_id": number, "thread_id": number % 999, "created_at": long_ago} for number in range(MANY))
    database.posts.insert_many(posts)
    store = await opened(MongoStore(mongodb_url))

    def state():
        try:
            indexes = list(database.posts.aggregate([{"$indexStats": {}}]))
        except OperationFailure:  # one has just been finished while the server looked for it
            return [], False
        building = [index["name"] for index in indexes if index.get("building")]
        return building, len(indexes) > len(MONGODB["posts"]) and not building

    await check_writing(store, state)
    await store.close()


async def test_a_large_mariadb_is_written_while_its_indexes_are_built(mariadb, mariadb_url, haste):
    await (await opened(MysqlStore(mariadb_url))).close()
    for table, name in WANTED:
        mariadb.execute(f"DROP INDEX {name} ON {table}")
    mariadb.execute("INSERT INTO posts (post_id, thread_id, floor, author_id, text, created_at, first_seen,"
                    " last_seen) SELECT seq, seq % 999, seq % 100, seq % 5000, REPEAT('字', 200),"
                    f" '2020-01-01' + INTERVAL seq SECOND, NOW(), NOW() FROM seq_1_to_{MANY}")  # fmt: skip
    store = await opened(MysqlStore(mariadb_url))

    def state():
        mariadb.execute("SELECT info FROM information_schema.processlist WHERE info LIKE 'CREATE INDEX%'"
                        " AND state = 'altering table'")  # fmt: skip
        return mariadb.fetchall(), names(mariadb) == WANTED

    await check_writing(store, state)
    await store.close()


async def check_writing(store, state):
    """Write until all indexes are there: a batch that waited for one would not end while it is built.

    `state` tells what is being built now, and whether all are there.
    """
    batches = meanwhile = 0
    deadline = time.monotonic() + 120
    building, are_there = state()
    while not are_there:
        assert time.monotonic() < deadline
        before = building
        first = 10 * MANY + batches * 100
        await store.save([Post(post_id=first + number, thread_id=7, floor=number) for number in range(100)])
        batches += 1
        building, are_there = state()
        meanwhile += bool(building) and building == before
    assert meanwhile
    assert (await store.counts())["posts"] == MANY + batches * 100


async def test_mariadb_that_is_read_for_long_is_not_locked_against_a_crawl(mariadb, mariadb_url, haste):
    """An index waits for who reads its table, and writes wait for the index: it gives up for a while."""
    store = await opened(MysqlStore(mariadb_url))
    await store.save(POSTS)
    await store.close()
    mariadb.execute("DROP INDEX created_at ON posts")
    mariadb.execute("BEGIN")
    mariadb.execute("SELECT COUNT(*) FROM posts")  # an export
    store = await opened(MysqlStore(mariadb_url))
    for number in range(5):
        await asyncio.wait_for(store.save([Post(post_id=5_000 + number, thread_id=7)]), 5)
        await asyncio.sleep(0.1)
    assert ("posts", "created_at") not in names(mariadb)
    mariadb.execute("COMMIT")
    await until(lambda: names(mariadb) == WANTED)
    await store.close()


async def test_a_build_that_is_given_up_is_begun_again(mariadb, mariadb_url, haste):
    await (await opened(MysqlStore(mariadb_url))).close()
    mariadb.execute("DROP INDEX created_at ON posts")
    mariadb.execute("LOCK TABLES posts READ")
    store = await opened(MysqlStore(mariadb_url))
    await store.close()
    mariadb.execute("UNLOCK TABLES")
    store = await opened(MysqlStore(mariadb_url))
    await until(lambda: names(mariadb) == WANTED)
    await store.close()


async def test_mariadb_whose_user_may_not_create_indexes(mariadb, mariadb_url, haste, caplog):
    """As the role gave rights before: an upgrade gives the new one when workers run already."""
    name = mariadb_url.rpartition("/")[2]
    await (await opened(MysqlStore(mariadb_url))).close()
    mariadb.execute("DROP INDEX created_at ON posts")
    mariadb.execute(f"GRANT SELECT, INSERT, UPDATE, CREATE ON {name}.* TO earlier IDENTIFIED BY 'x'")
    with caplog.at_level(logging.INFO):
        store = await opened(MysqlStore(mariadb_url.replace("root@", "earlier:x@")))
        await store.save(POSTS[:3])
        await until(lambda: "lacks the right INDEX" in caplog.text)
        await asyncio.sleep(0.5)  # in which it is tried again
    assert caplog.text.count("lacks the right INDEX") == 1
    assert ("posts", "created_at") not in names(mariadb)
    mariadb.execute(f"GRANT INDEX ON {name}.* TO earlier")
    await until(lambda: names(mariadb) == WANTED)
    await store.close()
    mariadb.execute("DROP USER earlier")


async def test_mariadb_is_read_with_the_right_to_read(mariadb, mariadb_url):
    name = mariadb_url.rpartition("/")[2]
    mariadb.execute(f"GRANT SELECT ON {name}.* TO reader IDENTIFIED BY 'x'")
    url = mariadb_url.replace("root@", "reader:x@")
    await check_reading(Config(storage=("mysql",), mysql_url=url), MysqlStore(mariadb_url), MysqlStore(url))
    mariadb.execute("DROP USER reader")


async def test_mongodb_is_read_with_the_right_to_read(tmp_path):
    port = free_port()
    with running([*mongod_command(port, tmp_path), "--auth"], port, tmp_path / "log"):
        with MongoClient(port=port) as local:
            local.admin.command("createUser", "admin", pwd="a", roles=["root"])
        with MongoClient(port=port, username="admin", password="a") as admin:
            admin.x.command("createUser", "reader", pwd="x", roles=["read"])
            admin.x.command("createUser", "crawler", pwd="x", roles=["readWrite"])
        url, own = (f"mongodb://{name}:x@127.0.0.1:{port}/x" for name in ("reader", "crawler"))
        await check_reading(Config(mongodb_url=url), MongoStore(own), MongoStore(url))


async def check_reading(config, store, without_rights):
    """Read before anything was stored, and after."""
    reader, browser = await open_reader(config), open_browser(config)
    assert (await reader.counts())["posts"] == 0
    assert [post async for post in reader.scan(Query(collection="posts"))] == []
    assert await browser.post(1) is None
    await store.open()
    await store.save([*POSTS[:3], Thread(thread_id=7)])
    assert (await reader.counts())["posts"] == 3
    assert len([post async for post in reader.scan(Query(collection="posts"))]) == 3
    assert len((await browser.floors(7)).items) == 3
    for write in (without_rights.save([Thread(thread_id=8)]), reader.save([Thread(thread_id=8)])):
        with pytest.raises(StoreError, match="refuses the user"):
            await write
    assert (await browser.thread(8)) is None
    for one in (reader, browser, store, without_rights):
        await one.close()
