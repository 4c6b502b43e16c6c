"""What the formats of an export make of records, hostile ones among them."""

import base64
import csv
import hashlib
import io
import json
import math
import re
import zipfile
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tieba.export.columns import COLLECTIONS
from tieba.export.csv_format import CsvWriter
from tieba.export.html_format import IndexPage, write_thread
from tieba.export.jsonl_format import JsonlWriter
from tieba.export.output import safe_name
from tieba.export.parquet_format import ParquetWriter
from tieba.export.xlsx_format import XlsxWriter

NOON = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=timezone.utc)
POST = {
    "_id": 2**63 - 1,
    "post_id": 2**63 - 1,
    "thread_id": 7777,
    "floor": 1,
    "author_name": "=HYPERLINK(0)",
    "text": 'a,"b"\r\nc\n\t楼 😀',
    "images": ["https://img/a,b.jpg", "javascript:alert(1)"],
    "created_at": NOON.astimezone(timezone(timedelta(hours=8))),
    "first_seen": NOON,
    "last_seen": NOON,
    "deleted_at": None,
}
HOSTILE = "\x00\x1b\ud800\ufffe</script><script>alert(1)</script>\u202e_x0041_"
COLUMNS = COLLECTIONS["posts"]
NAMES = [column.name for column in COLUMNS]


def written(make, *batches):
    file = io.BytesIO()
    writer = make(file, COLUMNS)
    for batch in batches:
        writer.write(batch)
    return file.getvalue() if not (notes := writer.close()) else (file.getvalue(), notes)


def test_columns_are_those_of_the_records():
    assert {column.name: column.kind.name for column in COLLECTIONS["threads"]}.items() >= {
        "thread_id": "INTEGER",
        "title": "TEXT",
        "is_good": "TRUTH",
        "created_at": "TIME",
        "deleted_at": "TIME",
    }.items()
    assert {column.name: column.kind.name for column in COLUMNS}["images"] == "TEXTS"


def test_csv_keeps_every_value_as_it_is():
    text = written(CsvWriter, [POST], [{"post_id": 1, "text": HOSTILE}]).decode()
    header, post, hostile = csv.reader(io.StringIO(text, newline=""))
    assert header == NAMES
    row = dict(zip(header, post, strict=True))
    assert row["author_name"] == "=HYPERLINK(0)"
    assert row["text"] == POST["text"]
    assert json.loads(row["images"]) == POST["images"]
    assert datetime.fromisoformat(row["created_at"]) == NOON
    assert row["author_id"] == row["deleted_at"] == ""
    assert dict(zip(header, hostile, strict=True))["text"] == HOSTILE.replace("\ud800", "?")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1"])
def test_csv_for_spreadsheets_has_no_formulas(text):
    data = written(lambda *args: CsvWriter(*args, for_spreadsheet=True), [{"post_id": 1, "text": text}])
    assert data.startswith(b"\xef\xbb\xbfpost_id,")
    (row,) = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert row["text"] == f"'{text}"
    assert row["post_id"] == "1"


def test_jsonl_gives_back_what_was_stored():
    lines = written(JsonlWriter, [POST, {"post_id": 1, "text": HOSTILE}]).decode().split("\n")
    post, hostile = (json.loads(line) for line in lines[:-1])
    assert lines[-1] == ""
    assert list(post) == NAMES
    assert post["text"] == POST["text"]
    assert datetime.fromisoformat(post["created_at"]) == NOON
    assert hostile["text"] == HOSTILE


def test_parquet_has_types():
    table = pq.read_table(io.BytesIO(written(ParquetWriter, [POST], [{"post_id": 1, "text": HOSTILE}])))
    assert table.schema.field("post_id").type == pa.int64()
    assert table.schema.field("images").type == pa.list_(pa.string())
    assert table.schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    post, hostile = table.to_pylist()
    assert post == {name: POST.get(name) for name in NAMES}
    assert hostile["text"] == HOSTILE.replace("\ud800", "?")


