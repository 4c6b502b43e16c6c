"""The command `tieba export`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tieba.config import load
from tieba.errors import Unusable, UsageError
from tieba.files import whole_file
from tieba.pages.values import identifier
from tieba.seeds import window
from tieba.storage import StoreError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tieba.export.reading import Selection
    from tieba.export.writer import Writer
    from tieba.storage import Store

FORMATS = ("csv", "jsonl", "parquet", "xlsx", "html")
_BINARY = {"parquet": "pyarrow", "xlsx": "xlsxwriter"}  # -> what writes it, which not every machine has
_COLLECTIONS = ("posts", "threads", "comments", "users", "forums")
_OF_THREADS = ("posts", "threads", "comments")


def add_parser(commands: Any) -> None:
    """Add the command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="write stored records as csv, jsonl, parquet, xlsx or html",
        description="Write stored records to a file: one collection as csv, jsonl, parquet or xlsx, or "
        "threads with their floors and comments as html pages to read. Times are UTC, in html Beijing time.",
        epilog="examples: tieba export --format parquet --forum 聊天 --since 2026-11-01; "
        "tieba export --format html --thread 7777",
    )
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--forum", metavar="NAME", help="of this forum, named without 吧; default: all")
    parser.add_argument("--thread", metavar="ID", help="of this thread")
    parser.add_argument(
        "--since",
        metavar="DATE",
        help="written from then on: 2026-11-01 (Beijing time) or 2026-11-01T08:00+00:00",
    )
    parser.add_argument(
        "--until", metavar="DATE", help="written before then; of html: threads begun before then"
    )
    parser.add_argument("--collection", choices=_COLLECTIONS, help="what to write; default: posts")
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="the file, or html's folder; - is standard output; default: named for what it holds",
    )
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument(
        "--from",
        dest="folders",
        nargs="+",
        metavar="DIR",
        help="read JSON Lines folders of nodes, not the store",
    )
    parser.add_argument("--no-deleted", action="store_true", help="leave out what the site has deleted")
    parser.add_argument(
        "--for-spreadsheet",
        action="store_true",
        help="csv that Excel shows right: with a byte order mark, and an apostrophe before texts that it "
        "would run as formulas; by default data is as it is stored",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do what the options say; raises UsageError or Unusable."""
    _check(options)
    try:
        return asyncio.run(_export(options))
    except StoreError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise Unusable(f"{error.filename or _path(options)}: {error.strerror or error}") from None


def _check(options: argparse.Namespace) -> None:
    if options.format == "html":
        if options.collection is not None:
            raise UsageError("--collection is not for html, which has threads with all that is in them")
        if options.out == "-" and options.thread is None:
            raise UsageError("--out - takes one page: name a --thread, or a folder as --out")
    elif options.collection is None:
        options.collection = "posts"
    if options.collection not in {None, *_OF_THREADS}:
        names = ["thread", "since", "until", *(["forum"] if options.collection == "users" else [])]
        for name in names:
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} is not for {options.collection}; leave it out")
    for folder in options.folders or ():
        if not Path(folder).is_dir():
            raise UsageError(f"--from {folder}: no such folder")
    if options.for_spreadsheet and options.format != "csv":
        raise UsageError(f"--for-spreadsheet is for csv, not for {options.format}")
    if options.out == "-" and options.format in _BINARY and sys.stdout.isatty():
        raise UsageError(f"--out - would write {options.format} to the terminal; redirect it")
    if (library := _BINARY.get(options.format)) and find_spec(library) is None:
        raise Unusable(
            f"--format {options.format}: needs {library}; run it on the master, or install {library}"
        )


async def _export(options: argparse.Namespace) -> int:
    from tieba.export.reading import Selection, find_forum

    thread_id = None if options.thread is None else identifier(options.thread)
    if options.thread is not None and thread_id is None:
        raise UsageError(f"--thread must be a number from 1 on, not {options.thread!r}")
    since, until = window(options.since, options.until, lambda name: f"--{name}")
    path = _path(options)
    if path is not None:
        from tieba.export.output import check_free

        check_free(path, force=options.force)
    store = await _store(options)
    try:
        selection = Selection(
            forum_id=None if options.forum is None else await find_forum(store, options.forum),
            thread_id=thread_id,
            since=since,
            until=until,
            with_deleted=not options.no_deleted,
        )
        total = await _total(store, options, selection)
        with _progress(options.collection or "threads", total) as progress:
            write = _write_threads if options.format == "html" else _write_records
            notes = await write(store, selection, options, path, progress)
        done = progress.done
    finally:
        await store.close()
    what = options.collection or "threads"
    told = f"{done:,} {what if done > 1 else what[:-1]}"
    print(told if path is None else f"{told} in {path}", file=sys.stderr if path is None else sys.stdout)
    for note in notes:
        print(f"tieba export: {note}", file=sys.stderr)
    return 0


async def _store(options: argparse.Namespace) -> Store:
    """Give what is to be read, which is not changed: of several stores the best to read."""
    if options.folders:
        from tieba.storage.jsonl import JsonlStore

        return JsonlStore(*options.folders)
    from tieba.storage.stores import open_reader

    return await open_reader(load())


async def _write_records(
    store: Store, selection: Selection, options: argparse.Namespace, path: Path | None, progress: Progress
) -> list[str]:
    from tieba.export import reading

    documents = reading.batches(store, options.collection, selection)
    writer = None
    with _file(path) as file:
        try:
            async for batch in documents:
                writer = writer or _writer(options, file, path)
                writer.write(batch)
                progress.add(len(batch))
            if writer is None:
                raise _nothing(options)
            return writer.close()
        except BaseException:
            if writer is not None:
                writer.abandon()
            raise


async def _write_threads(
    store: Store, selection: Selection, options: argparse.Namespace, path: Path | None, progress: Progress
) -> list[str]:
    from tieba.export.output import new_folder
    from tieba.export.threads import write_folder, write_page

    if selection.thread_id is not None:
        with _file(path) as file:
            await write_page(store, selection, file, progress.add)
            if not progress.done:
                raise _nothing(options)
        return []
    assert path is not None  # noqa: S101 - by _check
    with new_folder(path) as folder:
        title = f"{options.forum}吧" if options.forum else "贴吧"
        await write_folder(store, selection, folder, title, progress.add)
        if not progress.done:
            raise _nothing(options)
    return []


def _writer(options: argparse.Namespace, file: IO[bytes], path: Path | None) -> Writer:
    # Each format's library is imported by those who use it: pyarrow takes half a second.
    from tieba.export.columns import COLLECTIONS

    columns = COLLECTIONS[options.collection]
    if options.format == "csv":
        from tieba.export.csv_format import CsvWriter

        return CsvWriter(file, columns, for_spreadsheet=options.for_spreadsheet)
    if options.format == "jsonl":
        from tieba.export.jsonl_format import JsonlWriter

        return JsonlWriter(file, columns)
    if options.format == "parquet":
        from tieba.export.parquet_format import ParquetWriter

        return ParquetWriter(file, columns)
    from tieba.export.xlsx_format import XlsxWriter

    return XlsxWriter(file, columns, name=options.collection, folder=None if path is None else path.parent)


def _file(path: Path | None) -> AbstractContextManager[IO[bytes]]:
    from tieba.export.output import standard_output

    return standard_output() if path is None else whole_file(path)


def _path(options: argparse.Namespace) -> Path | None:
    """Give the file or folder to write; None for the standard output."""
    from tieba.export.output import safe_name

    if options.out == "-":
        return None
    of = [safe_name(options.forum)] if options.forum else []
    if options.thread:
        of.append(f"thread-{safe_name(options.thread)}")
    is_folder = options.format == "html" and not options.thread
    kind = "threads" if is_folder else options.collection
    name = "-".join([*(of or ["tieba"]), *([kind] if kind else [])])
    name = name if is_folder else f"{name}.{options.format}"
    if options.out is None:
        return Path(name)
    path = Path(options.out)
    return path / name if path.is_dir() and not is_folder else path


def _nothing(options: argparse.Namespace) -> Unusable:
    asked = [
        f"--{name} {value}"
        for name in ("forum", "thread", "since", "until")
        if (value := getattr(options, name)) is not None
    ]
    return Unusable(
        f"no {options.collection or 'threads'} are stored{' with ' if asked else ''}{' '.join(asked)}"
    )


async def _total(store: Store, options: argparse.Namespace, selection: Selection) -> int | None:
    """Tell how many records there will be, None where only counting could tell."""
    from tieba.export.reading import Selection

    if selection != Selection() or options.folders:
        return None
    return (await store.counts()).get(options.collection or "threads")


class Progress:
    """Counts, and shows it."""

    def __init__(self, show: Callable[[int], None]) -> None:
        self.done = 0
        self._show = show

    def add(self, count: int) -> None:
        """Count some more; raises CancelledError after Ctrl-C, which PyMongo may have swallowed."""
        self.done += count
        self._show(self.done)
        task = asyncio.current_task()
        if task is not None and getattr(task, "cancelling", int)():  # Python 3.10 interrupts where it is
            raise asyncio.CancelledError


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Progress]:
    """Show a bar on the standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield Progress(lambda _: None)
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.completed:,} {task.description}"),
        bars.BarColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield Progress(lambda done: bar.update(task, completed=done))
