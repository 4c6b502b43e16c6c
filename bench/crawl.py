"""One crawl of a tree of `bench.site` in this process; prints one JSON object when it ends.

The spider is the same under every scheduler. What differs is what a user of each has to write: nothing for
plain Scrapy, the settings and the base class of scrapy-redis' README for scrapy-redis, one setting for the
frontier.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scrapy import Spider
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.exceptions import ScrapyDeprecationWarning
from scrapy_redis.spiders import RedisSpider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrapy import Request
    from scrapy.http import Response, TextResponse

SYSTEMS = ("plain", "scrapy-redis", "frontier")
START_URLS_KEY = "bench:start_urls"

_SETTINGS: dict[str, Any] = {
    "LOG_LEVEL": "INFO",
    "TELNETCONSOLE_ENABLED": False,
    "COOKIES_ENABLED": False,
}
_SYSTEM_SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scrapy-redis": {
        "SCHEDULER": "scrapy_redis.scheduler.Scheduler",
        "DUPEFILTER_CLASS": "scrapy_redis.dupefilter.RFPDupeFilter",
        "SCHEDULER_PERSIST": True,
        "MAX_IDLE_TIME_BEFORE_CLOSE": 1,  # seconds; without it a spider never ends
    },
    "frontier": {"SCHEDULER": "tieba.scheduling.Scheduler"},
}


class TreeSpider(Spider):
    """Follows every link of every page, and measures from the first answer to the last."""

    name = "bench"
    parsed_file: Path | None = None
    pages = 0
    first = last = (0.0, 0.0)  # answer: time and processor time, in seconds

    def parse(self, response: Response, **_: Any) -> Iterator[Request]:
        """Follow the links of a page."""
        self.last = (time.monotonic(), time.process_time())
        if self.pages == 0:
            self.first = self.last
        self.pages += 1
        if self.parsed_file:
            with self.parsed_file.open("a") as file:
                file.write(response.url + "\n")
        yield from cast("TextResponse", response).follow_all(css="a")

    def closed(self, reason: str) -> None:
        """Print what was measured."""
        seconds, processor_seconds = (last - first for first, last in zip(self.first, self.last, strict=True))
        measured = {"pages": self.pages, "seconds": seconds, "processor_seconds": processor_seconds}
        print(json.dumps({**measured, "reason": reason}))


class RedisTreeSpider(TreeSpider, RedisSpider):  # type: ignore[misc] # scrapy-redis has no types
    """The same as a user of scrapy-redis writes it."""

    redis_key = START_URLS_KEY


def main() -> None:
    """Crawl once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--url", help="where to start; left out, the crawl goes on with what Redis has")
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--parsed", type=Path, metavar="FILE", help="add each parsed page's address to it")
    parser.add_argument(
        "--settings", type=json.loads, default={}, metavar="JSON", help="more Scrapy settings"
    )
    arguments = parser.parse_args()
    # scrapy-redis calls what Scrapy 2.19 has deprecated; a line about each call belongs in no comparison.
    warnings.simplefilter("ignore", ScrapyDeprecationWarning)
    settings = {**_SETTINGS, **_SYSTEM_SETTINGS[arguments.system], **arguments.settings}
    if arguments.redis:
        settings["REDIS_URL"] = arguments.redis
    process = AsyncCrawlerProcess(settings)
    if arguments.system == "scrapy-redis":
        process.crawl(RedisTreeSpider, parsed_file=arguments.parsed)
    else:
        start_urls = [arguments.url] if arguments.url else []
        process.crawl(TreeSpider, start_urls=start_urls, parsed_file=arguments.parsed)
    process.start()


if __name__ == "__main__":
    main()
