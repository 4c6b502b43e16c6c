"""`tieba export` of records in a real MongoDB, and of folders of JSON Lines."""

import asyncio
import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from datetime import datetime, timezone

import pyarrow.parquet as pq
import pytest

from tests.conftest import program
from tieba.cli import main
from tieba.records import Comment, Forum, Post, Presence, Thread, User
from tieba.storage.jsonl import JsonlStore
from tieba.storage.mongodb import MongoStore

FORMATS = ("csv", "jsonl", "parquet", "xlsx")


def day(number):
    return datetime(2026, 11, number, 12, tzinfo=timezone.utc)


def gone(kind, key):
    return Presence(collection=kind.collection, key_field=kind.key_field, key=key, gone=True)


# Threads 70, 71 (deleted) and 73 in one forum, 72 in another; of 70 floor 2 is deleted.
RECORDS = [
    Forum(forum_id=5, name="聊天"),
    Forum(forum_id=6, name="../a/b"),
    Forum(forum_id=7, name="聊天室"),
    Thread(thread_id=70, forum_id=5, title="<b>一</b>", author_name="甲", created_at=day(1)),
    Thread(thread_id=71, forum_id=5, title="二", created_at=day(2)),
    Thread(thread_id=72, forum_id=6, title="三", created_at=day(3)),
    Thread(thread_id=73, forum_id=5, title="四"),
    Post(
        post_id=700,
        thread_id=70,
        forum_id=5,
        floor=1,
        text="a\nb",
        images=("http://i/1.jpg",),
        created_at=day(1),
    ),
    Post(post_id=701, thread_id=70, forum_id=5, floor=2, text="=1+1", created_at=day(2)),
    Post(post_id=702, thread_id=70, forum_id=5, floor=3, text="c", created_at=day(3)),
    Post(post_id=710, thread_id=71, forum_id=5, floor=1, text="d", created_at=day(2)),
    Post(post_id=720, thread_id=72, forum_id=6, floor=1, text="e", created_at=day(3)),
    Post(post_id=730, thread_id=73, forum_id=5, floor=1, text="f", created_at=day(4)),
    Comment(comment_id=7000, post_id=700, thread_id=70, text="楼中楼", created_at=day(2)),
    Comment(comment_id=7010, post_id=701, thread_id=70, text="x", created_at=day(2)),
    Comment(comment_id=7100, post_id=710, thread_id=71, text="y", created_at=day(2)),
    User(user_id=1, name="甲", portrait="tb.1"),
    User(portrait="tb.2"),
]
MARKS = [gone(Thread, 71), gone(Post, 701)]


async def save(store, *batches):
    await store.open()
    for batch in batches:
        await store.save(batch)
    await store.close()


@pytest.fixture
async def stored(mongodb_url):
    await save(MongoStore(mongodb_url), RECORDS, MARKS)


