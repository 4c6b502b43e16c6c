"""The stand-in site's web pages, walked by a plain client that knows nothing but their markup."""

import http.client
import json
import re
from collections import Counter
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit
from urllib.robotparser import RobotFileParser

import pytest

FORUMS = [{"name": "聊天", "pages": 2, "floors_per_thread": 8}, {"name": "读书", "pages": 1}]
ENTRY = re.compile(
    r"<li class=\" j_thread_list [^>]*?data-field='([^']*)'.*?href=\"/p/(\d+)\" title=\"([^\"]*)\"", re.DOTALL
)
FLOOR = re.compile(r"<div class=\"l_post (?:[^\"]*)\"\s+data-field='([^']*)'")
COMMENT = re.compile(
    r"<li class=\"lzl_single_post [^>]*data-field='([^']*)'.*?<span class=\"lzl_time\">([^<]*)<", re.DOTALL
)


class Site:
    """One connection to a stand-in site."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def get(self, path, method="GET"):
        self.connection.request(method, path)
        answer = self.connection.getresponse()
        return answer, answer.read().decode()

    def truth(self, forum):
        lines = self.get(f"/replica/truth?forum={quote(forum)}&source=web")[1].splitlines()
        return [json.loads(line) for line in lines]

    def stats(self):
        return json.loads(self.get("/replica/stats")[1])


@pytest.fixture(scope="module")
def site(serve_replica):
    return Site(serve_replica(seed=11, forums=FORUMS))


class Walk:
    """What the pages of a forum show: ids with what is known of them, and requests by kind."""

    def __init__(self, site, forum):
        self.site = site
        self.requests = Counter()
        self.threads, self.posts, self.comments = {}, {}, {}
        page, address = 0, f"/f?kw={quote(forum)}&ie=utf-8&pn="
        while address:
            body = self.get("forum", f"{address}{50 * page}")
            for field, thread_id, title in ENTRY.findall(body):
                fields = json.loads(unescape(field))
                if (fields["id"] or 0) > 1:
                    assert str(fields["id"]) == thread_id
                    self.threads[fields["id"]] = (
                        unescape(title),
                        fields["reply_num"],
                        bool(fields["is_good"]),
                    )
            page += 1
            address = address if f'pn={50 * page}" class="next ' in body else None
        for thread_id in list(self.threads):
            self.thread(thread_id)

    def get(self, kind, path, status=200):
        self.requests[kind] += 1
        answer, body = self.site.get(path)
        assert answer.status == status
        return body

    def thread(self, thread_id):
        page, last, counts = 0, 1, {}
        while page < last:
            page += 1
            self.requests["thread"] += 1
            answer, body = self.site.get(f"/p/{thread_id}?pn={page}")
            if answer.status == 404:
                assert "<title>贴吧404</title>" in body
                assert re.search('<div id="errorText">.*(该贴已被删除|贴子被隐藏)', body)
                return
            last = int(re.search(r'回复贴，共<span class="red">(\d+)</span>页', body)[1])
            title = unescape(re.search(r'core_title_txt[^"]*" title="([^"]*)"', body)[1])
            shown, reply_count, is_good = self.threads[thread_id]
            assert title.removeprefix("回复：").startswith(shown)
            self.threads[thread_id] = (title.removeprefix("回复："), reply_count, is_good)
            assert f"reply_num:{reply_count + 1}," in body
            commented = self.floors(body, thread_id)
            if commented:
                counts |= self.first_comments(thread_id, page, commented)
        for post_id, missing in counts.items():
            self.floor(thread_id, post_id, missing)

    def floors(self, body, thread_id):
        commented = {}
        for field in FLOOR.findall(body):
            author, content = (json.loads(unescape(field))[name] for name in ("author", "content"))
            if content["post_no"] == 0:  # an advertisement
                continue
            self.posts[content["post_id"]] = (thread_id, author.get("user_id"), content["comment_num"])
            if content["comment_num"]:
                commented[content["post_id"]] = content["comment_num"]
        return commented

    def first_comments(self, thread_id, page, commented):
        body = self.get("comments", f"/p/totalComment?tid={thread_id}&fid=1&pn={page}")
        floors = json.loads(body.removeprefix('{"errno":null,"errmsg":null}'))["data"]["comment_list"]
        assert {int(key): floor["comment_num"] for key, floor in floors.items()} == commented
        left = {}
        for key, floor in floors.items():
            rows = floor["comment_info"]
            for row in rows:
                self.comments[int(row["comment_id"])] = (int(key), int(row["user_id"]) or None)
            if len(rows) < floor["comment_num"]:
                left[int(key)] = range(2 if len(rows) == 10 else 1, -(-floor["comment_num"] // 10) + 1)
        return left

    def floor(self, thread_id, post_id, pages):
        for page in pages:
            body = self.get("comments", f"/p/comment?tid={thread_id}&pid={post_id}&pn={page}")
            for field, time in COMMENT.findall(body):
                assert re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2} \d{2}:\d{2}", time)
                self.comments.setdefault(json.loads(unescape(field))["spid"], (post_id, None))


def expected(truth, kind, *names):
    return {
        record[f"{kind}_id"]: tuple(record.get(name) for name in names)
        for record in truth
        if record["record"] == kind
    }


@pytest.mark.parametrize("forum", ["聊天", "读书"])
def test_walking_the_pages_finds_exactly_the_truth_in_the_fewest_requests(site, forum):
    for _ in range(2):
        site.get("/replica/reset", "POST")
        walk, truth = Walk(site, forum), site.truth(forum)
        assert walk.threads == expected(truth, "thread", "title", "reply_count", "is_good")
        assert walk.posts == expected(truth, "post", "thread_id", "author_id", "comment_count")
        assert walk.comments == expected(truth, "comment", "post_id", "author_id")
        stats = site.stats()
        assert stats["by_kind"] == dict(walk.requests) == truth[-1]["fewest"]
        assert stats["repeats"] == 0
        site.get("/replica/advance?share=0.1", "POST")


def test_unknown_forums_and_threads(site):
    answer, body = site.get("/f?kw=%E6%B2%A1%E6%9C%89&pn=0")
    assert answer.status == 200
    assert "欢迎创建本吧" in body
    assert {site.get(f"/p/{thread}")[0].status for thread in ("17", "x", "9" * 5_000)} == {404}
    assert site.get("/p/totalComment?tid=17&pn=1")[0].status == 404


def test_why_a_thread_is_deleted(site):
    threads = [record for record in site.truth("聊天") if record["record"] == "thread"]
    for thread in threads:
        _, body = site.get(f"/errorpage/deledErrorInfo?tid={thread['thread_id']}")
        data = json.loads(body)["data"]
        assert data["type"] in set("0123456") if thread.get("deleted") else data == []


@pytest.mark.parametrize(
    "path", ["/f?kw=x&pn=50", "/f/good?kw=x", "/p/17?pn=2", "/p/totalComment?tid=1", "/p/comment?tid=1"]
)
def test_robots_txt_allows_the_pages(site, path):
    rules = RobotFileParser()
    rules.parse(site.get("/robots.txt")[1].splitlines())
    assert rules.can_fetch("anyone", path)


def test_parameters_that_make_no_sense_count_as_missing(site):
    first = site.get("/f?kw=%E8%AF%BB%E4%B9%A6")[1]
    for query in ("&pn=x", "&pn=-50", "&pn=%00", "&pn=" + "9" * 99, "&pn=%D9%A3"):
        assert site.get(f"/f?kw=%E8%AF%BB%E4%B9%A6{query}")[1] == first
    assert site.get("/f?" + "&".join(["a=1"] * 200))[0].status == 200


# --- What goes wrong on purpose


def test_first_attempts_are_verified_in_three_ways(serve_replica):
    site = Site(serve_replica(forums=FORUMS, faults={"verification_share": 1}))
    seen = set()
    for page in range(40):
        path = f"/p/{page}?pn=1"
        answer, body = site.get(path)
        seen.add(answer.status)
        if answer.status == 302:
            target = urlsplit(answer.getheader("Location"))
            assert (target.hostname, target.path) == ("wappass.baidu.com", "/static/captcha/tuxing.html")
            assert parse_qs(target.query)["backurl"][0].endswith(path)
        else:
            assert "<title>百度安全验证</title>" in body
        assert site.get(path)[0].status == 404  # the second attempt gets through: no such thread
    assert seen == {200, 302, 403}
    assert site.stats()["by_outcome"]["verification"] == 40


def test_first_attempts_fail(serve_replica):
    site = Site(serve_replica(forums=FORUMS, faults={"error_share": 1}))
    assert [site.get("/f?kw=x")[0].status for _ in range(2)] == [500, 200]


@pytest.mark.parametrize(
    ("rate", "path"),
    [("threads_rate", "/f?kw=x"), ("posts_rate", "/p/1"), ("comments_rate", "/p/totalComment?tid=1")],
)
def test_each_kind_of_page_has_its_own_limit(serve_replica, rate, path):
    faults = {rate: 0.001, "burst": 1}
    site = Site(serve_replica(forums=FORUMS, faults=faults))
    assert site.get(path)[0].status in {200, 404}
    assert {site.get(path)[0].status for _ in range(4)} == {429}
    others = {"/f?kw=x", "/p/1", "/p/totalComment?tid=1"} - {path}
    assert all(site.get(other)[0].status in {200, 404} for other in others for _ in range(2))
