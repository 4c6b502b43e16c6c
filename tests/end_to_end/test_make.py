"""The Makefile's targets, as a user types them, on a cluster of containers; in the order of the file."""

import os
import re
import signal
import subprocess
import time

import pytest

from control import image
from control.engine import docker
from control.project import CLUSTER, ROOT
from tests.end_to_end.commands import (
    COMPLETE,
    LOG,
    SSH_CONFIG,
    docker_names,
    halt_running_crawl,
    machines_of,
    make,
    on,
    playbook,
    status_of_the_crawl,
    wait_until_finished,
)


def test_up_crawls_everything_from_nothing():
    """From nothing but a node that an interrupted run left half-made."""
    image.ensure(print)
    docker("network", "create", f"--label=tieba.cluster={CLUSTER}", CLUSTER)
    options = ["--hostname=slave1", f"--network={CLUSTER}", f"--label=tieba.cluster={CLUSTER}"]
    options.append('--label=tieba.settings={"engine": "scrapy,urllib"}')
    docker("create", f"--name={CLUSTER}-slave1", *options, image.TAG)
    done = make("up", PAGES=2, SLAVES=1, ENGINE="scrapy,urllib")  # the second slave comes with make scale
    assert done.returncode == 0, done.stdout + done.stderr
    assert COMPLETE in done.stdout
    assert docker_names("container", "Names") == {
        f"{CLUSTER}-{node}" for node in ("master", "slave1", "site")
    }


