"""What a process tells of its machine."""

import shutil

from control.project import ROOT
from tieba.machine import code_id, disk_free_mb, memory_mb


def test_memory_grows_with_what_is_held():
    before = memory_mb()
    held = b"x" * (100 * 2**20)
    assert memory_mb() >= before + 90
    assert len(held) > 0


def test_room_is_that_of_the_nearest_folder_there_is(tmp_path):
    free = shutil.disk_usage(tmp_path).free / 2**20
    for folder in (tmp_path, tmp_path / "not" / "yet"):
        assert abs(disk_free_mb(folder) - free) < 500
    (tmp_path / "file").touch()
    assert disk_free_mb(tmp_path / "file" / "below") is not None


def test_the_same_code_has_the_same_id_wherever_it_is(tmp_path):
    there = tmp_path / "lib"
    for package in ("frontier", "tieba"):
        shutil.copytree(ROOT / "crawler" / package, there / package)
    assert code_id(there) == code_id()
    (there / "tieba" / "__pycache__").mkdir(exist_ok=True)
    (there / "tieba" / "__pycache__" / "x.pyc").touch()
    assert code_id(there) == code_id()
    with (there / "frontier" / "lua" / "lease.lua").open("a") as file:
        file.write("-- another\n")
    assert code_id(there) != code_id()
