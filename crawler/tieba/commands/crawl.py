"""`scrapy crawl`, with the spider's arguments and the cluster's servers checked before anything starts."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from scrapy.commands.crawl import Command as CrawlCommand
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.utils.defer import deferred_from_coro

from frontier.connection import cancel
from tieba.checks import check_servers
from tieba.errors import Unusable
from tieba.seeds import SeedError, check_seeds, make_seeds
from tieba.waiting import LOOK_SECONDS, work_is_there

if TYPE_CHECKING:
    import argparse

    from scrapy.crawler import Crawler

_STARTING_SECONDS = 0.1  # between looks whether a crawl that is to be stopped runs

logger = logging.getLogger(__name__)


class Command(CrawlCommand):
    """Run a spider; a mistake ends in one line and exit status 2, a server that is away in status 1."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add --wait to Scrapy's options."""
        super().add_options(parser)
        parser.add_argument(
            "--wait",
            action="store_true",
            help="when a crawl is finished, wait for the next seed, as the units on slaves do",
        )

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check what can be checked before Scrapy starts, and logs."""
        super().process_options(args, opts)
        assert self.settings is not None  # noqa: S101 - set by Scrapy, for mypy
        if opts.wait and (opts.spargs or len(args) != 1):
            _exit(
                2,
                "--wait works on the seeds of all workers: give it a spider and no -a; see tieba seed --help",
            )
        if args == ["tieba"]:
            try:
                if opts.spargs:
                    check_seeds(make_seeds(opts.spargs), self.settings["TIEBA_CONFIG"].storage)
            except SeedError as error:
                _exit(2, str(error))
        loop = (
            asyncio.new_event_loop()
        )  # not asyncio.run(), which would take away the loop that Scrapy has set
        try:
            loop.run_until_complete(check_servers(self.settings["TIEBA_CONFIG"]))
        except Unusable as error:
            _exit(1, str(error))
        finally:
            loop.close()

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run one crawl, or one after the other."""
        if not opts.wait:
            super().run(args, opts)
            return
        process = self.crawler_process
        assert isinstance(process, AsyncCrawlerProcess)  # noqa: S101 - what Scrapy uses with asyncio
        (name,) = args

        service = asyncio.get_event_loop().create_task(_serve(process, name))

        async def end_service() -> None:
            await cancel(service)

        # Only Scrapy knows which reactor it wants, and has installed it by now.
        reactor: Any = import_module("twisted.internet.reactor")
        reactor.addSystemEventTrigger("before", "shutdown", lambda: deferred_from_coro(end_service()))
        service.add_done_callback(lambda ended: ended.cancelled() or reactor.stop())
        process.start(stop_after_crawl=False)  # until a signal
        if not service.cancelled():
            logger.error("The service ended", exc_info=service.exception())
            self.exitcode = 1


async def _serve(process: AsyncCrawlerProcess, spider: str) -> None:
    while True:
        await work_is_there(process.settings["TIEBA_CONFIG"], "scrapy")
        crawler = process.create_crawler(spider)
        await _to_its_end(process.crawl(crawler), crawler)
        await asyncio.sleep(LOOK_SECONDS)  # a crawl that cannot be worked on must not keep us busy


async def _to_its_end(crawl: asyncio.Task[None], crawler: Crawler) -> None:
    """Wait for a crawl that is stopped, not cancelled, with us.

    Scrapy stops it, but does not wait for one that is ending already: its worker has yet to tell its last
    counts and to leave. Nor does it stop one that is just starting: that is done here, once it runs.
    """
    is_cancelled = False
    stopping: asyncio.Task[None] | None = None
    while not crawl.done():
        if is_cancelled and stopping is None and _is_running(crawler):
            stopping = asyncio.create_task(crawler.engine.stop_async())
        try:
            await asyncio.wait({crawl}, timeout=_STARTING_SECONDS if is_cancelled else None)
        except asyncio.CancelledError:  # who cancels us may do so again and again
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    await crawl


def _is_running(crawler: Crawler) -> bool:
    try:
        return crawler.engine.running
    except RuntimeError:  # it has no engine yet
        return False


def _exit(status: int, message: str) -> None:
    print(f"scrapy crawl: {message}", file=sys.stderr)
    sys.exit(status)