def test_a_forum_that_does_not_exist_is_named():
    done = make("up", FORUM="无此吧", PAGES=1)
    assert done.returncode != 0
    assert "无此吧" in done.stdout
    assert "may not exist" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_an_interrupted_up_goes_on_where_it_was():
    """Ctrl-C ends the view alone: the crawl goes on, even through a restart of Redis, to a complete end."""
    command = ["make", "up", "PAGES=15"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as first:
        for line in first.stdout:
            if line.startswith("running:"):
                os.killpg(first.pid, signal.SIGINT)
                break
        first.communicate(timeout=30)
    assert first.returncode != 0
    assert on("master", "sudo", "systemctl", "restart", "redis-server").returncode == 0
    began = halt_running_crawl()
    again = make("up", PAGES=15)
    assert again.returncode == 0, again.stdout + again.stderr
    assert COMPLETE in again.stdout
    assert status_of_the_crawl()["crawl"]["started_at"] == began["started_at"]


def test_scale_adds_a_machine_to_a_running_crawl_and_touches_no_other():
    on("slave1", "tieba", "seed", "--forum=聊天")
    halt_running_crawl()
    scaled = make("scale", SLAVES=2)
    assert scaled.returncode == 0, scaled.stdout + scaled.stderr
    assert machines_of(LOG.read_text()) == {"slave2"}
    assert on("slave1", "sudo", "systemctl", "restart", "tieba-crawler.target").returncode == 0
    status = wait_until_finished()
    assert {slave["host"] for slave in status["slaves"] if slave["done"]} == {"slave1", "slave2"}
    report = on("slave1", "tieba", "report", "--truth=http://site:8080")
    assert report.returncode == 0, report.stdout


def test_scale_takes_a_machine_away_from_a_running_crawl_and_loses_nothing():
    on("slave1", "tieba", "seed", "--forum=聊天", "--pages=10")
    time.sleep(10)  # until both have much in hand
    assert make("scale", SLAVES=1).returncode == 0
    wait_until_finished()
    report = on("slave1", "tieba", "report", "--truth=http://site:8080")
    assert report.returncode == 0, report.stdout
    assert docker_names("container", "Names") == {
        f"{CLUSTER}-{node}" for node in ("master", "slave1", "site")
    }


@pytest.mark.parametrize(("name", "value"), [("TARGET", "live"), ("STORAGE", "mysql")])
def test_another_target_or_store_is_refused_since_data_would_mix(name, value):
    done = make("up", **{name: value})
    assert done.returncode != 0
    assert f"{name}={value}: cluster" in done.stderr


def test_export_writes_what_was_crawled(tmp_path):
    file = tmp_path / "posts.csv"
    assert make("export", OUT=file).returncode == 0
    posts = file.read_text(encoding="utf-8").splitlines()
    assert "post_id" in posts[0]
    assert len(posts) > 1000
    again = make("export", OUT=file)
    assert again.returncode != 0
    assert "FORCE=1 replaces it" in again.stderr
    assert make("export", OUT=file, FORCE=1, FORMAT="parquet").returncode == 0
    assert file.read_bytes().startswith(b"PAR1")


def test_export_brings_pages_as_a_folder_and_leaves_nothing_torn(tmp_path):
    folder = tmp_path / "pages"
    assert make("export", FORMAT="html", FORUM="聊天", OUT=folder).returncode == 0
    assert "聊天" in (folder / "index.html").read_text(encoding="utf-8")
    assert make("export", FORMAT="html", FORUM="聊天", OUT=folder, FORCE=1).returncode == 0
    assert make("export", FORMAT="html", FORUM="无此吧", OUT=tmp_path / "none").returncode != 0
    assert list(tmp_path.iterdir()) == [folder]


def test_a_stopped_machine_is_named():
    subprocess.run(["docker", "stop", f"{CLUSTER}-site"], check=True, capture_output=True)
    done = playbook("site.yml")
    assert done.returncode != 0
    assert "site does not answer" in done.stdout + done.stderr


def test_a_stopped_machine_comes_back_with_the_next_up():
    subprocess.run(["docker", "stop", f"{CLUSTER}-slave1"], check=True, capture_output=True)
    done = make("up", PAGES=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert COMPLETE in done.stdout


def test_the_status_is_told():
    done = make("status")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout


def test_the_logs_of_all_nodes_are_in_the_order_of_time():
    done = make("logs", "LAST=5")
    assert done.returncode == 0, done.stderr
    entries = [line.split()[:2] for line in done.stdout.splitlines() if re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert {node for _, node in entries} >= {"master", "slave1", "site"}, done.stderr
    times = [time for time, _ in entries]
    assert times == sorted(times)


def test_a_node_that_is_not_there_is_told():
    done = make("ssh", "NODE=nowhere")
    assert done.returncode != 0
    assert "node 'nowhere' does not run" in done.stderr


def test_passwords_are_in_no_log_of_ours():
    secrets = [
        path.read_text().strip()
        for path in SSH_CONFIG.parent.iterdir()
        if path.name.endswith(("crawler", "admin"))
    ]
    assert len(secrets) == 4
    text = LOG.read_text()
    assert not [secret for secret in secrets if secret in text]


def test_reset_asks_first():
    done = playbook("playbooks/reset.yml")
    assert done.returncode != 0
    assert "reset_confirmation is not yes: nothing was removed" in done.stdout
    assert on("slave1", "tieba", "status", "--json").returncode == 0


def test_reset_keeps_what_was_crawled_and_queued():
    file = "/var/lib/tieba/records/a.jsonl.gz"
    on("slave1", "sudo", "install", "-D", "/dev/null", file)
    done = playbook("playbooks/reset.yml", reset_confirmation="yes")
    assert done.returncode == 0, done.stdout + done.stderr
    for node in ("master", "slave1", "site"):
        assert on(node, "ls", "/opt/tieba", "/etc/tieba", "/usr/local/bin/tieba").stdout == ""
        assert "tieba" not in on(node, "systemctl", "list-unit-files", "tieba*").stdout
    assert "redis" not in on("master", "systemctl", "list-units", "redis*").stdout
    assert on("slave1", "sudo", "ls", file).stdout.strip() == file
    assert ".aof" in on("master", "sudo", "find", "/var/lib/redis").stdout
    assert ".wt" in on("master", "sudo", "find", "/var/lib/mongodb").stdout


def test_down_removes_exactly_what_up_made():
    done = make("down")
    assert done.returncode == 0, done.stderr
    kinds = {"container": "Names", "network": "Name", "volume": "Name", "image": "Repository"}
    assert [docker_names(kind, field) for kind, field in kinds.items()] == [set()] * len(kinds)
    assert not SSH_CONFIG.parent.exists()
    assert make("down").returncode == 0  # nothing is left to remove, and that is no error
