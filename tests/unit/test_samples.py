"""Samples of answers that were not understood."""

import dataclasses
import errno
import os
import resource
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from tieba.pages import ForumPage, Received, ThreadPage
from tieba.samples import Sample, Samples, is_sample

ANSWER = Sample(
    Received(
        body=b"<html>\r\n\r\n\x00\xff\n",
        status=403,
        url="http://tiebac.baidu.com/c/f/pb/page?kz=1",
        headers={"retry-after": "60"},
        at=datetime(2026, 11, 20, 8, 0, 1, tzinfo=timezone.utc),
    ),
    source="api",
    target=ThreadPage(7777, 2),
)


def test_a_sample_is_read_as_it_was(tmp_path):
    path = Samples(tmp_path / "new" / "folder").save(ANSWER, "HTTP 403, page").path
    data = path.read_bytes()
    assert is_sample(data)
    assert Sample.from_bytes(data) == ANSWER


def test_an_answer_saved_by_curl_is_a_sample():
    sample = Sample.from_bytes(b"HTTP/2 200 \r\nContent-Type: text/html\r\n\r\n{}\n")
    assert sample == Sample(Received(b"{}\n", 200, headers={"content-type": "text/html"}))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"HTTP/1.1", b"HTTP/1.1\n\nx", b"HTTP/1.1 200\ntieba-target: [1]\n\nx"]
)
def test_what_is_no_sample_is_refused(data):
    with pytest.raises(ValueError, match="not a"):
        Sample.from_bytes(data)


def test_headers_cannot_forge_others_and_hold_no_session():
    headers = {
        "location": "x\r\ntieba-url: evil",
        "tieba-url": "evil",
        "set-cookie": "id=1",
        "content-encoding": "gzip",
    }
    sample = Sample.from_bytes(Sample(Received(b"", 302, headers=headers)).to_bytes())
    assert sample == Sample(Received(b"", 302, headers={"location": "x tieba-url: evil"}))


def test_answers_that_are_alike_are_few_and_the_path_of_one_is_given(tmp_path):
    samples = Samples(tmp_path)
    saved = [
        samples.save(dataclasses.replace(ANSWER, target=ThreadPage(size)), f"HTTP 200, page of {size} bytes")
        for size in range(1, 51)
    ]
    paths = {one.path for one in saved}
    assert [one.is_other for one in saved] == [False] * 3 + [True] * 47
    assert len(paths) == len(list(tmp_path.iterdir())) == 3
    other = samples.save(Sample(Received(b""), target=ForumPage("聊天")), "HTTP 200, page")
    assert other.path not in paths
    assert str(other) == f"saved as {other.path}"
    assert len(list(tmp_path.iterdir())) == 4


def test_further_attempts_leave_room_for_other_answers_that_are_alike(tmp_path):
    samples = Samples(tmp_path)
    saved = [samples.save(ANSWER, f"HTTP 403, attempt {attempt}") for attempt in range(1, 7)]
    assert {(one.path, one.is_other) for one in saved} == {(saved[0].path, False)}
    other = samples.save(dataclasses.replace(ANSWER, target=ThreadPage(7778)), "HTTP 403, attempt 1")
    assert (other.is_other, len(list(tmp_path.iterdir()))) == (False, 2)


@pytest.mark.parametrize(("most", "most_bytes", "left"), [(5, 1_000_000, 5), (100, 10_000, 9)])
def test_the_oldest_make_room(tmp_path, most, most_bytes, left):
    (tmp_path / "mine.txt").write_text("stays")
    samples = Samples(tmp_path, most, most_bytes)
    saved = []
    for number in range(20):
        saved.append(samples.save(Sample(Received(b"x" * 1_000)), "abcdefghijklmnopqrst"[number]).path)
        os.utime(saved[-1], (number, number))
    assert sorted(tmp_path.glob("*.http")) == sorted(saved[-left:])
    assert (tmp_path / "mine.txt").exists()


def test_a_body_beyond_the_bound_is_cut(tmp_path):
    path = Samples(tmp_path, most_bytes=1_000).save(Sample(Received(b"x" * 40_000))).path
    assert path.stat().st_size == 1_000


def test_several_processes_share_the_folder(tmp_path):
    code = (
        "import sys; from tieba.samples import *; s = Samples(sys.argv[1], most=10)\n"
        "for n in range(200):\n"
        "    assert s.save(Sample(Received(b'x' * 100, 100 + n)), sys.argv[2])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, str(tmp_path), str(number)])
        for number in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    files = list(tmp_path.iterdir())
    assert 10 <= len(files) <= 12  # each may add one at the same time
    assert all(Sample.from_bytes(path.read_bytes()).received.body == b"x" * 100 for path in files)


def test_a_folder_that_cannot_be_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    samples = Samples(tmp_path / "file" / "samples")
    assert [samples.save(ANSWER) for _ in range(3)] == [None] * 3
    told = f"Samples cannot be saved: {tmp_path}/file/samples: {os.strerror(errno.ENOTDIR)}"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_a_disk_that_takes_only_a_part_is_left_without_it(tmp_path, caplog):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        assert Samples(tmp_path).save(Sample(Received(b"x" * 2_000))) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    assert "Samples cannot be saved" in caplog.text


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "old.part").touch()
    os.utime(tmp_path / "old.part", (0, 0))
    (tmp_path / "new.part").touch()
    Samples(tmp_path).save(ANSWER)
    assert [path.name for path in tmp_path.glob("*.part")] == ["new.part"]
