"""A database copied into files and back."""

import gzip
import json
import subprocess
import sys

import bson
import pytest
from pymongo import MongoClient

from tieba.storage.mongodb_dump import load_all, save
from tieba.storage.mongodb_indexes import INDEXES

THREADS = [{"_id": number, "title": "题" * 3_000, "forum_id": 1} for number in range(2_500)]
CRAWLS = [{"_id": "a", "finished_at": None}]


@pytest.fixture
def database(mongodb_url):
    with MongoClient(mongodb_url) as client:
        yield client.get_default_database()


def contents(database):
    return {name: list(database[name].find().sort("_id")) for name in database.list_collection_names()}


def test_what_was_saved_replaces_what_is_there(database, tmp_path):
    database.threads.insert_many(THREADS)
    database.crawls.insert_many(CRAWLS)
    before = contents(database)
    assert save(database, tmp_path / "copy") == {"crawls": 1, "threads": len(THREADS)}
    database.threads.delete_many({"_id": {"$lt": 100}})
    database.threads.insert_one({"_id": -1})
    database.posts.insert_one({"_id": 5})
    database["restored.threads"].insert_one({"_id": 0})  # of a run that was interrupted
    database.drop_collection("crawls")
    assert load_all(database, tmp_path / "copy") == {"crawls": 1, "threads": len(THREADS)}
    assert contents(database) == before
    assert len(database.threads.index_information()) == len(INDEXES["threads"]) + 1


def test_files_are_those_of_mongodump(database, tmp_path):
    database.crawls.insert_many(CRAWLS)
    save(database, tmp_path)
    assert bson.decode_all(gzip.decompress((tmp_path / "crawls.bson.gz").read_bytes())) == CRAWLS


def test_a_torn_file_replaces_nothing(database, mongodb_url, environment, tmp_path):
    database.threads.insert_many(THREADS)
    save(database, tmp_path)
    before = contents(database)
    file = tmp_path / "threads.bson.gz"
    file.write_bytes(file.read_bytes()[:-20])
    done = subprocess.run(
        [sys.executable, "-m", "tieba.storage.mongodb_dump", "load", str(tmp_path)],
        env=environment | {"TIEBA_MONGODB_URL": mongodb_url}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("mongodb_dump: ")
    assert len(done.stderr.splitlines()) == 1
    assert {name: rows for name, rows in contents(database).items() if "." not in name} == before


def test_the_command_tells_how_many_documents_there_are(database, mongodb_url, environment, tmp_path):
    database.crawls.insert_many(CRAWLS)
    done = subprocess.run(
        [sys.executable, "-m", "tieba.storage.mongodb_dump", "save", str(tmp_path)],
        env=environment | {"TIEBA_MONGODB_URL": mongodb_url}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"crawls": 1}
