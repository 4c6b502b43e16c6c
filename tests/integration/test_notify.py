"""Alarms by webhook and mail, to receivers of the tests' own: a web server and a mail server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dashboard.notify import Notifier
from dashboard.senders import Mail, Message, SendError, Webhook
from tests.certificates import make_certificates
from tests.conftest import free_port
from tieba.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

SILENT = {
    "name": "slave_silent",
    "subject": "slave1",
    "text": "slave1 is silent\r\nX: <script>",
    "since": 1.0,
}
NOTHING = {"name": "nothing_stored", "subject": "", "text": "nothing stored for 10 min 1 s", "since": 400.0}
AWAY = {"name": "redis_away", "subject": "", "text": "Redis does not answer", "since": None}
PASSWORD = "p@ss:word/"


@dataclass(frozen=True)
class Receivers:
    webhook_url: str = ""
    mail_to: tuple[str, ...] = ()
    mail_from: str = ""
    mail_server: str = ""
    public_url: str = "https://tieba.example:8443"


class Hook:
    """A web server that takes messages, or answers with `status` while there is one."""

    def __init__(self) -> None:
        self.status = 200
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.status == 200:
                    hook.taken.append(json.loads(body))
                self.send_response(hook.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret/path"

    @property
    def told(self) -> list[tuple[list[str], list[str]]]:
        """What was told: names of alarms that began, and that were over."""
        return [
            ([alarm["name"] for alarm in taken["began"]], [alarm["name"] for alarm in taken["ended"]])
            for taken in self.taken
        ]


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


class Mailbox:
    """Takes mail, unless it is for nobody@."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[str, str]] = []

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("nobody@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["X-Receivers"] = ",".join(envelope.rcpt_tos)
        self.mails.append(mail)  # type: ignore[arg-type]
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, authenticator=box.authenticate, **options)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


async def look(notifier: Notifier, *alarms: dict[str, Any], now: float) -> None:
    """Look, and wait until what is sent is sent."""
    await notifier.look(alarms, now)
    await notifier.close()


async def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over(
    hook: Hook, tmp_path: Path
) -> None:
    with mail_server() as (box, port):
        receivers = Receivers(hook.url, ("a@example.com", "b@example.com"), "", f"smtp://127.0.0.1:{port}")
        notifier = Notifier(receivers, tmp_path / "told.json")
        for now in range(100, 120):
            await look(notifier, SILENT, now=now)
        assert hook.told == [(["slave_silent"], [])]
        for now in range(120, 140):
            await look(notifier, NOTHING, now=now)
        assert hook.told[1:] == [(["nothing_stored"], ["slave_silent"])]
        for now in range(140, 160):
            await look(notifier, now=now)
    assert hook.told[2:] == [([], ["nothing_stored"])]

    first = hook.taken[0]
    assert first["began"] == [SILENT]
    assert first["url"] == "https://tieba.example:8443"
    assert first["text"].splitlines() == ["alarm: slave1 is silent X: <script>", first["url"]]
    assert len(box.mails) == 3
    mail = box.mails[0]
    assert mail["X-Receivers"] == "a@example.com,b@example.com"
    assert mail["Subject"] == "tieba alarm: slave1 is silent X: <script>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X"] is None
    assert mail.get_content().splitlines() == ["alarm: slave1 is silent X: <script>", "", first["url"]]
    assert box.mails[1]["Subject"] == "tieba alarm: nothing stored for 10 min 1 s (and 1 more)"
    assert "over: slave1 is silent" in box.mails[1].get_content()


async def test_what_comes_and_goes_is_not_told(hook: Hook, tmp_path: Path) -> None:
    notifier = Notifier(Receivers(hook.url), tmp_path / "told.json")
    for now in range(0, 300, 5):
        await look(notifier, *([SILENT] if now % 10 else []), NOTHING, now=now)
    assert hook.told == [(["nothing_stored"], [])]


