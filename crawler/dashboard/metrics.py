"""The status as metrics, in OpenMetrics' text form (https://prometheus.io/docs/specs/om/open_metrics_spec/).

docs/monitoring.md lists them; their names are kept, since rules and graphs of others are made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    Status = Mapping[str, Any]
    Sample = tuple[tuple[str, ...], float | None]

__all__ = ["CONTENT_TYPE", "render"]

_MIB = 1 << 20
_STATES = ("none", "running", "paused", "finished")


def render(status: Status | None, problem: str | None, *, is_fault: bool = False) -> bytes:
    """Give the metrics of a status, as `tieba status --json` has it; served as CONTENT_TYPE.

    Where there is a `problem`, or no status yet, they are `tieba_up 0` and the alarms that were known last,
    which nobody has seen end: numbers of before would look like those of now. A problem that `is_fault` is
    the page's own, which is up with that alarm.
    """
    registry = CollectorRegistry()
    registry.register(_Metrics(status, is_blind=bool(problem), is_fault=is_fault))
    return bytes(generate_latest(registry))


class _Metrics(Collector):
    def __init__(self, status: Status | None, *, is_blind: bool, is_fault: bool) -> None:
        self._status = status
        self._is_blind = is_blind or status is None
        self._is_fault = is_fault

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge(
            "up", "Whether Redis tells how the crawl is.", value=not self._is_blind or self._is_fault
        )
        yield _alarms(
            [
                *(status["alarms"] if status is not None else ()),
                *([{"name": "page_fault", "subject": ""}] if self._is_fault else ()),
            ]
        )
        if status is None or self._is_blind:
            return
        yield _gauge(
            "store_up", "Whether the store tells what it holds.", value=status["store_problem"] is None
        )
        yield _gauge("status_timestamp_seconds", "When the numbers were gathered.", value=status["at"])
        yield from _crawl(status)
        yield from _requests(status)
        yield from _records(status)
        yield from _slaves(status["slaves"], status["at"])
        yield from _slots(status["slots"])
        yield from _machines(status)


def _alarms(alarms: Iterable[Status]) -> Metric:
    samples = [((alarm["name"], alarm["subject"]), 1.0) for alarm in alarms]
    text = "Alarms, as the page shows them: 1 while there is one."
    return _gauge("alarm", text, ("name", "subject"), samples)


def _crawl(status: Status) -> Iterator[Metric]:
    crawl = status["crawl"]
    state = "paused" if crawl["paused"] else crawl["state"]
    samples = [((name,), float(name == state)) for name in _STATES]
    yield _gauge("crawl_state", "1 for the state that the crawl has, 0 for the others.", ("state",), samples)
    yield _gauge("crawl_seconds", "How long the crawl has taken.", value=crawl["seconds"])
    yield _gauge(
        "crawl_left_seconds",
        "How long it will take for what is known to be left.",
        value=status["eta_seconds"],
    )
    yield _gauge(
        "last_crawl_finished_timestamp_seconds",
        "When the last crawl that finished did so.",
        value=max((finished["finished_at"] for finished in status["crawls"]), default=None),
    )


def _requests(status: Status) -> Iterator[Metric]:
    requests = status["requests"]
    states = {"queued": "queued", "leased": "leased", "delayed": "delayed", "failed": "dead"}
    samples: list[Sample] = [((shown,), requests[name]) for name, shown in states.items()]
    yield _gauge(
        "requests", "Requests that are not done: queued, leased, delayed, dead.", ("state",), samples
    )
    yield _counter("retries", "Attempts that were repeated.", value=requests["retried"])
    yield _counter(
        "expired_leases", "Leases that ran out, since their worker died.", value=requests["expired"]
    )
    samples = [((queue["endpoint"], str(queue["priority"])), queue["count"]) for queue in status["queues"]]
    yield _gauge("queue_requests", "Queued requests.", ("endpoint", "priority"), samples)
    samples = [((outcome,), count) for outcome, count in status["outcomes"].items()]
    yield _counter("answers", "Answers of the site, by what they were.", ("outcome",), samples)


def _records(status: Status) -> Iterator[Metric]:
    totals = dict(status["totals"])
    yield _counter("downloaded_bytes", "Bytes of answers.", value=totals.pop("bytes", None))
    samples = [((kind,), count) for kind, count in totals.items()]
    yield _counter("saved_records", "Records that this crawl saved, seen before or not.", ("kind",), samples)
    samples = [((kind,), count) for kind, count in status["stored"].items()]
    yield _gauge("stored_records", "Records in the store.", ("kind",), samples)


def _slaves(slaves: Iterable[Status], now: float) -> Iterator[Metric]:
    slaves = list(slaves)

    def by_slave(name: str, times: float = 1.0) -> list[Sample]:
        return [((slave["host"],), None if slave[name] is None else slave[name] * times) for slave in slaves]

    of = ("machine",)
    info = InfoMetricFamily("tieba_slave", "What a slave runs.", labels=of)
    for slave in slaves:
        told = {
            "version": slave["version"] or "",
            "code": slave["code"] or "",
            "engines": ",".join(slave["engines"]),
        }
        info.add_metric((slave["host"],), told)
    yield info
    yield _gauge("slave_workers", "Workers of a slave that are heard of.", of, by_slave("processes"))
    yield _gauge(
        "slave_leased_requests", "Requests in the hands of a slave's workers.", of, by_slave("leased")
    )
    yield _gauge("slave_memory_bytes", "Memory of a slave's workers.", of, by_slave("memory_mb", _MIB))
    samples = [
        ((slave["host"],), None if slave["last_seen_seconds"] is None else now - slave["last_seen_seconds"])
        for slave in slaves
    ]
    yield _gauge("slave_seen_timestamp_seconds", "When a slave was last heard of.", of, samples)
    yield _counter("pages", "Requests that are done, by who did them.", of, by_slave("done"))


def _slots(slots: Iterable[Status]) -> Iterator[Metric]:
    slots = list(slots)

    def by_slot(name: str) -> list[Sample]:
        return [((slot["endpoint"], slot["egress"]), slot[name]) for slot in slots]

    of = ("endpoint", "egress")
    yield _gauge("slot_limit", "Requests a second that an outgoing address may send.", of, by_slot("rate"))
    yield _counter("slot_requests", "Requests that an outgoing address was given.", of, by_slot("granted"))
    yield _gauge("slot_strikes", "Pauses in a row, without an answer between.", of, by_slot("strikes"))
    samples = [((slot["endpoint"], slot["egress"]), slot["paused_seconds"] or 0.0) for slot in slots]
    yield _gauge("slot_paused_seconds", "How long an outgoing address still pauses.", of, samples)


def _machines(status: Status) -> Iterator[Metric]:
    redis = status["redis"]
    yield _gauge("redis_used_bytes", "Memory that Redis uses.", value=redis["used_bytes"])
    yield _gauge("redis_max_bytes", "Memory that Redis may use; 0 is no limit.", value=redis["max_bytes"])
    yield _gauge(
        "redis_aof_ok", "Whether Redis keeps the queue in its append-only file.", value=redis["aof_ok"]
    )
    samples = [
        ((machine["host"], machine["disk_path"]), machine["disk_free_mb"] * _MIB)
        for machine in status["machines"]
    ]
    yield _gauge("disk_free_bytes", "Free disk where a machine keeps its data.", ("machine", "path"), samples)


def _gauge(
    name: str,
    about: str,
    labels: tuple[str, ...] = (),
    samples: Iterable[Sample] = (),
    *,
    value: float | None = None,
) -> Metric:
    return _filled(GaugeMetricFamily(f"tieba_{name}", about, labels=labels), samples, value)


def _counter(
    name: str,
    about: str,
    labels: tuple[str, ...] = (),
    samples: Iterable[Sample] = (),
    *,
    value: float | None = None,
) -> Metric:
    return _filled(CounterMetricFamily(f"tieba_{name}", about, labels=labels), samples, value)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, samples: Iterable[Sample], value: float | None
) -> Metric:
    """Add what is known: a sample without a value is one that is not."""
    for labels, known in (*samples, ((), value)):
        if known is not None:
            family.add_metric(labels, float(known))
    return family
