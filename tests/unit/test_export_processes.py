"""Exports that come to nothing leave room for others."""

import asyncio
import contextlib
import json
import time

import pytest

from dashboard.exports import AT_ONCE, BusyError, Exports
from tieba.config import Config


async def ended(exports):
    while exports._running:
        await next(iter(exports._running.values()))


@pytest.fixture
def exports(tmp_path):
    return Exports(tmp_path, Config())


async def test_an_export_that_cannot_be_begun_has_failed(exports):
    for _ in range(AT_ONCE + 1):  # the last one is not refused
        await exports.start({"format": "csv", "thread": "1\0"})
        await ended(exports)
    assert {export.is_running for export in exports.all()} == {False}
    assert all("null" in export.problem for export in exports.all())


async def test_an_export_can_be_removed_before_it_has_begun(exports):
    id_ = await exports.start({"format": "csv"})
    await exports.remove(id_)
    assert exports.all() == []
    assert not exports._running


async def test_as_many_run_as_may_when_several_are_asked_for_at_once(exports):
    asked = (exports.start({"format": "csv"}) for _ in range(AT_ONCE + 3))
    begun = await asyncio.gather(*asked, return_exceptions=True)
    await exports.close()
    assert sum(isinstance(answer, str) for answer in begun) == AT_ONCE
    assert sum(isinstance(answer, BusyError) for answer in begun) == 3


async def test_a_disk_that_is_full_ends_an_export(exports, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dashboard.exports.whole_file", full)
    await exports.start({"format": "csv"})
    await ended(exports)
    (export,) = exports.all()
    assert "No space left" in export.problem


def put_export(folder, name, age):
    """Put an export there that is done, and so many seconds old."""
    (folder / name / "file").mkdir(parents=True)
    (folder / name / "asked.json").write_text(json.dumps({"at": time.time() - age, "what": {}}))


async def test_old_exports_go_at_the_start_and_as_time_goes_by(exports, tmp_path, monkeypatch):
    monkeypatch.setattr("dashboard.exports._CLEAN_SECONDS", 0.02)
    put_export(tmp_path, "old", 24 * 3600 + 1)
    put_export(tmp_path, "new", 24 * 3600 - 1)
    cleaning = asyncio.create_task(exports.clean())
    await asyncio.sleep(0.2)
    assert [export.id for export in exports.all()] == ["new"]
    await asyncio.sleep(1.2)
    assert not list(tmp_path.iterdir())
    cleaning.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cleaning
