"""After playbooks/reset.yml, with data, the machines are what they were before site.yml."""

import pytest

testinfra_hosts = ["ansible://all"]

# Files that the distribution's own tools write when any package comes or goes.
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/subuid-",
    "/etc/subgid-",
    "/var/lib/systemd/deb-systemd-helper-enabled",
    "/var/lib/systemd/deb-systemd-helper-masked",
    "/var/lib/sudo",
    "/var/log/",
)


@pytest.mark.parametrize("what", ["files", "units", "users", "groups"])
def test_nothing_is_left(host, what):
    with host.sudo():
        left = host.check_output("comm -13 /root/before/%s /root/after/%s", what, what).splitlines()
    assert [line for line in left if not line.startswith(SYSTEM_FILES)] == []
