"""What `scrapy startproject` makes, as far as it matters."""

SPIDER_MODULES = ["tests.integration.spiders"]
TWISTED_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"
