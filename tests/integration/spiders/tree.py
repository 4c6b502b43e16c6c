"""Spiders as users of Scrapy and scrapy-redis write them, for a site whose pages link to one another."""

import asyncio
import itertools
from pathlib import Path
from typing import ClassVar

from scrapy import Request, Spider, signals
from scrapy.exceptions import DontCloseSpider
from scrapy_redis.spiders import RedisSpider


class TreeSpider(Spider):
    """Follows every link. `tricks` are pages at which something goes wrong, `page:what`."""

    name = "tree"
    custom_settings: ClassVar = {"ITEM_PIPELINES": {"tests.integration.spiders.tree.Pipeline": 1}}

    def __init__(self, site, tricks="", **kwargs):
        super().__init__(**kwargs)
        self.site = site
        self.tricks = dict(trick.split(":") for trick in tricks.split(",") if trick)
        self.start_urls = [site + "/0"]

    def parse(self, response):
        page = response.url.rpartition("/")[2]
        trick = self.tricks.get(page)
        if trick == "callback":
            raise RuntimeError("the callback fails")
        yield {"page": page}
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link)
        if trick == "late":
            raise RuntimeError("the callback fails late")
        if trick == "lambda":
            yield response.follow("/lambda", callback=lambda response: None)
        if trick == "surrogate":
            yield response.follow("/surrogate", callback=self.ignore, cb_kwargs={"half": "\ud83d"})
        if trick == "space":
            yield response.follow("http://www example.com/", callback=self.ignore)
        if trick == "copy":
            yield response.request.replace(url=self.site + "/copy", callback=self.ignore)

    def ignore(self, response, **kwargs):
        pass


class Pipeline:
    def __init__(self, crawler):
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler):
        return cls(crawler)

    async def process_item(self, item):
        trick = self.crawler.spider.tricks.get(item["page"])
        if trick == "pipeline":
            raise RuntimeError("the pipeline fails")
        if trick == "slow":
            await asyncio.sleep(60)
        return item


class Elsewhere:
    """A downloader middleware that has another page in place of page 7."""

    def process_request(self, request):
        if request.url.endswith("/7"):
            return Request(request.url.replace("/7", "/elsewhere"))
        return None


class IdleSpider(Spider):
    """Makes its requests when it is idle."""

    name = "idle"

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs):
        spider = super().from_crawler(crawler, *args, **kwargs)
        spider.pages = [100, 101]
        crawler.signals.connect(spider.go_on, signals.spider_idle)
        return spider

    def go_on(self):
        if self.pages:
            self.crawler.engine.crawl(Request(f"{self.site}/{self.pages.pop(0)}"))
            raise DontCloseSpider

    def parse(self, response):
        pass


class ManySpider(Spider):
    """Has more start requests than anything can hold; tells each hundred by a byte in the file `made`."""

    name = "many"

    async def start(self):
        for number in itertools.count():
            if number % 100 == 0:
                self.tell()
            await asyncio.sleep(0.003)
            yield Request(f"{self.site}/many{number}")

    def tell(self):
        with Path(self.made).open("ab") as file:
            file.write(b".")

    def parse(self, response):
        pass


class RedisTreeSpider(RedisSpider):
    name = "redistree"
    tricks: ClassVar = {}
    parse = TreeSpider.parse
