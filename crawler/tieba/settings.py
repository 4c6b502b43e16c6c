"""Scrapy settings of the crawler, from the node's configuration (`tieba.config`)."""

import sys

from tieba.config import ConfigError, load
from tieba.scheduling import scheduler_settings

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
DOWNLOAD_DELAY = 0  # the rate is limited for the whole cluster, in tieba.politeness
DOWNLOAD_TIMEOUT = TIEBA_CONFIG.download_timeout

# What an answer means is told by tieba.pages, and tieba.politeness acts on it.
RETRY_ENABLED = False
REDIRECT_ENABLED = False
METAREFRESH_ENABLED = False
HTTPERROR_ALLOW_ALL = True

DOWNLOADER_MIDDLEWARES = {"tieba.politeness.PolitenessMiddleware": 950}
SPIDER_MIDDLEWARES = {
    "tieba.storage.middleware.StorageMiddleware": 950,
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,  # would write a depth into every queued request
}
EXTENSIONS = {"tieba.heartbeat.Heartbeat": 500}

# Answers that cannot be recognised, server and network errors: so often, after so many seconds, doubled
# each time.
TIEBA_RETRY_TIMES = 5
TIEBA_RETRY_DELAY = 1.0
# Verification pages and rate limits: the address pauses so many seconds, doubled each time up to the longest.
TIEBA_FIRST_PAUSE = 5.0
TIEBA_LONGEST_PAUSE = 300.0

locals().update(scheduler_settings(TIEBA_CONFIG))
