"""Stores the pictures of posts, named by their contents, in a folder or an S3-compatible store.

| where | what |
| --- | --- |
| `files/<2 digits>/<SHA-256>.<type>` | a picture; the same one is there once |
| `posts/<thread>/<post>.json` | the pictures of a post in their order: `url`, and `file` or `error` |

A request is completed when the pictures of its posts have been tried. One that fails is noted and fails
nothing else; it is tried again when the post is read again. The slot `pictures:<address>` has its own rate.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import defaultdict
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http.request import NO_CALLBACK
from scrapy.pipelines.files import FilesPipeline, FSFilesStore, S3FilesStore
from scrapy.utils.asyncio import run_in_thread
from scrapy.utils.datatypes import LocalCache
from scrapy.utils.defer import ensure_awaitable

from frontier import Limit
from tieba.cluster import Cluster
from tieba.files import whole_file
from tieba.records import Post
from tieba.settling import PutBack
from tieba.turns import take_turn

if TYPE_CHECKING:
    import os

    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.pipelines.media import FileInfo, FileInfoOrError, MediaPipeline

ENDPOINT = "pictures"
_ATTEMPTS = 3
_LARGEST = 32 * 1024 * 1024  # bytes
_REMEMBERED = 10_000  # addresses of which a worker knows what came of them
# A host that does not answer so often in a row is left alone for a while: pages do not wait for it.
_FAILURES_IN_A_ROW = 5
_REST_SECONDS = 60.0
_STOPPING = "the worker stops"
_TYPES = (
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"BM", "bmp"),
    (4, b"ftypheic", "heic"),
    (4, b"ftypavif", "avif"),
)

logger = logging.getLogger(__name__)


class FolderStore(FSFilesStore):
    """A folder in which a file is whole or not there, also after a crash."""

    async def persist_file(  # type: ignore[override]
        self,
        path: str | os.PathLike[str],
        buf: BytesIO,
        info: MediaPipeline.SpiderInfo,
        meta: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Write a file; other workers may write the same one."""
        target = Path(self.basedir, path)

        def write() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as file:
                file.write(buf.getvalue())

        await run_in_thread(write)

    def read_file(self, path: str) -> bytes | None:
        """Give a file's contents, None where there is none."""
        try:
            return Path(self.basedir, path).read_bytes()
        except FileNotFoundError:
            return None

    def has_file(self, path: str) -> bool:
        """Tell whether there is a file."""
        return Path(self.basedir, path).is_file()


class BucketStore(S3FilesStore):
    """A folder in a bucket of an S3-compatible store; keys and endpoint are in AWS_… variables."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri.rstrip('/')}/")
        self.prefix = self.prefix and f"{self.prefix.rstrip('/')}/"  # names of files follow right after it

    async def read_file(self, path: str) -> bytes | None:
        """Give an object's contents, None where there is none."""
        client: Any = self.s3_client

        def read() -> bytes | None:
            try:
                answer = client.get_object(Bucket=self.bucket, Key=f"{self.prefix}{path}")
            except client.exceptions.NoSuchKey:
                return None
            body: bytes = answer["Body"].read()
            return body

        return await run_in_thread(read)

    async def has_file(self, path: str) -> bool:
        """Tell whether there is an object."""
        client: Any = self.s3_client

        def has() -> bool:
            found = client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}{path}", MaxKeys=1)
            return bool(found.get("KeyCount"))

        return await run_in_thread(has)


