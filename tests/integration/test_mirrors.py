"""PYPI_MIRROR and CA_FILE: the control side asks a mirror behind TLS, whose authority nobody else knows."""

import base64
import hashlib
import os
import ssl
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.certificates import make_certificates

ROOT = Path(__file__).resolve().parents[2]
# What the control side runs to fetch wheels, with the environment that control.project makes.
FETCH = "import control.project; from control.process import run; run(*{command!r})"
NAME = "tieba-mirror-probe"


def make_index(folder):
    """Make a package index (PEP 503) of one wheel that holds nothing."""
    project = folder / "simple" / NAME
    project.mkdir(parents=True)
    stem = f"{NAME.replace('-', '_')}-1.0"
    files = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        f"{len(text)}\n"
        for name, text in files.items()
    )
    wheel = project / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in [*files.items(), (f"{stem}.dist-info/RECORD", record)]:
            archive.writestr(name, text)
    (project / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')


@pytest.fixture
def mirror(tmp_path):
    """Run the mirror; gives its address, the file with its authority, and what it is asked for."""
    authority, certificate = make_certificates(tmp_path, "localhost")
    make_index(tmp_path)
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=str(tmp_path))

        def log_message(self, *_):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}/simple", authority, asked
    server.shutdown()
    server.server_close()


def fetch(kind, folder, **variables):
    bin_dir = Path(sys.executable).parent
    target = str(folder / "out")
    commands = {
        "pip": (sys.executable, "-m", "pip", "download", "--no-cache-dir", "--retries=0", "-d", target, NAME),
        "uv": (str(bin_dir / "uv"), "pip", "install", "--no-cache", "--no-config", "--target", target, NAME),
    }
    known = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "SSL_"))
    }
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        known.pop(name, None)
    environment = {**known, "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "localhost", "UV_HTTP_RETRIES": "0"}
    return subprocess.run(
        [sys.executable, "-c", FETCH.format(command=commands[kind])],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", ["pip", "uv"])
def test_the_mirror_is_asked_and_its_authority_trusted(mirror, tmp_path, kind):
    address, authority, asked = mirror
    done = fetch(kind, tmp_path, PYPI_MIRROR=address, CA_FILE=str(authority))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").iterdir())
    assert f"/simple/{NAME}/" in asked


@pytest.mark.parametrize("kind", ["pip", "uv"])
def test_without_its_authority_the_mirror_is_not_trusted(mirror, tmp_path, kind):
    address, _, asked = mirror
    assert fetch(kind, tmp_path, PYPI_MIRROR=address).returncode != 0
    assert asked == []


def test_an_authority_that_is_not_there_is_one_line(tmp_path):
    done = fetch("uv", tmp_path, CA_FILE=str(tmp_path / "none.pem"))
    assert "none.pem: no such file; give the path of a PEM file" in done.stderr
    assert "Traceback" not in done.stderr
