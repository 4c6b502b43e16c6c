"""The control side: what users can get wrong, and what must not change by itself."""

import json
import os

import pytest

from control import ansible, cluster, export, release, settings, tests, up, vms
from control.process import ControlError, last_line, run
from control.settings import Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PAGES", value) for value in ("0", "many", "-1", "1.5", "٣")),
        *(("SLAVES", value) for value in ("0", "51")),
        ("TARGET", "mirror"),
        ("SOURCE", "app"),
        ("API_FORMAT", "xml"),
        ("SCHEDULER", "redis"),
        *(("ENGINE", value) for value in ("curl", "urllib,urllib")),
        *(("STORAGE", value) for value in ("postgres", "mysql,", "mysql,mysql")),
        ("FORUM", "吧" * 101),
    ],
)
def test_a_wrong_value_is_named_with_a_way_out(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ControlError) as caught:
        up.Work.from_environment()
    message = str(caught.value)
    assert f"{name}={value[:20]}" in message
    assert "\n" not in message
    assert "for example" in message or "use " in message


def test_make_passes_what_was_not_given_as_empty(monkeypatch):
    for name in (
        "FORUM",
        "PAGES",
        "SLAVES",
        "TARGET",
        "STORAGE",
        "SOURCE",
        "API_FORMAT",
        "ENGINE",
        "SCHEDULER",
    ):
        monkeypatch.setenv(name, "")
    assert up.Work.from_environment() == up.Work("聊天", 10, None, {})


def test_a_cluster_keeps_what_it_was_made_for():
    there = settings.settle({"storage": "mysql", "source": "web"}, None)
    assert there == Settings("replica", "mysql", "web", "json")
    assert settings.settle({}, there) == settings.settle({"source": "web"}, there) == there
    with pytest.raises(ControlError, match=r"STORAGE=mongodb: cluster .* was made with mysql; `make down`"):
        settings.settle({"storage": "mongodb"}, there)


def test_slaves_have_the_engines_in_turn():
    assert settings.given({"ENGINE": "urllib, scrapy"}) == {"engine": "scrapy,urllib"}
    both = settings.settle({"engine": "scrapy,urllib"}, None)
    assert [both.engine_of(f"slave{number}") for number in (1, 2, 3)] == ["scrapy", "urllib", "scrapy"]
    assert settings.settle({"engine": "urllib"}, None).engine_of("slave1") == "urllib"


def test_an_engine_that_does_not_know_a_scheduler_is_refused():
    with pytest.raises(ControlError, match="that scheduler is for Scrapy; use ENGINE=scrapy"):
        settings.settle({"engine": "urllib", "scheduler": "scrapy_redis"}, None)


def test_the_order_of_stores_means_nothing():
    assert settings.given({"STORAGE": "jsonl, mongodb"}) == {"storage": "mongodb,jsonl"}


@pytest.mark.parametrize(
    ("kind", "out", "said"),
    [
        ("xml", "posts.xml", "FORMAT=xml: use one of csv, "),
        ("csv", "there.csv", r"OUT=.*there.csv: is there; FORCE=1 replaces it"),
        ("html", "there.csv", r"OUT=.*there.csv: is a file"),
        ("csv", ".", r"OUT=.*: is a folder"),
    ],
)
def test_an_export_replaces_nothing_unasked(tmp_path, kind, out, said):
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(ControlError, match=said):
        export.export(tmp_path / out, kind, "", force=False)
    assert (tmp_path / "there.csv").read_text() == "mine"


@pytest.mark.parametrize(("kind", "out"), [("html", "home"), ("csv", "pipe")])
def test_an_export_replaces_only_what_one_has_made(tmp_path, kind, out):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "index.html").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ControlError, match="no export has made it"):
        export.export(tmp_path / out, kind, "", force=True)
    assert (tmp_path / "home" / "index.html").read_text() == "mine"
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('fatal: [slave1]: FAILED! => {"changed": false, "msg": "no\\n  room"}', "slave1: no room"),
        ('fatal: [slave1 -> localhost]: FAILED! => {"msg": "no wheels"}', "slave1: no wheels"),
        (
            'fatal: [master]: UNREACHABLE! => {"msg": "Connection refused", "unreachable": true}',
            "master: Connection refused",
        ),
        ('failed: [master] (item=x) => {"msg": "x is wrong"}', "master: x is wrong"),
        (
            "[ERROR]: the playbook: nowhere.yml could not be found",
            "[ERROR]: the playbook: nowhere.yml could not be found",
        ),
    ],
)
def test_a_failed_playbook_is_one_line(line, said):
    assert ansible._reason(["PLAY [x] ***\n", f"{line}\n", "PLAY RECAP ***\n"]) == said


