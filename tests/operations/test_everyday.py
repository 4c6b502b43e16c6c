"""The playbooks of every day; in the order of the file."""

import re
import shutil
import subprocess
import time

import pytest

from control import cluster
from control.project import CACHE, CLUSTER, INVENTORY, ROOT, VENV
from tests.end_to_end.commands import (
    COMPLETE,
    SECONDS,
    SSH_CONFIG,
    machines_of,
    on,
    playbook,
    status_of_the_crawl,
    wait_until_finished,
)
from tests.operations.sampling import Samples, crawling, workers

SLAVES = {"slave1", "slave2"}
PROGRESS_SECONDS = 15  # within which requests are done, on a machine that has other work, too


def done(sample):
    return sum(sample["pages"].values())


def assert_the_crawl_never_stopped(samples):
    """At any moment of the crawl at least one of the two slaves works on it; each got other workers."""
    # Workers leave for a moment when a crawl has ended.
    running = [sample for sample in samples if sample["state"] == "running"]
    assert all(crawling(sample) for sample in running)
    seen = {worker for sample in running for worker in workers(sample)}
    assert {slave for slave, _ in seen - workers(running[0])} == SLAVES, samples[-1]["state"]
    latest = running[0]
    for sample in running:
        if done(sample) > done(latest):
            latest = sample
        assert sample["now"] - latest["now"] < PROGRESS_SECONDS, "the crawl stood still"
    assert {sample["expired"] for sample in running} == {0}, "leases ran out"


def begin_crawl(pages, forums=("聊天",)):
    """Begin a crawl, and wait until both slaves work on it."""
    named = [f"--forum={forum}" for forum in forums]
    seed = on("slave1", "tieba", "seed", *named, f"--pages={pages}", "--new")
    assert seed.returncode == 0, seed.stderr
    with Samples() as samples:
        samples.wait_until(lambda sample: all(sample["pages"].get(slave, 0) > 20 for slave in SLAVES))


def become(node, name, number):
    """Give a machine a hostname and a machine-id."""
    command = f"hostname {name} && echo {number} >/etc/machine-id"
    subprocess.run(["docker", "exec", cluster.container(node), "sh", "-c", command], check=True)


def is_active(slave):
    return on(slave, "systemctl", "is-active", "tieba-crawler@1.service").stdout.strip() == "active"


def released(slave):
    """Give the release that a slave's worker runs."""
    shown = on(slave, "systemctl", "show", "--property=ExecStart", "tieba-crawler@1.service").stdout
    return re.search(r"/releases/(\w+)/", shown)[1]


def worker(slave):
    return on(slave, "systemctl", "show", "--property=MainPID", "--value", "tieba-crawler@1.service").stdout


def redis_process():
    return on("master", "systemctl", "show", "--property=MainPID", "redis-server").stdout


def health(*arguments):
    """Run health.yml; gives the exit status and the lines, as words."""
    ran = playbook("playbooks/health.yml", *arguments)
    assert "Traceback" not in ran.stdout + ran.stderr
    lines = re.findall(r"^ +((?:ok|FAULT|note) .*)$", ran.stdout, re.MULTILINE)
    assert lines, ran.stdout + ran.stderr
    return ran.returncode, [line.split() for line in lines]


def faults(lines):
    return [" ".join(words[1:]) for words in lines if words[0] == "FAULT"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("playbooks/scale_out.yml", ["--extra-vars=scale_slaves=slave2"]), ("site.yml", ["--limit=slave2"])],
)
def test_a_copy_of_another_slave_is_told_before_anything_changes(name, arguments):
    cluster.create(["slave2"], cluster.nodes()[0].settings)
    own = on("slave2", "cat", "/etc/machine-id").stdout.strip()
    try:
        become("slave2", "slave1", on("slave1", "cat", "/etc/machine-id").stdout.strip())
        ran = playbook(name, *arguments)
    finally:
        become("slave2", "slave2", own)
    assert ran.returncode != 0
    assert "slave2 is the machine that slave1 is (hostname slave1, the same /etc/machine-id)" in ran.stdout
    assert not on("slave2", "ls", "/opt/tieba").stdout


