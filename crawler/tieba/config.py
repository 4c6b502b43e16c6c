"""The configuration of every process of a node: a JSON file and the environment over it.

The file is /etc/tieba/crawler.json, or what TIEBA_CONFIG names; TIEBA_<KEY> in capitals overrides a key.
Without the default file the defaults below hold.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from frontier.connection import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = Path("/etc/tieba/crawler.json")
SCHEDULERS = ("frontier", "scrapy_redis")
SOURCES = ("api", "web")
API_FORMATS = ("json", "protobuf")
STORES = ("mongodb", "mysql", "jsonl")
INDEXED_STORES = ("mongodb", "mysql")  # which can be asked for single records, as updates do
LOG_LINES = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ConfigError(Exception):
    """A mistake in the configuration; the message is one line for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What can be set.

    Rates are requests per second of the whole cluster, per endpoint and outgoing address.
    """

    job: str = "tieba"
    redis_url: str = "redis://127.0.0.1:6379/0"
    storage: tuple[str, ...] = ("mongodb",)
    mongodb_url: str = "mongodb://127.0.0.1:27017/tieba"
    mysql_url: str = "mysql://127.0.0.1:3306/tieba"
    jsonl_dir: str = "/var/lib/tieba/records"
    source: str = "api"
    api_url: str = "http://tiebac.baidu.com"
    api_format: str = "json"
    api_client_version: str = "12.20.1.0"
    web_url: str = "https://tieba.baidu.com"
    samples_dir: str = "/var/lib/tieba/samples"
    pictures: bool = False
    pictures_store: str = "/var/lib/tieba/pictures"
    scheduler: str = "frontier"
    lease_seconds: float = 30.0
    max_attempts: int = 6
    retry_delay: float = 1.0
    egress: str = field(default_factory=socket.gethostname)
    addresses: tuple[str, ...] = ()  # of this machine; its processes go out by them in turn
    process: int = 1  # which of this machine's processes this is
    threads_rate: float = 2.0
    posts_rate: float = 2.0
    comments_rate: float = 5.0
    pictures_rate: float = 2.0
    burst: int = 10
    # After a verification page or a rate limit; doubled each time, up to the longest.
    first_pause: float = 5.0
    longest_pause: float = 300.0
    # From when on `tieba status` and the dashboard raise an alarm.
    alarm_nothing_stored_minutes: float = 10.0
    alarm_silent_seconds: float = 60.0
    alarm_strikes: int = 3  # pauses of a slot without a success between them
    alarm_dead_letters: int = 10  # more than so many new ones within an hour
    alarm_redis_percent: int = 80  # of its limit
    alarm_disk_mb: int = 2048  # less than that
    concurrent_requests: int = 16
    download_timeout: float = 30.0
    obey_robots: bool = True
    user_agent: str = "tieba-crawler/0.1"
    log_level: str = "INFO"

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Rate and burst of each endpoint."""
        rates = {"threads": self.threads_rate, "posts": self.posts_rate, "comments": self.comments_rate}
        return {endpoint: (rate, self.burst) for endpoint, rate in rates.items()}

    @property
    def bind_address(self) -> str | None:
        """The address that this process goes out by; None where the system chooses."""
        return self.addresses[(self.process - 1) % len(self.addresses)] if self.addresses else None


