"""Connections to every kind of Redis, and patience while it cannot be used.

| address | what it is |
| --- | --- |
| `redis://user:password@host:6379/0` | one server, also Valkey; `rediss://` with TLS |
| `redis+sentinel://user:password@host1:26379,host2:26379/service/0` | the master that Sentinel names |
| `redis+cluster://user:password@host1:6379,host2:6379` | a Redis Cluster, found through any of its nodes |

`rediss+sentinel://` and `rediss+cluster://` use TLS for every connection. Options of redis-py follow as a
query, as in `rediss://host?ssl_ca_certs=/etc/ssl/ca.pem`; `sentinel_username` and `sentinel_password` are
those of the sentinels.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

import redis as blocking
from redis import exceptions, sentinel
from redis.asyncio import Redis, RedisCluster
from redis.asyncio import cluster as asyncio_cluster
from redis.asyncio import sentinel as asyncio_sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.retry import Retry as BlockingRetry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

SCHEMES = tuple(f"redis{tls}{kind}" for kind in ("", "+sentinel", "+cluster") for tls in ("", "s"))
_PORTS = {"": 6379, "sentinel": 26379, "cluster": 6379}
_TIMEOUT_SECONDS = 10.0
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "encoding_errors": "surrogateescape",  # bytes that are not UTF-8 come back as they were
    "socket_timeout": _TIMEOUT_SECONDS,
    "socket_connect_timeout": _TIMEOUT_SECONDS,
    "health_check_interval": 30,
}
_CLUSTER_RETRIES = 1  # for a client that has to learn the nodes anew

# All that a client raises: redis-py's errors of a cluster are not RedisErrors.
ERRORS: tuple[type[Exception], ...] = (exceptions.RedisError, exceptions.RedisClusterException, OSError)
# Classes of those that may pass; which of them do, `trouble` tells.
TRANSIENT: tuple[type[Exception], ...] = (
    exceptions.ConnectionError,  # and BusyLoadingError, sentinel's MasterNotFoundError
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterError,  # and ClusterDownError, MasterDownError
    exceptions.TryAgainError,
    exceptions.RedisClusterException,
)
# Subclasses of ConnectionError that do not pass.
PERMANENT: tuple[type[Exception], ...] = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
)

# The first word of an error (https://redis.io/docs/latest/develop/reference/protocol-spec/) that passes.
_PASSING = {
    "OOM": "is full: raise maxmemory",
    "MISCONF": "cannot save to its disk",
    "READONLY": "is read-only: a replica, or a failover is going on",
    "NOREPLICAS": "has too few replicas to write",
    "MASTERDOWN": "is a replica without its master: a failover is going on",
    "CLUSTERDOWN": "Cluster misses nodes: a failover is going on",
    "TRYAGAIN": "Cluster is moving keys between its nodes",
    "LOADING": "is loading its data",
    "BUSY": "is busy with somebody's script",
}
# Before Redis 7 what fails in a script has it inside: "Error running script (…): @user_script:1: -OOM …".
_WORD = re.compile(rf"(?:^|: -)({'|'.join(_PASSING)})\b")
_REPEATED_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """The parts of a redis_url; raises ValueError for one of another form, never showing its password."""

    kind: str  # empty for one server, sentinel or cluster
    nodes: tuple[tuple[str, int], ...]  # host and port
    service: str  # Sentinel's name of the master
    options: dict[str, Any]  # for redis-py

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take an address apart."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError(f"a URL that starts with one of {', '.join(f'{s}://' for s in SCHEMES)}")
        scheme, _, kind = parts.scheme.partition("+")
        login, _, hosts = parts.netloc.rpartition("@")
        nodes = []
        for host in hosts.split(",") if kind else [hosts]:
            node = urlsplit(f"//{host}")
            if not node.hostname:
                raise ValueError(f"a URL like {parts.scheme}://host:{_PORTS[kind]}")
            nodes.append((node.hostname, node.port or _PORTS[kind]))
        service, _, database = parts.path.strip("/").partition("/")
        if kind != "sentinel":
            service, database = "", service
        elif not service:
            raise ValueError(f"a URL like {parts.scheme}://host:26379/service, with the master's name")
        if database and not (database.isdecimal() and (kind != "cluster" or int(database) == 0)):
            raise ValueError("a URL whose path ends with the number of a database (0 in a cluster)")
        options = dict(parse_url(f"redis://{login}@host/{database}?{parts.query}"))
        options.pop("host")
        if scheme == "rediss":
            options["ssl"] = True
        return cls(kind, tuple(nodes), service, options)


def connect(url: str) -> Redis:
    """Make a client that gives texts; nothing is sent before the first command.

    The client of a cluster is a RedisCluster, which has the same commands.
    """
    address = Address.parse(url)
    if address.kind == "sentinel":
        manager = asyncio_sentinel.Sentinel(**_sentinel_arguments(address))
        master: Redis = manager.master_for(address.service, connection_pool_class=_SentinelPool)
        return master
    if address.kind == "cluster":
        startup = [asyncio_cluster.ClusterNode(host, port) for host, port in address.nodes]
        retry = Retry(NoBackoff(), _CLUSTER_RETRIES)
        cluster = RedisCluster(startup_nodes=startup, retry=retry, **_OPTIONS | _without_db(address))
        return cast("Redis", cluster)
    client: Redis = Redis.from_url(url, **_OPTIONS)
    return client


def connect_blocking(url: str) -> blocking.Redis:
    """Make a client like `connect`'s that blocks; that of a cluster asks for the cluster's nodes at once."""
    address = Address.parse(url)
    if address.kind == "sentinel":
        manager = sentinel.Sentinel(**_sentinel_arguments(address))
        master: blocking.Redis = manager.master_for(
            address.service, connection_pool_class=_BlockingSentinelPool
        )
        return master
    if address.kind == "cluster":
        startup = [ClusterNode(host, port) for host, port in address.nodes]
        retry = BlockingRetry(NoBackoff(), _CLUSTER_RETRIES)
        cluster = blocking.RedisCluster(startup_nodes=startup, retry=retry, **_OPTIONS | _without_db(address))
        return cast("blocking.Redis", cluster)
    client: blocking.Redis = blocking.Redis.from_url(url, **_OPTIONS)
    return client


def sentinels(address: Address) -> dict[str, Any]:
    """Give redis-py's arguments for a client of a sentinel itself, except host and port."""
    common = {k: v for k, v in address.options.items() if k.startswith(("ssl", "socket_", "protocol"))}
    own = {
        name: address.options[f"sentinel_{name}"]
        for name in ("username", "password")
        if f"sentinel_{name}" in address.options
    }
    return {**_OPTIONS, "retry": None, **common, **own}


