"""Settings of the stand-in site: a JSON file, every key optional; unknown keys and wrong types are errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from replica.world import MAX_FORUMS, MAX_LIST_PAGES, ForumSettings

if TYPE_CHECKING:
    from pathlib import Path

MAX_FLOORS_PER_THREAD = 100.0
RATE_LIMIT_ANSWERS = ("429", "html", "mixed")


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and how often. Everything is off by default.

    A share (0 to 1) is that of logical requests (endpoint and parameters), chosen by the seed, whose
    first attempt goes wrong: a retry succeeds. A rate is answers per second for each client address, 0
    for no limit.
    """

    threads_rate: float = 0.0
    posts_rate: float = 0.0
    comments_rate: float = 0.0
    burst: float = 60.0
    rate_limit_answer: str = "mixed"
    verification_share: float = 0.0
    error_share: float = 0.0


# Small enough to look through, large enough that a crawl of 1,000 threads is work for a cluster.
DEFAULT_FORUMS = (
    ForumSettings("聊天", 32, 28.0),
    ForumSettings("python", 6, 12.0),
    ForumSettings("显卡", 4, 9.0),
    ForumSettings("读书", 3, 7.0),
    ForumSettings("猫", 1, 5.0),
)


@dataclass(frozen=True)
class Config:
    """All settings."""

    host: str = "0.0.0.0"  # noqa: S104 - the other machines of a cluster have to reach it
    port: int = 8080
    seed: int = 1
    latency_ms: float = 0.0
    forums: tuple[ForumSettings, ...] = DEFAULT_FORUMS
    faults: Faults = field(default_factory=Faults)
    hostile: bool = False


CONFIG_HELP = f"""\
keys of the configuration file (JSON; all optional, defaults in brackets):
  host, port      address to listen on ["0.0.0.0", 8080]; port 0 takes a free one
  seed            the whole content follows from it and from the forums [1]
  latency_ms      wait before every answer of the API, in milliseconds [0]
  forums          list of {{"name": …, "pages": list pages of 50 threads (1 to {MAX_LIST_PAGES}),
                  "floors_per_thread": mean (1 to {MAX_FLOORS_PER_THREAD:g}) [10]}}
                  [{", ".join(f"{name} {pages} pages" for name, pages, _ in DEFAULT_FORUMS)}]
  hostile         true: titles, texts and names have markup, control characters and marks that turn the
                  direction of text around in them, and one name has 100 KB [false]
  faults          object, everything off by default:
    threads_rate, posts_rate, comments_rate
                  answers per second for each client address, 0 = no limit [0]
    burst         how many answers may come at once before a rate counts [60]
    rate_limit_answer
                  "429", "html" (the page titled 贴吧404, HTTP 200; web pages answer 429 all the
                  same) or "mixed" ["mixed"]
    verification_share
                  share (0 to 1) of requests whose first attempt gets the safety page (HTTP 403; for
                  web pages also HTTP 200, or a redirect to the captcha) [0]
    error_share   share (0 to 1) of requests whose first attempt gets HTTP 500 [0]
"""


def load(path: Path) -> Config:
    """Read a configuration file; raises ConfigError."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; give another file with --config"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8; save it as UTF-8 JSON") from None
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from None
    try:
        return parse(value)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(value: object) -> Config:
    """Check a decoded configuration; raises ConfigError."""
    given = _object(value, "the configuration", [item.name for item in fields(Config)])
    default = Config()
    host = given.get("host", default.host)
    if not isinstance(host, str) or not host:
        raise ConfigError(f'host: {host!r} is not an address; use text such as "127.0.0.1"')
    return Config(
        host=host,
        port=_integer(given, "port", default.port, 0, 65_535),
        seed=_integer(given, "seed", default.seed, 0, 2**32 - 1),
        latency_ms=_number(given, "latency_ms", default.latency_ms, 0, 60_000),
        forums=_forums(given["forums"]) if "forums" in given else default.forums,
        faults=_faults(given.get("faults", {})),
        hostile=_boolean(given, "hostile", default.hostile),
    )


def _forums(value: object) -> tuple[ForumSettings, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FORUMS:
        raise ConfigError(f"forums: {_show(value)} is not a list of 1 to {MAX_FORUMS} forums")
    forums: list[ForumSettings] = []
    for number, item in enumerate(value):
        where = f"forums[{number}]"
        given = _object(item, where, ForumSettings._fields)
        name = given.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"{where}.name: {name!r} is not a name; give text that is not empty")
        if any(name == forum.name for forum in forums):
            raise ConfigError(f"{where}.name: {name!r} is there twice; give every forum its own name")
        pages = _integer(given, "pages", 1, 1, MAX_LIST_PAGES, where)
        floors = _number(given, "floors_per_thread", 10, 1, MAX_FLOORS_PER_THREAD, where)
        forums.append(ForumSettings(name, pages, floors))
    return tuple(forums)


def _faults(value: object) -> Faults:
    names = [item.name for item in fields(Faults)]
    given = _object(value, "faults", names)
    default = Faults()
    answer = given.get("rate_limit_answer", default.rate_limit_answer)
    if answer not in RATE_LIMIT_ANSWERS:
        choices = ", ".join(RATE_LIMIT_ANSWERS)
        raise ConfigError(f"faults.rate_limit_answer: {answer!r} is not one of {choices}")
    return Faults(
        threads_rate=_number(given, "threads_rate", default.threads_rate, 0, 1e6, "faults"),
        posts_rate=_number(given, "posts_rate", default.posts_rate, 0, 1e6, "faults"),
        comments_rate=_number(given, "comments_rate", default.comments_rate, 0, 1e6, "faults"),
        burst=_number(given, "burst", default.burst, 1, 1e6, "faults"),
        rate_limit_answer=answer,
        verification_share=_number(given, "verification_share", default.verification_share, 0, 1, "faults"),
        error_share=_number(given, "error_share", default.error_share, 0, 1, "faults"),
    )


def _object(value: object, where: str, names: list[str] | tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {_show(value)} is not an object with the keys {', '.join(names)}")
    for key in value:
        if key not in names:
            raise ConfigError(f"{where}: key {key!r} is unknown; the keys are {', '.join(names)}")
    return value


def _boolean(given: dict[str, Any], key: str, default: bool) -> bool:
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{key}: {_show(value)} is not true or false")
    return value


def _integer(given: dict[str, Any], key: str, default: int, low: int, high: int, where: str = "") -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{_name(where, key)}: {_show(value)} is not a whole number from {low} to {high}")
    return value


def _number(
    given: dict[str, Any], key: str, default: float, low: float, high: float, where: str = ""
) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{_name(where, key)}: {_show(value)} is not a number from {low:g} to {high:g}")
    return float(value)


def _name(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
