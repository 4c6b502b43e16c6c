"""What a backup says of itself, and which ones are refused."""

import json
import re

import pytest

from control.backup import MANIFEST, find, seal
from control.process import ControlError

ABOUT = {"job": "tieba", "target": "replica", "stores": ["mongodb", "mysql"]}


@pytest.fixture
def backup(tmp_path):
    folder = tmp_path / "20261120T193000Z"
    (folder / "mongodb").mkdir(parents=True)
    (folder / "queue.rdb").write_bytes(b"queue")
    (folder / "mongodb" / "threads.bson.gz").write_bytes(b"threads")
    seal(folder, {**ABOUT, "made_at": "2026-11-20T19:30:00Z"})
    return folder


def refused(folder, about=None):
    with pytest.raises(ControlError) as error:
        find(folder, about or ABOUT)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_whole_one_is_found_by_its_folder_and_the_newest_among_several(backup):
    found = find(backup, ABOUT)
    assert found["path"] == str(backup)
    assert found["made_at"] == "2026-11-20T19:30:00Z"
    assert set(found["files"]) == {"queue.rdb", "mongodb/threads.bson.gz"}
    newer = backup.with_name("20261121T000000Z")
    backup.rename(newer)
    (backup.with_name(".20261122T000000Z.partial")).mkdir()  # one that is being made, or was interrupted
    assert find(backup.parent, ABOUT)["path"] == str(newer)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: (folder / "queue.rdb").write_bytes(b"Queue"),
            "damaged: queue.rdb is not what was saved",
        ),
        (
            lambda folder: (folder / "queue.rdb").write_bytes(b"queu"),
            "damaged: queue.rdb is not what was saved",
        ),
        (lambda folder: (folder / "mongodb" / "threads.bson.gz").unlink(), "threads.bson.gz is missing"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "damaged, or of another program"),
        (lambda folder: (folder / MANIFEST).write_text('{"format": "x"}'), "damaged, or of another program"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "damaged, or of another program"),
        (lambda folder: (folder / MANIFEST).unlink(), "no backup is there"),
    ],
)
def test_a_damaged_one_is_refused_in_one_line(backup, damage, said):
    damage(backup)
    assert said in refused(backup)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"job": "other"}, "job: tieba instead of other"),
        ({"target": "live"}, "target: replica instead of live"),
        ({"stores": ["mongodb"]}, "stores: mongodb, mysql instead of mongodb;"),
    ],
)
def test_that_of_another_cluster_is_refused(backup, change, said):
    assert said in refused(backup, ABOUT | change)


def test_it_can_be_read_by_people(backup):
    manifest = json.loads((backup / MANIFEST).read_text())
    assert manifest["files"]["queue.rdb"]["bytes"] == 5
    assert re.fullmatch(r"[0-9a-f]{64}", manifest["files"]["queue.rdb"]["sha256"])
