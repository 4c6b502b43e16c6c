"""Every kind of Redis that the crawler can use, each a set of real servers that starts when first asked for.

A test that takes `any_redis_url` runs once for each of KINDS, with an empty Redis. `sentinel` and `cluster`
give the servers of those kinds, to be killed and started again; what a test leaves dead is started after it.
`start_redis` gives a test a server of its own, with options, to be filled or made read-only.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import redis as blocking
from redis.crc import key_slot

from frontier.connection import ERRORS, connect_blocking
from tests.conftest import free_port, running, server_program
from tests.integration.commands import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSIONS = ("redis-6.0", "redis-7.0", "redis-8.0", "valkey-8.1")
KINDS = (*VERSIONS, "tls", "cluster", "sentinel")
PASSWORD = "p@ss/word:贴吧?#%"  # all that has to be quoted in an address
SENTINEL_PASSWORD = "of-the-sentinels"
SERVICE = "crawl"
_SLOTS = (range(5461), range(5461, 10_923), range(10_923, 16_384))  # of a cluster's three masters
_SETTLE_SECONDS = 20


class Server:
    """A Redis of some version on a port of its own, `{port}` in its options, with nothing on disk."""

    def __init__(self, version: str, folder: Path, *options: str, sentinel: bool = False) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        config = folder / f"{self.port}.conf"
        lines = ["port {port}", "bind 127.0.0.1", f"dir {folder}", "" if sentinel else 'save ""', *options]
        config.write_text("\n".join(lines).replace("{port}", str(self.port)), encoding="utf-8")
        self._log = config.with_suffix(".log")
        self._command = [server_program(version), str(config), *(["--sentinel"] if sentinel else [])]
        self._running: contextlib.ExitStack | None = None

    def start(self, *options: str) -> None:
        """Start the server unless it runs."""
        if self._running is None:
            self._running = contextlib.ExitStack()
            self._running.enter_context(running([*self._command, *options], self.port, self._log))

    def kill(self) -> None:
        """End the server with SIGKILL."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def client(self, **options: Any) -> blocking.Redis:
        return blocking.Redis(port=self.port, decode_responses=True, **options)


class Kind:
    """The servers behind one address."""

    def __init__(self, url: str, *servers: Server) -> None:
        self.url = url
        self.servers = servers

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def heal(self) -> None:
        """Start what was killed."""

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


class Cluster(Kind):
    """Three masters of a Redis Cluster; without any one of them it is down."""

    def __init__(self, version: str, folder: Path) -> None:
        options = ("cluster-enabled yes", "cluster-config-file {port}.nodes", "cluster-node-timeout 1000")
        nodes = [Server(version, folder, *options) for _ in range(3)]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        super().__init__(f"redis+cluster://{hosts}", *nodes)

    def start(self) -> None:
        super().start()
        for number, node in enumerate(self.servers):
            with node.client() as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER ADDSLOTS", *_SLOTS[number])
                client.execute_command("CLUSTER MEET", "127.0.0.1", self.servers[0].port)
        self._settle()

    def owner(self, key: str) -> Server:
        """Give the node that has a key."""
        slot = key_slot(key.encode())
        return next(node for node, slots in zip(self.servers, _SLOTS, strict=True) if slot in slots)

    def heal(self) -> None:
        for node in self.servers:
            node.start()
        self._settle()

    def _settle(self) -> None:
        for node in self.servers:
            with node.client() as client:
                settled(lambda client=client: client.cluster("info")["cluster_state"] == "ok")


class Sentinel(Kind):
    """A master and a replica, and three sentinels that make the other one master soon after a death."""

    def __init__(self, version: str, folder: Path) -> None:
        secret = (f'requirepass "{PASSWORD}"', f'masterauth "{PASSWORD}"', "repl-diskless-sync-delay 0")
        self.pair = [Server(version, folder, *secret) for _ in range(2)]
        watch = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.pair[0].port} 2",
            f'sentinel auth-pass {SERVICE} "{PASSWORD}"',
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 3000",
            f'requirepass "{SENTINEL_PASSWORD}"',
        )
        self.sentinels = [Server(version, folder, *watch, sentinel=True) for _ in range(3)]
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        login = f":{quote(PASSWORD, safe='')}@"
        self.place = f"{hosts}/{SERVICE}"
        super().__init__(
            f"redis+sentinel://{login}{self.place}/0?sentinel_password={SENTINEL_PASSWORD}",
            *self.pair,
            *self.sentinels,
        )

    def start(self) -> None:
        master, replica = self.pair
        master.start()
        replica.start("--replicaof", "127.0.0.1", str(master.port))
        for sentinel in self.sentinels:
            sentinel.start()
        self._settle()

    def master(self) -> Server:
        """Give the server that the sentinels call the master."""
        with self.sentinels[0].client(password=SENTINEL_PASSWORD) as client:
            _, port = client.sentinel_get_master_addr_by_name(SERVICE)
        return next(server for server in self.pair if server.port == int(port))

    def heal(self) -> None:
        """Start again what was killed, as the replica of the other one."""
        master = self.master()
        (other,) = (server for server in self.pair if server is not master)
        other.start("--replicaof", "127.0.0.1", str(master.port))
        self._settle()

    def _settle(self) -> None:
        def agree(client: blocking.Redis) -> bool:
            state = client.sentinel_masters()[SERVICE]
            (replica,) = client.sentinel_slaves(SERVICE)
            return (
                state["flags"],
                state["num-other-sentinels"],
                replica["flags"],
                replica["master-link-status"],
            ) == (
                "master",
                2,
                "slave",
                "ok",
            )

        for sentinel in self.sentinels:
            with sentinel.client(password=SENTINEL_PASSWORD) as client:
                settled(lambda client=client: agree(client))


