"""The module that keeps MongoDB's users, against a server that asks for passwords."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from tests.conftest import ROOT, free_port, mongod_command, program, running

MODULE = ROOT / "roles" / "mongodb" / "library"
CRAWLER = {"name": "crawler", "database": "tieba", "password": "first-secret", "roles": ["readWrite"]}


def connect(port, name, password, database="tieba"):
    return MongoClient(
        port=port, username=name, password=password, authSource=database, serverSelectionTimeoutMS=5_000
    )


def is_accepted(port, name, password, database="tieba"):
    with connect(port, name, password, database) as client:
        try:
            client.tieba.threads.find_one()
        except OperationFailure as error:
            if error.code == 18:
                return False
            raise
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a MongoDB with the administrator alone; gives its port and folder."""
    folder = tmp_path_factory.mktemp("mongod")
    port = free_port()
    with running([*mongod_command(port, folder), "--auth"], port, folder / "log"):
        with MongoClient(port=port) as client:
            client.admin.command("createUser", "admin", pwd="old-secret", roles=["root"])
        yield port


@pytest.fixture
def settle(server):
    """Run the module as a playbook does; gives its answer."""

    def run(*users, admin_passwords=("old-secret",), check=False):
        arguments = {"port": server, "admin_passwords": list(admin_passwords), "users": users}
        command = [
            program("ansible"),
            "localhost",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-m",
            "mongodb_users",
            f"--module-path={MODULE}",
        ]
        command += ["-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(arguments)]
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
        command += ["--check"] if check else []
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert "secret" not in done.stdout.replace(json.dumps(arguments), ""), done.stdout
        (play,) = json.loads(done.stdout[done.stdout.index("{") :])["plays"]
        return play["tasks"][0]["hosts"]["localhost"]

    return run


def test_a_user_is_created_once_and_follows_a_changed_password(server, settle):
    assert settle(CRAWLER, check=True)["changed"]
    assert not is_accepted(server, "crawler", "first-secret")
    assert settle(CRAWLER)["changed"]
    assert not settle(CRAWLER)["changed"]
    assert is_accepted(server, "crawler", "first-secret")
    assert settle({**CRAWLER, "password": "second-secret"})["changed"]
    assert is_accepted(server, "crawler", "second-secret")
    assert not is_accepted(server, "crawler", "first-secret")


def test_a_user_who_is_removed_is_out_at_once(server, settle):
    guest = {**CRAWLER, "name": "guest"}
    settle(guest)
    with connect(server, "guest", "first-secret") as client:
        client.tieba.threads.find_one()
        assert settle({"name": "guest", "database": "tieba", "state": "absent"})["changed"]
        with pytest.raises(OperationFailure, match="requires authentication"):
            client.tieba.threads.find_one()
    assert not settle({"name": "guest", "database": "tieba", "state": "absent"})["changed"]


def test_the_administrator_changes_and_either_password_serves_meanwhile(server, settle):
    administrator = {"name": "admin", "database": "admin", "password": "new-secret", "roles": ["root"]}
    try:
        assert settle(administrator, admin_passwords=["old-secret", "new-secret"])["changed"]
        assert not settle(administrator, admin_passwords=["old-secret", "new-secret"])["changed"]
        assert not is_accepted(server, "admin", "old-secret", "admin")
        refused = settle(CRAWLER, admin_passwords=["old-secret"])
        assert refused["admin_refused"]
        assert refused["msg"] == "MongoDB refuses the user admin"
    finally:
        with contextlib.suppress(OperationFailure), connect(server, "admin", "new-secret", "admin") as client:
            client.admin.command("updateUser", "admin", pwd="old-secret")
