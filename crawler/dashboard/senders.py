"""Sends messages of alarms: as JSON to a webhook, and as mail."""

from __future__ import annotations

import ipaddress
import json
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from tieba.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECONDS = 10.0  # for a receiver to answer
_LONGEST_TEXT = 500  # characters of an alarm, which may quote the site
_LONGEST_SUBJECT = 150
_PORTS = {"smtp": 25, "smtps": 465}


class SendError(Exception):
    """A message was not taken; the text is one line, without passwords and without the address' path."""


@dataclass(frozen=True, slots=True)
class Message:
    """Alarms that began and that are over, at a Unix time; `page` is where more is to be seen, or empty.

    `unwatched` are those of which nobody can tell any more whether they are over.
    """

    at: float
    began: Sequence[Mapping[str, Any]]
    ended: Sequence[Mapping[str, Any]]
    unwatched: Sequence[Mapping[str, Any]] = ()
    page: str = ""

    @property
    def lines(self) -> list[str]:
        """What there is to tell, a line for each alarm."""
        return [
            *(f"alarm: {_one_line(alarm['text'])}" for alarm in self.began),
            *(f"over: {_one_line(alarm['text'])}" for alarm in self.ended),
            *(f"unknown: {_one_line(alarm['text'])}" for alarm in self.unwatched),
        ]


class Sender(Protocol):
    """Something that messages can be sent by."""

    def send(self, message: Message) -> None:
        """Send a message; returns once it is taken. Raises SendError. Called in a thread."""


class Webhook:
    """Posts a JSON object: `at`, `began`, `ended`, `unwatched` (lists of alarms), `url`; `text`, for chats.

    Raises ConfigError for an address that cannot be.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        host, _ = _place(url, "webhook_url", ("http", "https"))
        self._place = f"webhook at {host}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, message: Message) -> None:
        """Post a message; any answer 2xx means that it is taken."""
        body = {
            "text": "\n".join([*message.lines, *([message.page] if message.page else [])]),
            "at": message.at,
            "began": [dict(alarm) for alarm in message.began],
            "ended": [dict(alarm) for alarm in message.ended],
            "unwatched": [dict(alarm) for alarm in message.unwatched],
            "url": message.page,
        }
        headers = {"Content-Type": "application/json", "User-Agent": "tieba-dashboard"}
        try:
            request = urllib.request.Request(  # noqa: S310 - the operator's own address
                self._url, json.dumps(body).encode(), headers, method="POST"
            )
            with self._opener.open(request, timeout=_SECONDS):
                pass
        except urllib.error.HTTPError as error:
            error.close()
            raise SendError(f"{self._place} answers {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise SendError(f"{self._place}: {_one_line(str(reason)) or type(error).__name__}") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes an error of a redirect, which would make a GET of the POST."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Mail:
    """Sends mail through a server, `smtp://` or `smtps://[user:password@]host[:port]`.

    A password only goes over TLS with a certificate that is checked, or to this machine itself: with smtp://
    STARTTLS is asked for then. Raises ConfigError for an address that cannot be.
    """

    def __init__(self, server: str, sender: str, receivers: Sequence[str]) -> None:
        self._host, port = _place(server, "mail_server", tuple(_PORTS))
        parts = urlsplit(server)
        self._is_tls = parts.scheme == "smtps"
        self._port = port or _PORTS[parts.scheme]
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._sender = sender or f"tieba@{socket.getfqdn()}"
        self._receivers = tuple(receivers)

    def send(self, message: Message) -> None:
        """Hand a message to the server."""
        place = f"mail server {self._host}:{self._port}"
        try:
            with self._connect() as server:
                server.send_message(self._mail(message), self._sender, self._receivers)
        except smtplib.SMTPRecipientsRefused as error:
            refused = ", ".join(f"{who} ({code})" for who, (code, _) in error.recipients.items())
            raise SendError(f"{place} refuses {refused}") from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error
            told = said.decode(errors="replace") if isinstance(said, bytes) else said
            raise SendError(f"{place} says {error.smtp_code} {_one_line(told)}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise SendError(f"{place}: {_one_line(str(error)) or type(error).__name__}") from None

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._is_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=_SECONDS, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=_SECONDS)
        try:
            if self._login is not None:
                if not self._is_tls and not _is_here(self._host):
                    server.starttls(context=context)
                server.login(*self._login)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._receivers)
        first, *others = message.lines
        more = f" (and {len(others)} more)" if others else ""
        mail["Subject"] = f"tieba {first[:_LONGEST_SUBJECT]}{more}"
        mail["Date"] = formatdate(message.at, localtime=True)
        mail["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # nobody's absence answers
        mail.set_content("\n".join([*message.lines, "", message.page]).rstrip() + "\n")
        return mail


def _place(url: str, key: str, schemes: Sequence[str]) -> tuple[str, int | None]:
    """Give host and port of an address; the error does not show it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ConfigError(f"{key} must be an address like {schemes[-1]}://host:port")


def _one_line(text: str) -> str:
    """Give a text as one line that can do no harm in a header or on a terminal."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split())[:_LONGEST_TEXT]


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