def test_scale_out_adds_a_slave_and_touches_no_other():
    cluster.create(["slave2"], cluster.nodes()[0].settings)
    assert on("slave1", "tieba", "seed", "--forum=聊天", "--new").returncode == 0
    ran = playbook("playbooks/scale_out.yml", scale_slaves="slave2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert machines_of(ran.stdout) == {"slave2"}
    with Samples() as samples:
        assert crawling(samples.all[-1]) == SLAVES
        samples.wait_until(lambda sample: sample["pages"].get("slave2", 0) > 20)


def test_health_finds_no_fault_in_a_cluster_that_is_well():
    status, lines = health()
    assert (status, faults(lines)) == (0, [])
    told = {tuple(words[1:3]) for words in lines}
    for host in SLAVES:
        assert {("services", host), ("redis", host), ("store", host), ("disk", host)} <= told
    assert {("memory", "cluster"), ("aof", "cluster"), ("services", "master"), ("release", "slaves")} <= told


def test_a_drained_slave_finishes_what_it_has_and_stays_out_until_it_is_restarted():
    begin_crawl(pages=32)
    ran = playbook("playbooks/drain.yml", drain_slave="slave2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with Samples() as samples:
        drained = samples.all[-1]
        assert not drained["leases"].get("slave2")
        samples.wait_until(lambda sample: done(sample) > done(drained) + 100)
        assert all(not sample["leases"].get("slave2") for sample in samples.all)
        assert samples.all[-1]["pages"]["slave2"] == drained["pages"]["slave2"]
        assert samples.all[-1]["expired"] == 0

        on("slave2", "sudo", "systemctl", "start", "tieba-crawler.target", "tieba-crawler@1.service")
        deployed = playbook("site.yml", "--limit=slave2")
        assert re.search(r"slave2 .* changed=0 .* failed=0", deployed.stdout), deployed.stdout
        assert not is_active("slave2")

        ran = playbook("playbooks/restart.yml", "--limit=slave2")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        samples.wait_until(lambda sample: sample["pages"]["slave2"] > drained["pages"]["slave2"])
        assert samples.all[-1]["expired"] == 0


def test_restart_replaces_all_workers_while_the_crawl_goes_on():
    begin_crawl(pages=32)
    before = {slave: worker(slave) for slave in SLAVES}
    with Samples() as samples:
        ran = playbook("playbooks/restart.yml")
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert_the_crawl_never_stopped(samples.all)
    assert all(worker(slave) != before[slave] for slave in SLAVES)


def test_a_crawl_that_is_stopped_keeps_what_is_queued_and_crawl_start_alone_goes_on_with_it():
    begin_crawl(pages=32)
    ran = playbook("playbooks/crawl_stop.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    stopped = status_of_the_crawl()
    assert (stopped["crawl"]["state"], stopped["requests"]["leased"]) == ("running", 0)
    assert stopped["requests"]["queued"] > 0

    for slave in SLAVES:
        on(slave, "sudo", "systemctl", "start", "tieba-crawler.target")
        assert not is_active(slave)
    assert status_of_the_crawl()["requests"] == stopped["requests"]

    ran = playbook("playbooks/crawl_start.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    before = {slave["host"]: slave["done"] for slave in stopped["slaves"]}
    with Samples() as samples:
        samples.wait_until(lambda sample: all(sample["pages"][slave] > before[slave] for slave in SLAVES))
    status = status_of_the_crawl()
    assert status["crawl"]["started_at"] == stopped["crawl"]["started_at"]
    assert status["requests"]["expired"] == 0


def test_crawl_start_begins_the_crawl_that_it_is_given_whichever_slaves_take_part():
    before = status_of_the_crawl()["crawl"]
    assert before["state"] == "running"  # what is left of it is abandoned
    crawl = {"crawler_forum": "聊天", "crawler_pages": 1, "crawler_new": "true"}
    ran = playbook("playbooks/crawl_start.yml", "--limit=all:!slave1", **crawl)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    status = wait_until_finished()
    assert status["crawl"]["started_at"] != before["started_at"]
    assert status["crawl"]["seeds"] == [{"forum": "聊天", "pages": 1}]
    assert (status["requests"]["queued"], status["requests"]["expired"]) == (0, 0)
    report = on("slave1", "tieba", "report", "--truth=http://site:8080")
    assert COMPLETE in report.stdout, report.stdout


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    """Give a copy of this tree with another release."""
    root = tmp_path_factory.mktemp("newer") / "tieba"
    left_out = shutil.ignore_patterns(".*", "secrets", "__pycache__", "tests", "bench", "build")
    shutil.copytree(ROOT, root, ignore=left_out)
    (root / ".cache").symlink_to(CACHE)
    (root / ".venv").symlink_to(VENV)
    secrets = INVENTORY.relative_to(ROOT) / "secrets"
    (root / secrets).symlink_to(ROOT / secrets)
    with (root / "crawler" / "tieba" / "__init__.py").open("a") as file:
        file.write("# another release\n")
    return root


def test_an_upgrade_goes_from_slave_to_slave_and_the_crawl_never_stops(newer):
    old = released("slave1")
    begin_crawl(pages=32, forums=("聊天", "python", "显卡", "读书", "猫"))  # all that the site has
    redis = redis_process()
    crawl = status_of_the_crawl()["crawl"]
    with Samples() as samples:
        ran = playbook("playbooks/upgrade.yml", root=newer)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert_the_crawl_never_stopped(samples.all)
    assert released("slave1") == released("slave2") != old
    assert f"/releases/{old}" not in on("master", "readlink", "-f", "/opt/tieba/current").stdout
    assert redis_process() == redis
    assert status_of_the_crawl()["crawl"]["started_at"] == crawl["started_at"]
    assert wait_until_finished()["requests"]["expired"] == 0
    report = on("slave1", "tieba", "report", "--truth=http://site:8080")
    assert COMPLETE in report.stdout, report.stdout


def test_an_upgrade_with_a_slave_down_says_so_before_anything_changes_and_can_leave_it_out(newer):
    subprocess.run(["docker", "kill", f"{CLUSTER}-slave2"], check=True, capture_output=True)
    old = released("slave1")
    with (newer / "crawler" / "tieba" / "__init__.py").open("a") as file:
        file.write("# and another one\n")
    ran = playbook("playbooks/upgrade.yml", root=newer)
    assert ran.returncode != 0
    assert "slave2 does not answer" in ran.stdout
    assert "leave it out: --limit 'all:!slave2'" in ran.stdout
    assert released("slave1") == old
    ran = playbook("playbooks/upgrade.yml", "--limit=all:!slave2", root=newer)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert released("slave1") != old


def test_health_names_a_machine_that_is_down_and_then_its_old_release():
    status, lines = health()
    assert status != 0
    assert faults(lines)[0].startswith("machine slave2 does not answer")
    assert any(words[:3] == ["ok", "services", "slave1"] for words in lines)
    cluster.create(["slave2"])  # starts it; its port is another one now
    deadline = time.monotonic() + SECONDS
    while not is_active("slave2"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    status, lines = health()
    assert status != 0
    assert [line for line in faults(lines) if line.startswith("release slaves")]


def test_logs_of_all_machines_are_in_the_order_of_time_and_hold_no_passwords(tmp_path):
    ran = playbook("playbooks/logs.yml", logs_dir=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    text = (tmp_path / "all.log").read_text()
    entries = [line.split(maxsplit=2) for line in text.splitlines() if line[:1].isdigit()]
    times = [entry[0] for entry in entries]
    assert times == sorted(times)
    assert {entry[1] for entry in entries} == {"master", "site", *SLAVES}
    assert "tieba-crawler" in text or "scrapy" in text
    assert "Redis" in text or "redis" in text
    secrets = [path.read_text().strip() for path in SSH_CONFIG.parent.iterdir() if path.suffix == ""]
    assert not [secret for secret in secrets if secret in text]
    for node in ("master", *SLAVES):
        assert not on(node, "ls", "/var/tmp").stdout.count("tieba-logs")


def test_scale_in_takes_a_slave_away_and_cleans_it():
    begin_crawl(pages=5)
    with Samples() as samples:
        ran = playbook("playbooks/scale_in.yml", scale_slaves="slave2")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert machines_of(ran.stdout) == {"slave2"}
        assert samples.all[-1]["expired"] == 0
    left = on("slave2", "ls", "/opt/tieba", "/etc/tieba", "/var/lib/tieba", "/usr/local/bin/tieba")
    assert left.stdout == ""
    assert "tieba" not in on("slave2", "systemctl", "list-unit-files", "tieba*").stdout
    assert wait_until_finished()["requests"]["expired"] == 0
    assert on("slave1", "tieba", "report", "--truth=http://site:8080").returncode == 0
    cluster.remove(["slave2"])


def test_the_last_slave_is_not_removed():
    ran = playbook("playbooks/scale_in.yml", scale_slaves="slave1")
    assert ran.returncode != 0
    assert "scale_slaves is slave1: no slave would be left" in ran.stdout
    assert is_active("slave1")


def test_restart_of_the_services_too_ends_in_a_cluster_that_is_well():
    before = redis_process()
    ran = playbook("playbooks/restart.yml", restart_services="true")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert redis_process() != before
    status, lines = health()
    assert (status, faults(lines)) == (0, [])
