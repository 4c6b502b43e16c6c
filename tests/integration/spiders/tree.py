"""Spiders as users of Scrapy and scrapy-redis write them, for a site whose pages link to one another."""

import asyncio
from typing import ClassVar

from scrapy import Spider
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


class RedisTreeSpider(RedisSpider):
    name = "redistree"
    tricks: ClassVar = {}
    parse = TreeSpider.parse
