"""The commands here are a person's, however the tests themselves were started. They share one cluster."""

import os

import pytest

# Under `make test`, GNU make would end its output with "Leaving directory", after a command's last line.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def _cluster():
    """Leave nothing behind, also where tests failed."""
    from tests.end_to_end.commands import make

    yield
    make("down")