def sheets(data):
    """Give the cells of a workbook's sheets by name: (type of the cell, value)."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = [
            sheet.get("name") for sheet in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{space}sheet")
        ]
        assert not any("calcChain" in name or "hyperlink" in name for name in book.namelist())
        found = {}
        for number, name in enumerate(names, 1):
            sheet = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
            assert not list(sheet.iter(f"{space}f")) + list(sheet.iter(f"{space}hyperlink"))
            found[name] = [
                {
                    re.sub(r"\d", "", cell.get("r")): (cell.get("t", "n"), "".join(cell.itertext()))
                    for cell in row.iter(f"{space}c")
                }
                for row in sheet.iter(f"{space}row")
            ]
        return found


def xlsx(*documents, **options):
    def make(file, columns):
        return XlsxWriter(file, columns, name="posts", folder=None, **options)

    return written(make, documents)


def test_xlsx_has_texts_numbers_and_times_and_no_formulas():
    ((header, post, hostile, tagged),) = sheets(
        xlsx(POST, {"post_id": 5, "text": HOSTILE}, {"post_id": 6, "text": "<r><t>x</t></r>"})
    ).values()
    place = {name: next(key for key, cell in header.items() if cell[1] == name) for name in NAMES}
    assert post[place["post_id"]] == ("inlineStr", str(2**63 - 1))  # no number of a spreadsheet is as exact
    assert post[place["thread_id"]] == ("n", "7777")
    assert post[place["author_name"]] == ("inlineStr", "=HYPERLINK(0)")
    assert post[place["text"]][1].replace("_x000D_", "\r") == POST["text"]
    days = float(post[place["created_at"]][1])
    assert math.isclose(
        days, (NOON - datetime(1899, 12, 30, tzinfo=timezone.utc)) / timedelta(days=1), rel_tol=1e-12
    )
    assert place["deleted_at"] not in post
    assert hostile[place["text"]] == (
        "inlineStr",
        "_x0000__x001B_\ufffd_xFFFE_</script><script>alert(1)</script>\u202e_x005F_x0041_",
    )
    assert tagged[place["text"]][1] == "<r><t>x</t></r> "


def test_xlsx_splits_sheets_and_cuts_texts_and_says_so():
    long = "😀" * 20_000
    data, notes = xlsx(*({"post_id": number, "text": long} for number in range(1, 6)), sheet_rows=3)
    assert notes == [
        "a sheet takes 3 rows: there are 3 sheets",
        "a cell takes 32,767 characters: 5 longer texts are cut",
    ]
    found = sheets(data)
    assert {name: len(rows) for name, rows in found.items()} == {"posts": 3, "posts 2": 3, "posts 3": 2}
    assert ("inlineStr", "😀" * 16_383) in found["posts"][1].values()


class Page(HTMLParser):
    """Collects the tags, the links and the texts of a page by the class of their element."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts, self._open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        if tag == "a":
            self.links.append(attributes["href"])
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag not in {"meta", "br"}:
            self._open.append((tag, attributes.get("class")))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open and self._open[-1][1]:
            self.texts.append((self._open[-1][1], data))


async def one_by_one(documents):
    for document in documents:
        yield document


THREAD = {"thread_id": 7777, "title": HOSTILE, "author_name": '"><img src=x>', "created_at": NOON}
COMMENTS = [
    {"comment_id": 3, "post_id": POST["post_id"], "text": "楼中楼", "author_id": 5, "reply_to_name": "<b>"},
    {"comment_id": 4, "post_id": POST["post_id"], "text": "gone", "deleted_at": NOON},
    {"comment_id": 5, "post_id": 99, "text": "of a floor that is not stored"},
]


async def test_a_thread_is_a_page_to_read_in_which_nothing_can_happen():
    file = io.StringIO()
    floors = await write_thread(
        file,
        THREAD,
        one_by_one([POST, {"post_id": 8, "floor": 2, "text": HOSTILE, "deleted_at": NOON}]),
        COMMENTS,
        index="../index.html",
    )
    page = Page(file.getvalue())
    assert floors == 2
    assert not {"script", "img", "link", "iframe", "b"} & set(page.tags)
    assert page.links == ["../index.html", "https://tieba.baidu.com/p/7777", "https://img/a,b.jpg"]
    assert [text for kind, text in page.texts if kind == "text"] == [
        POST["text"].replace("\r\n", "\n"),
        "楼中楼",
        "gone",
        HOSTILE.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd"),
        "of a floor that is not stored",
    ]
    assert [text for kind, text in page.texts if kind == "gone"] == ["已删除 ", "已删除 "]
    assert "2026-11-20 20:00" in file.getvalue()  # Beijing
    style = file.getvalue().partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in file.getvalue()


def test_an_index_links_its_threads():
    file = io.StringIO()
    index = IndexPage(file, "聊天吧")
    index.add(THREAD, 3, "threads/7777.html")
    index.close()
    page = Page(file.getvalue())
    assert page.links == ["threads/7777.html"]
    assert "script" not in page.tags
    assert "共 3 楼" in file.getvalue()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("聊天", "聊天"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a/b\\c\0d\ne", "a_b_c_d_e"),
        (". . ", "_"),
        ("", "_"),
        ("吧" * 100, "吧" * 60),
        ("con:1?*", "con_1__"),
    ],
)
def test_names_of_files_are_safe(text, name):
    assert safe_name(text) == name
