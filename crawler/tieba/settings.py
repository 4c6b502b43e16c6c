"""Scrapy settings of the crawler, from the node's configuration (`tieba.config`)."""

import socket
import sys

from tieba.bodies import MOST_BYTES
from tieba.config import LOG_LINES, ConfigError, load
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
LOG_FORMAT = LOG_LINES
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
DOWNLOAD_BIND_ADDRESS = TIEBA_CONFIG.bind_address
DOWNLOAD_TIMEOUT = TIEBA_CONFIG.download_timeout
DOWNLOAD_MAXSIZE = MOST_BYTES

# What an answer means is told by tieba.pages, and tieba.politeness acts on it.
RETRY_ENABLED = False
REDIRECT_ENABLED = False
METAREFRESH_ENABLED = False
HTTPERROR_ALLOW_ALL = True

DOWNLOADER_MIDDLEWARES = {
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "tieba.middlewares.RobotsMiddleware": 100,
    "tieba.middlewares.PolitenessMiddleware": 950,
}
SPIDER_MIDDLEWARES = {
    "tieba.storage.middleware.StorageMiddleware": 950,
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,  # would write a depth into every queued request
}
EXTENSIONS = {"tieba.extensions.Heartbeat": 500}

REDIS_URL = TIEBA_CONFIG.redis_url
REDIS_START_URLS_KEY = f"{TIEBA_CONFIG.job}:start_urls"
SCHEDULER = "tieba.scheduling.Scheduler"
FRONTIER_JOB = TIEBA_CONFIG.job
FRONTIER_EGRESS = TIEBA_CONFIG.egress
FRONTIER_COUNTED_AS = socket.gethostname()
FRONTIER_LIMITS = TIEBA_CONFIG.limits
FRONTIER_LEASE_SECONDS = TIEBA_CONFIG.lease_seconds
FRONTIER_MAX_ATTEMPTS = TIEBA_CONFIG.max_attempts
FRONTIER_RETRY_DELAY = TIEBA_CONFIG.retry_delay

if TIEBA_CONFIG.pictures:
    ITEM_PIPELINES = {"tieba.pictures.PicturesPipeline": 500}
    FILES_STORE = TIEBA_CONFIG.pictures_store  # for S3 botocore reads AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …
    TIEBA_PICTURES_LIMIT = (TIEBA_CONFIG.pictures_rate, TIEBA_CONFIG.burst)

if TIEBA_CONFIG.scheduler == "scrapy_redis":
    locals().update(stock_settings(TIEBA_CONFIG))
    DOWNLOADER_MIDDLEWARES["tieba.stock.TurnMiddleware"] = 940
