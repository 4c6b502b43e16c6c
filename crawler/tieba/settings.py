"""Scrapy settings of the crawler, from the node's configuration (`tieba.config`)."""

import socket
import sys

from tieba.bodies import MOST_BYTES
from tieba.config import ConfigError, load
from tieba.stock import stock_settings

try:
    TIEBA_CONFIG = load()
except ConfigError as error:
    print(f"tieba: {error}", file=sys.stderr)
    sys.exit(2)

BOT_NAME = "tieba"
SPIDER_MODULES = ["tieba.spiders"]
COMMANDS_MODULE = "tieba.commands"
TWISTED_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"

LOG_LEVEL = TIEBA_CONFIG.log_level
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOGSTATS_INTERVAL = 0  # heartbeats tell more; a line a minute for an idle worker tells nothing
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False

USER_AGENT = TIEBA_CONFIG.user_agent
ROBOTSTXT_OBEY = TIEBA_CONFIG.obey_robots
COOKIES_ENABLED = False
REFERER_ENABLED = False

CONCURRENT_REQUESTS = TIEBA_CONFIG.concurrent_requests
CONCURRENT_REQUESTS_PER_DOMAIN = TIEBA_CONFIG.concurrent_requests
CONCURRENT_ITEMS = (
    4  # Scrapy starts so many tasks for every answer; its default of 100 halves the pages per second
)
SCRAPER_SLOT_MAX_ACTIVE_SIZE = (
    1_000_000  # bytes of answers that wait for the store before downloads wait, too
)
DOWNLOAD_DELAY = 0  # the rate is limited for the whole cluster, by the frontier
DOWNLOAD_TIMEOUT = TIEBA_CONFIG.download_timeout
DOWNLOAD_MAXSIZE = MOST_BYTES

# What an answer means is told by tieba.pages, and tieba.politeness acts on it.
RETRY_ENABLED = False
REDIRECT_ENABLED = False
METAREFRESH_ENABLED = False
HTTPERROR_ALLOW_ALL = True

DOWNLOADER_MIDDLEWARES = {
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "tieba.robots.RobotsMiddleware": 100,
    "tieba.politeness.PolitenessMiddleware": 950,
}
SPIDER_MIDDLEWARES = {
    "tieba.storage.middleware.StorageMiddleware": 950,
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,  # would write a depth into every queued request
}
EXTENSIONS = {"tieba.heartbeat.Heartbeat": 500}

# Verification pages and rate limits: the address pauses so many seconds, doubled each time up to the longest.
TIEBA_FIRST_PAUSE = 5.0
TIEBA_LONGEST_PAUSE = 300.0

REDIS_URL = TIEBA_CONFIG.redis_url
REDIS_START_URLS_KEY = f"{TIEBA_CONFIG.job}:start_urls"
SCHEDULER = "tieba.scheduling.Scheduler"
FRONTIER_JOB = TIEBA_CONFIG.job
FRONTIER_EGRESS = TIEBA_CONFIG.egress
FRONTIER_COUNTED_AS = socket.gethostname()
FRONTIER_LIMITS = {
    "threads": (TIEBA_CONFIG.threads_rate, TIEBA_CONFIG.burst),
    "posts": (TIEBA_CONFIG.posts_rate, TIEBA_CONFIG.burst),
    "comments": (TIEBA_CONFIG.comments_rate, TIEBA_CONFIG.burst),
}
FRONTIER_LEASE_SECONDS = TIEBA_CONFIG.lease_seconds
FRONTIER_MAX_ATTEMPTS = TIEBA_CONFIG.max_attempts
FRONTIER_RETRY_DELAY = 1.0

if TIEBA_CONFIG.pictures:
    ITEM_PIPELINES = {"tieba.pictures.PicturesPipeline": 500}
    FILES_STORE = TIEBA_CONFIG.pictures_store  # for S3 botocore reads AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …
    TIEBA_PICTURES_LIMIT = (TIEBA_CONFIG.pictures_rate, TIEBA_CONFIG.burst)

if TIEBA_CONFIG.scheduler == "scrapy_redis":
    locals().update(stock_settings(TIEBA_CONFIG))
    DOWNLOADER_MIDDLEWARES["tieba.stock.TurnMiddleware"] = 940
