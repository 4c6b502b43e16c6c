"""The stand-in site: runs in a sandbox, and answers as the truth says."""

import json

testinfra_hosts = ["ansible://site"]


def test_runs_and_starts_with_the_machine(host):
    assert host.service("tieba-replica").is_running
    assert host.service("tieba-replica").is_enabled


def test_the_sandbox_is_tight(exposure):
    assert exposure("tieba-replica.service") <= 2.5


def test_an_unsigned_call_is_refused_as_the_real_site_does(host):
    post = "from urllib.request import urlopen; print(urlopen('{}', b'kw=x&pn=1').read().decode())"
    fetch = post.format("http://127.0.0.1:8080/c/f/frs/page")
    assert json.loads(host.check_output("python3 -c %s", fetch))["error_code"] == 110001
