"""A status with something of everything, put together as that of a real crawl is."""

from frontier import Letter, Slot, Stats
from frontier.job import Facts
from frontier.model import Queued
from tieba.config import Config
from tieba.status import summarize

NOW = 1_790_000_000.0
_SERVER = {
    "used_memory": 90 * 2**20,
    "maxmemory": 100 * 2**20,
    "redis_version": "7.0.15",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
}


def full_status():
    """Give it: Redis is nearly full, one slave has fallen silent, and an outgoing address is blocked."""
    beat = {
        "host": "slave1",
        "at": NOW - 1,
        "leased": 3,
        "rate": 2.0,
        "posts_rate": 20.0,
        "version": "0.1.0",
        "code": "3fa2c1d4e5f6",
        "engine": "scrapy",
        "egress": "default",
        "memory_mb": 80,
        "disk_free_mb": 9000,
        "disk_path": "/var/lib/tieba",
    }
    facts = Facts(
        now=NOW,
        crawl={"state": "running", "id": "a", "started_at": str(NOW - 60)},
        seeds=('{"forum": "聊天", "pages": 2}',),
        waiting_seeds=1,
        requests=Stats(
            (Queued("posts", 10, 10), Queued("threads", 5, 2)),
            leased=4,
            delayed=2,
            dead=1,
            slots=(
                Slot("posts:default", 4.2, "rate_limited: HTTP 429", strikes=3, granted=7),
                Slot("threads:default", 0.0, "", strikes=0, granted=40),
            ),
            retried=3,
            granted=50,
        ),
        letters=(Letter("1", "posts", 10, 6, '{"target":["thread",7,1]}', "unknown: HTTP 500", NOW - 9),),
        outcomes={"ok": 40, "deleted": 1},
        pages={"slave1": 30, "slave2": 11},
        workers={"slave1:1": beat, "slave2:1": {**beat, "host": "slave2", "at": NOW - 900}},
        totals={"posts": 60, "comments": 3, "bytes": 5_000_000},
        history=([NOW - 50, 11, 10, 0], [NOW - 10, 31, 50, 1]),
        machines={
            "master": {
                "host": "master",
                "at": NOW - 5,
                "disk_free_mb": 900,
                "disk_path": "/var/lib/tieba-dashboard",
            }
        },
        crawls=({"id": "b", "started_at": NOW - 5000, "finished_at": NOW - 4000},),
    )
    return summarize(facts, Config(storage=("mongodb",)), _SERVER, {"threads": 8, "posts": 77})
