"""Pictures of posts: a real crawl of one thread whose pictures a local server has."""

import hashlib
import json
import signal
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.commands import crawl, tieba, wait_for

THREAD = 7777


def png(shade):
    """Give a picture of one pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes([0, shade]))), (b"IEND", b""))
    )


class Site(ThreadingHTTPServer):
    """Answers for one thread, each of whose floors has some pictures, and has these pictures."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.floors = []  # paths of pictures
        self.pictures = {}  # path -> (status, type, body), or a list of them to be given in turn; None hangs
        self.asked = []  # (time, path)
        self.over = threading.Event()

    def handle_error(self, request, client_address):
        """Leave those without an answer that have hung up."""

    def times(self, path):
        return sum(asked == path for _, asked in self.asked)

    def thread(self):
        posts = [
            {
                "id": 100 + number,
                "floor": number,
                "time": 1_700_000_000,
                "content": [{"type": 3, "origin_src": self.url + path} for path in paths],
            }
            for number, paths in enumerate(self.floors, 1)
        ]
        return {
            "error_code": "0",
            "forum": {"id": 5, "name": "聊天"},
            "thread": {"id": THREAD, "title": "图", "reply_num": len(posts), "create_time": 1_700_000_000},
            "page": {"current_page": 1, "total_page": 1, "has_more": 0},
            "post_list": posts,
            "user_list": [],
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, "application/json", json.dumps(self.server.thread()).encode())

    def do_GET(self):
        site = self.server
        site.asked.append((time.monotonic(), self.path))
        found = site.pictures.get(self.path, (404, "text/html", b"<html>"))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if found is None:
            site.over.wait(60)
        else:
            self.answer(*found)

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with Site() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def worker(environment, site, tmp_path):
    """Give a function that starts a crawl of the thread."""
    environment |= {
        "TIEBA_API_URL": site.url,
        "TIEBA_PICTURES": "true",
        "TIEBA_PICTURES_STORE": str(tmp_path / "pictures"),
        "TIEBA_PICTURES_RATE": "1000",
        "TIEBA_SAMPLES_DIR": str(tmp_path / "samples"),
    }

    def start(**settings):
        own = {f"TIEBA_{name.upper()}": str(value) for name, value in settings.items()}
        return crawl(environment | own, "-a", f"threads={THREAD}", "-a", "comments=false")

    return start