class PicturesPipeline(FilesPipeline):
    """An item pipeline that stores the pictures of every `Post`."""

    STORE_SCHEMES: ClassVar[dict[str, Any]] = {
        **FilesPipeline.STORE_SCHEMES,
        "": FolderStore,
        "file": FolderStore,
        "s3": BucketStore,
    }

    store: Any  # one of these

    def __init__(self, store_uri: str, *, crawler: Crawler) -> None:
        super().__init__(store_uri, crawler=crawler)
        self._cluster = Cluster.of(crawler)
        self._slot = f"{ENDPOINT}:{self._cluster.config.egress}"
        settings = crawler.settings
        self._limit = Limit(*settings["TIEBA_PICTURES_LIMIT"])
        self._known: dict[int, dict[str, str]] = {}  # of the posts in work, by id()
        self._is_store_failing = False
        self._failures: dict[str, int] = defaultdict(int)
        self._rests_until: dict[str, float] = {}

    def open_spider(self) -> None:  # type: ignore[override]
        """Begin, with a memory that has an end; Scrapy's has none."""
        super().open_spider()
        self.spiderinfo.downloaded = LocalCache(_REMEMBERED)

    async def process_item(self, item: Any) -> Any:  # type: ignore[override]
        """Store the pictures of a post; raises PutBack if the worker is to stop before that is done."""
        if not isinstance(item, Post) or not item.images:
            return item
        index = f"posts/{item.thread_id or 0}/{item.post_id}.json"
        self._known[id(item)] = await self._read_index(index)
        try:
            entries = await super().process_item(item)
        finally:
            del self._known[id(item)]
        try:
            await self._write(index, json.dumps({"post_id": item.post_id, "pictures": entries}).encode())
        except _PictureError as error:
            logger.info("Pictures of post %d are not noted: %s", item.post_id, error)
        return item

    def get_media_requests(self, item: Post, info: MediaPipeline.SpiderInfo) -> list[Request]:
        """Give a request for each picture that has an address of the web."""
        return [request for url in item.images or () if (request := _request(url))]

    async def media_to_download(  # type: ignore[override]
        self, request: Request, info: MediaPipeline.SpiderInfo, *, item: Any = None
    ) -> FileInfo:
        """Store a picture unless it is there; gives its path or, without one, as `status` what is wrong."""
        path = self._known[id(item)].get(request.meta["url"], "")
        status = "uptodate"
        try:
            if not path or not await self._has(path):
                path = await self._fetch(request, info, item)
                status = "downloaded"
        except _PictureError as error:
            path, status = "", str(error)
            logger.info("No picture from %s: %s", request.url, error)
        self.inc_stats(status if path else "failed")
        return {"url": request.url, "path": path, "checksum": None, "status": status}

    def item_completed(
        self, results: list[FileInfoOrError], item: Any, info: MediaPipeline.SpiderInfo
    ) -> Any:
        """Give what is noted of a post's pictures."""
        done = iter(results)
        entries = []
        for url in item.images:
            if _request(url) is None:
                path, status = "", "not an address of the web"
            else:
                is_done, result = next(done)
                found: Any = result if is_done else {"path": "", "status": "failed"}
                path, status = found["path"], found["status"]
            if status == _STOPPING:
                raise PutBack(_STOPPING)
            entries.append({"url": url, "file": path} if path else {"url": url, "error": status})
        return entries

    def file_path(
        self,
        request: Request,
        response: Response | None = None,
        info: MediaPipeline.SpiderInfo | None = None,
        *,
        item: Any = None,
    ) -> str:
        """Name a picture by its contents; raises _PictureError for anything else than a picture."""
        assert response is not None  # noqa: S101 - only what is downloaded is named
        digest = hashlib.sha256(response.body).hexdigest()
        return f"files/{digest[:2]}/{digest}.{_type_of(response)}"

    async def _fetch(self, request: Request, info: MediaPipeline.SpiderInfo, item: Any) -> str:
        """Download and store a picture; gives its path, raises _PictureError."""
        host = urlsplit(request.url).netloc
        reason = ""
        for _ in range(_ATTEMPTS):
            self._check_rest(host)
            turn = await take_turn(self.crawler, ENDPOINT, self._limit)
            if turn is None:
                raise _PictureError(_STOPPING)
            self._check_rest(host)  # which may have begun meanwhile
            try:
                response = await self.crawler.engine.download_async(request.replace())
            except (IgnoreRequest, DownloadCancelledError) as error:  # robots.txt forbids it; it is too large
                raise _PictureError(f"{type(error).__name__}: {error}") from None
            except Exception as error:  # noqa: BLE001 - whatever the network does
                reason = f"{type(error).__name__}: {error}"
                self._note_failure(host)
                continue
            self._failures.pop(host, None)
            if turn.strikes and response.status != HTTPStatus.TOO_MANY_REQUESTS:
                await self._cluster.patience(lambda: self._cluster.frontier.succeeded(self._slot))
            reason = f"HTTP {response.status}"
            if response.status == HTTPStatus.TOO_MANY_REQUESTS:
                await self._pause(reason)
            elif response.status == HTTPStatus.OK:
                return await self._keep(response, request, info, item)
            elif response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        raise _PictureError(reason)

    async def _keep(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> str:
        path = self.file_path(request, response, info, item=item)
        if not await self._has(path):
            await self._write(path, response.body)
        return path

    def _check_rest(self, host: str) -> None:
        if time.monotonic() < self._rests_until.get(host, 0.0):
            raise _PictureError(f"{host} does not answer")

    def _note_failure(self, host: str) -> None:
        self._failures[host] += 1
        if self._failures[host] >= _FAILURES_IN_A_ROW:
            self._rests_until[host] = time.monotonic() + _REST_SECONDS
            logger.warning("No pictures from %s for %.0f s: it does not answer", host, _REST_SECONDS)
            del self._failures[host]

    async def _pause(self, reason: str) -> None:
        frontier, config = self._cluster.frontier, self._cluster.config
        await self._cluster.patience(
            lambda: frontier.pause(self._slot, config.first_pause, reason, longest=config.longest_pause)
        )

    # The store, whose errors are those of a file system or of botocore.

    async def _read_index(self, path: str) -> dict[str, str]:
        """Give the files that are noted for a post's pictures, by address."""
        try:
            noted = json.loads(await ensure_awaitable(self.store.read_file(path)) or b'{"pictures": []}')
            return {entry["url"]: entry["file"] for entry in noted["pictures"] if "file" in entry}
        except Exception as error:  # noqa: BLE001
            logger.info("What is noted in %s cannot be read: %s", path, error)
            return {}

    async def _has(self, path: str) -> bool:
        try:
            return bool(await ensure_awaitable(self.store.has_file(path)))
        except Exception:  # noqa: BLE001
            return False

    async def _write(self, path: str, content: bytes) -> None:
        try:
            await ensure_awaitable(self.store.persist_file(path, BytesIO(content), self.spiderinfo))
        except Exception as error:  # noqa: BLE001
            if not self._is_store_failing:
                logger.warning("Pictures cannot be stored: %s", error)
            self._is_store_failing = True
            raise _PictureError(f"not stored: {error}") from None
        self._is_store_failing = False


class _PictureError(Exception):
    """Why there is no picture, in one line."""


def _request(url: str) -> Request | None:
    """Give the request for a picture; None for what is not an address of the web."""
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            return Request(url, NO_CALLBACK, meta={"url": url, "download_maxsize": _LARGEST})
    except ValueError:
        pass
    return None


def _type_of(response: Response) -> str:
    """Tell the type of a picture by its first bytes, whatever its headers say."""
    for offset, sign, name in _TYPES:
        if response.body[offset : offset + len(sign)] == sign:
            return name
    said = (response.headers.get("Content-Type") or b"no type").decode("latin-1")
    raise _PictureError(f"not a picture: {said}, {len(response.body)} bytes")
