"""What middlewares tell the scheduler in use of a request that needs no more of Scrapy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from scrapy.exceptions import DropItem

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler


class PutBack(DropItem):
    """Raised by an item pipeline: the request that the item is from is given back unharmed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, log_level="DEBUG")


class Settler(Protocol):
    """Each of the schedulers, `tieba.scheduling.Scheduler` and `tieba.stock.Scheduler`."""

    @property
    def crawl_id(self) -> str:
        """The crawl that the worker works on."""

    def retry(self, request: Request, reason: str, retry_after: float = 0.0) -> None:
        """Have a request tried again after some seconds, or given up after too many attempts."""

    def give_up(self, request: Request, reason: str) -> None:
        """Put a request to the dead letters."""

    def put_back(self, request: Request) -> None:
        """Give a request back unharmed."""

    def strikes(self, request: Request) -> int:
        """Tell how often the request's slot was paused since its last success."""

    def attempts(self, request: Request) -> int:
        """Tell how often the request has failed before."""


def settler_of(crawler: Crawler) -> Settler:
    """Give the scheduler of a crawler."""
    assert crawler.engine is not None  # noqa: S101 - there is a request
    return cast("Settler", crawler.engine.scheduler)