def load(environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration; raises ConfigError that names file or variable, key and value.

    Where `addresses` are given, each is an `egress` of its own.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    named = environ.get("TIEBA_CONFIG")
    path = Path(named) if named else DEFAULT_PATH
    if named or _exists(path):
        for key, value in _read(path).items():
            values[key] = _checked(key, value, str(path))
    for key in _KEYS:
        variable = f"TIEBA_{key.upper()}"
        if variable in environ:
            values[key] = _checked(key, _from_text(key, environ[variable]), f"environment {variable}")
    config = Config(**values)
    return dataclasses.replace(config, egress=config.bind_address or config.egress)


def parse(values: object, source: str) -> Config:
    """Check a configuration that is a part of another one; raises ConfigError that names key and value."""
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: must be a JSON object, not {type(values).__name__}")
    return Config(**{key: _checked(key, value, source) for key, value in values.items()})


_KEYS = {item.name: str(item.type) for item in dataclasses.fields(Config)}
_LIST = "tuple[str, ...]"
_TYPE_NAMES = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    _LIST: "a list of texts",
}
_CHOICES = {"scheduler": SCHEDULERS, "source": SOURCES, "api_format": API_FORMATS, "log_level": LOG_LEVELS}
_SERVERS = {
    "mongodb_url": ("mongodb", "mongodb+srv"),
    "mysql_url": ("mysql",),
    "api_url": ("http", "https"),
    "web_url": ("http", "https"),
}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; create it or unset TIEBA_CONFIG") from None
    except PermissionError:
        raise ConfigError(
            f"{path}: permission denied; join the group that may read it (tieba) or use sudo"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold one JSON object, not {type(values).__name__}")
    return values


def _from_text(key: str, value: str) -> Any:
    """Turn a variable's text into the key's type; a text that does not fit comes back as it is."""
    kind = _KEYS[key]
    try:
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
    except ValueError:
        return value
    if kind == _LIST:
        return [part.strip() for part in value.split(",")]
    return _TRUTH.get(value.lower(), value) if kind == "bool" else value


def _checked(key: str, value: Any, source: str) -> Any:
    kind = _KEYS.get(key)
    if kind is None:
        raise ConfigError(f"{source}: unknown key {key!r}; known are {', '.join(_KEYS)}")
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind == _LIST and isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = tuple(value)
    elif type(value).__name__ != kind:
        raise ConfigError(f"{source}: {key} must be {_TYPE_NAMES[kind]}, not {value!r}")
    wrong = _problem(key, value)
    if wrong:
        raise ConfigError(f"{source}: {key} must be {wrong}, not {_shown(key, value)}")
    return value


def _problem(key: str, value: Any) -> str | None:
    """Say what a value of the right type should be instead; None where it is fine."""
    if key == "redis_url":
        try:
            Address.parse(value)
        except ValueError as error:
            return str(error)
    elif key in _SERVERS:
        try:
            parts = urlsplit(value)
            fits = parts.scheme in _SERVERS[key] and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        like = f"{_SERVERS[key][0]}://host:port"
        if not fits:
            return f"a URL like {like}"
        if key in {"mongodb_url", "mysql_url"}:
            if not parts.path.strip("/"):
                return f"a URL with the database in its path, like {like}/tieba"
        elif parts.path.strip("/") or parts.query:
            return f"a URL without a path, like {like}"
    elif key == "storage":
        if not value or len(set(value)) < len(value) or not set(value) <= set(STORES):
            return f"one or several of {', '.join(STORES)}"
    elif key == "addresses":
        if len(set(value)) < len(value) or not all(map(_is_ipv4, value)):
            return "IPv4 addresses, each once"
    elif key == "pictures_store" and "://" in value:
        if not re.fullmatch(r"s3://[^/]+(/.*)?", value):
            return "a folder, or a bucket like s3://bucket/folder"
    elif key == "user_agent" and not (value.isascii() and value.isprintable() and value.strip()):
        return "a text of letters and signs of ASCII"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 < value < 1_000_000:
            return "more than 0 and less than 1000000"
    elif key in _CHOICES and value not in _CHOICES[key]:
        return f"one of {', '.join(_CHOICES[key])}"
    elif isinstance(value, str) and not value.strip():
        return "a text that is not empty"
    return None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _shown(key: str, value: Any) -> str:
    return (
        "a URL with another form"
        if key in {"redis_url", "mongodb_url", "mysql_url"} and "@" in str(value)
        else repr(list(value) if isinstance(value, tuple) else value)
    )
