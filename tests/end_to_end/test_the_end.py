"""What removes the cluster that the tests before have shared; the last file."""

from tests.end_to_end.commands import SSH_CONFIG, docker_names, make, on, playbook


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
