"""What builds a release on a node, where runs before it were broken off."""

import fcntl
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parents[2] / "control" / "install.sh"
# Notes what it is asked for, and takes its time.
UV = """#!/bin/sh
echo "$1" >>{log}
[ "$1" != venv ] || for dest; do :; done
[ "$1" != venv ] || mkdir "$dest"
sleep 0.3
"""


@pytest.fixture
def archive(tmp_path):
    """Unpack an archive beside its release, as role base does; gives a function of the release's name."""

    def unpack(release):
        folder = tmp_path / f".{release}"
        (folder / "wheels").mkdir(parents=True)
        shutil.copy(INSTALL, folder / "install")
        (folder / "requirements.txt").touch()
        (folder / "wheels" / "tieba-1-py3-none-any.whl").touch()
        with zipfile.ZipFile(folder / "wheels" / "uv-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("uv-1.data/scripts/uv", UV.format(log=tmp_path / "log"))
        return folder

    return unpack


def install(folder, release):
    return subprocess.Popen(["sh", str(folder / "install"), str(folder.parent / release)])


def test_a_second_run_waits_for_the_one_whose_ansible_has_died(archive, tmp_path):
    folder = archive("new")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "torn").touch()
    both = [install(folder, "new") for _ in range(2)]
    assert [each.wait(timeout=30) for each in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["venv", "pip", "pip"]
    assert {path.name for path in (tmp_path / "new").iterdir()} == {".complete"}


def test_what_broken_runs_have_left_goes_unless_they_still_run(archive, tmp_path):
    left, used, folder = archive("left"), archive("used"), archive("new")
    (tmp_path / "old").mkdir()
    with (used / "install").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert install(folder, "new").wait(timeout=30) == 0
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {".used", ".new", "new", "old", "log"}
