"""aiotieba, a client that is not ours, reads the stand-in site and finds what its truth says."""

import json
import urllib.request
from datetime import datetime, timezone
from urllib.parse import quote

import pytest

pytest.importorskip("aiotieba", reason="aiotieba needs Python 3.11 or newer")

import aiotieba
import yarl
from aiotieba.api.get_posts._classdef import FragVideo_p
from aiotieba.core import NetCore
from aiotieba.exception import TiebaServerError

FORUM = "聊天"
DELETED = 4  # error code


class Client(aiotieba.Client):
    """The client, with all requests led to one address; its hosts are constants."""

    def __init__(self, address):
        super().__init__()
        self._address = yarl.URL(address)

    async def __aenter__(self):
        await super().__aenter__()
        self._http_core.net_core = _Redirected(self._connector, self._address)
        return self


class _Redirected(NetCore):
    def __init__(self, connector, address):
        super().__init__(connector)
        self._address = address

    async def send(self, request, *args, **options):
        request.url = self._address.join(request.url.relative())
        return await super().send(request, *args, **options)


async def pages_of(get, *what, **how):
    """Every page of something, from the first to the one without a successor."""
    number, has_more = 0, True
    while has_more:
        number += 1
        page = await get(*what, number, **how)
        assert page.err is None
        assert page.page.current_page == number
        has_more = page.has_more
        yield page


async def crawl(client):
    threads, posts, comments = {}, {}, {}
    async for page in pages_of(client.get_threads, FORUM, rn=100):
        threads |= {thread.tid: thread for thread in page if thread.tid > 1}  # else a promoted entry
    for tid in threads:
        first = await client.get_posts(tid)
        if isinstance(first.err, TiebaServerError):
            assert first.err.code == DELETED
            continue
        async for page in pages_of(client.get_posts, tid, with_comments=True, comment_rn=10):
            for post in page:
                posts[post.pid] = post
                found = post.comments
                if len(found) < post.reply_num:
                    pages = pages_of(client.get_comments, tid, post.pid)
                    found = [comment async for page in pages for comment in page]
                assert len(found) == post.reply_num
                comments |= {comment.pid: (post.pid, comment) for comment in found}
    return threads, posts, comments


def moment(seconds):
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()


def author(item):
    """Who wrote something: aiotieba knows users by their id, and cannot tell who has none."""
    if not item.author_id:
        return {}
    return {"author_id": item.author_id, "author_name": item.user.user_name or item.user.show_name}


def words(contents):
    parts = []
    for piece in contents.objs:
        if hasattr(piece, "desc"):  # an emoji
            parts.append(f"[{piece.desc}]")
        elif hasattr(piece, "title"):  # a link
            parts.append(piece.title)
        elif hasattr(piece, "text"):
            parts.append(piece.text)
    return "".join(parts)


def of_thread(thread, _):
    return {
        "thread_id": thread.tid,
        "forum_id": thread.fid,
        "title": thread.title,
        "reply_count": thread.reply_num,
        "is_pinned": thread.is_top,
        "is_good": thread.is_good,
        "created_at": moment(thread.create_time),
        "last_reply_at": moment(thread.last_time),
        **author(thread),
    }


def of_post(post, true):
    text = words(post.contents)
    if any(isinstance(piece, FragVideo_p) for piece in post.contents.objs):
        text += true["text"].removeprefix(text)  # it does not keep the words of a video
    return {
        "post_id": post.pid,
        "thread_id": post.tid,
        "forum_id": post.fid,
        "floor": post.floor,
        "text": text,
        "images": [image.origin_src for image in post.contents.imgs],
        "created_at": moment(post.create_time),
        "comment_count": post.reply_num,
        **author(post),
    } | ({"ip_place": post.user.ip} if post.author_id else {})


def of_comment(found, true):
    post_id, comment = found
    text = words(comment.contents)
    if "reply_to_name" in true:  # it leaves those alone that name somebody in plain text, or without an id
        for colon in (":", "："):
            text = text.removeprefix(f"回复 {true['reply_to_name']} {colon}")
    return {
        "comment_id": comment.pid,
        "post_id": post_id,
        "text": text,
        "created_at": moment(comment.create_time),
        **author(comment),
    }


def assert_same(found, lines, read):
    """Compare what was found, by id, with the truth's records: the fields that both have."""
    kind = read.__name__.removeprefix("of_")
    true = {line[f"{kind}_id"]: line for line in lines if line["record"] == kind}
    assert found.keys() == true.keys()
    assert len(true) > 50
    for key, record in true.items():
        told = read(found[key], record)
        assert {**record, **told} == {**told, **record}


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
        return [json.loads(line) for line in answer]


async def test_aiotieba_finds_the_truth_of_every_generation(serve_replica):
    site = serve_replica(forums=[{"name": FORUM, "pages": 3, "floors_per_thread": 5}])
    async with Client(site) as client:
        for _ in range(2):
            threads, posts, comments = await crawl(client)
            lines = ask(f"{site}/replica/truth?forum={quote(FORUM)}")
            assert_same(threads, lines, of_thread)
            assert_same(posts, lines, of_post)
            assert_same(comments, lines, of_comment)
            ask(f"{site}/replica/advance?share=0.2", "POST")
