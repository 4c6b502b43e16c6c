"""Reads threads with their floors and comments, and writes a page for each of them."""

from __future__ import annotations

import codecs
from typing import IO, TYPE_CHECKING

from tieba.export.html_format import IndexPage, write_thread
from tieba.export.reading import documents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tieba.export.reading import Selection
    from tieba.storage import Document, Store

_FOLDER = "threads"


async def write_folder(
    store: Store, selection: Selection, folder: Path, title: str, count: Callable[[int], None]
) -> None:
    """Write index.html and a page for each thread; `count` is told of each."""
    (folder / _FOLDER).mkdir()
    with (folder / "index.html").open("wb") as index_file:
        index = IndexPage(_text(index_file), title)
        async for thread, posts, comments in _threads(store, selection):
            link = f"{_FOLDER}/{thread['thread_id']}.html"
            with (folder / link).open("wb") as file:
                floors = await write_thread(_text(file), thread, posts, comments, index="../index.html")
            index.add(thread, floors, link)
            count(1)
        index.close()


async def write_page(
    store: Store, selection: Selection, file: IO[bytes], count: Callable[[int], None]
) -> None:
    """Write the page of the one thread that is selected."""
    async for thread, posts, comments in _threads(store, selection):
        await write_thread(_text(file), thread, posts, comments)
        count(1)


async def _threads(
    store: Store, selection: Selection
) -> AsyncIterator[tuple[Document, AsyncIterator[Document], list[Document]]]:
    """Give the threads begun in the selection's time, with their floors and comments."""

    def scan(collection: str) -> AsyncIterator[Document]:
        return documents(store, collection, selection, whole_threads=True)

    posts, comments = _ByThread(scan("posts")), _ByThread(scan("comments"))
    async for thread in scan("threads"):
        thread_id: int = thread["thread_id"]
        begun = thread.get("created_at")
        if begun is None:  # lists on web pages do not tell
            first = await posts.first(thread_id)
            begun = None if first is None else first.get("created_at")
        if begun is not None and (
            (selection.since is not None and begun < selection.since)
            or (selection.until is not None and begun >= selection.until)
        ):
            continue
        yield thread, posts.of(thread_id), [comment async for comment in comments.of(thread_id)]


class _ByThread:
    """The records of a scan in the order of their threads, thread by thread."""

    def __init__(self, scan: AsyncIterator[Document]) -> None:
        self._scan = scan
        self._next: Document | None = None
        self._is_over = False

    async def first(self, thread_id: int) -> Document | None:
        """Give the next record of a thread without taking it; those of threads before it are left behind."""
        while not self._is_over:
            if self._next is None:
                self._next = await anext(self._scan, None)
                self._is_over = self._next is None
            elif (self._next.get("thread_id") or 0) < thread_id:
                self._next = None
            else:
                return self._next if self._next["thread_id"] == thread_id else None
        return None

    async def of(self, thread_id: int) -> AsyncIterator[Document]:
        """Give the records of a thread that are left; threads must be asked for in ascending order."""
        while (document := await self.first(thread_id)) is not None:
            self._next = None
            yield document


def _text(file: IO[bytes]) -> codecs.StreamWriter:
    return codecs.getwriter("utf-8")(file, "replace")
