"""Tells in one line why a server of the cluster cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis import exceptions as redis_errors

from frontier.connection import PERMANENT, TRANSIENT, connect
from tieba.storage import StoreError, StoreUnavailable
from tieba.storage.mongodb import MongoStore

if TYPE_CHECKING:
    from tieba.config import Config


class Unusable(Exception):  # noqa: N818 - reads as what it is
    """A server that is away or refuses us; the message is one line for the user."""


class Away(Unusable):
    """A server that does not answer now; it may come back."""


def redis_problem(error: Exception, config: Config) -> Unusable:
    """Explain a Redis error; passwords are never shown."""
    place = _place(config.redis_url)
    if isinstance(error, redis_errors.AuthenticationError):
        return Unusable(f"Redis at {place} refuses user and password of redis_url: {_one_line(error)}")
    if isinstance(error, PERMANENT):
        return Unusable(f"Redis at {place}: {_one_line(error)}")
    if isinstance(error, (*TRANSIENT, OSError)):
        return Away(f"Redis at {place} does not answer: {_one_line(error)}; is redis-server running there?")
    return Unusable(f"Redis at {place}: {_one_line(error)}")


def store_problem(error: StoreError, config: Config) -> Unusable:
    """Explain an error of the store."""
    kind = Away if isinstance(error, StoreUnavailable) else Unusable
    return kind(f"{error} (mongodb_url: {_place(config.mongodb_url)})")


async def check_servers(config: Config) -> None:
    """Raise Unusable unless Redis and the store can be used."""
    redis = connect(config.redis_url)
    try:
        await redis.ping()
    except (redis_errors.RedisError, OSError) as error:
        raise redis_problem(error, config) from None
    finally:
        await redis.aclose()
    try:
        store = MongoStore(config.mongodb_url)
        try:
            await store.open()
        finally:
            await store.close()
    except StoreError as error:
        raise store_problem(error, config) from None


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
