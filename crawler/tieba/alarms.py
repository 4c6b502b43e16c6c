"""What of a crawl somebody should look at: the alarms that `tieba status`, the page and mails tell of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tieba.phrases import Phrase
from tieba.wording import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tieba.config import Config

    Alarm = dict[str, Any]


def alarms(status: Mapping[str, Any], config: Config) -> list[Alarm]:
    """Give the alarms of a status.

    Each has a `name`, a `subject`, which tells those of one name apart, a `text` (a Phrase, unless a server
    said it), and `since` in Unix seconds, None where that is not known.
    """
    return [
        *_nothing_stored(status, config),
        *_blocked(status, config),
        *_dead_letters(status, config),
        *_silent(status),
        *_redis_memory(status, config),
        *_disk_low(status, config),
        *([] if status["store_problem"] is None else [_alarm("store_away", status["store_problem"])]),
    ]


def unwatched(status: Mapping[str, Any], disks: Iterable[Mapping[str, Any]], config: Config) -> list[Alarm]:
    """Give alarms that nobody can raise or see end now.

    They are those of slaves and `disks` that nobody tells of, and of addresses that nobody uses.

    Whether there was such an alarm is not known here; `text` says what became of it.
    """
    gone = "has been silent for a day and is not watched any more"
    return [
        *(
            _alarm("slave_silent", f"{slave['host']} {gone}", slave["host"])
            for slave in status["slaves"]
            if slave["is_gone"]
        ),
        *(
            _alarm(
                "disk_low",
                f"{disk['host']}'s disk at {disk['disk_path']} is not watched any more: {disk['why']}",
                _disk(disk),
            )
            for disk in disks
        ),
        *(
            _alarm("address_blocked", f"{slot['slot']} is not watched any more: nobody uses it", slot["slot"])
            for slot in status["slots"]
            if slot["strikes"] >= config.alarm_strikes and not _is_watched(slot, status)
        ),
    ]


def redis_away(problem: str) -> list[Alarm]:
    """Give the alarms of who cannot get a status."""
    return [_alarm("redis_away", problem)]


def _nothing_stored(status: Mapping[str, Any], config: Config) -> Iterator[Alarm]:
    crawl = status["crawl"]
    if crawl["state"] != "running" or crawl["paused"]:
        return
    if any(slave["processes"] and slave["posts_rate"] is None for slave in status["slaves"]):
        return  # workers of an older release do not tell what they store
    since = max(crawl[name] or 0.0 for name in ("stored_at", "started_at", "resumed_at"))
    seconds = status["at"] - since
    if seconds > config.alarm_nothing_stored_minutes * 60:
        is_anybody_there = any(slave["processes"] for slave in status["slaves"])
        time = duration(seconds)
        text = (
            Phrase("nothing was stored for %(time)s", time=time)
            if is_anybody_there
            else Phrase("nothing was stored for %(time)s: no worker is alive", time=time)
        )
        yield _alarm("nothing_stored", text, since=since)


def _blocked(status: Mapping[str, Any], config: Config) -> Iterator[Alarm]:
    for slot in status["slots"]:
        if slot["strikes"] >= config.alarm_strikes and _is_watched(slot, status):
            text = Phrase(
                "%(slot)s was paused %(count)d times without a success between them",
                slot=slot["slot"], count=slot["strikes"],
            )  # fmt: skip
            if slot["paused_seconds"]:
                text = Phrase(
                    "%(slot)s was paused %(count)d times without a success between them,"
                    " for %(time)s more: %(reason)s",
                    **text.values, time=duration(slot["paused_seconds"]), reason=slot["reason"],
                )  # fmt: skip
            yield _alarm("address_blocked", text, slot["slot"])


def _is_watched(slot: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Tell whether a success can end a slot's strikes: there is none for an address that nobody uses."""
    if status["crawl"]["state"] != "running":
        return False
    used = {egress for slave in status["slaves"] for egress in slave["egress"]}
    return slot["egress"] in used or bool(slot["paused_seconds"])


def _dead_letters(status: Mapping[str, Any], config: Config) -> Iterator[Alarm]:
    if not status["history"]:
        return
    since = status["history"][0][0]
    counts = [*(dead for _, _, _, dead in status["history"]), status["requests"]["failed"]]
    # Their number falls when some are queued again, which takes back nothing of what was given up since.
    more = sum(max(0, after - before) for before, after in pairwise(counts))
    if more > config.alarm_dead_letters:
        text = Phrase(
            "%(count)d requests were given up within %(time)s",
            count=more, time=duration(status["at"] - since),
        )  # fmt: skip
        yield _alarm("dead_letters", text, since=since)


def _silent(status: Mapping[str, Any]) -> Iterator[Alarm]:
    for slave in status["slaves"]:
        if slave["is_silent"]:
            seconds = slave["last_seen_seconds"]
            text = Phrase(
                "%(host)s: no worker was heard of for %(time)s", host=slave["host"], time=duration(seconds)
            )
            yield _alarm("slave_silent", text, slave["host"], status["at"] - seconds)


def _redis_memory(status: Mapping[str, Any], config: Config) -> Iterator[Alarm]:
    used, most = status["redis"]["used_bytes"], status["redis"]["max_bytes"]
    if most and used * 100 >= most * config.alarm_redis_percent:
        text = Phrase(
            "Redis uses %(percent).0f %% of its %(mib).0f MiB: raise redis_maxmemory_mb",
            percent=used * 100 / most, mib=most / 2**20,
        )  # fmt: skip
        yield _alarm("redis_memory", text)


def _disk_low(status: Mapping[str, Any], config: Config) -> Iterator[Alarm]:
    for machine in status["machines"]:
        free = machine["disk_free_mb"]
        if free < config.alarm_disk_mb:
            text = Phrase(
                "%(host)s: %(free)d MiB are free at %(path)s",
                host=machine["host"], free=free, path=machine["disk_path"],
            )  # fmt: skip
            yield _alarm("disk_low", text, _disk(machine))


def _disk(machine: Mapping[str, Any]) -> str:
    return f"{machine['host']}:{machine['disk_path']}"


def _alarm(name: str, text: str, subject: str = "", since: float | None = None) -> Alarm:
    return {"name": name, "subject": subject, "text": text, "since": since}
