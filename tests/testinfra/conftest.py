"""What the tests of deployed machines share."""

import re

import pytest


@pytest.fixture
def exposure(host):
    """Return systemd's own measure of a unit's sandbox: from 0, closed, to 10, open."""

    def measure(unit):
        with host.sudo():
            verdict = host.check_output("systemd-analyze security --no-pager %s", unit)
        return float(re.search(r"exposure level for .*?: ([\d.]+)", verdict)[1])

    return measure
