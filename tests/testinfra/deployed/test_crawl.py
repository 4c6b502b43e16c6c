"""A whole small crawl: seeded on one slave, done by all, joined from a shell, and nothing missing."""

import json
import time

import pytest

testinfra_hosts = ["ansible://slave1"]

FORUM = "聊天"
SECONDS = 180
SITE = "http://site:8080"


def _wait(host, is_so):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        status = json.loads(host.check_output("tieba status --json"))
        if is_so(status):
            return status
        time.sleep(1)
    pytest.fail(f"not so after {SECONDS} s: {status}")


def _is_finished(status):
    return status["crawl"]["state"] == "finished"


def _workers(host):
    return host.check_output("systemctl show --property=MainPID --value 'tieba-crawler@*'").split()


def test_a_crawl_is_shared_by_the_slaves_and_complete(host):
    workers = _workers(host)
    host.check_output("tieba seed --forum %s --pages 3", FORUM)
    status = _wait(host, _is_finished)
    report = host.run("tieba report --json --truth %s", SITE)
    assert report.rc == 0, report.stdout + report.stderr
    assert status["requests"]["queued"] == status["requests"]["leased"] == status["requests"]["failed"] == 0
    assert {slave["host"] for slave in status["slaves"] if slave["done"]} == {"slave1", "slave2"}
    status = _wait(host, lambda status: all(slave["processes"] for slave in status["slaves"]))
    engines = {slave["host"]: slave["engines"] for slave in status["slaves"]}
    assert engines == {"slave1": ["scrapy"], "slave2": ["urllib"]}
    assert _workers(host) == workers, "the workers did not wait for the next seed"


def test_workers_that_are_restarted_give_back_what_they_hold(host):
    host.check_output("tieba seed --forum %s --pages 3 --new", FORUM)
    _wait(host, lambda status: status["requests"]["done"] > 20)
    workers = _workers(host)
    with host.sudo():
        host.check_output("systemctl restart tieba-crawler.target")
    assert not set(_workers(host)) & set(workers)
    status = _wait(host, _is_finished)
    report = host.run("tieba report --json --truth %s", SITE)
    assert report.rc == 0, report.stdout + report.stderr
    assert status["requests"]["expired"] == 0, "leases ran out"


def test_a_crawl_started_by_hand_ends_by_itself_and_is_complete(host):
    command = f"cd / && timeout {SECONDS} scrapy crawl tieba -a forum={FORUM} -a pages=2"
    done = host.run(command)
    assert done.rc == 0, done.stderr[-2000:]
    report = host.run("tieba report --truth %s", SITE)
    assert report.rc == 0, report.stdout + report.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [("-a forum=聊天 -a pages=0", "pages"), ("-a forum=聊天 -a pages=many", "pages"), ("-a forum=", "forum")],
)
def test_wrong_arguments_get_one_line(host, arguments, named):
    done = host.run(f"scrapy crawl tieba {arguments}")
    assert done.rc != 0
    assert "Traceback" not in done.stderr
    assert named in done.stderr
