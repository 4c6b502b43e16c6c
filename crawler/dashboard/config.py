"""The page's configuration: a JSON file, /etc/tieba/dashboard.json, or defaults for a trial without one."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tieba.config import Config, ConfigError, load, parse

DEFAULT_PATH = Path("/etc/tieba/dashboard.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set.

    Plain HTTP is served at `listen`:`port`, and with a `tls_port` also HTTPS, at all of the machine's
    addresses. `hosts` are names by which the page may be called besides localhost; `data_dir` keeps its
    search index, exports and what has been told by webhook and mail. Without `metrics_token` there are no
    metrics.
    """

    listen: str = "127.0.0.1"
    port: int = 8088
    tls_port: int | None = None
    tls_certificate: str = ""
    tls_key: str = ""
    hosts: tuple[str, ...] = ()
    password_hash: str = ""
    session_key: str = ""
    metrics_token: str = ""
    data_dir: str = "/var/lib/tieba-dashboard"
    public_url: str = ""
    webhook_url: str = ""
    mail_to: tuple[str, ...] = ()
    mail_from: str = ""
    mail_server: str = "smtp://127.0.0.1:25"
    crawler: Config = field(default_factory=Config)


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "int | None": (int, type(None)),
    "tuple[str, ...]": (list,),
}
_NAMES = {
    "str": "a text",
    "int": "an integer",
    "int | None": "an integer or null",
    "tuple[str, ...]": "a list",
}


def load_settings(path: Path | None) -> Settings:
    """Read the configuration; raises ConfigError that names file, key and value.

    Without a path the default file, which must exist then. Without a password it is refused: who wants to
    try the page starts it without a configuration (`trial_settings`).
    """
    path = path or DEFAULT_PATH
    values = _read(path)
    fields = {item.name: str(item.type) for item in dataclasses.fields(Settings)}
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{path}: unknown key {key!r}; known are {', '.join(fields)}")
        given[key] = (
            parse(value, f"{path}: crawler") if key == "crawler" else _checked(key, fields[key], value, path)
        )
    settings = Settings(**given)
    if not settings.password_hash or not settings.session_key:
        raise ConfigError(
            f"{path}: password_hash and session_key are needed; tieba-dashboard hash-password makes the first"
        )
    if settings.tls_port is not None and not (settings.tls_certificate and settings.tls_key):
        raise ConfigError(f"{path}: tls_port needs tls_certificate and tls_key")
    return settings


def trial_settings(password_hash: str, session_key: str, data_dir: Path) -> Settings:
    """Give what holds without a configuration: this machine alone, the crawler's own configuration."""
    return Settings(
        password_hash=password_hash, session_key=session_key, data_dir=str(data_dir), crawler=load()
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold one JSON object, not {type(values).__name__}")
    return values


def _checked(key: str, kind: str, value: Any, path: Path) -> Any:
    fits = isinstance(value, _TYPES[kind]) and not isinstance(value, bool)
    if fits and isinstance(value, list):
        fits = all(isinstance(item, str) for item in value)
    if not fits:
        raise ConfigError(f"{path}: {key} must be {_NAMES[kind]}, not {value!r}")
    if isinstance(value, int) and not 0 < value < 65_536:
        raise ConfigError(f"{path}: {key} must be a port, 1 to 65535, not {value}")
    return tuple(value) if isinstance(value, list) else value
