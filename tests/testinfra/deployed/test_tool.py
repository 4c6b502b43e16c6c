"""The command `tieba` of an operator, on all machines that have the crawler's settings."""

import json

testinfra_hosts = ["ansible://master", "ansible://slaves"]


def test_the_status_is_told_without_root(host):
    status = json.loads(host.check_output("cd / && tieba status --json"))
    assert status["redis"]["aof_ok"]
    assert status["store_problem"] is None
