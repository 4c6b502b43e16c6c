"""The requests of the client API, in both of its forms."""

from email import message_from_bytes
from urllib.parse import parse_qs

import pytest
from aiotieba.api import get_threads
from google.protobuf.json_format import MessageToDict

from clientapi import messages_pb2
from tieba.pages import CommentPage, Fetch, ForumPage, Scope, ThreadPage
from tieba.pages.client import ClientApi
from tieba.pages.client.requests import sign

VERSION = "12.20.1.0"
COMMON = {"_client_type": 2, "_client_version": VERSION}
REQUESTS = [
    (
        Fetch(ForumPage("聊天")),
        ("threads", "/c/f/frs/page", "301001", messages_pb2.FrsPageReqIdl),
        {"kw": "聊天", "pn": 1, "rn": 100, "rn_need": 105, "sort_type": 6},
    ),
    (
        Fetch(ForumPage("聊天", 2), Scope(good=True)),
        ("threads", "/c/f/frs/page", "301001", messages_pb2.FrsPageReqIdl),
        {"kw": "聊天", "pn": 2, "rn": 100, "rn_need": 105, "sort_type": 6, "is_good": 1},
    ),
    (
        Fetch(ThreadPage(7, 2)),
        ("posts", "/c/f/pb/page", "302001", messages_pb2.PbPageReqIdl),
        {"kz": 7, "pn": 2, "rn": 30, "with_floor": 1, "floor_rn": 50},
    ),
    (
        Fetch(ThreadPage(7), Scope(starter=True, comments=False)),
        ("posts", "/c/f/pb/page", "302001", messages_pb2.PbPageReqIdl),
        {"kz": 7, "pn": 1, "rn": 30, "lz": 1},
    ),
    (
        Fetch(CommentPage(7, 8, 3)),
        ("comments", "/c/f/pb/floor", "302002", messages_pb2.PbFloorReqIdl),
        {"kz": 7, "pid": 8, "pn": 3},
    ),
]


def test_signature_agrees_with_the_published_vector():
    fields = {"_client_type": "2", "_client_version": VERSION, "kw": "聊天", "pn": "1", "rn": "30"}
    assert sign(fields) == "0fe2454e193c034f0243d57e87b2a425"


def test_signature_ignores_order_and_an_old_signature():
    assert sign({"b": "2", "a": "1"}) == sign({"a": "1", "sign": "x", "b": "2"})


@pytest.mark.parametrize(("fetch", "where", "fields"), REQUESTS)
def test_json_form_is_signed(fetch, where, fields):
    call = ClientApi("json", VERSION).build(fetch)
    sent = {key: values[0] for key, values in parse_qs(call.body.decode()).items()}
    signature = sent.pop("sign")
    assert signature == sign(sent)
    assert (call.endpoint, call.path, call.method) == (*where[:2], "POST")
    assert sent == {key: str(value) for key, value in (fields | COMMON).items()}


@pytest.mark.parametrize(("fetch", "where", "fields"), REQUESTS)
def test_protobuf_form_is_the_only_part_of_a_form(fetch, where, fields):
    call = ClientApi("protobuf", VERSION).build(fetch)
    endpoint, path, command, message_type = where
    assert (call.endpoint, call.path, call.method) == (endpoint, f"{path}?cmd={command}", "POST")
    assert call.headers["x_bd_data_type"] == "protobuf"
    content_type = call.headers["Content-Type"].encode()
    (part,) = message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + call.body).get_payload()
    assert part["Content-Disposition"] == 'form-data; name="data"; filename="file"'
    sent = MessageToDict(
        message_type.FromString(part.get_payload(decode=True)).data, preserving_proto_field_name=True
    )
    expected = {key: str(value) if key in {"kz", "pid"} else value for key, value in fields.items()}
    if fetch == Fetch(ForumPage("聊天")):
        del expected["pn"]  # counts from 0 for the first page only
    assert sent == {**expected, "common": COMMON}


@pytest.mark.parametrize("page", [1, 2])
def test_list_is_asked_for_as_aiotieba_does(page):
    call = ClientApi("protobuf", VERSION).build(Fetch(ForumPage("聊天", page), Scope(good=True)))
    assert get_threads._api.pack_proto("聊天", page, 100, 6, True, VERSION) in call.body


@pytest.mark.parametrize("api_format", ["json", "protobuf"])
def test_same_fetch_gives_the_same_bytes(api_format):
    fetch = Fetch(ThreadPage(7))
    assert ClientApi(api_format).build(fetch) == ClientApi(api_format).build(fetch)


@pytest.mark.parametrize("api_format", ["json", "protobuf"])
def test_numbers_of_absurd_size_are_sent_all_the_same(api_format):
    assert ClientApi(api_format).build(Fetch(CommentPage(2**63 - 1, 2**63 - 1, 2**63 - 1))).body
