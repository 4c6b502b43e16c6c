"""Passwords rotated, data destroyed and restored, amid a crawl."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from control import cluster, records
from control.project import CLUSTER, INVENTORY, ROOT, VENV
from control.terminal import Step
from dashboard.passwords import fits
from tests.end_to_end.commands import SECONDS, make, on, playbook, status_of_the_crawl, wait_until_finished
from tests.operations.sampling import Samples, crawling

SECRETS = INVENTORY / "secrets" / CLUSTER
NAMES = (
    *("redis_admin", "redis_crawler", "redis_dashboard"),
    *("mongodb_admin", "mongodb_crawler", "mongodb_dashboard"),
    *("mysql_crawler", "mysql_dashboard"),
)
PAGE = "dashboard"  # what opens the web page
STORES = ("mongodb", "mysql", "jsonl")
# Slow, so that the crawl outlasts what happens to it; the same in every playbook, as in an inventory.
RATE = 5.0
VARIABLES = {
    "crawler_storage": STORES,
    **{f"crawler_{kind}_rate": RATE for kind in ("threads", "posts", "comments")},
}
PAGES = 10
PYTHON = "/opt/tieba/current/bin/python"
# How a user shows a password to each server, from the master; what is refused says so.
LOGINS = {
    "redis": "REDISCLI_AUTH={password} redis-cli --user {user} PING",
    "mongodb": PYTHON
    + " -c \"from pymongo import MongoClient; print(MongoClient('127.0.0.1', username='{user}',"
    " password='{password}', authSource='{database}').{database}.command('ping'), 'PONG')\"",
    "mysql": "MYSQL_PWD={password} mariadb --host=127.0.0.1 --user={user} --execute=\"SELECT 'PONG'\"",
}
REFUSED = re.compile("WRONGPASS|Authentication failed|Access denied")


def passwords():
    return {name: (SECRETS / name).read_text().strip() for name in (*NAMES, PAGE)}


def login(name, password):
    """Give what the server of a secret says to a password: accepted, refused or anything else."""
    server, user = name.split("_", 1)
    database = "admin" if user == "admin" else "tieba"
    said = on("master", LOGINS[server].format(user=user, password=password, database=database))
    text = said.stdout + said.stderr
    return "accepted" if "PONG" in text else "refused" if REFUSED.search(text) else text


def the_dashboard_is_well(password):
    """Tell whether it takes the password, and is let in by Redis and the stores."""
    known = json.loads(on("master", "sudo", "cat", "/etc/tieba/dashboard.json").stdout)
    fetch = (
        "import urllib.request as url; print(url.urlopen(url.Request('http://127.0.0.1:8088/metrics', "
        f"headers={{'Authorization': 'Bearer {known['metrics_token']}'}})).read().decode())"
    )
    metrics = on("master", f'python3 -c "{fetch}"').stdout.splitlines()
    is_up = {"tieba_up 1.0", "tieba_store_up 1.0"} <= set(metrics)
    return is_up and fits(password, known["password_hash"])


def run(name, **variables):
    """Run a playbook that has to succeed; gives its output, in which there is no password."""
    known = [path.read_text().strip() for path in SECRETS.iterdir() if path.name.startswith((*NAMES, PAGE))]
    ran = playbook(name, "--extra-vars", json.dumps({**VARIABLES, **variables}))
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output
    known += passwords().values()
    assert not [password for password in known if password in output]
    return output


def interrupted(name, at):
    """Run a playbook until it says `at`, and kill it there."""
    command = [str(VENV / "bin" / "ansible-playbook"), f"--inventory={INVENTORY}", name]
    command += ["--extra-vars", json.dumps(VARIABLES)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        output = ""
        for line in process.stdout:
            output += line
            if at in line:
                os.killpg(process.pid, signal.SIGKILL)
                return
    pytest.fail(output)


def done():
    status = status_of_the_crawl()
    assert status["crawl"]["state"] == "running", "the crawl was too short for this test"
    return status["requests"]["done"]


def wait_for_more(requests):
    """Wait until the crawl has done some more requests; gives how many are done."""
    wanted, deadline = done() + requests, time.monotonic() + SECONDS
    while (now := done()) < wanted:
        assert time.monotonic() < deadline, f"{now} requests are done, not {wanted}"
        time.sleep(0.5)
    return now


def hurry():
    """Have what is left of the crawl done soon."""
    change = f"sudo sed -i 's/_rate\": {RATE}/_rate\": 500.0/' /etc/tieba/crawler.json"
    for slave in cluster.slaves():
        assert on(slave, f"{change} && sudo systemctl restart tieba-crawler.target").returncode == 0


def assert_complete():
    """All is stored in every store."""
    records.gather(Step("Records"))
    for store in STORES:
        report = on("master", f"TIEBA_STORAGE={store} tieba report --truth=http://site:8080")
        assert report.returncode == 0, report.stdout


@pytest.fixture(scope="module", autouse=True)
def _crawl():
    """Have every store, two slaves, and a crawl under way, which all tests here share."""
    make("up", PAGES=1, SLAVES=2)
    run("site.yml")
    assert on("slave1", "tieba", "seed", "--forum=聊天", f"--pages={PAGES}", "--new").returncode == 0
    wait_for_more(20)
    yield
    playbook("site.yml")  # with the stores that the cluster was made for


def test_passwords_are_rotated_while_the_crawl_goes_on_even_if_interrupted():
    old = passwords()
    interrupted("playbooks/rotate_passwords.yml", "Change the password of MongoDB's user crawler")
    made = {path.name for path in SECRETS.glob("*.new")}
    assert made == {f"{name}.new" for name in (*NAMES, PAGE)}
    wait_for_more(20)
    with Samples() as samples:
        run("playbooks/rotate_passwords.yml")
    assert all(crawling(sample) for sample in samples.all), "the crawl stood still"
    assert {sample["expired"] for sample in samples.all} == {0}
    assert not list(SECRETS.glob("*.new"))
    new = passwords()
    assert {name: login(name, new[name]) for name in NAMES} == dict.fromkeys(NAMES, "accepted")
    assert {name: login(name, old[name]) for name in NAMES} == dict.fromkeys(NAMES, "refused")
    assert login("mongodb_crawler_rotation", new["mongodb_crawler"]) == "refused"
    assert the_dashboard_is_well(new[PAGE])
    assert not the_dashboard_is_well(old[PAGE])
    wait_for_more(20)
    assert status_of_the_crawl()["requests"]["failed"] == 0


def test_what_was_destroyed_is_restored_and_the_crawl_ends_as_if_nothing_had_happened(tmp_path):
    output = run("playbooks/backup.yml", backup_dir=str(tmp_path))
    (backup,) = tmp_path.glob("[!.]*")
    assert str(backup) in output
    saved = json.loads((backup / "manifest.json").read_text())
    assert wait_for_more(20) > saved["requests"]["done"] > 0
    ways = [
        "sudo systemctl stop redis-server && sudo find /var/lib/redis -mindepth 1 -delete",
        "sudo systemctl start redis-server",
        f'{PYTHON} -c "from tieba.config import load; from pymongo import MongoClient;'
        " d = MongoClient(load().mongodb_url).get_default_database(); [d.drop_collection(n) for n in "
        'd.list_collection_names()]"',
        "sudo mariadb --execute='DROP DATABASE tieba; CREATE DATABASE tieba'",
    ]
    lost = (
        "sudo systemctl stop tieba-crawler@*.service && sudo find /var/lib/tieba/records -mindepth 1 -delete"
    )
    for machine, way in [("slave2", lost), *(("master", way) for way in ways)]:
        destroyed = on(machine, way)
        assert destroyed.returncode == 0, destroyed.stderr
    assert status_of_the_crawl()["crawl"]["state"] == "none"
    refused = playbook(
        "playbooks/restore.yml", "--extra-vars", json.dumps({**VARIABLES, "restore_from": str(backup)})
    )
    assert refused.returncode != 0
    assert "restore_confirmation is not yes: nothing was replaced" in refused.stdout
    run("playbooks/restore.yml", restore_from=str(tmp_path), restore_confirmation=True)
    assert done() >= saved["requests"]["done"]
    hurry()
    assert wait_until_finished()["requests"]["failed"] == 0
    assert_complete()


def test_a_deployment_brings_passwords_that_were_changed_by_hand():
    old = passwords()
    for name in NAMES:
        (SECRETS / name).write_text(f"changed-{name}\n")
    run("site.yml")
    assert {name: login(name, f"changed-{name}") for name in NAMES} == dict.fromkeys(NAMES, "accepted")
    assert {name: login(name, old[name]) for name in NAMES} == dict.fromkeys(NAMES, "refused")
    assert set(re.findall(r"changed=(\d+)", run("site.yml"))) == {"0"}
    assert on("slave1", "tieba", "seed", "--forum=聊天", "--pages=1", "--new").returncode == 0
    hurry()
    assert wait_until_finished()["requests"]["failed"] == 0
    assert on("slave1", "tieba", "report", "--truth=http://site:8080").returncode == 0