def _sentinel_arguments(address: Address) -> dict[str, Any]:
    options = {k: v for k, v in address.options.items() if not k.startswith("sentinel_")}
    return {"sentinels": address.nodes, "sentinel_kwargs": sentinels(address), **_OPTIONS, **options}


def _without_db(address: Address) -> dict[str, Any]:
    return {name: value for name, value in address.options.items() if name != "db"}


class _SentinelPool(asyncio_sentinel.SentinelConnectionPool):
    """Closes the connections to the sentinels with those to the master."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _BlockingSentinelPool(sentinel.SentinelConnectionPool):
    """Closes the connections to the sentinels with those to the master."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:  # not only those that a new master makes useless
            for client in self.sentinel_manager.sentinels:
                client.close()


def trouble(error: BaseException) -> str | None:
    """Say what is wrong with a Redis that can be used again by itself; None where only a person can mend it.

    The text follows the word "Redis".
    """
    while isinstance(error, exceptions.RedisClusterException) and (error.__cause__ or error.__context__):
        error = cast("BaseException", error.__cause__ or error.__context__)  # what the nodes said
    if isinstance(error, PERMANENT):
        return None
    word = getattr(error, "status_code", None)
    if word not in _PASSING:
        found = _WORD.search(str(error))
        word = found[1] if found else None
    if word:
        return f"{_PASSING[word]} ({one_line(error)})"
    if isinstance(error, (sentinel.MasterNotFoundError, asyncio_sentinel.MasterNotFoundError)):
        return f"has no master that a sentinel can name ({str(error).partition(' : ')[0]})"
    if isinstance(error, (*TRANSIENT, OSError)):
        return f"does not answer ({one_line(error)})"
    return None


def one_line(error: BaseException) -> str:
    """Give an error's text as at most one line."""
    return " ".join(str(error).split()).rstrip(".")[:200]


class Patience:
    """Repeats operations while Redis cannot be used; says why once, and once when it is back."""

    def __init__(self) -> None:
        self._waiting = 0  # operations
        self._told: float | None = None
        self._silent_until = 0.0

    async def __call__(self, operation: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `operation` until Redis has done it; errors that do not pass are raised."""
        wait = 0.1
        failed = False
        try:
            while True:
                try:
                    return await operation()
                except ERRORS as error:
                    what = trouble(error)
                    if what is None:
                        raise
                    self._waiting += not failed
                    failed = True
                    self._tell(what)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        finally:
            if failed:
                self._waiting -= 1
                self._tell_end()

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if self._told is None and now >= self._silent_until:  # what comes and goes is not told every time
            self._told = now
            logger.warning("Redis %s; waiting for it", what)

    def _tell_end(self) -> None:
        # A read that succeeds does not show that a full or read-only Redis is back, hence not on any success.
        if self._told is not None and not self._waiting:
            logger.info("Redis can be used again after %.0f s", time.monotonic() - self._told)
            self._silent_until = self._told + _REPEATED_SECONDS
            self._told = None
