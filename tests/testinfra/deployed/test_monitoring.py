"""Prometheus on the master: gathers from every machine, and nobody else reads what it does."""

import json
import time
from urllib.parse import quote

import pytest

from dashboard.metrics import render
from tests.monitoring import alerts, metrics_in, panels
from tests.statuses import full_status

testinfra_hosts = ["ansible://master"]

UNITS = ["prometheus", "prometheus-node-exporter", "prometheus-redis-exporter"]
SECONDS = 60  # four times that after which Prometheus asks again
GET = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).read().decode())"


@pytest.fixture
def ask(host):
    """Ask Prometheus; gives the function."""

    def get(path):
        return json.loads(host.check_output("python3 -c %s %s", GET, f"http://127.0.0.1:9090/api/v1/{path}"))[
            "data"
        ]

    return get


@pytest.mark.parametrize("unit", UNITS)
def test_runs_in_a_tight_sandbox(host, exposure, unit):
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled
    assert exposure(f"{unit}.service") <= 2.5


def test_prometheus_reaches_every_machine(host, ask):
    nodes = set(host.ansible.get_variables()["groups"]["all"])
    wanted = {("node", node) for node in nodes} | {
        (job, "master") for job in ("tieba", "redis", "prometheus")
    }
    deadline = time.monotonic() + SECONDS
    while True:  # tests before this one have stopped Redis
        targets = ask("targets?state=active")["activeTargets"]
        found = {(target["labels"]["job"], target["labels"]["instance"]): target for target in targets}
        assert set(found) == wanted
        down = {place: target["lastError"] for place, target in found.items() if target["health"] != "up"}
        if not down:
            return
        assert time.monotonic() < deadline, down
        time.sleep(1)


def test_what_grafana_and_the_alert_rules_ask_for_is_there(ask):
    deadline = time.monotonic() + SECONDS
    # Some of the crawl's own are there at times only.
    ours = {line.split("{")[0].split()[0] for line in render(full_status(), None).decode().splitlines()}
    asked = {title: metrics_in(expression) for title, expression in (*panels(), *alerts())}
    while True:
        known = ours | set(ask("label/__name__/values"))
        missing = {title: names - known for title, names in asked.items() if names - known}
        if not missing:
            break
        assert time.monotonic() < deadline, missing
        time.sleep(1)
    assert {rule["name"] for group in ask("rules")["groups"] for rule in group["rules"]} == {
        name for name, _ in alerts()
    }


def test_the_crawl_is_counted(ask):
    (sample,) = ask(f"query?query={quote('sum(tieba_pages_total)')}")["result"]
    assert int(sample["value"][1]) > 0


def test_redis_exporter_may_read_no_key(host, secret):
    login = f"REDISCLI_AUTH={secret('redis_exporter')} redis-cli --user exporter"
    assert "redis_version" in host.check_output(f"{login} INFO server")
    for command in ("GET x", "KEYS '*'", "HGETALL {tieba}:crawl", "CONFIG GET '*'", "CLIENT LIST"):
        assert "NOPERM" in host.run(f"{login} {command}").stdout, command


def test_passwords_are_not_readable(host):
    with host.sudo():
        for path in ("/etc/tieba/metrics-token", "/etc/tieba/redis-exporter.env"):
            assert host.file(path).mode & 0o007 == 0, path


@pytest.mark.parametrize("place", ["master:9090", "master:9100", "master:9121", "slave2:9100"])
def test_other_machines_read_nothing(machine, place):
    assert "timed out" in machine("slave1").run("python3 -c %s %s", GET, f"http://{place}/metrics").stderr
