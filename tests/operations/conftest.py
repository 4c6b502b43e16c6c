"""One cluster, with a slave of each engine, for all that operators do; in the order of the files."""

import pytest

from tests.end_to_end.commands import make


@pytest.fixture(scope="session", autouse=True)
def _cluster():
    done = make("up", PAGES=1, SLAVES=1, ENGINE="scrapy,urllib")  # a second slave comes with scale_out.yml
    assert done.returncode == 0, done.stdout + done.stderr
