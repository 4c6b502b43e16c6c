"""What is known now, for all who look: one asks the servers, each part of a page is rendered once a language.

Viewers get server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): every part of
their page at first, then those that changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from dashboard.facts import alarms, shown
from dashboard.pages import LANGUAGES, templates
from frontier.connection import ERRORS
from tieba.errors import Unusable
from tieba.machine import disk_free_mb
from tieba.phrases import Phrase, phrase_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from tieba.status import Watcher

    Status = dict[str, Any]

# The parts of each page that change by themselves: templates/live/NAME.html.
EVERYWHERE = ("state", "alarms", "announced")
PARTS = {
    "page": EVERYWHERE,
    "overview": (
        *EVERYWHERE, "progress", "numbers", "history", "slaves", "slots", "outcomes", "machines", "crawls",
    ),
    "queue": (*EVERYWHERE, "queues"),
}  # fmt: skip
_BUSY_SECONDS, _IDLE_SECONDS = 1.0, 5.0  # between two looks, while somebody watches and while nobody does
_STALE_SECONDS = 7.0  # older numbers tell their age
_MACHINE_SECONDS = 5.0
_DISK_PATH = "/var/lib"
_SILENT_ROUNDS = 15
_RETRY_MILLISECONDS = 2_000  # after which a browser that lost the connection asks again

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last status, from `at` on the monotonic clock, and why there is no newer one.

    The `problem` is Redis', or the page's own where it `is_fault`. `stored` are the last counts of the store,
    from `stored_at`.
    """

    status: Status | None = None
    at: float = 0.0
    problem: str | None = None
    is_fault: bool = False
    stored: Mapping[str, int] = field(default_factory=dict)
    stored_at: float = 0.0

    @property
    def age(self) -> float:
        """Seconds since the status was got."""
        return time.monotonic() - self.at

    @property
    def is_stale(self) -> bool:
        """Whether there should be newer numbers."""
        return bool(self.problem) or (self.status is not None and self.age > _STALE_SECONDS)

    @property
    def stored_age(self) -> float:
        """Seconds since the store was counted."""
        return time.monotonic() - self.stored_at


class Fragments:
    """The parts of a page in one language, rendered when first asked for."""

    def __init__(self, language: str, values: Mapping[str, Any]) -> None:
        self._language = language
        self._values = values
        self._rendered: dict[str, Markup] = {}

    def __getitem__(self, name: str) -> Markup:
        if name not in self._rendered:
            template = templates(self._language).get_template(f"live/{name}.html")
            self._rendered[name] = Markup(template.render(self._values).strip())  # noqa: S704 - escaped there
        return self._rendered[name]


