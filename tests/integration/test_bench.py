"""The benchmark in its smallest form, and that it measures what it says."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import politeness, processes
from bench.crawl import SYSTEMS
from bench.site import page_links
from frontier.connection import connect

ROOT = Path(__file__).parents[2]
ROUND_TRIP = 0.02  # seconds; long beside what a busy machine adds


@pytest.mark.parametrize("links", [1, 10, 50])
def test_a_tree_is_reached_whole_and_has_the_links_that_it_says(links):
    pages = 2_000
    all_links = [page_links(pages, links, number) for number in range(pages)]
    found = {0}
    waiting = [0]
    while waiting:
        new = set(all_links[waiting.pop()]) - found
        found |= new
        waiting += new
    assert found == set(range(pages))
    counts = [len(page) for page in all_links]
    assert sum(counts) / pages == pytest.approx(links, rel=0.02)
    if links > 1:
        assert set(counts[links + 1 :]) == {links}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_crawls_the_whole_tree(system, redis_url):
    with processes.site() as site:
        url = processes.seed(system, redis_url, f"{site}/tree/40/10/0")
        result = processes.Crawl(system, url=url, redis=redis_url).result(60)
    assert result["pages"] == 40
    assert result["seconds"] > 0


async def test_the_proxy_adds_a_round_trip_and_no_limit(redis_url):
    with processes.distant(redis_url, ROUND_TRIP) as far:
        assert processes.ping(far) == pytest.approx(ROUND_TRIP, rel=0.25)
        client = connect(far)
        await client.ping()
        started = time.perf_counter()
        await asyncio.gather(*(client.ping() for _ in range(50)))
        assert time.perf_counter() - started < 25 * ROUND_TRIP  # connecting takes some each
        await client.aclose()


def test_the_largest_excess_over_a_rate():
    interval = 1 / politeness._RATE
    steady = [number * interval for number in range(100)]
    assert politeness._excess(steady) == pytest.approx(1)
    assert politeness._excess([*steady, *[200 * interval] * 7]) == pytest.approx(7)


def test_the_command_writes_figures_and_targets(redis_server, tmp_path):
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.frontier", "--quick", "--only", "operations", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "complete, 16 a call, 10 follow-ups each" in done.stdout
    figures = json.loads(path.read_text())
    assert figures["machine"]["redis_server"]
    assert all(row["per_second"] > 0 for row in figures["operations"]["rows"])


def test_an_unknown_part_is_named():
    command = [sys.executable, "-m", "bench.frontier", "--only", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "'speed': no such part; there are throughput,memory," in done.stderr
