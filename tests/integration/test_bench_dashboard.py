"""The dashboard's benchmark in a small form: the real page shows all that it asks for."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.dashboard_client import Visitor, serving

ROOT = Path(__file__).parents[2]
QUICK = [sys.executable, "-m", "bench.dashboard", "--quick", "--stores", "mysql"]
SOON = 60  # seconds


def test_every_page_is_shown_to_it():
    run = subprocess.run(QUICK, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert "error" not in run.stderr
    for shown in ("long thread, far behind", "search: an id", "left_at_the_end", "Targets"):
        assert shown in run.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_servers_end_with_it(number):
    bench = subprocess.Popen(
        QUICK,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as shells do in the background
    )
    try:
        wait_until(lambda: any("tieba-dashboard" in command for command in session(bench.pid)))
        bench.send_signal(number)
        assert bench.wait(SOON) == 128 + number
        wait_until(lambda: not session(bench.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(bench.pid, signal.SIGKILL)


def session(leader):
    """Give the command lines of all that a process has started, and its own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(process.name)) == leader:
                found.append((process / "cmdline").read_text())
    return [command for command in found if command]


def wait_until(condition):
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)


def test_the_page_may_have_as_many_connections_as_on_a_master(tmp_path, redis_url):
    crawler = {"redis_url": redis_url, "storage": ["jsonl"], "jsonl_dir": str(tmp_path)}
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(tmp_path, crawler) as app:
        most = 65_536 if hard == resource.RLIM_INFINITY else min(65_536, hard)
        assert resource.prlimit(app.pid, resource.RLIMIT_NOFILE) == (most, most)


def test_nobody_waits_for_the_end_of_a_page(tmp_path, redis_url):
    """TCP holds back the second piece of an answer for 40 ms where it is not told otherwise."""
    crawler = {"redis_url": redis_url, "storage": ["jsonl"], "jsonl_dir": str(tmp_path)}
    with serving(tmp_path, crawler) as app, contextlib.closing(Visitor(app)) as visitor:
        took = [visitor.get("/")[1] for _ in range(30)][10:]  # which is not so on a new connection
        assert min(took) < 35  # ms; a busy machine adds to some of them
