"""What the tests of deployed machines share."""

import os
import re
from pathlib import Path

import pytest
import testinfra


@pytest.fixture
def secrets_dir(request):
    """Return where the cluster's generated passwords are: each cluster of containers has its own."""
    folder = Path(request.config.getoption("--ansible-inventory")).resolve() / "secrets"
    return folder / os.environ["CLUSTER"] if folder.parent.name == "containers" else folder


@pytest.fixture
def secret(secrets_dir):
    """Read one of the cluster's generated passwords."""
    return lambda name: (secrets_dir / name).read_text().strip()


@pytest.fixture
def machine(request):
    """Give another machine of the cluster than the one that a test is about, by name."""
    inventory = request.config.getoption("--ansible-inventory")
    return lambda name: testinfra.get_host(f"ansible://{name}", ansible_inventory=inventory)


@pytest.fixture
def exposure(host):
    """Return systemd's own measure of a unit's sandbox: from 0, closed, to 10, open."""

    def measure(unit):
        with host.sudo():
            verdict = host.check_output("systemd-analyze security --no-pager %s", unit)
        return float(re.search(r"exposure level for .*?: ([\d.]+)", verdict)[1])

    return measure
