"""The shared queue of a crawl, kept in Redis.

Knows neither Scrapy nor Tieba; `frontier.client` tells how it is used.
"""

from frontier.client import Frontier, make_owner
from frontier.connection import connect, connect_blocking
from frontier.fingerprint import fingerprint
from frontier.model import Delayed, Held, Lease, Leased, Letter, Limit, Pause, Request, Slot, Stats
from frontier.operations import Policy

__all__ = [
    "Delayed",
    "Frontier",
    "Held",
    "Lease",
    "Leased",
    "Letter",
    "Limit",
    "Pause",
    "Policy",
    "Request",
    "Slot",
    "Stats",
    "connect",
    "connect_blocking",
    "fingerprint",
    "make_owner",
]
