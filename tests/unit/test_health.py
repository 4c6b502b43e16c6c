"""playbooks/health.yml: what it says of machines, one line for each check."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("health", ROOT / "roles/health/filter_plugins/health.py")
health = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(health)

GROUPS = {"master": ["master"], "slaves": ["slave1", "slave2"]}
NEEDS = {"disk_mb": "1024", "services": {"master": ["redis-server.service"], "site": []}}
CHECKS = [
    {"name": "redis", "state": "ok", "text": "answers", "is_own": True},
    {"name": "pauses", "state": "note", "text": "posts:default pauses", "is_own": False},
]


def show(**units):
    """Print units as systemctl does: ActiveState, or several properties."""
    return "\n\n".join(
        "\n".join([f"Id={name}", *([f"ActiveState={text}"] if "=" not in text else text.split(";"))])
        for name, text in units.items()
    )


WORKER = "ActiveState=active;ExecStart={ path=/opt/tieba/releases/aaa/bin/scrapy ; argv[]=x }"


def machines():
    """Give three machines that are well, as hostvars."""
    units = {
        "master": show(**{"redis-server.service": "active", "tieba-crawler.target": "inactive"}),
        "slave1": show(
            **{
                "tieba-crawler.target": "ActiveState=active;Wants=tieba-crawler@1.service",
                "tieba-crawler@1.service": WORKER,
            }
        ),
    }
    units["slave2"] = units["slave1"]
    return {
        host: {
            "__preflight_facts": {"changed": False},
            "ansible_facts": {
                "node": {
                    "disk_free_mb": 5000,
                    "present": [],
                    "stale": [],
                    "release": "aaa",
                    "platform": {"python": "3.11", "machine": "x86_64"},
                }
            },
            "__health_services": {"stdout": shown, "rc": 0},
            "__health_crawl": {
                "rc": 0,
                "stdout": json.dumps({"checks": CHECKS, "workers_here": 0 if host == "master" else 1}),
            },
        }
        for host, shown in units.items()
    }


def lines(hosts):
    return [finding["line"] for finding in health.health_findings(hosts, GROUPS, hosts, NEEDS)]


def faults(hosts):
    return [line.split(maxsplit=1)[1] for line in lines(hosts) if line.startswith("FAULT")]


def test_what_is_well_is_told_in_one_line_each():
    told = lines(machines())
    assert faults(machines()) == []
    assert [line for line in told if "slave1" in line.split()] == [
        "ok     services      slave1      tieba-crawler.target, tieba-crawler@1",
        "ok     disk          slave1      5000 MiB free",
        "ok     redis         slave1      answers",
    ]
    assert "ok     release       slaves      aaa on slave1, slave2" in told
    assert told[-1] == "note   pauses        cluster     posts:default pauses"  # once, not by every machine


def test_what_prometheus_does_not_reach_is_a_fault():
    def reaching(*targets):
        keys = ("scrapeUrl", "health", "lastError")
        active = [dict(zip(keys, target, strict=True)) for target in targets]
        hosts = machines()
        hosts["master"]["__health_targets"] = {"json": {"data": {"activeTargets": active}}}
        return hosts

    well = ("http://127.0.0.1:9100/metrics", "up", "")
    away = ("http://slave1:9100/metrics", "down", "connection refused")
    new = ("http://slave2:9100/metrics", "unknown", "")
    assert "ok     metrics       master      Prometheus reaches all of its 1 targets" in lines(reaching(well))
    assert faults(reaching(well, away, new)) == [
        "metrics       master      Prometheus does not reach http://slave1:9100/metrics: connection refused",
        "metrics       master      Prometheus does not reach http://slave2:9100/metrics: not asked yet",
    ]


def test_a_machine_without_crawler_is_not_asked_about_the_crawl():
    hosts = machines()
    hosts["site"] = {**hosts["master"], "__health_crawl": {"skipped": True}}
    assert faults(hosts) == []
    assert [line for line in lines(hosts) if " site " in line] == [
        "ok     disk          site        5000 MiB free"
    ]


def test_a_machine_that_is_down_is_a_fault_and_the_others_are_told_of():
    hosts = machines()
    message = "Task failed: Data could not be sent to the remote host reached over ssh: No route"
    hosts["slave2"] = {"__preflight_facts": {"unreachable": True, "msg": message}}
    assert faults(hosts) == ["machine       slave2      does not answer: No route"]
    hosts["slave2"] = {**machines()["slave2"], "__health_crawl": {"unreachable": True, "msg": message}}
    assert faults(hosts) == ["machine       slave2      stopped answering while it was asked"]
    del hosts["slave2"]["__health_crawl"]
    assert faults(hosts) == ["machine       slave2      stopped answering while it was asked"]
    assert any(line.startswith("ok     services      slave1") for line in lines(hosts))


@pytest.mark.parametrize(
    ("variable", "stdout", "expected"),
    [
        ("__health_services", "", ["tieba-crawler.target is not there"]),
        (
            "__health_services",
            show(
                **{
                    "tieba-crawler.target": "ActiveState=active;Wants=tieba-crawler@1.service",
                    "tieba-crawler@1.service": "failed",
                }
            ),
            ["tieba-crawler@1.service is failed"],
        ),
        (
            "__health_crawl",
            json.dumps({"checks": [], "workers_here": 0}),
            ["0 of the 1 that run are heard of"],
        ),
        ("__health_crawl", "Traceback", ["it crashed"]),
        ("__health_crawl", json.dumps({"checks": [], "workers_here": None}), []),
    ],
)
def test_faults_of_a_slave_are_told(variable, stdout, expected):
    hosts = machines()
    hosts["slave2"][variable] = {"stdout": stdout, "stderr": "it crashed", "rc": 0}
    told = faults(hosts)
    assert len(told) == len(expected)
    for line, text in zip(told, expected, strict=True):
        assert text in line
        assert line.split()[1] == "slave2"


@pytest.mark.parametrize(
    ("fact", "value", "expected"),
    [
        ("disk_free_mb", 500, "500 MiB free, less than 1024 (health_min_disk_mb)"),
        ("stale", ["tieba-crawler@.service"], "runs with older ones than its files hold"),
    ],
)
def test_faults_of_a_machine_are_told(fact, value, expected):
    hosts = machines()
    hosts["slave2"]["ansible_facts"]["node"][fact] = value
    (told,) = faults(hosts)
    assert expected in told


def test_releases_are_compared_among_machines_of_one_kind():
    hosts = machines()
    node = hosts["slave2"]["ansible_facts"]["node"]
    node["release"] = "bbb"
    different, old = sorted(faults(hosts), key=lambda line: "workers run" in line)
    assert "aaa on slave1; bbb on slave2" in different
    assert "workers run aaa, but bbb is installed" in old
    node["platform"] = {"python": "3.12", "machine": "x86_64"}
    assert faults(hosts) == [old]


def test_a_drained_slave_is_a_note():
    hosts = machines()
    hosts["slave2"]["ansible_facts"]["node"]["present"] = ["/etc/tieba/stopped"]
    hosts["slave2"]["__health_services"]["stdout"] = show(**{"tieba-crawler.target": "inactive"})
    assert faults(hosts) == []
    assert any(line.startswith("note   services      slave2      drained") for line in lines(hosts))


@pytest.mark.parametrize(
    ("timer", "result", "expected"),
    [
        ("active", "success", []),
        ("inactive", "success", ["tieba-schedule.timer is inactive"]),
        ("active", "exit-code", ["its last run ended with exit-code"]),
    ],
)
def test_the_schedule_is_checked_where_there_is_one(timer, result, expected):
    hosts = machines()
    hosts["master"]["ansible_facts"]["node"]["present"] = ["/etc/systemd/system/tieba-schedule.timer"]
    hosts["master"]["__health_services"]["stdout"] += "\n\n" + show(
        **{
            "tieba-schedule.timer": timer,
            "tieba-schedule.service": f"ActiveState=inactive;Result={result}",
        }
    )
    told = faults(hosts)
    assert len(told) == len(expected)
    assert all(text in line for line, text in zip(told, expected, strict=True))
