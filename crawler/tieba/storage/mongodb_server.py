"""A database in MongoDB: how it is reached, and what its errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import AsyncMongoClient
from pymongo import errors as mongo_errors

from tieba.phrases import Phrase
from tieba.storage import StoreError, StoreUnavailable, silence

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from tieba.storage import Document

_AUTHENTICATION_CODES = {13, 18}
_SERVER_SELECTION_MS = 5_000
_SOCKET_TIMEOUT_MS = 30_000
_SILENCE = "No servers found yet"  # the driver's words for servers that take a connection and say nothing

_UNAVAILABLE = (mongo_errors.ConnectionFailure, mongo_errors.WTimeoutError, mongo_errors.ExecutionTimeout)


class MongoServer:
    """The database that the path of `url` names; raises StoreError for an address that cannot be one."""

    def __init__(self, url: str, **options: Any) -> None:
        try:
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                url,
                tz_aware=True,
                serverSelectionTimeoutMS=_SERVER_SELECTION_MS,
                socketTimeoutMS=_SOCKET_TIMEOUT_MS,
                connect=False,
                **options,
            )
            self.database: AsyncDatabase[Document] = self._client.get_default_database()
        except (mongo_errors.PyMongoError, ValueError) as error:
            raise StoreError(f"mongodb_url cannot be used: {one_line(error)}") from None
        self.place = url.partition("://")[2].rpartition("@")[2].partition("?")[0]
        self._servers = self.place.partition("/")[0]
        self.was_accepted = False  # the user, once

    def translated(self, error: mongo_errors.PyMongoError) -> StoreError:
        """Tell what an error means for whoever asked."""
        said = f"{one_line(error)} (mongodb_url: {self.place})"
        if isinstance(error, mongo_errors.ServerSelectionTimeoutError) and said.startswith(_SILENCE):
            return StoreUnavailable(silence("MongoDB", self._servers, _SERVER_SELECTION_MS / 1000))
        if isinstance(error, _UNAVAILABLE):
            return StoreUnavailable(Phrase("MongoDB does not answer: %(said)s", said=said))
        if isinstance(error, mongo_errors.OperationFailure):
            if error.code in _AUTHENTICATION_CODES:
                # The password of a user who was accepted has changed: this process' settings follow.
                kind = StoreUnavailable if self.was_accepted else StoreError
                return kind(f"MongoDB refuses the user of mongodb_url: {said}")
            if error.has_error_label("RetryableWriteError"):
                return StoreUnavailable(f"MongoDB is being failed over: {said}")
        return StoreError(f"MongoDB refuses: {said}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def one_line(error: Exception) -> str:
    """Give the essence of a driver's message, which goes on about topology for lines."""
    text = str(error)
    for end in (", Timeout:", ", full error:", " (configured timeouts:"):
        text = text.partition(end)[0]
    return " ".join(text.split())[:200]
