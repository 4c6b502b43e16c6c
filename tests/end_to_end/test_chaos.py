"""`make chaos`, short: every kind of fault once, with leases of a few seconds and every store."""

import json
import subprocess

from control.chaos import KINDS
from control.cluster import SECRETS
from control.project import CLUSTER, ROOT

SECONDS = 400


def test_a_crawl_under_every_kind_of_fault_loses_and_doubles_nothing():
    words = [
        "make",
        "chaos",
        "STORAGE=mongodb,mysql,jsonl",
        "ENGINE=scrapy,urllib",
        "SEED=1",
        f"FAULTS={len(KINDS)}",
        "LEASE=5",
    ]
    words.append(f"CLUSTER={CLUSTER}")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["lost"] == result["doubled"] == 0
    assert result["expected"] == result["stored"] > 0
    assert result["faults"] == dict.fromkeys(KINDS, 1)
    assert not SECRETS.exists()  # a success removes what it made
