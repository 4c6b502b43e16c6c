"""Pickles of others are read as plain values or refused; nothing in them runs."""

import builtins
import copyreg
import io
import os
import pickle
import struct
from collections import OrderedDict
from datetime import datetime, timezone
from pathlib import Path

import pytest
from scrapy import FormRequest, Request
from scrapy_redis import picklecompat

from tieba import plain_pickle


@pytest.mark.parametrize(
    "request_",
    [
        Request("http://example.com/"),
        Request(
            "http://example.com/?页=1",
            method="PUT",
            headers={"A": ["1", "2"]},
            body=b"\x00\xff",
            cookies={"a": "b"},
            meta={"number": 2**70, "ratio": 0.5, "nested": [(1, "二"), {"deep": None}], "negative": -1},
            priority=-3,
            dont_filter=True,
            flags=["x"],
            cb_kwargs={"page": 2},
        ),
        FormRequest("http://example.com/", formdata={"a": "1"}),
        Request("http://example.com/", body="长" * 70_000),
    ],
)
def test_requests_of_scrapy_redis_are_read(request_):
    plain = request_.to_dict()
    assert plain_pickle.loads(picklecompat.dumps(plain)) == plain
    for protocol in (3, 4, 5):
        assert plain_pickle.loads(pickle.dumps(plain, protocol)) == plain


class Runs:
    """Runs something when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Lists(list):
    """Runs something when it is unpickled, by way of BUILD."""

    def __setstate__(self, path):
        Path(path).touch()


def evil(path):
    """Pickles that write a file where they are unpickled plainly."""
    touch = f"open({path!r}, 'w')"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(Runs(os.system, f"touch {path}"), protocol)
        yield pickle.dumps({"url": "http://x/", "meta": {"a": [Runs(eval, touch)]}}, protocol)
        yield pickle.dumps(Runs(builtins.exec, touch), protocol)
        yield pickle.dumps(Runs(getattr, Runs(__import__, "os"), "system"), protocol)[:-1] + (
            b"(V" + f"touch {path}".encode() + b"\ntR."
        )
        built = Lists()
        yield pickle.dumps(built, protocol)[:-1] + b"V" + path.encode() + b"\nb."
    line = path.encode()
    yield b"cos\nsystem\n(S'touch " + line + b"'\ntR."
    yield b"(S'touch " + line + b"'\nios\nsystem\n."
    yield b"(cos\nsystem\nS'touch " + line + b"'\no."
    yield b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([6 + len(line)]) + b"touch " + line + b"\x85R."
    yield b"\x80\x04}\x8c\x03urlcos\nsystem\n\x8c" + bytes([6 + len(line)]) + b"touch " + line + b"\x85Rs."


def test_pickles_that_run_something_are_refused_before_anything_runs(tmp_path):
    path = tmp_path / "ran"
    pickles = list(evil(str(path)))
    for data in pickles:
        with pytest.raises(ValueError, match="needs more than plain values"):
            plain_pickle.loads(data)
        with pytest.raises(pickle.UnpicklingError, match="is asked for"):  # were it not refused before
            plain_pickle._Unpickler(io.BytesIO(data)).load()
        assert not path.exists()
    for data in pickles:
        pickle.loads(data)
        assert path.exists(), data  # it is as bad as it says
        path.unlink()


def test_registered_extensions_are_refused(tmp_path):
    copyreg.add_extension("os", "system", 250)
    try:
        data = b"\x80\x04\x82\xfa\x8c\x04true\x85R."
        assert pickle.loads(data) == 0
        with pytest.raises(ValueError, match="EXT1"):
            plain_pickle.loads(data)
    finally:
        copyreg.remove_extension("os", "system", 250)


@pytest.mark.parametrize(
    "value", [OrderedDict(a=1), datetime(2026, 1, 1, tzinfo=timezone.utc), {1, 2}, bytearray(b"x"), 1j, len]
)
def test_values_that_need_a_class_or_are_not_plain_are_refused(value):
    with pytest.raises(ValueError, match="needs more than plain values"):
        plain_pickle.loads(pickle.dumps({"url": "http://x/", "meta": {"value": value}}, -1))


def laughs(depth):
    """A list of lists of lists …, each there twice: 2**depth values in a few bytes."""
    value = ["ha"]
    for _ in range(depth):
        value = [value, value]
    return pickle.dumps(value, -1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x04N",
        b"\x80\x04h\x07.",
        b"\x80\x04]]\x94h\x00b.",
        b"\x80\x04N}s.",
        b"\x80\x04}]Ns.",  # a list as key
        b"\x80\x04(e.",
        b"\x80\x04Nu.",
        b"\x80\x04}}b.",
        b"\x80\x04Nbx.",
        b"\x80\x04Vpersistent\nQ.",
        b"Ppersistent\n.",
        b"\x80\x63N.",
        b"\x80\x04\x8c\x02\xff\xff.",
        b"\x80\x04r\xff\xff\xff\xff.",
        b"\x80\x04Nr\xff\xff\xff\x7f.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"x.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N",
        b"\x80\x04\x8b" + struct.pack("<i", 2**30) + b"\x01.",
        b"\x80\x04]\x94h\x00a.",  # a list that has itself inside
        laughs(60),
        pickle.dumps(["x" * 100_000] * 10_000 + [1]),
        pickle.dumps("x" * 2**20),
    ],
)
def test_broken_pickles_and_memory_bombs_are_refused(data):
    with pytest.raises(ValueError, match="pickle refused: "):
        plain_pickle.loads(data)
