"""Exports that were asked for on the page: `tieba export` in processes of their own, files kept for a day."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frontier.connection import cancel
from tieba.files import whole_file
from tieba.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tieba.config import Config

FORMATS = ("csv", "xlsx", "parquet", "jsonl", "html")
COLLECTIONS = ("posts", "threads", "comments", "users", "forums")
AT_ONCE = 2
_KEPT = 20
_KEPT_SECONDS = 24 * 3600.0
_CLEAN_SECONDS = 3600.0
_TOLD_CHARACTERS = 500
_INTERRUPTED = Phrase("interrupted: the page was stopped meanwhile")

logger = logging.getLogger(__name__)


class BusyError(Exception):
    """As many exports are running as may."""


@dataclass(frozen=True, slots=True)
class Export:
    """One export; `file` is its name once it is done, `problem` why there is none."""

    id: str
    at: float
    what: Mapping[str, str]
    is_running: bool
    file: str | None = None
    size: int | None = None
    problem: str | None = None


class Exports:
    """The exports in a folder, each in one of its own: what was asked, the log, the file."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config
        self._running: dict[str, asyncio.Task[None]] = {}
        self._starting = asyncio.Lock()  # so that no more are counted than may run

    async def start(self, what: Mapping[str, str]) -> str:
        """Begin an export; gives its id. Raises BusyError. `what` are options of `tieba export` by name."""
        async with self._starting:
            if len(self._running) >= AT_ONCE:
                raise BusyError
            id_ = secrets.token_hex(8)
            await asyncio.to_thread(self._write_down, id_, what)
            task = self._running[id_] = asyncio.create_task(self._run(id_, what))
            # However it ends, also before it has begun.
            task.add_done_callback(lambda _: self._running.pop(id_, None))
        return id_

    def all(self) -> list[Export]:
        """Give the exports, the latest first."""
        found = [self._read(place) for place in self._folder.glob("*/")]
        return sorted((export for export in found if export), key=lambda export: -export.at)

    def path(self, id_: str) -> Path | None:
        """Give the file of an export that is done."""
        export = self._read(self._folder / id_) if id_.isalnum() else None
        return self._folder / id_ / "file" / export.file if export and export.file else None

    async def remove(self, id_: str) -> None:
        """Forget an export; one that is running is stopped."""
        if task := self._running.get(id_):
            await cancel(task)
        if id_.isalnum():
            await asyncio.to_thread(shutil.rmtree, self._folder / id_, ignore_errors=True)

    async def clean(self) -> None:
        """Remove what is old, for ever."""
        while True:
            await asyncio.to_thread(self._clean)
            await asyncio.sleep(_CLEAN_SECONDS)

    async def close(self) -> None:
        """Stop those that are running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _write_down(self, id_: str, what: Mapping[str, str]) -> None:
        self._clean()
        (self._folder / id_ / "file").mkdir(parents=True)
        asked = {"at": time.time(), "what": dict(what)}
        (self._folder / id_ / "asked.json").write_text(json.dumps(asked), encoding="utf-8")

    async def _run(self, id_: str, what: Mapping[str, str]) -> None:
        """Export, and write how that ended; a folder without it was interrupted."""
        place = self._folder / id_
        try:
            status = str(await self._export(place, what))
        except asyncio.CancelledError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        except (OSError, ValueError) as error:  # a full disk, too many processes, a text that is no argument
            status = str(error)
            logger.warning("An export could not be made: %s", error)
        try:
            (place / "status").write_text(status, encoding="utf-8")
        except OSError as error:
            logger.warning("An export's end could not be written: %s", error)

    async def _export(self, place: Path, what: Mapping[str, str]) -> int:
        settings = self._folder / "crawler.json"
        with whole_file(settings) as file:
            os.fchmod(file.fileno(), 0o600)  # it holds the store's password
            file.write(json.dumps(dataclasses.asdict(self._config)).encode())
        command = [str(Path(sys.executable).with_name("tieba")), "export", f"--out={place / 'file'}"]
        command += [f"--{name}={value}" if value else f"--{name}" for name, value in what.items()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIEBA_")}
        with (place / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**environment, "TIEBA_CONFIG": str(settings)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                return await process.wait()
            except asyncio.CancelledError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                raise

    def _read(self, place: Path) -> Export | None:
        try:
            asked = json.loads((place / "asked.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        export = Export(place.name, asked["at"], asked["what"], place.name in self._running)
        if export.is_running:
            return export
        try:
            status = (place / "status").read_text(encoding="utf-8")
        except OSError:
            return dataclasses.replace(export, problem=_INTERRUPTED)
        with contextlib.suppress(OSError):
            file = next((path for path in (place / "file").glob("[!.]*")), None)
            if file is not None and status == "0":
                return dataclasses.replace(export, file=file.name, size=file.stat().st_size)
        problem = status
        with contextlib.suppress(OSError):
            problem = (place / "log").read_text(encoding="utf-8", errors="replace").strip() or status
        return dataclasses.replace(export, problem=problem[-_TOLD_CHARACTERS:])

    def _clean(self) -> None:
        """Remove what is old, and what is too much."""
        for number, export in enumerate(self.all()):
            if not export.is_running and (number >= _KEPT - 1 or time.time() - export.at > _KEPT_SECONDS):
                shutil.rmtree(self._folder / export.id, ignore_errors=True)
