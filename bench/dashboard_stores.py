"""What the dashboard's benchmark puts into stores: forums, threads, floors, comments, users.

Threads have equally many floors but for the first, which has a hundredth of all; the first user wrote another
hundredth. Half of the threads are of the first forum.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pymysql
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from bench.report import note
from tests.conftest import empty_database, free_port, mariadbd_command, mongod_command, running
from tieba.storage import SEEN
from tieba.storage.mongodb import MongoStore
from tieba.storage.mongodb_indexes import INDEXES as MONGODB_INDEXES
from tieba.storage.mysql import MysqlStore
from tieba.storage.mysql_statements import INDEXES as MYSQL_INDEXES
from tieba.storage.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tieba.storage import Document, Store

FORUMS = 40
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
SPAN = timedelta(days=200)
_FIRST_THREAD, _FIRST_POST, _FIRST_COMMENT = 8_000_000_000, 150_000_000_000, 160_000_000_000
_BATCH = 5_000
_TOLD = 1_000_000  # records after which progress is told
_FILE_ROWS = 250_000
_SCATTER = 7_919  # a prime
WORDS = """
求助 显卡 考研 拍照 旅行 成都 火锅 足球 转让 手机 电脑 小说 推荐 装机 自行车 毕业 工作 租房 音乐 游戏
攻略 新手 老吧友 交流 深夜 周末 火车 天气 猫 狗 python 编程 数学 英语 美食 减肥 跑步 电影 动漫 星空
""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Size:
    """How many records there are of each kind."""

    posts: int
    threads: int
    users: int
    comments: int

    @property
    def long(self) -> int:
        """The floors of the first thread."""
        return self.posts // 100


def thread_id(number: int) -> int:
    """Give the id of a thread, counted from 0."""
    return _FIRST_THREAD + number * 37


def post_id(number: int) -> int:
    """Give the id of a floor."""
    return _FIRST_POST + number * 11


def user_id(number: int) -> int:
    """Give the id of a user."""
    return 1_000 + number * 3


def title(number: int) -> str:
    """Give a thread's title, of three words and its number."""
    words = (WORDS[number * factor % len(WORDS)] for factor in (1, 7, 31))
    return f"{'，'.join(words)}？第{number}帖"


def name(number: int) -> str:
    """Give a user's name."""
    return f"{WORDS[number % len(WORDS)]}用户{number}"


def records(size: Size) -> Iterator[tuple[str, Iterator[Document]]]:
    """Give every collection's records in the order of their keys, as `Store.scan` gives them."""
    yield "forums", (_forum(number) for number in range(FORUMS))
    yield "users", (_user(number, size) for number in range(size.users))
    yield "threads", (_thread(number, size) for number in range(size.threads))
    yield "posts", _posts(size)
    yield "comments", (_comment(number, size) for number in range(size.comments))


def forum_of(number: int) -> int:
    """Give the forum of a thread."""
    return 1 if number % 2 else 2 + number // 2 % (FORUMS - 1)


def _record(key: int, at: datetime, fields: Document) -> Document:
    return {"_id": key, **fields, **dict(zip(SEEN, (at, at, None), strict=True))}


def _forum(number: int) -> Document:
    word = WORDS[number % len(WORDS)]
    return _record(
        number + 1, BEGIN, {"forum_id": number + 1, "name": word, "thread_count": 10**6, "post_count": 10**8,
                            "member_count": 10**5},
    )  # fmt: skip


def _user(number: int, size: Size) -> Document:
    id_ = user_id(number)
    fields = {"user_id": id_, "name": name(number), "nickname": f"{WORDS[number // 40 % 40]}{number}",
              "portrait": f"tb.1.{number:08x}"}  # fmt: skip
    return _record(id_, BEGIN + SPAN * number / size.users, fields)


def _thread(number: int, size: Size) -> Document:
    id_, author = thread_id(number), number * _SCATTER % size.users
    begun = BEGIN + SPAN * number / size.threads
    fields = {
        "thread_id": id_,
        "forum_id": forum_of(number),
        "title": title(number),
        "author_id": user_id(author),
        "author_name": name(author),
        "reply_count": size.long if number == 0 else (size.posts - size.long) // size.threads,
        "first_post_id": None,
        "is_pinned": number < FORUMS,
        "is_good": number % 100 == 0,
        "created_at": begun,
        "last_reply_at": begun + timedelta(seconds=number * _SCATTER % 1_000_000),
    }
    return _record(id_, begun, fields)


def _posts(size: Size) -> Iterator[Document]:
    """Give the floors; without helpers, since they are millions."""
    floor, last, step = 0, -1, SPAN / size.posts
    names = [name(number) for number in range(size.users)]
    texts = ["说了一些话。" * length for length in range(23)]
    for number in range(size.posts):
        thread = thread_of(number, size)
        floor, last = (floor + 1 if thread == last else 1), thread
        author = 0 if number % 100 == 0 else number * _SCATTER % size.users
        at = BEGIN + step * number
        is_tenth = number % 10 == 0
        yield {
            "_id": post_id(number),
            "post_id": post_id(number),
            "thread_id": thread_id(thread),
            "forum_id": forum_of(thread),
            "floor": floor,
            "author_id": user_id(author),
            "author_name": names[author],
            "text": f"第{number}楼，{texts[number % len(texts)]}",
            "images": [f"https://pictures.example/{number}.jpg"] if is_tenth else [],
            "created_at": at,
            "comment_count": int(is_tenth),
            "client": "Android",
            "ip_place": "北京",
            "first_seen": at,
            "last_seen": at,
            "deleted_at": None,
        }


