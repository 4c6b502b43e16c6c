"""A slave: its workers, their sandbox, and what somebody who logs in finds."""

import time

import pytest

testinfra_hosts = ["ansible://slaves"]

UNIT = "tieba-crawler@1.service"
COMMANDS = {"scrapy": "scrapy crawl tieba --wait", "urllib": "tieba worker --wait"}


def test_one_worker_per_core(host):
    running = host.check_output("systemctl list-units --state=running --plain --no-legend 'tieba-crawler@*'")
    assert len(running.splitlines()) == int(host.check_output("nproc"))


def test_each_slave_has_its_engine(host):
    engine = host.ansible.get_variables().get("crawler_engine", "scrapy")
    assert COMMANDS[engine] in host.check_output("systemctl show --property=ExecStart --value %s", UNIT)


def test_the_workers_start_with_the_machine(host):
    assert host.service("tieba-crawler.target").is_enabled


def test_the_schedule_is_the_masters_alone(host):
    assert not host.file("/etc/systemd/system/tieba-schedule.timer").exists


def test_the_sandbox_is_tight(exposure):
    assert exposure(UNIT) <= 2.5


def test_a_killed_worker_comes_back(host):
    with host.sudo():
        before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
        host.check_output("kill -KILL %s", before)
        for _ in range(60):
            now = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
            if now not in ("0", before):
                return
            time.sleep(0.5)
        pytest.fail(host.check_output("journalctl --no-pager --lines=30 --unit=%s", UNIT))


@pytest.mark.parametrize("command", ["scrapy list", "tieba status --json", "tieba --help"])
def test_commands_work_from_any_directory_for_the_ssh_user(host, command):
    assert host.user().name != "root"
    done = host.run(f"cd / && {command}")
    assert done.rc == 0, done.stderr


def test_what_only_the_master_needs_is_not_installed(host):
    done = host.run("tieba export --format parquet")
    assert "needs pyarrow; run it on the master" in done.stderr


def test_passwords_are_not_readable(host):
    with host.sudo():
        config = host.file("/etc/tieba/crawler.json")
        assert (config.mode & 0o007, config.user, config.group) == (0, "root", "tieba")


def test_passwords_are_not_in_the_process_list_or_the_journal(host, secrets_dir):
    with host.sudo():
        seen = host.check_output("ps axeww; journalctl --no-pager --lines=5000")
    passwords = [file.read_text().strip() for file in secrets_dir.glob("*_crawler")]
    assert passwords
    assert [password for password in passwords if password in seen] == []
