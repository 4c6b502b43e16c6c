"""The store's contract, on a real MongoDB."""

import asyncio

import pytest
from pymongo import AsyncMongoClient

from tieba.records import Comment, Forum, Post, Presence, Thread, User
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.mongodb import MongoStore

THREAD = Thread(thread_id=7, forum_id=1, title="题", reply_count=3)


@pytest.fixture
async def store(mongodb_url):
    store = MongoStore(mongodb_url)
    await store.open()
    yield store
    await store.close()


async def stored(store, collection, key):
    return await store.database[collection].find_one({"_id": key})


def presence(*, gone):
    return Presence(collection="threads", key_field="thread_id", key=7, gone=gone)


async def test_every_kind_of_record_is_stored_under_its_key(store):
    user = User(portrait="tb.1.x", nickname="甲")
    records = [Forum(forum_id=1), THREAD, Post(post_id=70), Comment(comment_id=90), user]
    await store.save(records)
    for record in records:
        found = await stored(store, record.collection, record.key)
        assert {name: found.get(name) for name in record.fields()} == record.fields()
        assert found["first_seen"] == found["last_seen"]
        assert found["deleted_at"] is None
    assert await store.counts() == {"forums": 1, "threads": 1, "posts": 1, "comments": 1, "users": 1}


async def test_the_same_record_twice_changes_only_last_seen(store):
    post = Post(post_id=70, thread_id=7, floor=2, text="一\n二", images=("a", "b"))
    await store.save([post])
    first = await stored(store, "posts", 70)
    await asyncio.sleep(0.01)
    await store.save([post])
    second = await stored(store, "posts", 70)
    assert second.pop("last_seen") > first.pop("last_seen")
    assert second == first


async def test_newer_values_replace_older_ones_and_unknown_ones_erase_nothing(store):
    await store.save([THREAD])
    await store.save([Thread(thread_id=7, reply_count=5, author_name="甲")])
    found = await stored(store, "threads", 7)
    assert (found["title"], found["reply_count"], found["author_name"]) == ("题", 5, "甲")


async def test_a_floor_seen_on_two_pages_is_one_floor(store):
    await store.save([Post(post_id=70, floor=30, text="x")])
    await store.save([Post(post_id=70, floor=31)])
    assert (await store.counts())["posts"] == 1


async def test_sightings_in_one_batch_are_merged(store):
    await store.save([THREAD, Thread(thread_id=7, author_name="甲"), Thread(thread_id=7, reply_count=4)])
    found = await stored(store, "threads", 7)
    assert (found["title"], found["reply_count"], found["author_name"]) == ("题", 4, "甲")


async def test_a_deleted_thread_is_marked_and_kept(store):
    await store.save([THREAD])
    await store.save([presence(gone=True)])
    marked = await stored(store, "threads", 7)
    assert marked["title"] == "题"
    await asyncio.sleep(0.01)
    await store.save([presence(gone=True)])
    await store.save([THREAD])  # lists go on naming it
    assert (await stored(store, "threads", 7))["deleted_at"] == marked["deleted_at"]
    await store.save([THREAD, presence(gone=False)])
    assert (await stored(store, "threads", 7))["deleted_at"] is None


async def test_a_thread_that_was_never_seen_alive_is_marked_too(store):
    await store.save([presence(gone=True)])
    found = await stored(store, "threads", 7)
    assert found["thread_id"] == 7
    assert found["deleted_at"] is not None


async def test_workers_that_insert_the_same_records_at_once(mongodb_url):
    stores = [MongoStore(mongodb_url) for _ in range(4)]
    records = [User(user_id=number, name=f"u{number}") for number in range(1, 300)]
    await asyncio.gather(*(store.save(records) for store in stores))
    assert (await stores[0].counts())["users"] == 299
    for store in stores:
        await store.close()


async def test_concurrent_batches_are_all_stored(store):
    await asyncio.gather(*(store.save([Post(post_id=number)]) for number in range(1, 200)))
    assert (await store.counts())["posts"] == 199


async def test_a_record_that_cannot_be_stored_harms_no_other(store):
    bad = Post(post_id=71, text="x" * 17_000_000)  # more than MongoDB's 16 MiB
    results = await asyncio.gather(
        store.save([Post(post_id=70)]),
        store.save([bad]),
        store.save([Post(post_id=72)]),
        return_exceptions=True,
    )
    assert [result is None for result in results] == [True, False, True]
    assert (await store.counts())["posts"] == 2


async def test_opening_again_keeps_the_indexes(store, mongodb_url):
    again = MongoStore(mongodb_url)
    await again.open()
    await again.close()
    async with AsyncMongoClient(mongodb_url) as client:
        indexes = await client.get_default_database()["posts"].index_information()
    assert {"_id_", "thread_id_1_floor_1", "author_id_1"} == set(indexes)


async def test_a_server_that_is_away_is_told_from_one_that_refuses(monkeypatch):
    monkeypatch.setattr("tieba.storage.mongodb._SERVER_SELECTION_MS", 100)
    away = MongoStore("mongodb://127.0.0.1:1/x")
    with pytest.raises(StoreUnavailable, match="does not answer") as error:
        await away.open()
    assert "\n" not in str(error.value)
    await away.close()
    with pytest.raises(StoreError, match="cannot be used"):
        MongoStore("mongodb://127.0.0.1:1")
