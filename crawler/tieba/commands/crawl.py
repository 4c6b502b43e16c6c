"""`scrapy crawl`, with the spider's arguments and the cluster's servers checked before anything starts."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from scrapy.commands.crawl import Command as CrawlCommand

from tieba.checks import Unusable, check_servers
from tieba.seeds import SeedError, spider_seeds

if TYPE_CHECKING:
    import argparse

_ARGUMENTS = ("forum", "pages", "threads")


class Command(CrawlCommand):
    """Run a spider; a mistake ends in one line and exit status 2, a server that is away in status 1."""

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


def _exit(status: int, message: str) -> None:
    print(f"scrapy crawl: {message}", file=sys.stderr)
    sys.exit(status)
