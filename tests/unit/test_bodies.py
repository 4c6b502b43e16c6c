"""Bodies as they travel: each coding is undone, within bounds, or the download has failed."""

import gzip
import zlib

import pytest

from tieba.bodies import MOST_BYTES, BodyError, decompressed

TEXT = "贴吧".encode() * 1000


def raw_deflate(data):
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(data) + squeeze.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (TEXT, ""),
        (TEXT, "identity"),
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), " GZip "),
        (gzip.compress(TEXT, mtime=0), "x-gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "deflate, gzip"),
    ],
)
def test_codings_are_undone(body, coding):
    assert decompressed(body, coding) == TEXT


def test_an_answer_without_a_body_has_nothing_to_undo():
    assert decompressed(b"", "gzip") == b""


@pytest.mark.parametrize(
    ("body", "coding", "told"),
    [
        (gzip.compress(TEXT, mtime=0)[:-20], "gzip", "gzip body that is cut off"),
        (TEXT, "gzip", "body is not gzip: "),
        (b"\x00" * 40, "deflate", "body is not deflate: "),
        (TEXT, "br", "content-encoding 'br', which was not asked for"),
        (gzip.compress(bytes(MOST_BYTES + 1), mtime=0), "gzip", f"more than {MOST_BYTES} bytes"),
    ],
)
def test_a_body_that_cannot_be_had_whole_is_an_error(body, coding, told):
    with pytest.raises(BodyError, match=told):
        decompressed(body, coding)


def test_the_largest_body_is_read():
    assert len(decompressed(gzip.compress(bytes(MOST_BYTES)), "gzip")) == MOST_BYTES