@pytest.fixture
def here(tmp_path, environment, monkeypatch):
    """Give an empty folder, where the configuration is that of a node."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def export(here, capfdbinary):
    """Give a function that runs `tieba export` in this process; it gives status, output and errors."""

    def run(*arguments):
        status = main(["export", *arguments])
        sys.stdout.flush()
        output, errors = capfdbinary.readouterr()
        return status, output.decode(), errors.decode()

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def ids(export, *arguments):
    """Give the keys of the records that are exported as JSON Lines."""
    status, output, errors = export("--format", "jsonl", "--out", "-", *arguments)
    assert status == 0, errors
    return [next(iter(json.loads(line).values())) for line in output.splitlines()]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_forum_s_posts_are_a_file_with_a_name_of_its_own(export, here, kind):
    assert export("--format", kind, "--forum", "聊天") == (0, f"5 posts in 聊天-posts.{kind}\n", "")
    assert names(here) == [f"聊天-posts.{kind}"]
    data = (here / f"聊天-posts.{kind}").read_bytes()
    if kind == "csv":
        found = [int(row["post_id"]) for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
    elif kind == "jsonl":
        found = [json.loads(line)["post_id"] for line in data.splitlines()]
    elif kind == "parquet":
        found = pq.read_table(io.BytesIO(data)).column("post_id").to_pylist()
    else:
        sheet = zipfile.ZipFile(io.BytesIO(data)).read("xl/worksheets/sheet1.xml").decode()
        found = [number for number in (700, 701, 702, 710, 730) if f"<v>{number}</v>" in sheet]
        assert sheet.count("<row ") == 6
    assert found == [700, 701, 702, 710, 730]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["--collection", "forums"], [5, 6, 7]),
        (["--collection", "forums", "--forum", "../a/b"], [6]),
        (["--collection", "users"], [1, None]),
        (["--collection", "threads"], [70, 71, 72, 73]),
        (["--collection", "threads", "--no-deleted"], [70, 72, 73]),
        (["--no-deleted"], [700, 702, 720, 730]),
        (["--collection", "comments"], [7000, 7010, 7100]),
        (["--collection", "comments", "--no-deleted"], [7000]),
        (["--thread", "70"], [700, 701, 702]),
        (["--since", "2026-11-02T12:00Z", "--until", "2026-11-03T12:00Z"], [701, 710]),
        (["--since", "2026-11-03"], [702, 720, 730]),  # Beijing's day begins at 16:00 UTC
    ],
)
def test_what_is_exported_can_be_chosen(export, arguments, keys):
    assert ids(export, *arguments) == keys


@pytest.mark.parametrize("folders", [["containers"], ["containers/node1", "containers/node2"]])
def test_folders_of_nodes_are_read_together(export, here, folders):
    asyncio.run(save(JsonlStore(here / "containers/node1"), RECORDS[:9]))
    asyncio.run(save(JsonlStore(here / "containers/node2"), RECORDS[9:], MARKS))
    (file,) = (here / "containers/node2").iterdir()
    with file.open("ab") as written:
        written.write(b'{"record":"post","post_id":')  # it was gathered while a worker wrote
    assert ids(export, "--from", *folders, "--forum", "聊天", "--no-deleted") == [700, 702, 730]


@pytest.mark.usefixtures("stored")
def test_of_several_stores_only_the_best_to_read_is_needed(export, here, monkeypatch):
    monkeypatch.setenv("TIEBA_STORAGE", "jsonl,mysql,mongodb")
    monkeypatch.setenv("TIEBA_MYSQL_URL", "mysql://root@127.0.0.1:1/away")
    assert ids(export, "--thread", "70") == [700, 701, 702]
    monkeypatch.setenv("TIEBA_STORAGE", "jsonl")
    assert export("--format", "csv") == (1, "", "tieba export: no posts are stored\n")
    assert names(here.parent) == ["crawler.json", "here"]


@pytest.mark.usefixtures("stored")
def test_a_forum_s_threads_are_a_folder_of_pages(export, here):
    told = export("--format", "html", "--forum", "聊天", "--since", "2026-11-02")
    assert told == (0, "2 threads in 聊天-threads\n", "")  # 73 is as old as its floor 1
    folder = here / "聊天-threads"
    assert names(folder / "threads") == ["71.html", "73.html"]
    index = (folder / "index.html").read_text()
    assert index.count('<a href="threads/') == 2
    assert index.rstrip().endswith("</html>")
    assert "已删除" in index
    assert export("--format", "html", "--forum", "聊天", "--no-deleted", "--force")[0] == 0
    assert names(folder / "threads") == ["70.html", "73.html"]
    page = (folder / "threads" / "70.html").read_text()
    assert "&lt;b&gt;一&lt;/b&gt;" in page
    assert "楼中楼" in page
    assert "=1+1" not in page
    assert page.count("<li>") == 1  # a comment goes with its floor
    assert names(here) == ["聊天-threads"]


@pytest.mark.usefixtures("stored")
def test_a_thread_is_one_page(export, here):
    status, output, errors = export("--format", "html", "--thread", "70", "--out", "-")
    assert (status, errors) == (0, "1 thread\n")
    assert output.startswith("<!DOCTYPE html>")
    assert output.endswith("</html>\n")
    assert names(here) == []


@pytest.mark.usefixtures("stored")
def test_names_of_forums_lead_nowhere(export, here):
    assert export("--format", "csv", "--forum", "../a/b")[0] == 0
    assert names(here) == ["_a_b-posts.csv"]
    assert names(here.parent) == ["crawler.json", "here"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--forum", "聊天吧"], 2, "--forum 聊天吧: not stored; did you mean 聊天, 聊天室"),
        (["--forum", "xyz"], 2, "--forum xyz: not stored; there are ../a/b, 聊天, 聊天室"),
        (["--since", "2027-01-01"], 1, "no posts are stored with --since 2027-01-01"),
        (["--since", "soon"], 2, "--since must be a day or a moment"),
        (["--thread", "x"], 2, "--thread must be a number from 1 on, not 'x'"),
        (["--collection", "users", "--forum", "聊天"], 2, "--forum is not for users; leave it out"),
        (["--for-spreadsheet", "--format", "jsonl"], 2, "--for-spreadsheet is for csv, not for jsonl"),
        (["--format", "html", "--out", "-"], 2, "--out - takes one page"),
        (["--out", "no/such.csv"], 2, "no: no such folder; create it or give another --out"),
        (["--out", "/proc/x.csv"], 1, "/proc/.x.csv.part-"),
        (["--from", "nowhere"], 2, "--from nowhere: no such folder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(export, here, arguments, status, told):
    found, output, errors = export("--format", "csv", *arguments)
    assert (found, output, len(errors.splitlines())) == (status, "", 1), errors
    assert told in errors
    assert names(here) == []


@pytest.mark.usefixtures("stored")
def test_what_exists_is_replaced_only_if_that_is_meant(export, here):
    (here / "x.csv").write_text("mine")
    status, _, errors = export("--format", "csv", "--out", "x.csv")
    assert (status, "x.csv exists; replace it with --force" in errors) == (2, True)
    assert export("--format", "csv", "--out", "x.csv", "--force")[0] == 0
    os.mkfifo(here / "pipe")
    status, _, errors = export("--format", "csv", "--out", "pipe", "--force")
    assert (status, "pipe is no ordinary file" in errors) == (2, True)
    assert (here / "pipe").is_fifo()
    assert (here / "x.csv").read_bytes().startswith(b"post_id,")
    (here / "mine").mkdir()
    (here / "mine" / "index.html").write_text("of somebody")
    status, _, errors = export("--format", "html", "--out", "mine", "--force")
    assert (status, "has not made" in errors) == (2, True)
    assert names(here / "mine") == ["index.html"]


def run(*arguments, **options):
    """Run `tieba export` in a process of its own."""
    return subprocess.run([program("tieba"), "export", *arguments], timeout=60, check=False, **options)


@pytest.fixture
async def many(mongodb_url):
    threads = [Thread(thread_id=number, forum_id=5, created_at=day(1)) for number in range(1, 101)]
    posts = [
        Post(post_id=number, thread_id=number // 200 + 1, floor=number, text=os.urandom(40).hex())
        for number in range(20_000)
    ]
    await save(MongoStore(mongodb_url), threads + posts)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("kind", [*FORMATS, "html"])
def test_a_disk_that_is_full_leaves_no_half_file(here, kind):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run("--format", kind, preexec_fn=limit, capture_output=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr.decode()
    assert b"File too large" in done.stderr
    assert names(here) == []


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("kind", ["parquet", "xlsx", "html"])
def test_an_interrupted_export_leaves_no_half_file(here, kind):
    command = [program("tieba"), "export", "--format", kind]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not names(here):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    assert names(here) == []


@pytest.mark.usefixtures("many", "here")
def test_a_terminal_shows_progress():
    ours, theirs = os.openpty()
    done = run("--format", "csv", stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    assert done.stdout == b"20,000 posts in tieba-posts.csv\n"
    assert b"posts" in os.read(ours, 4096)
    os.close(ours)


@pytest.mark.usefixtures("many", "here")
def test_a_reader_may_stop_early():
    command = f"{program('tieba')} export --format csv --out - | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout[:8], done.stderr) == (0, b"post_id,", b"")
