"""The firewall: a table of our own, of some ports alone, so that it can lock nobody out."""

import re

import pytest

testinfra_hosts = ["ansible://all"]

UNIT = "tieba-firewall.service"


@pytest.fixture
def table(host):
    def show():
        with host.sudo():
            return host.check_output("nft list table inet tieba")

    return show


def test_is_there_when_the_machine_comes_up(host):
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled


def test_the_sandbox_is_tight(exposure):
    assert exposure(UNIT) <= 2.5


def test_it_judges_the_ports_of_dashboard_and_exporters_alone(host, table):
    is_master = host.backend.get_hostname() == "master"
    ports = {"9100", "8443", "9090", "9121"} if is_master else {"9100"}
    assert "policy accept;" in table()
    others = re.search(r"tcp dport != (?:\{ (.*?) \}|(\d+)) accept", table())
    assert set((others[1] or others[2]).split(", ")) == ports
    dropped = re.search(r"tcp dport (?:\{ (.*?) \}|(\d+)) counter .* drop", table())
    assert set((dropped[1] or dropped[2]).split(", ")) == ports


def test_it_leaves_the_tables_of_others_alone(host, table):
    with host.sudo():
        host.check_output("nft add table inet others")
        host.check_output("systemctl reload %s", UNIT)
        host.check_output("systemctl restart %s", UNIT)
        assert "table inet others" in host.check_output("nft list tables")
        host.check_output("nft delete table inet others")
    assert "drop" in table()


@pytest.fixture
def rules_of_others(host):
    """Start the distribution's unit with rules that empty our table, as `flush ruleset` does with all."""
    path = "/run/systemd/system/nftables.service.d/others.conf"
    unit = "[Service]\nExecStart=\nExecStart=/usr/sbin/nft delete table inet tieba\nExecStop=\n"
    with host.sudo():
        host.check_output(
            "install -D /dev/null %s && printf %s >%s && systemctl daemon-reload", path, unit, path
        )
        host.check_output("systemctl start nftables")
    yield
    with host.sudo():
        host.check_output("systemctl stop nftables")  # and what is guarded: nothing is open without the table
        guarded = host.check_output("systemctl show --property=RequiredBy --value %s", UNIT)
        assert guarded
        host.check_output(f"rm {path} && systemctl daemon-reload && systemctl start {guarded}")


def test_rules_of_others_that_are_loaded_for_the_first_time_do_not_empty_it(table, rules_of_others):
    assert "drop" in table()