async def test_without_redis_the_other_alarms_are_not_over(hook: Hook, tmp_path: Path) -> None:
    notifier = Notifier(Receivers(hook.url), tmp_path / "told.json", settle_seconds=0)
    await look(notifier, SILENT, now=100)
    for now in range(101, 160):
        await look(notifier, AWAY, now=now)
    await look(notifier, now=160)
    assert hook.told == [(["slave_silent"], []), (["redis_away"], []), ([], ["slave_silent", "redis_away"])]


async def test_what_nobody_watches_any_more_is_not_over(hook: Hook, tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    notifier = Notifier(Receivers(hook.url), path, settle_seconds=0)
    await look(notifier, SILENT, now=100)
    gone = {**SILENT, "text": "slave1 is not watched any more", "is_watched": False}
    for now in (200, 201):
        await look(Notifier(Receivers(hook.url), path, settle_seconds=0), gone, now=now)
    assert hook.told == [(["slave_silent"], []), ([], [])]
    last = hook.taken[-1]
    assert [alarm["subject"] for alarm in last["unwatched"]] == ["slave1"]
    assert last["text"].splitlines()[0] == "unknown: slave1 is not watched any more"


async def test_a_restart_repeats_nothing_and_tells_what_ended_meanwhile(hook: Hook, tmp_path: Path) -> None:
    path = tmp_path / "told.json"

    def start() -> Notifier:
        return Notifier(Receivers(hook.url), path, settle_seconds=10)

    notifier = start()
    for now in (100, 110):
        await look(notifier, SILENT, NOTHING, now=now)
    notifier = start()
    for now in (120, 130, 140):
        await look(notifier, SILENT, now=now)
    notifier = start()
    for now in (150, 160, 170):
        await look(notifier, SILENT, now=now)
    assert hook.told == [(["slave_silent", "nothing_stored"], []), ([], ["nothing_stored"])]
    assert os.listdir(tmp_path) == ["told.json"]  # noqa: PTH208


@pytest.mark.parametrize("content", ["", "[]", '{"webhook": [1]}', '{"webhook": {"a": 1}}', "\0"])
async def test_a_broken_file_is_as_none(hook: Hook, tmp_path: Path, content: str) -> None:
    (tmp_path / "told.json").write_text(content)
    notifier = Notifier(Receivers(hook.url), tmp_path / "told.json", settle_seconds=0)
    await look(notifier, SILENT, now=100)
    assert hook.told == [(["slave_silent"], [])]
    assert json.loads((tmp_path / "told.json").read_text()) == {"webhook": [SILENT]}


async def test_a_file_that_cannot_be_written_stops_no_message(hook: Hook, tmp_path: Path) -> None:
    notifier = Notifier(Receivers(hook.url), tmp_path / "missing" / "told.json", settle_seconds=0)
    for now in (100, 101):
        await look(notifier, SILENT, now=now)
    assert len(hook.taken) == 1


async def test_a_receiver_that_is_away_is_asked_again_after_growing_waits(
    hook: Hook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 503
    with mail_server() as (box, port):
        receivers = Receivers(hook.url, ("a@example.com",), "", f"smtp://127.0.0.1:{port}")
        notifier = Notifier(receivers, tmp_path / "told.json", settle_seconds=0)
        with caplog.at_level(logging.WARNING):
            asked = []
            for now in range(0, 1_000, 5):
                before = hook.asked
                await look(notifier, SILENT, now=now)
                asked += [now] * (hook.asked - before)
        assert asked == [0, 30, 90, 210, 450, 930]
        assert len(box.mails) == 1  # the one does not hold up the other
    assert "webhook at 127.0.0.1 answers 503; again in 30 s" in caplog.text
    assert "secret" not in caplog.text
    hook.status = 200
    await look(notifier, SILENT, NOTHING, now=2_000)
    assert hook.told == [(["slave_silent", "nothing_stored"], [])]  # with what came meanwhile


async def test_what_came_and_went_while_a_receiver_was_away_is_not_told(hook: Hook, tmp_path: Path) -> None:
    hook.status = 500
    notifier = Notifier(Receivers(hook.url), tmp_path / "told.json", settle_seconds=0)
    await look(notifier, SILENT, now=0)
    hook.status = 200
    await look(notifier, now=10)
    await look(notifier, now=100)
    assert (hook.asked, hook.taken) == (1, [])


async def test_looking_does_not_wait_for_a_slow_receiver(tmp_path: Path) -> None:
    connected, has_looked = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: Any, writer: Any) -> None:
        connected.set()
        await has_looked.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    notifier = Notifier(Receivers(f"http://127.0.0.1:{port}/"), tmp_path / "told.json", settle_seconds=0)
    started = asyncio.get_running_loop().time()
    for now in range(10):
        await notifier.look([SILENT], now)
    assert asyncio.get_running_loop().time() - started < 5
    await asyncio.wait_for(connected.wait(), 30)
    has_looked.set()
    await notifier.close()
    server.close()


def message() -> Message:
    return Message(at=1e9, began=(SILENT,), ended=(), page="")


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_answers_other_than_2xx_are_no_success(hook: Hook, status: int) -> None:
    hook.status = status
    with pytest.raises(SendError, match=f"^webhook at 127.0.0.1 answers {status}$"):
        Webhook(hook.url).send(message())
    assert hook.asked == 1


def test_receivers_that_cannot_be_reached_are_one_line() -> None:
    for sender in (
        Webhook(f"http://127.0.0.1:{free_port()}/secret"),
        Mail(f"smtp://u:secret@127.0.0.1:{free_port()}", "", ["a@example.com"]),
    ):
        with pytest.raises(SendError) as failure:
            sender.send(message())
        assert "refused" in str(failure.value)
        assert "secret" not in str(failure.value)
        assert len(str(failure.value).splitlines()) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.com", "http://", "http://x:y:z"])
def test_addresses_that_cannot_be_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^webhook_url must be an address like https://host:port$"):
        Notifier(Receivers(url), tmp_path / "told.json")
    with pytest.raises(ConfigError, match=r"^mail_server must be an address like smtps://host:port$"):
        Notifier(Receivers(mail_to=("a@example.com",), mail_server=url), tmp_path / "told.json")


def test_without_a_mail_server_it_is_this_machines(tmp_path: Path) -> None:
    Notifier(Receivers(mail_to=("a@example.com",)), tmp_path / "told.json")


def test_mail_that_is_refused_is_an_error(tmp_path: Path) -> None:
    with mail_server() as (box, port):
        with pytest.raises(SendError, match=r"refuses nobody@example\.com \(550\)"):
            Mail(f"smtp://127.0.0.1:{port}", "", ["nobody@example.com"]).send(message())
        Mail(f"smtp://127.0.0.1:{port}", "", ["nobody@example.com", "a@example.com"]).send(message())
        assert [mail["X-Receivers"] for mail in box.mails] == ["a@example.com"]


def test_mail_goes_over_tls_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, certificate = make_certificates(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    login = "bot:p%40ss%3Aword%2F"
    monkeypatch.setattr("dashboard.senders._is_here", lambda host: False)  # as if it were elsewhere
    with mail_server(tls_context=context, require_starttls=True, auth_require_tls=True) as (box, port):
        mail = Mail(f"smtp://{login}@localhost:{port}", "tieba@example.com", ["a@example.com"])
        with pytest.raises(SendError, match="certificate verify failed"):
            mail.send(message())
        assert box.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        mail.send(message())
        assert box.logins == [("bot", PASSWORD)]
        with pytest.raises(SendError, match="says 535") as failure:
            Mail(f"smtp://bot:wrong@localhost:{port}", "", ["a@example.com"]).send(message())
        assert "wrong" not in str(failure.value)
    with mail_server(ssl_context=context) as (box, port):
        Mail(f"smtps://localhost:{port}", "tieba@example.com", ["a@example.com"]).send(message())
        assert len(box.mails) == 1
    with mail_server(auth_require_tls=False) as (box, port):  # which knows no TLS
        with pytest.raises(SendError):
            Mail(f"smtp://{login}@127.0.0.1:{port}", "", ["a@example.com"]).send(message())
        assert box.logins == []
        monkeypatch.undo()
        Mail(f"smtp://{login}@127.0.0.1:{port}", "", ["a@example.com"]).send(message())
        assert box.logins == [("bot", PASSWORD)]