def stored(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def noted(folder, post):
    """Give what is noted of a post's pictures: by the path of each, its file or what is wrong."""
    entries = json.loads((folder / "posts" / str(THREAD) / f"{post}.json").read_text())["pictures"]
    return {f"/{entry['url'].split('/', 3)[3]}": entry.get("file") or entry["error"] for entry in entries}


def name_of(picture, kind="png"):
    digest = hashlib.sha256(picture).hexdigest()
    return f"files/{digest[:2]}/{digest}.{kind}"


def status(environment):
    found = json.loads(tieba(environment, "status", "--json").stdout)["requests"]
    return {name: found[name] for name in ("queued", "leased", "delayed", "failed", "retried")}


def test_pictures_are_stored_once_by_their_contents_and_failures_are_noted(site, worker, tmp_path):
    black, white = png(0), png(255)
    site.floors = [
        ["/a.jpg", "/b.png"],
        ["/copy.gif", "/flaky.png"],
        ["/gone.jpg", "/page.jpg"],
        ["/a.jpg"],
        [],
    ]
    site.pictures = {
        "/a.jpg": (200, "image/jpeg", black),
        "/b.png": (200, "image/png", white),
        "/copy.gif": (200, "image/gif", black),
        "/flaky.png": [(503, "text/html", b"busy"), (200, "image/png", png(7))],
        "/page.jpg": (200, "text/html", b"<html>verify</html>"),
    }
    folder = tmp_path / "pictures"
    assert "The crawl is finished" in wait_for(worker())
    assert noted(folder, 101) == {"/a.jpg": name_of(black), "/b.png": name_of(white)}
    assert noted(folder, 102) == {"/copy.gif": name_of(black), "/flaky.png": name_of(png(7))}
    assert noted(folder, 103) == {
        "/gone.jpg": "HTTP 404",
        "/page.jpg": "not a picture: text/html, 19 bytes",
    }
    assert noted(folder, 104) == {"/a.jpg": name_of(black)}
    files = {name_of(picture) for picture in (black, white, png(7))}
    assert stored(folder) == files | {f"posts/{THREAD}/{post}.json" for post in (101, 102, 103, 104)}
    assert (folder / name_of(black)).read_bytes() == black
    assert site.times("/a.jpg") == 1

    # A second crawl asks only for what failed.
    before = len(site.asked)
    site.pictures["/gone.jpg"] = (200, "image/webp", b"RIFF\0\0\0\0WEBPVP8 ")
    wait_for(worker())
    again = {path for _, path in site.asked[before:]}
    assert again - {"/robots.txt"} == {"/gone.jpg", "/page.jpg"}
    assert noted(folder, 103)["/gone.jpg"] == name_of(b"RIFF\0\0\0\0WEBPVP8 ", "webp")


def test_without_the_setting_nothing_is_fetched(site, worker, tmp_path):
    site.floors = [["/a.jpg"]]
    wait_for(worker(pictures=False))
    assert site.times("/a.jpg") == 0
    assert not (tmp_path / "pictures").exists()


def test_the_rate_of_pictures_holds(site, worker):
    site.floors = [[f"/{number}.png" for number in range(15)]]
    site.pictures = {f"/{number}.png": (200, "image/png", png(number)) for number in range(15)}
    wait_for(worker(pictures_rate=10, burst=1))
    times = sorted(at for at, path in site.asked if path.endswith(".png"))
    assert len(times) == 15
    assert times[-1] - times[0] > 1.2


def test_a_host_that_has_enough_gets_a_pause(site, worker, tmp_path):
    site.floors = [["/a.png"]]
    site.pictures = {"/a.png": [(429, "text/html", b"slow down"), (200, "image/png", png(1))]}
    wait_for(worker())
    assert noted(tmp_path / "pictures", 101) == {"/a.png": name_of(png(1))}
    first, second = [at for at, path in site.asked if path == "/a.png"]
    assert second - first > 4.5  # TIEBA_FIRST_PAUSE is 5 s


def test_a_host_that_hangs_holds_up_a_crawl_for_a_while_only(site, worker, tmp_path, environment):
    site.floors = [[f"/{number}.png"] for number in range(30)]
    site.pictures = {f"/{number}.png": None for number in range(30)}
    started = time.monotonic()
    output = wait_for(worker(download_timeout=1, lease_seconds=2))
    assert time.monotonic() - started < 30
    assert "it does not answer" in output
    assert set(noted(tmp_path / "pictures", 130).values()) == {f"{site.url[7:]} does not answer"}
    assert status(environment) == {"queued": 0, "leased": 0, "delayed": 0, "failed": 0, "retried": 0}


def test_a_worker_that_is_stopped_puts_its_page_back(site, worker, environment, tmp_path):
    site.floors = [[f"/{number}.png"] for number in range(20)]
    site.pictures = {f"/{number}.png": (200, "image/png", png(number)) for number in range(20)}
    process = worker(pictures_rate=1, burst=2)
    deadline = time.monotonic() + 30
    while not any(path.endswith(".png") for _, path in site.asked):  # floors take their turns in no order
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    wait_for(process, seconds=10)
    assert status(environment) == {"queued": 1, "leased": 0, "delayed": 0, "failed": 0, "retried": 0}
    wait_for(worker())
    assert all(site.times(f"/{number}.png") == 1 for number in range(20))
    assert len(stored(tmp_path / "pictures")) == 40


def test_a_folder_that_cannot_be_written_fails_no_post(site, worker, tmp_path):
    site.floors = [["/a.png"]]
    site.pictures = {"/a.png": (200, "image/png", png(1))}
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "files").touch()
    output = wait_for(worker())
    assert output.count("Pictures cannot be stored") == 1
    assert "not stored: " in noted(tmp_path / "pictures", 101)["/a.png"]


def test_a_folder_that_cannot_be_is_one_line_before_the_crawl(worker, tmp_path):
    (tmp_path / "file").touch()
    process = worker(pictures_store=tmp_path / "file" / "pictures")
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, len(output.splitlines())) == (1, 1), output
    assert f"pictures_store: {tmp_path}/file/pictures: Not a directory" in output
