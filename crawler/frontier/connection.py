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
_LIKE = {"": "host:6379/0", "sentinel": "host1:26379,host2:26379/service", "cluster": "host1:6379,host2:6379"}
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
_TRANSIENT: tuple[type[Exception], ...] = (
    exceptions.ConnectionError,  # and BusyLoadingError, sentinel's MasterNotFoundError
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterError,  # and ClusterDownError, MasterDownError
    exceptions.TryAgainError,
)
# Subclasses of ConnectionError that do not pass.
_PERMANENT: tuple[type[Exception], ...] = (
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
_CANCEL_SECONDS = 0.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """The parts of a redis_url."""

    kind: str  # empty for one server, sentinel or cluster
    nodes: tuple[tuple[str, int], ...]  # host and port
    service: str  # Sentinel's name of the master
    options: dict[str, Any]  # for redis-py

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take an address apart; a ValueError says what it must be instead."""
        scheme = url.partition("://")[0]
        if scheme not in SCHEMES:
            raise ValueError(f"a URL like redis://host:port, or with {', '.join(SCHEMES[1:])}")
        kind = scheme.partition("+")[2]
        like = f"a URL like {scheme}://{_LIKE[kind]}"
        try:
            parts = urlsplit(url)
            login, _, hosts = parts.netloc.rpartition("@")
            places = [urlsplit(f"//{host}") for host in (hosts.split(",") if kind else [hosts])]
            nodes = tuple((place.hostname or "", place.port or _PORTS[kind]) for place in places)
            options = dict(parse_url(f"redis://{login}@-?{parts.query}"))
        except ValueError:  # its text may hold a part of the password
            raise ValueError(like) from None
        path = parts.path.strip("/")
        service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
        option = str(options.pop("db", 0))
        database = database or option
        if (
            not all(host and "," not in host for host, _ in nodes)
            or not database.isdecimal()
            or (kind == "sentinel" and not service)
            or (kind == "cluster" and int(database))
        ):
            raise ValueError(like)
        del options["host"]
        if kind != "cluster":
            options["db"] = int(database)
        if scheme.startswith("rediss"):
            options["ssl"] = True
        address = cls(kind, nodes, service, options)
        try:
            blocking.Redis(**address.of_server())
        except TypeError as error:
            raise ValueError(f"{like} ({str(error).rpartition(' got ')[2]})") from None
        return address

    def of_server(self) -> dict[str, Any]:
        """Give redis-py's arguments for a client of a server of it, except host and port."""
        own = {name: value for name, value in self.options.items() if not name.startswith("sentinel_")}
        return {**_OPTIONS, **own}

    def of_sentinel(self) -> dict[str, Any]:
        """Give redis-py's arguments for a client of a sentinel of it, except host and port."""
        common = {k: v for k, v in self.options.items() if k.startswith(("ssl", "socket_", "protocol"))}
        own = {k[len("sentinel_") :]: v for k, v in self.options.items() if k.startswith("sentinel_")}
        return {**_OPTIONS, **common, **own}


def connect(url: str) -> Redis:
    """Make a client that gives texts; nothing is sent before the first command.

    That of a cluster is a RedisCluster. It has the same commands, but in a pipeline a script has to be called
    by execute_command("EVALSHA", …).
    """
    address = Address.parse(url)
    if address.kind == "sentinel":
        master = sentinels(address).master_for(address.service, connection_pool_class=_SentinelPool)
        return cast("Redis", master)
    if address.kind == "cluster":
        nodes = [asyncio_cluster.ClusterNode(host, port) for host, port in address.nodes]
        retry = Retry(NoBackoff(), _CLUSTER_RETRIES)
        return cast("Redis", RedisCluster(startup_nodes=nodes, retry=retry, **address.of_server()))
    ((host, port),) = address.nodes
    return Redis(host=host, port=port, retry=Retry(NoBackoff(), 0), **address.of_server())


def sentinels(address: Address) -> asyncio_sentinel.Sentinel:
    """Make clients of an address' sentinels."""
    options = {**address.of_sentinel(), "retry": Retry(NoBackoff(), 0)}
    return asyncio_sentinel.Sentinel(address.nodes, sentinel_kwargs=options, **address.of_server())


def connect_blocking(url: str) -> blocking.Redis:
    """Make a client like `connect`'s that blocks; that of a cluster asks for the cluster's nodes at once."""
    address = Address.parse(url)
    if address.kind == "sentinel":
        options = {**address.of_sentinel(), "retry": BlockingRetry(NoBackoff(), 0)}
        manager = sentinel.Sentinel(address.nodes, sentinel_kwargs=options, **address.of_server())
        client = manager.master_for(address.service, connection_pool_class=_BlockingSentinelPool)
        return cast("blocking.Redis", client)
    if address.kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        retry = BlockingRetry(NoBackoff(), _CLUSTER_RETRIES)
        client = blocking.RedisCluster(startup_nodes=nodes, retry=retry, **address.of_server())
        return cast("blocking.Redis", client)
    ((host, port),) = address.nodes
    return blocking.Redis(host=host, port=port, retry=BlockingRetry(NoBackoff(), 0), **address.of_server())


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
    error = cause(error)
    if isinstance(error, _PERMANENT):
        return None
    word = getattr(error, "status_code", None)
    if word not in _PASSING:
        found = _WORD.search(str(error))
        word = found[1] if found else None
    if word:
        return f"{_PASSING[word]} ({one_line(error)})"
    if isinstance(error, (sentinel.MasterNotFoundError, asyncio_sentinel.MasterNotFoundError)):
        return f"has no master that a sentinel can name ({str(error).partition(' : ')[0]})"
    if isinstance(error, exceptions.RedisClusterException):
        return f"{_PASSING['CLUSTERDOWN']} ({one_line(error)})" if "not covered" in str(error) else None
    if isinstance(error, (*_TRANSIENT, OSError)):
        return f"does not answer ({one_line(error)})"
    return None


def cause(error: BaseException) -> BaseException:
    """Give what the nodes said where redis-py only says that a cluster cannot be used."""
    while isinstance(error, exceptions.RedisClusterException) and (
        said := error.__cause__ or error.__context__
    ):
        error = said
    return error


def one_line(error: BaseException) -> str:
    """Give an error's text as at most one line."""
    return " ".join(str(error).split()).rstrip(".")[:200]


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """End tasks that use Redis.

    More than once, since a client that is just connecting can swallow it (redis-py 8.1).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS)


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
