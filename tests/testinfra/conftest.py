"""What the tests of deployed machines share."""

import os
import re
from pathlib import Path

import pytest

SECRETS = Path(__file__).resolve().parents[2] / "inventory" / "containers" / "secrets"


@pytest.fixture
def secret():
    """Read one of the cluster's generated passwords."""
    return lambda name: (SECRETS / os.environ["CLUSTER"] / name).read_text().strip()


@pytest.fixture
def exposure(host):
    """Return systemd's own measure of a unit's sandbox: from 0, closed, to 10, open."""

    def measure(unit):
        with host.sudo():
            verdict = host.check_output("systemd-analyze security --no-pager %s", unit)
        return float(re.search(r"exposure level for .*?: ([\d.]+)", verdict)[1])

    return measure