class Live:
    """Asks Redis and the store again and again, and tells everybody who watches.

    `look_at` is given the alarms of each moment, and the Unix time.
    """

    def __init__(
        self,
        watcher: Watcher,
        look_at: Callable[[list[Status], float], Awaitable[None]],
    ) -> None:
        self._watcher = watcher
        self._look_at = look_at
        self.snapshot = Snapshot()
        self._looking = asyncio.Lock()  # so that nothing older takes the place of what is newer
        self._fragments: dict[str, Fragments] = {}
        self._feeds: dict[tuple[str, str], _Feed] = {}
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._is_over = False

    @property
    def viewers(self) -> int:
        """How many watch."""
        return sum(feed.viewers for feed in self._feeds.values())

    def fragments(self, language: str) -> Fragments:
        """Give the parts of pages as they are now."""
        if language not in self._fragments:
            self._fragments[language] = Fragments(language, shown(self.snapshot))
        return self._fragments[language]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look and tell until the block ends."""
        tasks = [asyncio.create_task(work()) for work in (self._look, self._tell, self._tell_machine)]
        try:
            yield
        finally:
            self.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Let all streams end."""
        self._is_over = True
        for feed in self._feeds.values():
            feed.publish({})

    async def stream(self, page: str, language: str, is_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Give the events of a viewer, while `is_on` holds."""
        feed = self._feeds.setdefault((page, language), _Feed())
        feed.viewers += 1
        if feed.viewers == 1:
            self._publish(page, language, feed)
        self._wake.set()
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            seen = silent = 0
            while is_on() and not self._is_over:
                news, seen = feed.since(seen), feed.version
                silent = 0 if news else silent + 1
                if news or silent >= _SILENT_ROUNDS:
                    silent = 0
                    yield news or b":\n\n"  # a comment, by which a connection that broke is noticed
                if feed.version == seen:
                    await feed.next()
        finally:
            feed.viewers -= 1

    async def refresh(self) -> None:
        """Look now, since something was done."""
        await self._look_once()

    async def _look(self) -> None:
        while True:
            await self._look_once()
            wait = _BUSY_SECONDS if self.viewers else _IDLE_SECONDS
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
                await asyncio.sleep(_BUSY_SECONDS / 2)  # many may come at once
            self._wake.clear()

    async def _look_once(self) -> None:
        async with self._looking:
            await self._ask()

    async def _ask(self) -> None:
        before = self.snapshot
        try:
            status = await self._watcher.status()
            now = time.monotonic()
            stored, stored_at = (
                (status["stored"], now) if status["stored"] else (before.stored, before.stored_at)
            )
            snapshot = Snapshot(status, now, stored=stored, stored_at=stored_at)
            _check(snapshot)  # one that cannot be shown does not take the place of one that can
            self.snapshot = snapshot
        except Unusable as problem:
            self.snapshot = replace(before, problem=phrase_of(problem), is_fault=False)
        except Exception as error:
            logger.exception("Cannot tell how the crawl goes")
            fault = f"{type(error).__name__}: {error}"
            text = Phrase("the page cannot tell how the crawl goes: %(fault)s", fault=fault)
            self.snapshot = replace(before, problem=text, is_fault=True)
        self._fragments = {}
        self._news.set()
        try:
            await self._look_at(alarms(self.snapshot), time.time())
        except Exception:
            logger.exception("Cannot tell of alarms")

    async def _tell(self) -> None:
        while True:
            # While there is nothing new at least the age of the numbers changes.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), _BUSY_SECONDS)
            self._news.clear()
            if self.snapshot.is_stale:
                self._fragments = {}
            for (page, language), feed in self._feeds.items():
                if feed.viewers:
                    try:
                        self._publish(page, language, feed)
                    except Exception:
                        logger.exception("Cannot tell how the crawl goes")

    def _publish(self, page: str, language: str, feed: _Feed) -> None:
        fragments = self.fragments(language)
        feed.publish({name: fragments[name] for name in PARTS[page]})

    async def _tell_machine(self) -> None:
        """Let the status know of this machine's disk, as workers do of theirs."""
        while True:
            with contextlib.suppress(*ERRORS):
                free = disk_free_mb(_DISK_PATH)
                await self._watcher.job.tell_machine(socket.gethostname(), free, _DISK_PATH)
            await asyncio.sleep(_MACHINE_SECONDS)


def _check(snapshot: Snapshot) -> None:
    """Raise whatever is wrong with a part of a page."""
    fragments = Fragments(next(iter(LANGUAGES)), shown(snapshot))
    for name in {name for names in PARTS.values() for name in names}:
        fragments[name]


class _Feed:
    """The events of one page in one language."""

    def __init__(self) -> None:
        self.viewers = 0
        self.version = 0
        self._parts: dict[str, tuple[int, str, bytes]] = {}  # the version of each, its text, its event
        self._cached: tuple[int, int, bytes] | None = None
        self._next: asyncio.Future[None] | None = None

    def publish(self, parts: Mapping[str, str]) -> None:
        """Take the parts as they are now."""
        self.version += 1
        for name, text in parts.items():
            if name not in self._parts or self._parts[name][1] != text:
                self._parts[name] = (self.version, text, _event(name, text))
        if self._next is not None and not self._next.done():
            self._next.set_result(None)
        self._next = None

    def since(self, version: int) -> bytes:
        """Give the events of the parts that changed after a version."""
        if self._cached is None or self._cached[:2] != (version, self.version):
            news = b"".join(event for at, _, event in self._parts.values() if at > version)
            self._cached = (version, self.version, news)
        return self._cached[2]

    async def next(self) -> None:
        """Wait until parts are published."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next)


def _event(name: str, text: str) -> bytes:
    # Browsers drop an event without any data; a part that has become empty has to be told as well.
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{data}\n".encode()
