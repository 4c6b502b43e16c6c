"""What the frontier knows, again and again, while something is done to the cluster."""

import contextlib
import json
import subprocess
import threading
import time

from tests.end_to_end.commands import SSH_CONFIG

SILENT_SECONDS = 4  # heartbeats come every second
# Prints again and again what the frontier knows; runs on the master.
SAMPLER = """
import json, time
from frontier import connect_blocking
from frontier.blocking import Frontier
from tieba.config import load
config = load()
redis = connect_blocking(config.redis_url)
frontier = Frontier(redis, config.job)
while True:
    stats, workers = frontier.stats(), redis.hgetall(frontier.prefix + "workers")
    print(json.dumps({
        "now": float(redis.time()[0]),
        "state": redis.hget(frontier.prefix + "crawl", "state"),
        "pages": {host: int(count) for host, count in redis.hgetall(frontier.prefix + "pages").items()},
        "beats": {name: json.loads(beat) for name, beat in workers.items()},
        "leases": {owner.partition(":")[0]: count for owner, count in stats.owners.items()},
        "expired": stats.expired,
    }), flush=True)
    time.sleep(0.4)
"""


class Samples:
    """What the frontier knew, several times a second, while the block ran."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        command = ["ssh", "-F", str(SSH_CONFIG), "master", "/opt/tieba/current/bin/python", "-"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._process.stdin.write(SAMPLER)
        self._process.stdin.close()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            self.wait_for_more()
        self._process.terminate()
        self._thread.join()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            self.all.append(json.loads(line))

    def wait_for_more(self, more=2):
        deadline = time.monotonic() + 30
        wanted = len(self.all) + more
        while len(self.all) < wanted:
            assert time.monotonic() < deadline, "the sampler says nothing"
            time.sleep(0.1)
        return self.all[-1]

    def wait_until(self, is_so):
        deadline = time.monotonic() + 60
        while not is_so(sample := self.wait_for_more(1)):
            assert time.monotonic() < deadline, sample
        return sample


def workers(sample):
    """Give the workers that are heard of, as pairs of their slave and their name."""
    return {
        (beat["host"], name)
        for name, beat in sample["beats"].items()
        if sample["now"] - beat["at"] < SILENT_SECONDS
    }


def crawling(sample):
    """Give the slaves whose workers are heard of."""
    return {slave for slave, _ in workers(sample)}
