"""Tells of alarms by webhook and by mail: once when they begin, and once when they are over.

Of a machine that was silent for so long that it is not watched any more it is told just that: nobody knows
whether its alarms are over.

What each receiver was told is kept in a file, so that a restart repeats nothing; what it could not be told is
tried again, after growing waits. Only what is still true is told then: an alarm that came and went meanwhile
is not. Where the process dies between sending and writing the file, a message is sent twice.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dashboard.senders import Mail, Message, SendError, Webhook
from tieba.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dashboard.senders import Sender

    Alarm = Mapping[str, Any]

_HERE = "smtp://127.0.0.1:25"  # a machine's own mail server
_SETTLE_SECONDS = 10.0  # for which an alarm has to last, or to be over: what comes and goes is not told
_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3_600.0
_CLOSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Receivers(Protocol):
    """Who is to be told; an empty address is nobody. As in dashboard.json."""

    @property
    def webhook_url(self) -> str:
        """Where a JSON object is posted to."""

    @property
    def mail_to(self) -> Sequence[str]:
        """Addresses of people."""

    @property
    def mail_from(self) -> str:
        """The sender's address; by default one of this machine."""

    @property
    def mail_server(self) -> str:
        """smtp://host:port, smtps://host:port, with user:password@ before the host; empty: this machine's."""

    @property
    def public_url(self) -> str:
        """Where the page is, for people who are told."""


@dataclass(slots=True)
class _Channel:
    """A receiver, and the alarms that it was told of and not yet of their end."""

    sender: Sender
    told: dict[str, Alarm] = field(default_factory=dict)
    sending: asyncio.Task[None] | None = None
    wait: float = _FIRST_WAIT_SECONDS
    not_before: float = 0.0


class Notifier:
    """Looks at the alarms of each moment, and tells of what has changed.

    Raises ConfigError for addresses that cannot be.
    """

    def __init__(
        self,
        receivers: Receivers,
        state_path: Path,
        *,
        settle_seconds: float = _SETTLE_SECONDS,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
    ) -> None:
        self._path = state_path
        self._settle_seconds = settle_seconds
        self._first_wait = first_wait_seconds
        self._page = receivers.public_url
        self._standing: dict[str, Alarm] = {}  # alarms that have lasted, and are not yet over for good
        self._unwatched: dict[str, Alarm] = {}  # what is told of these in place of their end
        self._changing: dict[str, float] = {}  # since when one is there, or over, that was not so before
        self._channels: dict[str, _Channel] = {}
        if receivers.webhook_url:
            self._channels["webhook"] = _Channel(Webhook(receivers.webhook_url))
        if receivers.mail_to:
            mail = Mail(receivers.mail_server or _HERE, receivers.mail_from, receivers.mail_to)
            self._channels["mail"] = _Channel(mail)
        for channel in self._channels.values():
            channel.wait = first_wait_seconds
        self._load()

    async def look(self, alarms: Sequence[Alarm], now: float) -> None:
        """Take note of the alarms that there are at the Unix time `now`; what is sent is sent behind.

        Those with `is_watched: False` are not there; nobody knows whether they are over.
        """
        known = {_key(alarm): alarm for alarm in alarms}
        self._unwatched = {key: alarm for key, alarm in known.items() if not alarm.get("is_watched", True)}
        self._settle({key: alarm for key, alarm in known.items() if key not in self._unwatched}, now)
        for channel in self._channels.values():
            is_idle = channel.sending is None or channel.sending.done()
            if not is_idle or now < channel.not_before:
                continue
            # What may be over is not told any more as having begun.
            standing = {
                key: alarm
                for key, alarm in self._standing.items()
                if key in channel.told or key not in self._changing
            }
            if standing.keys() != channel.told.keys():
                channel.sending = asyncio.create_task(self._send(channel, standing, now))

    async def close(self) -> None:
        """Let what is being sent be sent, for a while."""
        sending = {channel.sending for channel in self._channels.values() if channel.sending is not None}
        if sending:
            await asyncio.wait(sending, timeout=_CLOSE_SECONDS)

    def _settle(self, present: Mapping[str, Alarm], now: float) -> None:
        # Without Redis, or a page that understands it, nobody knows of the others.
        is_blind = any(alarm["name"] in {"redis_away", "page_fault"} for alarm in present.values())
        for key in {**present, **self._standing}:
            is_new = key in present and key not in self._standing
            is_over = key not in present and key in self._standing and not is_blind
            if not is_new and not is_over:
                self._changing.pop(key, None)
            elif now - self._changing.setdefault(key, now) >= self._settle_seconds:
                del self._changing[key]
                if is_over:
                    del self._standing[key]
                else:
                    self._standing[key] = dict(present[key])
        for key in self._changing.keys() - present.keys() - self._standing.keys():
            del self._changing[key]  # it went before it was told

    async def _send(self, channel: _Channel, standing: dict[str, Alarm], now: float) -> None:
        began = tuple(alarm for key, alarm in standing.items() if key not in channel.told)
        over = {key: alarm for key, alarm in channel.told.items() if key not in standing}
        message = Message(
            at=now,
            began=began,
            ended=tuple(alarm for key, alarm in over.items() if key not in self._unwatched),
            unwatched=tuple(self._unwatched[key] for key in over if key in self._unwatched),
            page=self._page,
        )
        try:
            await asyncio.to_thread(channel.sender.send, message)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and tried again
            channel.not_before = now + channel.wait
            told = error if isinstance(error, SendError) else f"{type(error).__name__}: {error}"
            logger.warning("Alarms are not told: %s; again in %.0f s", told, channel.wait)
            channel.wait = min(channel.wait * 2, _LONGEST_WAIT_SECONDS)
            return
        channel.told = standing
        channel.wait, channel.not_before = self._first_wait, 0.0
        self._save()

    def _load(self) -> None:
        """Go on from what was told before; a file that cannot be read is as none."""
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            known = {name: {_key(alarm): alarm for alarm in state.get(name, [])} for name in self._channels}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning("%s cannot be read, so alarms may be told twice: %s", self._path, error)
            return
        for name, channel in self._channels.items():
            channel.told = dict(known[name])
            self._standing |= known[name]

    def _save(self) -> None:
        state = {name: list(channel.told.values()) for name, channel in self._channels.items()}
        try:
            with whole_file(self._path) as file:
                file.write(json.dumps(state, ensure_ascii=False).encode())
        except OSError as error:
            logger.warning("%s cannot be written, so alarms may be told twice: %s", self._path, error)


def _key(alarm: Alarm) -> str:
    """Give what is equal for one alarm at all times; its text changes."""
    return f"{alarm['name']} {alarm['subject']}"
