"""Who may reach what: while ports change, nothing listens unguarded."""

import pytest

from tests.roles import evaluate

DROP_IN = "/etc/systemd/system/prometheus-node-exporter.service.d/tieba.conf"
DASHBOARD, EXPORTER = "tieba-dashboard.service", "prometheus-node-exporter.service"
OPEN = {"dashboard_allowed_addresses": ["10.0.0.0/8", "fd00::/8"]}
MONITORED = {"monitoring_enabled": True}


def left(listeners, host="master", present=(), **variables):
    """Tell which units are to stop, on a machine that was found with these listeners and files."""
    node = {
        "listeners": {**listeners, "22": "ssh.service"},
        "present": dict.fromkeys(present, ""),
        "resolved": {"master": ["10.0.0.1"]},
    }
    known = {
        "inventory_hostname": host,
        "groups": {"master": ["master"]},
        "hostvars": {"master": {}},
        "ansible_facts": {"node": node},
    }
    return evaluate("firewall", "{{ __firewall_left }}", **known, **variables)


@pytest.mark.parametrize(
    ("variables", "stopped"),
    [
        (OPEN, []),
        ({**OPEN, "dashboard_port": 8089}, [DASHBOARD]),  # it starts anew anyway
        ({**OPEN, "dashboard_tls_port": 9443}, [DASHBOARD]),
        ({**OPEN, "dashboard_enabled": False, **MONITORED}, [DASHBOARD]),
        (MONITORED, [DASHBOARD]),
        ({**MONITORED, **OPEN}, []),
    ],
)
def test_a_dashboard_that_is_to_be_open_no_more_stops_before_its_port_is_guarded_no_more(variables, stopped):
    listeners = {"8088": DASHBOARD, "8443": DASHBOARD, "9100": EXPORTER}
    assert left(listeners, **variables) == stopped


@pytest.mark.parametrize("host", ["master", "slave"])
def test_so_does_an_exporter_of_ours_and_nobody_elses(host):
    found = {"9100": EXPORTER}
    ours = {"host": host, "present": [DROP_IN]}
    moved = {**MONITORED, "monitoring_node_exporter_port": 9200}
    assert left(found, **ours, **MONITORED) == []
    assert left(found, **ours, **moved) == [EXPORTER]
    assert left(found, **ours, **OPEN) == [EXPORTER]
    assert left(found, host, **moved) == []