def tls(version: str, folder: Path) -> Kind:
    """Make a server that only speaks TLS and only knows the user `crawler`."""
    authority = certificates(folder)
    server = Server(
        version,
        folder,
        "port 0",
        "tls-port {port}",
        f"tls-cert-file {folder}/server.pem",
        f"tls-key-file {folder}/server.key",
        f"tls-ca-cert-file {authority}",
        "tls-auth-clients no",
        "user default off",
        f'user crawler on ">{PASSWORD}" ~* +@all',
    )
    url = f"rediss://crawler:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/0?ssl_ca_certs={authority}"
    return Kind(url, server)


def certificates(folder: Path) -> Path:
    """Write server.pem and server.key for 127.0.0.1; gives the certificate of the authority behind them."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = dt.datetime.now(dt.timezone.utc)
    names = {who: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)]) for who in ("ca", "server")}
    keys = {who: ec.generate_private_key(ec.SECP256R1()) for who in names}
    for who, name in names.items():
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names["ca"])
            .public_key(keys[who].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=who == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[who].public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["ca"].public_key()), critical=False
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(keys["ca"], hashes.SHA256())
        )
        (folder / f"{who}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key = keys["server"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(key)
    return folder / "ca.pem"


def settled(condition: Callable[[], bool]) -> None:
    """Wait until servers have come to terms."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        with contextlib.suppress(*ERRORS, KeyError, ValueError):
            if condition():
                return
        assert time.monotonic() < deadline, "the servers do not come to terms"
        time.sleep(0.05)


def _make(kind: str, folder: Path) -> Kind:
    if kind == "tls":
        return tls("valkey-8.1", folder)
    if kind == "cluster":
        return Cluster("redis-7.0", folder)
    if kind == "sentinel":
        return Sentinel("redis-8.0", folder)
    server = Server(kind, folder)
    return Kind(f"{server.url}/0", server)


@pytest.fixture(scope="session")
def redis_kind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Kind]]:
    """Give a function that gives one of KINDS, started when it is first asked for."""
    kinds: dict[str, Kind] = {}
    with contextlib.ExitStack() as stack:

        def get(name: str) -> Kind:
            if name not in kinds:
                kind = _make(name, tmp_path_factory.mktemp(name))
                stack.callback(kind.kill)
                kind.start()
                kinds[name] = kind
            return kinds[name]

        yield get


@pytest.fixture(params=KINDS)
def any_redis_url(request: pytest.FixtureRequest, redis_kind: Callable[[str], Kind]) -> str:
    """Give the address of an empty Redis, once for each kind."""
    return _emptied(redis_kind(request.param).url)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, environment: dict[str, str]) -> str:
    """Run a test once for each engine, whose workers `crawl` starts."""
    environment["TEST_ENGINE"] = request.param
    return str(request.param)


@pytest.fixture
def tls_url(redis_kind: Callable[[str], Kind]) -> str:
    """Give the address of the server with TLS and users."""
    return _emptied(redis_kind("tls").url)


@pytest.fixture
def sentinel(redis_kind: Callable[[str], Kind]) -> Iterator[Kind]:
    """Give the set of servers under Sentinel, empty; a master that is killed comes back after the test."""
    kind = redis_kind("sentinel")
    _emptied(kind.url)
    yield kind
    kind.heal()


@pytest.fixture
def cluster(redis_kind: Callable[[str], Kind]) -> Iterator[Kind]:
    """Give the Redis Cluster, empty; nodes that are killed come back after the test."""
    kind = redis_kind("cluster")
    _emptied(kind.url)
    yield kind
    kind.heal()


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server: its version and lines of redis.conf."""
    with contextlib.ExitStack() as stack:

        def start(version: str = "redis-7.0", *options: str) -> Server:
            server = Server(version, tmp_path, *options)
            stack.callback(server.kill)
            server.start()
            return server

        yield start


def _emptied(url: str) -> str:
    client = connect_blocking(url)
    client.flushall()
    client.close()
    return url
