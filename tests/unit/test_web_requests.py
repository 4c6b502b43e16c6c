"""What is asked of the classic site."""

import pytest

from tieba.pages import Call, CommentPage, Fetch, ForumPage, Scope, ThreadComments, ThreadPage
from tieba.pages.web import WebPages


@pytest.mark.parametrize(
    ("fetch", "endpoint", "path"),
    [
        (Fetch(ForumPage("聊天")), "threads", "/f?kw=%E8%81%8A%E5%A4%A9&ie=utf-8&pn=0"),
        (Fetch(ForumPage("a b", 3)), "threads", "/f?kw=a+b&ie=utf-8&pn=100"),
        (Fetch(ForumPage("a", 2), Scope(good=True)), "threads", "/f/good?kw=a&ie=utf-8&pn=50"),
        (Fetch(ThreadPage(7, 2)), "posts", "/p/7?pn=2"),
        (Fetch(ThreadPage(7), Scope(starter=True)), "posts", "/p/7?pn=1&see_lz=1"),
        (Fetch(ThreadComments(7, 2)), "comments", "/p/totalComment?tid=7&fid=1&pn=2"),
        (
            Fetch(ThreadComments(7), Scope(starter=True)),
            "comments",
            "/p/totalComment?tid=7&fid=1&pn=1&see_lz=1",
        ),
        (Fetch(CommentPage(7, 8, 3)), "comments", "/p/comment?tid=7&pid=8&pn=3"),
    ],
)
def test_requests(fetch, endpoint, path):
    assert WebPages().build(fetch) == Call(endpoint, path)
