"""A machine with several outgoing addresses: its processes go out by them in turn, all that they ask for."""

import http.server
import threading

import pytest

from tests.integration.commands import crawl


class Recorder(http.server.BaseHTTPRequestHandler):
    """A site that answers nothing, and remembers who has asked for what."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.add((self.client_address[0], self.path.partition("?")[0]))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.asked = set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(("number", "address"), [(2, "127.0.0.3"), (3, "127.0.0.2")])
@pytest.mark.usefixtures("engine")
def test_a_process_goes_out_by_its_address_alone(environment, site, number, address):
    environment |= {
        "TIEBA_API_URL": f"http://127.0.0.1:{site.server_port}",
        "TIEBA_ADDRESSES": "127.0.0.2,127.0.0.3",
        "TIEBA_PROCESS": str(number),
        "TIEBA_MAX_ATTEMPTS": "1",
    }
    worker = crawl(environment, "-a", "thread=7777")
    worker.communicate(timeout=60)
    assert "/robots.txt" in {path for _, path in site.asked}
    assert len(site.asked) > 1
    assert {client for client, _ in site.asked} == {address}


def test_an_address_that_the_machine_lacks_is_named(environment):
    worker = crawl(environment | {"TIEBA_ADDRESSES": "203.0.113.77"}, "-a", "thread=7777")
    output, _ = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert output == (
        "scrapy crawl: addresses: 203.0.113.77: Cannot assign requested address; this machine needs it\n"
    )
