"""Real servers for the tests, on free ports of the loopback interface, in temporary folders."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from redis.asyncio import Redis

# A shell starts jobs in the background with SIGINT ignored, and programs that they start ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
CAPTURES = ROOT.parent / "shared" / "captures"
_START_SECONDS = 30
# Below those that systems give to who names none, and so are the ports 10,000 above, on which nodes of a
# Redis Cluster listen, too.
_PORTS = range(11_000, 21_000)
# Scripts of MariaDB's that make its own tables; later versions put mariadb_ for mysql_.
_MARIADB_TABLES = ("*_system_tables", "*_system_tables_data")


def missing(what: str) -> NoReturn:
    """Skip the test, or fail where everything has to run (CI=true)."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def _own_ports() -> Iterator[int]:
    """Give ports that no other process of this run of tests is given, from anywhere on: other runs may be."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = _PORTS[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    start = random.randrange(len(ports))
    return itertools.cycle((*ports[start:], *ports[:start]))


_own = _own_ports()


def free_port() -> int:
    """Give a port on which nobody listens; it is long until it is given again."""
    for port in itertools.islice(_own, len(_PORTS)):
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is free")


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the block ends; wait until it accepts connections."""
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} does not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()


def server_program(name: str) -> str:
    """Give the path of a server of some version, as control/servers.py names them."""
    path = Path(os.environ.get("TIEBA_TEST_SERVERS", "")) / name
    if not path.is_file():
        missing(f"no {name}: make test fetches it and names its folder in TIEBA_TEST_SERVERS")
    return str(path)


def redis_command(port: int, folder: Path) -> list[str]:
    path = os.environ.get("TIEBA_TEST_REDIS") or shutil.which("redis-server")
    if path is None:
        missing("no redis-server: put it on PATH or name it in TIEBA_TEST_REDIS (make test does so)")
    return [path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]


