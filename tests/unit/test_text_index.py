"""The search index' file bears that searches and its follower go on in threads while it closes."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.text_index import TextIndex


def test_it_closes_only_when_nobody_reads_or_writes(tmp_path):
    rows = [(number, "天" * 200, "晴天", None, None) for number in range(500)]

    def use(index):
        while True:
            index.store("threads", rows, cursor="1")
            index.find("threads", '"天 天"', 500)

    for turn in range(8):
        index = TextIndex(tmp_path / f"{turn}.sqlite", "here")
        with ThreadPoolExecutor(3) as threads:
            users = [threads.submit(use, index) for _ in range(3)]
            index.find("threads", '"天"', 1)
            index.close()
            for user in users:
                with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                    user.result(10)
