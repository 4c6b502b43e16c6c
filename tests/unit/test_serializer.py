"""Queued requests as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy import FormRequest, Request, Spider
from scrapy.utils.request import request_from_dict

from tieba import serializer
from tieba.config import Config
from tieba.pages import Fetch, ThreadPage
from tieba.requests import make_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


class OneSpider(Spider):
    name = "one"

    def parse_other(self, response):
        pass


def round_trip(request, spider=None):
    data = serializer.dumps(request.to_dict(spider=spider))
    json.loads(data)
    return request_from_dict(serializer.loads(data.encode()), spider=spider)


@given(
    st.builds(
        Request,
        st.just("http://example.com/x?y=1"),
        method=st.sampled_from(["GET", "POST"]),
        body=st.binary(),
        headers=st.dictionaries(st.sampled_from(["A", "B"]), st.binary(max_size=5)),
        meta=st.dictionaries(st.text(), JSON),
        cb_kwargs=st.dictionaries(st.text(), JSON),
        priority=st.integers(-100, 100),
        dont_filter=st.booleans(),
        flags=st.lists(st.text()),
    )
)
def test_every_request_survives(request_):
    assert round_trip(request_).to_dict() == request_.to_dict()


def test_callbacks_and_request_classes_survive():
    spider = OneSpider()
    request = FormRequest("http://example.com/", formdata={"a": "中"}, callback=spider.parse_other)
    again = round_trip(request, spider)
    assert type(again) is FormRequest
    assert (again.callback, again.body) == (spider.parse_other, request.body)


def test_a_queued_request_is_small():
    request = make_request(Fetch(ThreadPage(10_547_324_883, 2)), Config())
    assert len(serializer.dumps(request.to_dict())) < 520


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\x80\x04K\x01.", b'{"url": 5}'])
def test_anything_else_is_refused(data):
    with pytest.raises(ValueError, match=r".*"):
        serializer.loads(data)
