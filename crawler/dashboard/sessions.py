"""Who is logged in: signed cookies, tokens against forged forms, and a limit on guessing the password."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tieba.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SESSION_SECONDS = 24 * 3600.0
_ID_BYTES = 16

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's visit; `until` in Unix seconds. Before the login it only ties forms to the browser."""

    id: str
    until: int
    is_login: bool


class Sessions:
    """Makes and reads the cookies of sessions; nothing of them is kept but which have been ended early."""

    def __init__(
        self, session_key: str, password_hash: str, ended_file: Path, clock: Callable[[], float] = time.time
    ) -> None:
        # With another password all sessions end.
        self._key = hmac.digest(session_key.encode(), password_hash.encode(), "sha256")
        self._clock = clock
        self._ended_file = ended_file
        self._ended = _read(ended_file)

    def new(self, *, is_login: bool) -> Session:
        """Begin a session."""
        return Session(secrets.token_urlsafe(_ID_BYTES), round(self._clock() + SESSION_SECONDS), is_login)

    def cookie(self, session: Session) -> str:
        """Give the cookie's value."""
        text = f"{session.id}.{session.until}.{int(session.is_login)}"
        return f"{text}.{self._sign('session', text)}"

    def read(self, cookie: str) -> Session | None:
        """Give the session of a cookie's value; None for one that is forged, over or ended."""
        text, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._sign("session", text).encode(), signature.encode()):
            return None
        id_, until, is_login = text.split(".")
        session = Session(id_, int(until), is_login == "1")
        return session if self.is_on(session) else None

    def is_on(self, session: Session) -> bool:
        """Tell whether a session goes on."""
        return self._clock() < session.until and session.id not in self._ended

    def end(self, session: Session) -> None:
        """End a session before its time, also for copies of its cookie.

        Where that cannot be written, only until a restart.
        """
        now = self._clock()
        self._ended = {id_: until for id_, until in self._ended.items() if until > now}
        self._ended[session.id] = session.until
        try:
            with whole_file(self._ended_file) as file:
                file.write(json.dumps(self._ended).encode())
        except OSError as error:
            logger.warning("After a restart a session will go on that was ended: %s", error)

    def form_token(self, session: Session) -> str:
        """Give what every form of the session has to send back."""
        return self._sign("form", session.id)

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose} {text}".encode(), hashlib.sha256).hexdigest()


def _read(path: Path) -> dict[str, int]:
    """Give what has been ended; nothing where the file is damaged, which must not keep the page away."""
    if not path.exists():
        return {}
    try:
        return {id_: int(until) for id_, until in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as error:
        logger.warning("%s is damaged, and taken as empty: ended sessions may go on: %s", path, error)
        return {}


class Throttle:
    """Limits the wrong passwords: some at once, then one every so many seconds, by address and in all.

    Who comes from this machine, as all tunnels do, cannot be told apart by address: they have one limit
    together, which no stranger uses up.
    """

    _MOST_ADDRESSES = 10_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._local, self._foreign = (_Bucket(burst=50, seconds=2.0) for _ in range(2))
        self._by_address: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> float:
        """Ask for one attempt: gives 0, or after how many seconds to ask again."""
        now, buckets = self._clock(), self._buckets(_network(address))
        wait = max(bucket.wait(now) for bucket in buckets)
        if not wait:
            for bucket in buckets:
                bucket.take(now)
        return wait

    def give_back(self, address: str) -> None:
        """Do not count an attempt: the password was right."""
        network = _network(address)
        self._buckets(network)[0].left += 1
        if network is not None:
            del self._by_address[network]

    def _buckets(self, network: str | None) -> list[_Bucket]:
        """Give the limits that hold for somebody: of all of a kind, and of one address."""
        if network is None:
            return [self._local]
        bucket = self._by_address.setdefault(network, _Bucket(burst=5, seconds=30.0))
        self._by_address.move_to_end(network)
        if len(self._by_address) > self._MOST_ADDRESSES:
            self._by_address.popitem(last=False)
        return [self._foreign, bucket]


class _Bucket:
    """A token bucket: `burst` at once, another one after every `seconds`."""

    def __init__(self, *, burst: float, seconds: float) -> None:
        self._burst, self._seconds = burst, seconds
        self.left, self._at = burst, 0.0

    def wait(self, now: float) -> float:
        self.left = min(
            self._burst, self.left + (now - self._at) / self._seconds if self._at else self._burst
        )
        self._at = now
        return 0.0 if self.left >= 1 else (1 - self.left) * self._seconds

    def take(self, now: float) -> None:
        self.wait(now)
        self.left -= 1


def _network(address: str) -> str | None:
    """Give what one attacker can be told by: an IPv4 address, or the /64 network of an IPv6 address.

    None for this machine's own, from which tunnels come. IPv4 addresses come to a socket for both kinds as
    ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 6:
        found = found.ipv4_mapped or found
    if found.is_loopback:
        return None
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
