"""A proxy and a mirror of package archives, run on a node with its own python3; notes what was asked.

usage: archive_proxy.py LOG PORT                        an HTTP proxy
       archive_proxy.py LOG PORT CERTIFICATE URL ...    a mirror behind TLS; /NAME is the URL that ends so
"""

import shutil
import ssl
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOG, PORT, *MIRROR = sys.argv[1:]
ARCHIVES = {url.rstrip("/").rpartition("/")[2]: url.rstrip("/") for url in MIRROR[1:]}
PASSED_ON = ("Content-Length", "Content-Type", "Last-Modified")
_lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with _lock, Path(LOG).open("a", encoding="utf-8") as log:
            log.write(f"{self.path}\n")
        url = self.path
        if ARCHIVES:
            name, _, rest = self.path.lstrip("/").partition("/")
            url = f"{ARCHIVES.get(name, 'http://127.0.0.1:9')}/{rest}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                self.send_response(200)
                for field in PASSED_ON:
                    if value := answer.headers.get(field):
                        self.send_header(field, value)
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile)
        except urllib.error.HTTPError as error:
            self.send_response(error.code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("", int(PORT)), Handler)
if MIRROR:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(MIRROR[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
