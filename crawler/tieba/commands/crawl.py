"""`scrapy crawl`, with the spider's arguments and the cluster's servers checked before anything starts."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from scrapy.commands.crawl import Command as CrawlCommand

from tieba.checks import Unusable, check_servers
from tieba.cluster import Cluster
from tieba.heartbeat import Pulse
from tieba.seeds import SeedError, spider_seeds

if TYPE_CHECKING:
    import argparse

    from tieba.config import Config

_ARGUMENTS = ("forum", "pages", "threads")
_LOOK_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Command(CrawlCommand):
    """Run a spider; a mistake ends in one line and exit status 2, a server that is away in status 1."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add --wait to Scrapy's options."""
        super().add_options(parser)
        parser.add_argument(
            "--wait",
            action="store_true",
            help="when a crawl is finished, wait for the next seed instead of ending (as the units on slaves do)",
        )

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        """Check what can be checked before Scrapy starts, and logs."""
        super().process_options(args, opts)
        if args == ["tieba"]:
            unknown = sorted(opts.spargs.keys() - set(_ARGUMENTS))
            if unknown:
                _exit(2, f"unknown argument {unknown[0]!r}; known are {', '.join(_ARGUMENTS)}")
            try:
                spider_seeds(**opts.spargs)
            except SeedError as error:
                _exit(2, str(error))
        assert self.settings is not None  # noqa: S101 - set by Scrapy, for mypy
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
        assert process is not None  # noqa: S101 - set by Scrapy, for mypy
        (name,) = args

        async def serve() -> None:
            try:
                while True:
                    await _work_is_there(process.settings["TIEBA_CONFIG"])
                    await process.crawl(name, **opts.spargs)
            except Exception:
                logger.exception("The service ends")
                self.exitcode = 1
                await process.stop()

        # Scrapy's signal handlers stop the crawl, if there is one, and then the reactor, and with it this task.
        self._service = asyncio.get_event_loop().create_task(serve())
        process.start(stop_after_crawl=False)


async def _work_is_there(config: Config) -> None:
    """Wait until a crawl is running or a seed has come; the worker's heart beats meanwhile."""
    cluster = Cluster(config)
    pulse = Pulse(cluster)
    pulse.start()
    try:
        logger.info("Waiting for a seed")
        while True:
            if (
                await cluster.patience(cluster.job.waiting_seeds)
                or await cluster.patience(cluster.job.state) == "running"
            ):
                return
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await pulse.stop()
        await cluster.close()


def _exit(status: int, message: str) -> None:
    print(f"scrapy crawl: {message}", file=sys.stderr)
    sys.exit(status)
