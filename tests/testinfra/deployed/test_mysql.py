"""MariaDB on the master: reachable from the slaves, closed to whoever has no password."""

import pytest

testinfra_hosts = ["ansible://master"]

UNIT = "mariadb.service"


@pytest.fixture
def run(host, secret):
    """Run one statement as a user, over TCP."""

    def run(statement, user="crawler", password=None):
        login = f"MYSQL_PWD={password or secret(f'mysql_{user}')} mariadb --host=127.0.0.1 --user={user}"
        return host.run(f"{login} --batch --skip-column-names tieba --execute=%s", statement)

    return run


def test_runs_and_listens_for_other_machines(host):
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert host.socket("tcp://0.0.0.0:3306").is_listening


def test_the_sandbox_is_tight(exposure):
    assert exposure(UNIT) <= 2.5


def test_nobody_gets_in_without_a_password(host, run):
    assert "Access denied" in run("SELECT 1", password="guess").stderr
    for user in ("root", "nobody"):
        assert "denied" in host.run("mariadb --host=127.0.0.1 --user=%s --execute='SELECT 1'", user).stderr


@pytest.mark.parametrize(
    "statement", ["CREATE DATABASE other", "SELECT * FROM mysql.user", "SELECT 1 INTO OUTFILE '/tmp/x'"]
)
def test_the_crawlers_user_has_its_own_database_alone(run, statement):
    assert "denied" in run(statement).stderr
    assert run("SHOW DATABASES").stdout.split() == ["information_schema", "tieba"]


def test_the_dashboards_user_reads_alone(run):
    assert run("SELECT 'read'", user="dashboard").stdout.strip() == "read"
    assert run("SELECT COUNT(*) FROM threads", user="dashboard").rc == 0
    for statement in ("CREATE TABLE x (y INT)", "UPDATE threads SET title = ''", "SELECT * FROM mysql.user"):
        assert "denied" in run(statement, user="dashboard").stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("character_set_server", "utf8mb4"),
        # What was stored survives a power cut.
        ("innodb_flush_log_at_trx_commit", "1"),
        ("innodb_doublewrite", "1"),
    ],
)
def test_its_settings_are_in_effect(run, variable, value):
    assert run(f"SELECT @@{variable}").stdout.strip() == value
