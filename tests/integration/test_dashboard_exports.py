"""Exports from the web page: few at once, of this store alone, and gone when they are removed."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.integration.commands import crawl, wait_for
from tests.webpage import Visitor, serving

FORUM = "猫"
SOON = 30  # seconds


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "page"


@pytest.fixture
def visitor(environment, redis_url, mongodb_url, serve_replica, folder):
    site = serve_replica(forums=[{"name": FORUM, "pages": 1, "floors_per_thread": 2}])
    environment |= {"TIEBA_API_URL": site}
    wait_for(crawl(environment, "-a", f"forum={FORUM}", engine="urllib"))
    folder.mkdir()
    with serving(folder, {"redis_url": redis_url, "mongodb_url": mongodb_url}) as port:
        visitor = Visitor(port)
        visitor.log_in()
        visitor.get("/data/export")
        yield visitor


def export(visitor, **fields):
    return visitor.post("/data/export", {"collection": "posts", "format": "jsonl", **fields})


def files(visitor):
    """Give the addresses of the exports that are done."""
    return re.findall(r'href="(/data/export/\w+)"', visitor.get("/data/export").text)


def wait_until(condition):
    deadline = time.monotonic() + SOON
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)
    return found


def children(folder):
    """Give the processes that write exports, by their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command and "\0export\0" in command:
            found[int(process.name)] = command
    return found


def test_two_at_once_and_no_more(visitor, folder):
    # They are stopped, so that they run as long as the test likes.
    assert export(visitor).status == 303
    assert export(visitor).status == 303
    for process in wait_until(lambda: len(children(folder)) == 2 and children(folder)):
        os.kill(process, signal.SIGSTOP)
    refused = export(visitor)
    assert refused.status == 429
    assert "2 exports are running" in refused.shown
    stop = re.findall(r'name="id" value="(\w+)"', visitor.get("/data/export").text)
    assert len(stop) == 2
    for id_ in stop:
        assert visitor.post("/data/export/remove", {"id": id_}).status == 303
    wait_until(lambda: not children(folder))
    assert "None yet." in visitor.get("/data/export").shown
    assert not [path for path in (folder / "dashboard-data" / "exports").rglob("*") if path.is_dir()]
    assert export(visitor).status == 303
    (file,) = wait_until(lambda: files(visitor))
    assert visitor.get(file).text.count("\n") > 1


def test_files_are_of_what_was_asked(visitor):
    assert export(visitor, collection="threads", format="csv", forum=FORUM).status == 303
    (file,) = wait_until(lambda: files(visitor))
    answer = visitor.get(file)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "title" in answer.text.partition("\n")[0]
    stranger = Visitor(visitor.port)
    assert stranger.get(file).location.startswith("/login")
    assert visitor.post("/data/export/remove", {"id": file.rpartition("/")[2]}).status == 303
    assert visitor.get(file).status == 404


def test_what_cannot_be_exported_is_refused(visitor, folder, tmp_path):
    for fields in (
        {"format": "exe"},
        {"format": "html"},  # without the number of a thread
        {"format": "--out=x"},
        {"collection": "secrets"},
        {"collection": "../posts"},
    ):
        assert export(visitor, **fields).status == 422, fields
        assert not children(folder)
    # What only `tieba export` can judge is told by it.
    stolen = tmp_path / "stolen"
    for fields in ({"forum": f"--out={stolen}"}, {"since": "nonsense"}, {"thread": "-1"}):
        assert export(visitor, **fields).status in {303, 422}, fields
        wait_until(lambda: "being written" not in visitor.get("/data/export").shown)
        assert all(visitor.get(file).text.count("\n") <= 1 for file in files(visitor)), fields
    assert not stolen.exists()
    for id_ in ("..", "../..", "/", "", "x", "../../dashboard-data"):
        visitor.post("/data/export/remove", {"id": id_})
        assert (folder / "dashboard.json").exists()
        assert (folder / "dashboard-data").is_dir()
