"""The commands here are a person's, however the tests themselves were started. They share one cluster."""

import pytest

from tests.end_to_end.commands import make


@pytest.fixture(scope="session", autouse=True)
def _cluster():
    """Leave nothing behind, also where tests failed."""
    yield
    make("down")