def mongod_command(port: int, folder: Path) -> list[str]:
    path = os.environ.get("TIEBA_TEST_MONGOD") or shutil.which("mongod")
    if path is None:
        missing("no mongod: put it on PATH or name it in TIEBA_TEST_MONGOD (make test does so)")
    data = folder / "data"
    data.mkdir(exist_ok=True)
    command = [path, "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(data)]
    return [*command, "--wiredTigerCacheSizeGB", "0.25"]


def mariadbd_command(port: int, folder: Path) -> list[str]:
    """Give the command of a MariaDB server whose root has no password; its data are made the first time."""
    program = os.environ.get("TIEBA_TEST_MARIADBD") or shutil.which("mariadbd")
    if program is None:
        missing("no mariadbd: put it on PATH or name it in TIEBA_TEST_MARIADBD (make test does so)")
    data = folder / "data"
    command = [program, "--no-defaults", f"--datadir={data}", "--innodb-log-file-size=16M"]
    command += [f"--tmpdir={folder}"]  # a server that starts removes all of MariaDB's files from its own
    command += ["--user=root"] if os.geteuid() == 0 else []
    if not data.exists():
        data.mkdir()
        told = subprocess.run([*command, "--verbose", "--help"], check=True, capture_output=True, text=True)
        base = next(line.split()[1] for line in told.stdout.splitlines() if line.startswith("basedir "))
        files = [next(Path(base).glob(f"share/m*/{name}.sql")) for name in _MARIADB_TABLES]
        script = "\n".join(["CREATE DATABASE mysql;", "USE mysql;", *(file.read_text() for file in files)])
        subprocess.run(
            [*command, "--bootstrap"], input=script, check=True, capture_output=True, text=True, timeout=60
        )
    return [*command, f"--port={port}", "--bind-address=127.0.0.1", "--socket=socket"]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a Redis server; gives its port."""
    folder = tmp_path_factory.mktemp("redis")
    port = free_port()
    with running(redis_command(port, folder), port, folder / "log"):
        yield port


@pytest.fixture(scope="session")
def mongodb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a MongoDB server; gives its port."""
    folder = tmp_path_factory.mktemp("mongodb")
    port = free_port()
    with running(mongod_command(port, folder), port, folder / "log"):
        yield port


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a MariaDB server; gives its port."""
    folder = tmp_path_factory.mktemp("mariadb")
    port = free_port()
    with running(mariadbd_command(port, folder), port, folder / "log"):
        yield port


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run MySQL 8; gives its port."""
    folder = tmp_path_factory.mktemp("mysql")
    command = [server_program("mysql-8.0"), "--no-defaults", f"--datadir={folder}/data"]
    command += ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run([*command, "--initialize-insecure"], check=True, capture_output=True, timeout=120)
    port = free_port()
    command += [f"--port={port}", "--bind-address=127.0.0.1", "--socket=socket"]
    command += ["--mysqlx=OFF", "--secure-file-priv="]
    with running(command, port, folder / "log"):
        yield port


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    from frontier.connection import connect

    client = connect(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def redis_url(redis_server: int) -> str:
    """Give the address of an empty Redis."""
    subprocess.run(["redis-cli", "-p", str(redis_server), "flushall"], check=True, capture_output=True)
    return f"redis://127.0.0.1:{redis_server}/0"


@pytest.fixture
def mongodb_url(mongodb_server: int) -> Iterator[str]:
    """Give the address of an empty database."""
    from pymongo import MongoClient

    name = f"test_{uuid.uuid4().hex[:12]}"
    url = f"mongodb://127.0.0.1:{mongodb_server}/{name}"
    yield url
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb_server: int) -> Iterator[str]:
    """Give the address of an empty database in MariaDB."""
    yield from empty_database(mariadb_server)


@pytest.fixture
def mysql_url(mysql_server: int) -> Iterator[str]:
    """Give the address of an empty database in MySQL."""
    yield from empty_database(mysql_server)


def empty_database(port: int) -> Iterator[str]:
    """Give the address of a database in a MySQL server, for a while."""
    import pymysql

    name = f"test_{uuid.uuid4().hex[:12]}"
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as client, client.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield f"mysql://root@127.0.0.1:{port}/{name}"
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as client, client.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def serve_replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Give a function that runs the stand-in site with some settings and returns its address."""
    with contextlib.ExitStack() as stack:

        def serve(**settings: Any) -> str:
            folder = tmp_path_factory.mktemp("replica")
            port = free_port()
            config = folder / "replica.json"
            config.write_text(json.dumps({"host": "127.0.0.1", "port": port, **settings}))
            command = [program("tieba-replica"), "serve", "--config", str(config)]
            stack.enter_context(running(command, port, folder / "log"))
            return f"http://127.0.0.1:{port}"

        yield serve


@pytest.fixture
def environment(redis_url: str, mongodb_url: str, tmp_path: Path) -> dict[str, str]:
    """Give the environment of a node's processes."""
    config = tmp_path / "crawler.json"
    settings = {
        "redis_url": redis_url,
        "mongodb_url": mongodb_url,
        **{name: str(tmp_path / name) for name in ("jsonl_dir", "samples_dir", "pictures_store")},
        "egress": "test",
        "threads_rate": 10_000,
        "posts_rate": 10_000,
        "comments_rate": 10_000,
        "log_level": "INFO",
    }
    config.write_text(json.dumps(settings))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIEBA_")}
    return {
        **inherited,
        "TIEBA_CONFIG": str(config),
        "SCRAPY_SETTINGS_MODULE": "tieba.settings",
        "COLUMNS": "200",
    }


@pytest.fixture
def captures() -> Path:
    """Give the folder of captured pages, which are not part of the project."""
    if not CAPTURES.is_dir():
        pytest.skip("no captured pages next to the repository")
    return CAPTURES


def program(name: str) -> str:
    """Give the path of a console script of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)