def thread_of(number: int, size: Size) -> int:
    """Give the number of the thread that a floor is in."""
    if number < size.long:
        return 0
    return 1 + (number - size.long) * (size.threads - 1) // (size.posts - size.long)


def _comment(number: int, size: Size) -> Document:
    post = number * size.posts // size.comments
    author = number * _SCATTER % size.users
    at = BEGIN + SPAN * number / size.comments
    fields = {
        "comment_id": _FIRST_COMMENT + number,
        "post_id": post_id(post),
        "thread_id": thread_id(thread_of(post, size)),
        "author_id": user_id(author),
        "author_name": name(author),
        "reply_to_name": None,
        "text": "同意楼主的看法。",
        "created_at": at,
    }
    return _record(_FIRST_COMMENT + number, at, fields)


class Place(Protocol):
    """A server with an empty database."""

    url: str

    def store(self) -> Store:
        """Give a store in it."""

    def fill(self, collection: str, documents: Iterator[Document]) -> None:
        """Put records into a collection that has no indexes."""

    def lacks_indexes(self) -> bool:
        """Tell whether an index is missing, or not complete."""


def fill(place: Place, size: Size) -> None:
    """Put all records into a store; tells how far it is."""
    for collection, documents in records(size):
        place.fill(collection, _counted(collection, documents))


def _counted(collection: str, documents: Iterable[Document]) -> Iterator[Document]:
    for number, document in enumerate(documents, 1):
        yield document
        if number % _TOLD == 0:
            note(f"{number:,} {collection}")


class _Mongodb:
    def __init__(self, url: str) -> None:
        self.url = url
        self._database = MongoClient[Any](url).get_default_database()

    def store(self) -> Store:
        return MongoStore(self.url)

    def fill(self, collection: str, documents: Iterator[Document]) -> None:
        self._database[collection].drop_indexes()
        while batch := list(itertools.islice(documents, _BATCH)):
            self._database[collection].insert_many(batch, ordered=False)

    def lacks_indexes(self) -> bool:
        for collection, wanted in MONGODB_INDEXES.items():
            try:
                have = list(self._database[collection].aggregate([{"$indexStats": {}}]))
            except OperationFailure:  # one has just been finished while the server looked for it
                return True
            if len(have) <= len(wanted) or any(index.get("building") for index in have):
                return True
        return False

    def close(self) -> None:
        self._database.client.close()


class _Mysql:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        place = urlsplit(url)
        options = {"user": "root", "database": place.path.strip("/"), "autocommit": True}
        self._cursor = pymysql.connect(host=place.hostname, port=place.port or 0, **options).cursor()

    def store(self) -> Store:
        return MysqlStore(self.url)

    def fill(self, collection: str, documents: Iterator[Document]) -> None:
        for index in MYSQL_INDEXES.get(collection, {}):
            self._cursor.execute(f"DROP INDEX IF EXISTS {index} ON {collection}")
        table = TABLES[collection]
        path = self._folder / "rows"
        while batch := list(itertools.islice(documents, _FILE_ROWS)):
            with path.open("w", encoding="utf-8") as file:
                for document in batch:
                    seen = [document[name] for name in SEEN]
                    row = [*table.row(document["_id"], document), *seen]
                    file.write("\t".join([_FIELDS[type(value)](value) for value in row]) + "\n")
            columns = ", ".join([*table.columns, *SEEN])
            self._cursor.execute(
                f"LOAD DATA INFILE '{path}' INTO TABLE {collection} CHARACTER SET utf8mb4 ({columns})"
            )
        path.unlink(missing_ok=True)
        self._cursor.execute(f"ANALYZE TABLE {collection}")

    def lacks_indexes(self) -> bool:
        self._cursor.execute(
            "SELECT COUNT(DISTINCT table_name, index_name) FROM information_schema.statistics"
            " WHERE table_schema = DATABASE() AND index_name <> 'PRIMARY'"
        )
        return int(self._cursor.fetchone()[0]) < sum(map(len, MYSQL_INDEXES.values()))

    def close(self) -> None:
        self._cursor.connection.close()


_FIELDS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: r"\N",
    datetime: lambda value: value.isoformat(timespec="milliseconds")[:23],
    bytes: bytes.decode,
    bool: lambda value: str(int(value)),
    list: json.dumps,
    int: str,
    str: str,
}


@contextlib.contextmanager
def _mongodb(folder: Path) -> Iterator[Place]:
    port = free_port()
    server = running(mongod_command(port, folder), port, folder / "log")
    with server, contextlib.closing(_Mongodb(f"mongodb://127.0.0.1:{port}/bench")) as place:
        yield place


@contextlib.contextmanager
def _mysql(folder: Path) -> Iterator[Place]:
    port = free_port()
    command = [*mariadbd_command(port, folder), "--innodb-log-file-size=256M"]
    command += ["--innodb-buffer-pool-size=256M", "--skip-log-bin"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(command, port, folder / "log"))
        url = stack.enter_context(contextlib.contextmanager(empty_database)(port))
        yield stack.enter_context(contextlib.closing(_Mysql(url, folder)))


PLACES: dict[str, Callable[[Path], contextlib.AbstractContextManager[Place]]] = {
    "mongodb": _mongodb,
    "mysql": _mysql,
}
