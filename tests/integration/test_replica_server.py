"""The stand-in site as a process of its own, walked by a plain client that shares no code with it."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

COMMAND = [sys.executable, "-m", "replica.cli"]
CONFIG = {
    "host": "127.0.0.1",
    "port": 0,
    "seed": 11,
    "forums": [
        {"name": "聊天", "pages": 3, "floors_per_thread": 8},
        {"name": "读书", "pages": 1, "floors_per_thread": 3},
    ],
}


class Server:
    """A running stand-in site."""

    def __init__(self, folder: Path, **settings) -> None:
        path = folder / "replica.json"
        path.write_text(json.dumps({**CONFIG, **settings}), encoding="utf-8")
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--config", str(path)], stdout=subprocess.PIPE, encoding="utf-8"
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        self.port = int(self.line.split("http://127.0.0.1:")[1].split()[0])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def exchange(self, method, path, body=None):
        self.connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = self.connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()

    def call(self, path, **fields):
        texts = {"_client_type": "2", "_client_version": "12.20.1.0"}
        texts |= {name: str(value) for name, value in fields.items()}
        plain = "".join(f"{name}={texts[name]}" for name in sorted(texts)) + "tiebaclient!!!"
        texts["sign"] = hashlib.md5(plain.encode()).hexdigest()
        status, _, body = self.exchange("POST", path, urlencode(texts))
        assert status == 200
        return json.loads(body)

    def truth(self, forum, pages, query=""):
        status, kind, body = self.exchange("GET", f"/replica/truth?forum={quote(forum)}&last={pages}{query}")
        assert (status, kind) == (200, "application/x-ndjson")
        return [json.loads(line) for line in body.decode().splitlines()]

    def stats(self):
        return json.loads(self.exchange("GET", "/replica/stats")[2])

    def stop(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def start(tmp_path):
    servers = []

    def run(**settings):
        servers.append(Server(tmp_path, **settings))
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("replica"))
    yield running
    running.stop()


# --- A plain walker: what it makes of the answers is written down here once more, apart from the site's code.


def moment(seconds):
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat()


def author(row, users):
    user = row.get("author") or users[row["author_id"]]
    found = {"author_name": user["name"] or user["name_show"]}
    if user["id"]:
        found["author_id"] = user["id"]
    return found, user.get("ip_address")


def plain_text(content):
    parts = []
    for piece in content:
        if piece["type"] in (2, 11):
            parts.append("[" + piece["c"] + "]")
        elif piece["type"] not in (3, 10, 20):
            parts.append(piece["text"])
    return "".join(parts)


def comment_record(row, users, post_id, thread_id):
    text, fields = plain_text(row["content"]), {}
    if text.startswith("回复 "):
        name, text = text[len("回复 ") :].replace("：", ":", 1).split(":", 1)
        fields["reply_to_name"] = name.strip()
    fields |= {"comment_id": row["id"], "post_id": post_id, "thread_id": thread_id, "text": text}
    return fields | {"created_at": moment(row["time"])} | author(row, users)[0]


class Walk:
    """Everything that can be reached from the first list pages of a forum."""

    def __init__(self, server, forum, pages, rn=30, threads=100, **scope):
        self.server, self.rn, self.list_rn, self.scope = server, rn, threads, scope
        self.requests = 0
        self.forum = None
        self.threads, self.posts, self.comments = {}, {}, {}
        self.sightings = {}
        self.page_sizes, self.listed, self.promoted = [], [], []
        for page in range(1, pages + 1):
            self.list_page(forum, page)
        for thread_id in list(self.threads):
            self.thread(thread_id)

    def call(self, path, **fields):
        self.requests += 1
        return self.server.call(path, **fields)

    def list_page(self, name, page):
        answer = self.call("/c/f/frs/page", kw=name, pn=page, rn=self.list_rn, **self.scope)
        assert answer["error_code"] == 0
        self.page_sizes.append(len(answer["thread_list"]))
        forum = answer["forum"]
        self.forum = {
            "forum_id": forum["id"],
            "name": forum["name"],
            "thread_count": forum["thread_num"],
            "post_count": forum["post_num"],
            "member_count": forum["member_num"],
        }
        users = {row["id"]: row for row in answer["user_list"]}
        for row in answer["thread_list"]:
            if row.get("id", 1) == 1:
                self.promoted.append(row.get("id"))
                continue
            assert row["id"] == row["tid"]
            self.listed.append(row["id"])
            self.threads[row["id"]] = {
                "thread_id": row["id"],
                "forum_id": forum["id"],
                "title": row["title"],
                "reply_count": row["reply_num"],
                "is_pinned": row["is_top"] == 1,
                "is_good": row["is_good"] == 1,
                "created_at": moment(row["create_time"]),
                "last_reply_at": moment(row["last_time_int"]),
            } | author(row, users)[0]

    def thread(self, thread_id):
        page = 0
        while True:
            page += 1
            answer = self.call(
                "/c/f/pb/page", kz=thread_id, pn=page, rn=self.rn, with_floor=1, floor_rn=10, **self.scope
            )
            if answer["error_code"] == 4:
                self.threads[thread_id]["deleted"] = True
                return
            assert answer["error_code"] == 0
            head = self.threads[thread_id]
            head["first_post_id"] = answer["thread"]["post_id"]
            assert answer["thread"]["title"] == head["title"]
            assert answer["thread"]["reply_num"] == head["reply_count"] + 1
            users = {row["id"]: row for row in answer["user_list"]}
            assert 0 not in users
            for row in answer["post_list"]:
                self.post(row, users, thread_id, head["forum_id"])
            if not answer["page"]["has_more"]:
                assert page == answer["page"]["total_page"]
                return

    def post(self, row, users, thread_id, forum_id):
        fields, place = author(row, users)
        is_new = row["id"] not in self.sightings
        self.sightings.setdefault(row["id"], []).append(row["floor"])
        self.posts[row["id"]] = {
            "post_id": row["id"],
            "thread_id": thread_id,
            "forum_id": forum_id,
            "floor": row["floor"],
            "text": plain_text(row["content"]),
            "images": [piece["origin_src"] for piece in row["content"] if piece["type"] in (3, 20)],
            "created_at": moment(row["time"]),
            "comment_count": row["sub_post_number"],
        } | fields
        if place:
            self.posts[row["id"]]["ip_place"] = place
        inline = row["sub_post_list"]["sub_post_list"] if row["sub_post_list"] else []
        assert len(inline) <= 10
        for comment in inline:
            record = comment_record(comment, users, row["id"], thread_id)
            self.comments[comment["id"]] = record
        if is_new and len(inline) < row["sub_post_number"]:
            self.floor(thread_id, row["id"], row["sub_post_number"])

    def floor(self, thread_id, post_id, count):
        last, page, got = 1, 0, 0
        while page < last:
            page += 1
            answer = self.call("/c/f/pb/floor", kz=thread_id, pid=post_id, pn=page)
            last = answer["page"]["total_page"]
            assert answer["page"]["total_count"] == count
            assert answer["post"]["id"] == post_id
            assert len(answer["subpost_list"]) <= 30
            got += len(answer["subpost_list"])
            for row in answer["subpost_list"]:
                record = comment_record(row, {}, post_id, thread_id)
                assert self.comments.setdefault(row["id"], record) == record
        assert got == count


def by_id(records, kind):
    found = {}
    for record in records:
        if record["record"] == kind:
            fields = {name: value for name, value in record.items() if name != "record"}
            assert fields[f"{kind}_id"] not in found
            found[fields[f"{kind}_id"]] = fields
    return found


@pytest.mark.parametrize(("forum", "pages", "rn"), [("聊天", 1, 30), ("聊天", 2, 17), ("读书", 1, 2)])
def test_walking_the_site_finds_exactly_the_truth(server, forum, pages, rn):
    walk = Walk(server, forum, pages, rn)
    compare(walk, server.truth(forum, pages))
    assert any(thread.get("deleted") for thread in walk.threads.values())


def compare(walk, truth):
    assert by_id(truth, "forum") == {walk.forum["forum_id"]: walk.forum}
    assert by_id(truth, "thread") == walk.threads
    assert by_id(truth, "comment") == walk.comments
    expected = by_id(truth, "post")
    repeated = {key for key, fields in expected.items() if "floor" not in fields}
    assert {key for key, numbers in walk.sightings.items() if len(numbers) > 1} == repeated
    for key in repeated:  # the true number and, on the other page, the one after it
        first, again = walk.sightings[key]
        assert again == first + 1
        del walk.posts[key]["floor"]
    assert expected == walk.posts


def test_truth_follows_the_generations_and_counts_the_fewest_requests(start):
    server = start()
    for _ in range(3):
        status, _, body = server.exchange("POST", "/replica/advance?share=0.1")
        assert (status, set(json.loads(body)["forums"])) == (200, {"聊天", "读书"})
        server.exchange("POST", "/replica/reset")
        walk, truth = Walk(server, "聊天", 2), server.truth("聊天", 2)
        compare(walk, truth)
        assert truth[-1] == {"record": "requests", "fewest": server.stats()["by_kind"]}


@pytest.mark.parametrize(
    ("query", "scope"), [("&good=1", {"is_good": 1}), ("&starter=1", {"lz": 1})], ids=["good", "starter"]
)
def test_truth_of_a_part(start, query, scope):
    server = start()
    walk, truth = Walk(server, "聊天", 1, **scope), server.truth("聊天", 1, query)
    compare(walk, truth)
    assert truth[-1]["fewest"] == server.stats()["by_kind"]
    assert 0 < len(walk.posts) < len(by_id(server.truth("聊天", 1), "post")) / 2
    assert walk.comments


def test_walk_meets_the_traps(server):
    walk = Walk(server, "聊天", 3, threads=50)
    assert walk.page_sizes[1] < 45
    assert walk.page_sizes[0] > 45
    assert set(walk.promoted) == {1, None}
    assert len(walk.listed) == len(walk.threads) + 1  # one is listed on two pages
    assert sum(thread["is_pinned"] for thread in walk.threads.values()) in (2, 3)
    assert any(len(numbers) > 1 for numbers in walk.sightings.values())
    floors = {}
    for post in walk.posts.values():
        floors.setdefault(post["thread_id"], []).append(post["floor"])
    assert any(max(numbers) > len(numbers) for numbers in floors.values())
    assert any("author_id" not in post for post in walk.posts.values())
    assert walk.requests > len(walk.threads)


def test_counters_of_a_walk(start):
    server = start()
    walk = Walk(server, "读书", 1)
    stats = server.stats()
    assert stats["answers"] == walk.requests == sum(stats["by_kind"].values())
    assert stats["repeats"] == 0
    assert set(stats["by_outcome"]) == {"ok", "deleted"}
    Walk(server, "读书", 1)
    assert server.stats()["repeats"] == walk.requests
    assert server.exchange("POST", "/replica/reset")[0] == 200
    assert server.stats()["answers"] == 0


def test_robots_txt_allows_the_api(server):
    from urllib.robotparser import RobotFileParser

    status, kind, body = server.exchange("GET", "/robots.txt")
    assert status == 200
    assert kind.startswith("text/plain")
    rules = RobotFileParser()
    rules.parse(body.decode().splitlines())
    for path in ("/c/f/frs/page", "/c/f/pb/page", "/c/f/pb/floor"):
        assert rules.can_fetch("anyone", path)
    assert not rules.can_fetch("anyone", "/replica/truth")


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("forum=" + quote("没有"), 404, "没有"),
        ("", 404, "''"),
        ("forum=" + quote("读书") + "&pages=0", 400, "pages='0'"),
        ("forum=" + quote("读书") + "&first=x", 400, "first='x'"),
        ("forum=" + quote("读书") + "&first=3&last=2", 400, "last=2"),
        ("forum=" + quote("读书") + "&source=app", 400, "source='app'"),
        ("forum=" + quote("读书") + "&good=yes", 400, "good='yes'"),
    ],
)
def test_bad_questions_about_the_truth(server, query, status, named):
    found, kind, body = server.exchange("GET", f"/replica/truth?{query}")
    assert (found, kind) == (status, "application/json")
    message = json.loads(body)["error"]
    assert named in message
    assert "\n" not in message


@pytest.mark.parametrize("share", ["0", "1.1", "nan", "many"])
def test_impossible_share_of_change_is_named(server, share):
    status, _, body = server.exchange("POST", f"/replica/advance?share={share}")
    assert (status, json.loads(body)["error"]) == (400, f"share={share!r} is not a number above 0, up to 1")


def test_other_paths_and_methods(server):
    status, _, body = server.exchange("GET", "/p/1")
    assert status == 404
    assert "贴吧404" in body.decode()
    assert server.exchange("GET", "/c/f/frs/page")[0] == 405
    status, _, body = server.exchange("POST", "/c/f/frs/page", b"x" * 200_000)
    assert (status, json.loads(body)["error_code"]) == (200, 110001)


def test_rate_limit_counts_answers_of_one_address(start):
    server = start(faults={"threads_rate": 0.01, "burst": 2, "rate_limit_answer": "429"})
    statuses = [server.exchange("POST", "/c/f/frs/page", "a=1")[0] for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert server.stats()["by_outcome"]["rate_limited"] == 2


def test_latency_delays_answers_but_not_each_other(start):
    server = start(latency_ms=300)
    begin = datetime.now(tz=timezone.utc)

    def one():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", "/c/f/frs/page", "a=1")
        connection.getresponse().read()
        connection.close()

    workers = [threading.Thread(target=one) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = (datetime.now(tz=timezone.utc) - begin).total_seconds()
    assert 0.3 <= seconds < 8 * 0.3


def test_signature_of_another_client_is_accepted(server):
    crypto = pytest.importorskip("aiotieba.helper.crypto.sign", reason="aiotieba needs Python 3.11 or newer")
    fields = [("_client_type", "2"), ("_client_version", "12.20.1.0"), ("kw", "聊天"), ("pn", "1")]
    signature = crypto.compute_sign(fields, salt=b"tiebaclient!!!")
    _, _, body = server.exchange("POST", "/c/f/frs/page", urlencode([*fields, ("sign", signature)]))
    assert json.loads(body)["error_code"] == 0


def run(*arguments):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        env={**os.environ, "PYTHONUTF8": "1"},
    )


def one_line(result, status):
    assert result.returncode == status
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_taken_port_is_one_line(server):
    message = one_line(run("serve", "--host", "127.0.0.1", "--port", str(server.port)), 2)
    assert f"127.0.0.1 port {server.port}: address already in use; choose another with --port" in message


def test_unknown_host_is_one_line():
    assert "256.1.1.1" in one_line(run("serve", "--host", "256.1.1.1"), 2)


def test_bad_configuration_is_one_line(tmp_path):
    path = tmp_path / "replica.json"
    path.write_text('{"seed": "x"}')
    assert f"{path}: seed: 'x' is not a whole number" in one_line(run("serve", "--config", str(path)), 2)
    assert "cannot be read: No such file" in one_line(run("truth", "--forum", "a", "--config", "missing"), 2)


def test_truth_command_equals_the_servers(server, tmp_path):
    path = tmp_path / "replica.json"
    path.write_text(json.dumps(CONFIG))
    result = run("truth", "--config", str(path), "--forum", "读书", "--pages", "1")
    assert [json.loads(line) for line in result.stdout.splitlines()] == server.truth("读书", 1)
    assert "没有" in one_line(run("truth", "--forum", "没有"), 2)


def test_truth_command_ends_quietly_when_its_reader_does():
    command = [*COMMAND, "truth", "--forum", "聊天", "--pages", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "arguments", [["truth", "--forum", "a", "--pages", "0"], ["bench", "--seconds", "x"], []]
)
def test_bad_arguments_exit_with_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["serve", "truth", "bench"])
def test_help_has_an_example_and_the_keys(command):
    result = run(command, "--help")
    assert result.returncode == 0
    assert f"example: tieba-replica {command}" in result.stdout
    assert "rate_limit_answer" in result.stdout


def test_stops_at_a_signal_while_clients_are_connected(start):
    server = start()
    client = socket.create_connection(("127.0.0.1", server.port))
    server.call("/c/f/frs/page", kw="聊天", pn=1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) in (0, -signal.SIGTERM)
    client.close()


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_bench_reports_at_least_a_thousand_answers_per_core(form):
    result = run("bench", "--seconds", "2", "--json", "--form", form)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert set(figures["by_outcome"]) == {"ok", "deleted"}
    assert figures["answers"] > 100
    assert figures["answers_per_core_second"] >= 1_000
