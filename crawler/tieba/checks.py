"""Tells in one line why a server of the cluster cannot be used."""

from __future__ import annotations

import socket
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis import exceptions as redis_errors

from frontier.connection import ERRORS, Address, cause, connect, one_line, sentinels, trouble
from tieba.errors import Away, Unusable
from tieba.files import writable_folder
from tieba.phrases import Phrase
from tieba.storage import StoreError, StoreUnavailable, silence
from tieba.storage.stores import make_store

if TYPE_CHECKING:
    from tieba.config import Config


def redis_problem(error: BaseException, config: Config) -> Unusable:
    """Explain a Redis error; passwords are never shown."""
    redis = f"Redis at {place(config.redis_url)}"
    error = cause(error)
    said = one_line(error)
    if isinstance(error, redis_errors.AuthenticationError):
        return Unusable(f"{redis} refuses user and password of redis_url: {said}")
    if isinstance(error, redis_errors.NoPermissionError):
        return Unusable(f"{redis} does not permit what the crawler does to the user of redis_url: {said}")
    if "unknown command" in said and "HELLO" in said:
        return Unusable(f"{redis} is too old: install Redis 6.0 or newer, or Valkey")
    if "cluster support disabled" in said:
        return Unusable(f"{redis} is not a cluster: write redis_url without +cluster")
    if "SSL" in said:
        return Unusable(f"{redis} cannot be used with TLS: {said}; see ssl_ca_certs of redis_url")
    what = trouble(error)
    if what is None:
        return Unusable(f"{redis}: {said}")
    if not what.startswith("does not answer"):
        return Away(f"{redis} {what}")
    where = place(config.redis_url)
    if config.redis_url.startswith("rediss"):
        return Away(
            Phrase(
                "Redis at %(place)s does not answer (%(said)s); is redis-server running there, with TLS?",
                place=where, said=said,
            )
        )  # fmt: skip
    return Away(
        Phrase(
            "Redis at %(place)s does not answer (%(said)s); is redis-server running there?",
            place=where, said=said,
        )
    )  # fmt: skip


def store_problem(error: StoreError) -> Unusable:
    """Explain an error of a store, which names its place itself."""
    return (Away if isinstance(error, StoreUnavailable) else Unusable)(str(error))


def silent_store(config: Config, seconds: float) -> Phrase:
    """Say that the store that is read gives no answer in some time."""
    name, url = (
        ("MongoDB", config.mongodb_url) if "mongodb" in config.storage else ("MySQL", config.mysql_url)
    )
    return silence(name, place(url), seconds)


async def check_servers(config: Config) -> None:
    """Raise Unusable unless Redis, the store, the outgoing address and the folder of pictures can be used."""
    if config.bind_address:
        _check_address(config.bind_address)
    if config.pictures and "://" not in config.pictures_store:
        _check_folder("pictures_store", Path(config.pictures_store))
    elif config.pictures and find_spec("botocore") is None:
        raise Unusable(f"pictures_store: {config.pictures_store}: needs botocore, which is not installed")
    await check_redis(config)
    await check_store(config)


async def check_store(config: Config) -> None:
    """Raise Unusable unless all stores can be used."""
    try:
        store = make_store(config)
        try:
            await store.open()
        finally:
            await store.close()
    except StoreError as error:
        raise store_problem(error) from None


async def check_redis(config: Config) -> None:
    """Raise Unusable unless Redis can be used; other errors of a connection are those of ERRORS."""
    address = Address.parse(config.redis_url)
    if missing := _missing_file(address):
        raise Unusable(f"redis_url: {missing}: no such file")
    if address.kind == "sentinel":
        await _check_sentinels(address, config)
    redis = f"Redis at {place(config.redis_url)}"
    async with aclosing(connect(config.redis_url)) as client:
        try:
            # HELLO is permitted to everybody; Redis 5 does not know it. https://redis.io/docs/latest/commands/hello/
            hello = await client.execute_command("HELLO", address.options.get("protocol", 3))
            if hello["mode"] == "sentinel":
                raise Unusable(
                    f"{redis} is a sentinel: write redis_url as redis+sentinel://host:port/service"
                )
            if hello["mode"] == "cluster" and address.kind != "cluster":
                raise Unusable(f"{redis} is a node of a cluster: write redis_url with redis+cluster://")
            if hello["role"] != "master":
                raise Unusable(f"{redis} is a replica: name its master in redis_url")
            await client.eval("return 1", 1, f"{config.job}:start_urls")
            await client.llen(f"{config.job}:start_urls")
        except ERRORS as error:
            raise redis_problem(error, config) from None


def _check_address(address: str) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise Unusable(f"addresses: {address}: {error.strerror}; this machine needs it") from None


def _check_folder(key: str, folder: Path) -> None:
    try:
        writable_folder(folder)
    except OSError as error:
        raise Unusable(
            f"{key}: {folder}: {error.strerror}; name another, or make this one writable"
        ) from None


def _missing_file(address: Address) -> str | None:
    named = (address.options.get(option) for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
    return next((path for path in named if path and not Path(path).is_file()), None)


async def _check_sentinels(address: Address, config: Config) -> None:
    """Raise Unusable unless a sentinel knows the master; redis-py does not tell why none does."""
    problems: list[Unusable] = []
    async with aclosing(sentinels(address)) as manager:
        for (host, port), client in zip(address.nodes, manager.sentinels, strict=True):
            place = f"sentinel at {host}:{port}"
            try:
                if await client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", address.service):
                    return
                problems.append(Unusable(f"{place} knows no master named {address.service!r}: see redis_url"))
            except redis_errors.AuthenticationError as error:
                problems.append(
                    Unusable(f"{place} refuses sentinel_password of redis_url: {one_line(error)}")
                )
            except redis_errors.ResponseError as error:
                problems.append(
                    Unusable(f"{place} is none, or does not permit to be asked: {one_line(error)}")
                )
            except ERRORS as error:
                problems.append(Away(f"{place} does not answer: {one_line(error)}"))
    raise next((problem for problem in problems if not isinstance(problem, Away)), problems[0])


def place(url: str) -> str:
    """Give an address without user, password and options."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
