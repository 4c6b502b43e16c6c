"""Takes the pictures of the web page for docs/images: a real crawl of the stand-in site, seen in a browser.

Each machine is a process with a host name of its own. make screenshots runs it, on Linux, in two minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from playwright.sync_api import sync_playwright

from tests.conftest import ROOT, free_port, mongod_command, program, redis_command, running
from tests.webpage import PASSWORD, write_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ViewportSize

_IMAGES = ROOT / "docs" / "images"
_LARGEST_BYTES = 250_000
_SLAVES = ("slave1", "slave2", "slave3")
_CRAWL_SECONDS = 100
_FORUMS = [
    {"name": "聊天", "pages": 40, "floors_per_thread": 14},
    {"name": "显卡", "pages": 20, "floors_per_thread": 8},
    {"name": "读书", "pages": 12, "floors_per_thread": 10},
]
_RATES = {"threads_rate": 1.0, "posts_rate": 5.0, "comments_rate": 4.0}
# So that some requests wait for another attempt, some address is paused, and some letters are dead, yet
# nothing is an alarm.
_FAULTS = {"error_share": 0.03, "verification_share": 0.006}
_PATIENCE = {"retry_delay": 8.0, "first_pause": 20.0, "alarm_dead_letters": 100}
_HASTY = {"max_attempts": 1}  # of the slave that gives up what the others try again
_DESK: ViewportSize = {"width": 1200, "height": 800}
_PHONE: ViewportSize = {"width": 390, "height": 844}
_SCROLL = "heading => scrollTo(0, heading.closest('section').offsetTop - 70)"  # below the bar at the top


class _Picture(NamedTuple):
    """What is pictured: an address in a window of some size, all of the page, or what is below a heading."""

    path: str
    size: ViewportSize = _DESK
    is_whole: bool = False
    heading: str | None = None
    theme: Literal["light", "dark"] = "light"
    language: str = "en"


_PICTURES = {
    "overview": _Picture("/", is_whole=True),
    "overview-zh-dark": _Picture("/", theme="dark", language="zh"),
    "overview-phone": _Picture("/", _PHONE),
    "queue": _Picture("/queue"),
    "queue-held": _Picture("/queue", heading="Held by workers"),
    "dead": _Picture("/queue/dead"),
    "data": _Picture("/data"),
    "thread": _Picture(""),
}


def main() -> int:
    """Take them; 1 if one has become too large for a repository."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        crawler = _servers(stack, folder)
        subprocess.run(
            [program("tieba"), "seed", *(f"--forum={forum['name']}" for forum in _FORUMS)],
            env=_environment(folder, crawler, "master"), check=True,
        )  # fmt: skip
        for number, host in enumerate(_SLAVES):
            own = {**crawler, "egress": f"192.168.56.{11 + number}", **(_HASTY if number == 0 else {})}
            stack.enter_context(_worker(folder, own, host))
        settings, port = write_settings(folder, crawler)
        page = [*_as_host("master"), program("tieba-dashboard"), "serve", "--config", str(settings)]
        stack.enter_context(running(page, port, folder / "page.log"))
        print(f"A crawl runs for {_CRAWL_SECONDS} s …", flush=True)
        time.sleep(_CRAWL_SECONDS)
        sizes = _take(f"http://localhost:{port}")
    for image, size in sizes.items():
        print(f"{image}: {size / 1000:.0f} KB")
    return int(max(sizes.values()) > _LARGEST_BYTES)


def _servers(stack: contextlib.ExitStack, folder: Path) -> dict[str, Any]:
    """Start Redis, MongoDB and the site; gives the configuration of all who use them."""
    ports = {name: free_port() for name in ("redis", "mongodb", "site")}
    site = {"host": "127.0.0.1", "port": ports["site"], "forums": _FORUMS, "faults": _FAULTS}
    (folder / "site.json").write_text(json.dumps(site))
    commands = {
        "redis": [*redis_command(ports["redis"], folder), "--appendonly", "yes", "--maxmemory", "256mb"],
        "mongodb": mongod_command(ports["mongodb"], folder),
        "site": [program("tieba-replica"), "serve", "--config", str(folder / "site.json")],
    }
    for name, command in commands.items():
        stack.enter_context(running(command, ports[name], folder / f"{name}.log"))
    return {
        "redis_url": f"redis://127.0.0.1:{ports['redis']}/0",
        "mongodb_url": f"mongodb://127.0.0.1:{ports['mongodb']}/tieba",
        "storage": ["mongodb"],
        "api_url": f"http://127.0.0.1:{ports['site']}",
        "samples_dir": "/var/lib/tieba/samples",
        **_RATES,
        **_PATIENCE,
    }


def _environment(folder: Path, crawler: dict[str, Any], host: str) -> dict[str, str]:
    path = folder / f"{host}.json"
    path.write_text(json.dumps(crawler))
    return {**os.environ, "TIEBA_CONFIG": str(path)}


def _as_host(name: str) -> list[str]:
    """Give the beginning of a command that is to have a host name of its own."""
    script = 'hostname "$0" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", script, name]


@contextlib.contextmanager
def _worker(folder: Path, crawler: dict[str, Any], host: str) -> Iterator[None]:
    command = [*_as_host(host), program("tieba"), "worker", "--wait"]
    environment = _environment(folder, crawler, host)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def _take(url: str) -> dict[str, int]:
    """Take the pictures; gives their sizes in bytes."""
    _IMAGES.mkdir(exist_ok=True)
    sizes = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("TIEBA_TEST_BROWSER", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
        )
        for name, picture in _PICTURES.items():
            sizes[f"{name}.png"] = _take_one(browser, url, name, picture)
        browser.close()
    return sizes


def _take_one(browser: Browser, url: str, name: str, picture: _Picture) -> int:
    context = browser.new_context(viewport=picture.size, color_scheme=picture.theme, locale=picture.language)
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(f"{url}/")
    page.goto(url + (picture.path or "/data"))
    if not picture.path:  # a thread that people talk in
        page.click(".threads li:nth-child(3) .title")
    page.wait_for_timeout(2_500)  # the first events, and the charts
    if picture.heading is not None:
        page.get_by_role("heading", name=picture.heading).evaluate(_SCROLL)
    file = _IMAGES / f"{name}.png"
    page.screenshot(path=file, full_page=picture.is_whole)
    context.close()
    return file.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