def test_a_failing_program_is_one_line_with_what_it_said_last():
    with pytest.raises(ControlError, match="sh: no such thing"):
        run("sh", "-c", "echo first; echo no such thing >&2; exit 3")


def test_a_missing_program_is_named():
    with pytest.raises(ControlError, match="no-such-program-anywhere: no such program"):
        run("no-such-program-anywhere")


def test_last_line_skips_blank_lines():
    assert last_line("a\nb\n\n  \n") == "b"
    assert last_line("") == "no output"


def test_a_machine_without_wheels_is_refused():
    with pytest.raises(ControlError, match="machine 'riscv64': no wheels"):
        release.build("3.11", "riscv64")


def test_the_release_id_follows_what_is_in_it(tmp_path, monkeypatch):
    """A changed source file, and nothing else, makes another release."""
    inputs = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in inputs:
        path.write_text("x = 1\n")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "_inputs", lambda: inputs)
    first = release.identify("3.11", "x86_64")
    assert release.identify("3.11", "x86_64") == first
    assert release.identify("3.12", "x86_64") != first
    assert release.identify("3.11", "x86_64", ["s3"]) != first
    inputs[0].write_text("x = 2\n")
    assert release.identify("3.11", "x86_64") != first


def test_capabilities_are_those_this_machine_has(monkeypatch, tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapBnd:\t0000000000000003\n")
    monkeypatch.setattr(cluster, "Path", lambda _: status)
    assert cluster._own_capabilities() == ["CHOWN", "DAC_OVERRIDE"]


def test_an_unknown_node_is_answered_with_those_there_are(monkeypatch):
    monkeypatch.setattr(
        cluster, "nodes", lambda: [cluster.Node("master", running=True, port=1, settings=Settings())]
    )
    with pytest.raises(ControlError, match=r"node 'slave9' does not run; there are master"):
        cluster.ssh("slave9")


def test_the_inventory_is_json_that_ansible_takes(monkeypatch):
    there = [
        cluster.Node(name, running=True, port=2200, settings=Settings("live"))
        for name in ("master", "slave1", "site")
    ]
    stopped = cluster.Node("slave2", running=False, port=9, settings=Settings("live"))
    monkeypatch.setattr(cluster, "nodes", lambda: [*there, stopped])
    listed = json.loads(json.dumps(cluster.inventory()))
    assert listed["slaves"]["hosts"] == ["slave1", "slave2"]  # preflight names the stopped one
    assert listed["_meta"]["hostvars"]["slave1"]["ansible_host"] == "127.0.0.1"


def crawl(slave1, slave2, started_at=1.0):
    slaves = [{"host": "slave1", "done": slave1}, {"host": "slave2", "done": slave2}]
    return {"crawl": {"started_at": started_at}, "requests": {"done": slave1 + slave2}, "slaves": slaves}


def test_a_crawl_goes_on_after_a_reboot_when_both_slaves_do_more_of_it():
    before = crawl(20, 30)
    assert not vms.goes_on(before, {})  # no answer yet
    assert not vms.goes_on(before, crawl(20, 30))
    assert not vms.goes_on(before, crawl(25, 30))
    assert vms.goes_on(before, crawl(25, 31))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (crawl(25, 31, started_at=2.0), "the crawl did not go on after the reboot: another one has begun"),
        (crawl(5, 6), "the crawl did not go on after the reboot: 50 requests were done, now 11"),
    ],
)
def test_a_crawl_that_was_begun_anew_is_not_one_that_goes_on(now, said):
    with pytest.raises(ControlError, match=said):
        vms.goes_on(crawl(20, 30), now)


@pytest.mark.parametrize(
    ("there", "installed"), [("", ["cjk", "emoji"]), ("zh", ["emoji"]), ("zh und-zsye", [])]
)
def test_pages_are_looked_at_with_fonts_for_all_that_is_on_them(monkeypatch, tmp_path, there, installed):
    for name, script in {
        "chromium": "",
        "fc-list": f'for language in {there}; do [ "$1" != ":lang=$language" ] || echo a font; done',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    packages = []
    monkeypatch.setattr(tests, "apt_install", packages.append)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TIEBA_TEST_BROWSER", "")
    tests._name_browser()
    assert os.environ["TIEBA_TEST_BROWSER"] == str(tmp_path / "chromium")
    assert [name.split("-")[-1] for name in packages] == installed
