"""The command `tieba`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tieba.config import ConfigError, load
from tieba.errors import Unusable, UsageError
from tieba.export.command import add_parser as add_export
from tieba.pages import Received, answer_to_json
from tieba.pages.reading import read_any
from tieba.queue_command import add_parser as add_queue
from tieba.queue_command import number
from tieba.samples import Sample, is_sample
from tieba.seeds import KEYS, SeedError, make_seeds, parse_seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.seeds import Seed

_USAGE = 2  # exit status of a mistake in arguments or configuration
_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Tell of a mistake in one line."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(_USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 for a failure, 2 for a mistake of the user."""
    options = _parser().parse_args(argv)
    prog = " ".join(filter(None, ("tieba", options.command, getattr(options, "action", None))))
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except (ConfigError, SeedError, UsageError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return _USAGE
    except Unusable as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, e.g. head, has seen enough; Python would complain at exit when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tieba",
        description="Drive and inspect the crawl that all slaves share.",
        epilog="example: tieba seed --forum 聊天 --pages 20 && tieba status --until-finished",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    seed = commands.add_parser(
        "seed",
        help="begin a crawl, or add a forum or thread to the running one",
        description="Begin a crawl if none is running, and give it forums or threads. The same twice changes "
        "nothing.",
        epilog="example: tieba seed --forum 聊天 --pages 20; later: tieba seed --forum 聊天 --update",
    )
    _add_seed_options(seed)
    how = seed.add_mutually_exclusive_group()
    how.add_argument("--new", action="store_true", help="abandon what is queued and begin a new crawl")
    how.add_argument(
        "--again",
        action="store_true",
        help="crawl the last crawl's seeds again, as an update, if it has ended",
    )
    seed.set_defaults(run=_seed)

    worker = commands.add_parser(
        "worker",
        help="work on the crawl without Scrapy",
        description="Work on the crawl that all workers share, with Python's standard library in place of "
        "Scrapy, until it is finished. The options add to its seeds.",
        epilog="example: tieba worker --forum 聊天 --pages 20",
    )
    _add_seed_options(worker)
    worker.add_argument(
        "--wait",
        action="store_true",
        help="when a crawl is finished, wait for the next seed, as the units on slaves do",
    )
    worker.set_defaults(run=_worker)

    status = commands.add_parser(
        "status",
        help="show where the crawl stands",
        description="Show where the crawl stands: requests, rate, records stored, slaves, pauses, failures.",
        epilog="example: tieba status --watch",
    )
    status.add_argument(
        "--json", action="store_true", help="print one JSON object (with --until-finished: at the end)"
    )
    status.add_argument("--watch", action="store_true", help="go on until interrupted")
    status.add_argument("--until-finished", action="store_true", help="go on until the crawl is finished")
    status.set_defaults(run=_status)

    health = commands.add_parser(
        "health",
        help="check whether the cluster is well",
        description="Check Redis, the store, clocks, workers and dead letters, as this machine sees them. "
        "Exit status 1 if there is a fault. playbooks/health.yml checks the machines, too.",
        epilog="example: tieba health",
    )
    health.add_argument("--json", action="store_true", help="print one JSON object")
    health.add_argument(
        "--dead-letters", default="0", metavar="N", help="how many dead letters are no fault; default: 0"
    )
    health.add_argument(
        "--workers",
        metavar="N",
        help="only wait until so many workers of this machine are heard of, a minute at most",
    )
    health.set_defaults(run=_health)

    report = commands.add_parser(
        "report",
        help="sum up the crawl, compare it with the truth",
        description="Sum up the last crawl. Exit status 1 if it is not finished, requests failed, or, with "
        "--truth, a record is missing, wrong, unexpected or doubled. To end at max_requests is no failure.",
        epilog="example: tieba report --truth http://site:8080",
    )
    report.add_argument("--truth", metavar="URL", help="the stand-in site that was crawled")
    report.add_argument("--json", action="store_true", help="print one JSON object")
    report.set_defaults(run=_report)

    parse = commands.add_parser(
        "parse",
        help="print what a saved answer of the site means",
        description="Print as JSON what a saved answer of the site means. Kinds: forum, thread, comments.",
        epilog="example: tieba parse --url http://tiebac.baidu.com/c/f/frs/page answer.json",
    )
    parse.add_argument("--url", help="where the answer came from")
    parse.add_argument("--status", type=int, metavar="CODE", help="its HTTP status; default: 200")
    parse.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="one of its headers"
    )
    parse.add_argument(
        "file", metavar="FILE", help="the answer's body, or a sample with its headers; - reads standard input"
    )
    parse.set_defaults(run=_parse)

    add_export(commands)

    add_queue(commands)
    return parser


def _add_seed_options(seed: argparse.ArgumentParser) -> None:
    seed.add_argument(
        "--forum",
        action="append",
        dest="forums",
        metavar="NAME",
        help="a forum's name, without 吧; repeatable",
    )
    seed.add_argument(
        "--thread", action="append", dest="threads", metavar="NUMBER", help="a thread's number; repeatable"
    )
    seed.add_argument(
        "--pages",
        metavar="N|A-B",
        help="list pages of the forum, the first N or those from A to B; default: all. They have 100 threads "
        "(50 on the web)",
    )
    seed.add_argument("--good", action="store_true", default=None, help="only good threads (精品)")
    seed.add_argument(
        "--starter", action="store_true", default=None, help="only floors of the thread's starter"
    )
    seed.add_argument(
        "--no-comments", action="store_false", dest="comments", default=None, help="no replies inside floors"
    )
    seed.add_argument("--since", metavar="DAY", help="only what was written from this day or moment on")
    seed.add_argument("--until", metavar="DAY", help="only what was written before this day or moment")
    seed.add_argument(
        "--update", action="store_true", default=None, help="only what has changed since it was last crawled"
    )
    seed.add_argument("--max-requests", metavar="N", help="end the crawl after so many requests")
    seed.add_argument("--seed", metavar="JSON", help="all of that as one JSON object, as in start_urls")


def _seed(options: argparse.Namespace) -> int:
    from tieba import seeding

    if options.again:
        if options.seed or _given(options):
            raise UsageError("--again takes the seeds of the last crawl: give it no others")
        print(asyncio.run(seeding.seed_again(load())))
        return 0
    seeds = _seeds(options)
    if not seeds:
        raise UsageError("say what to crawl: --forum NAME or --thread NUMBER")
    for line in asyncio.run(seeding.seed(load(), seeds, abandon=options.new)):
        print(line)
    return 0


def _worker(options: argparse.Namespace) -> int:
    from tieba.worker import work

    seeds = _seeds(options)
    if seeds and options.wait:
        raise UsageError("--wait works on the seeds of all workers: give it no others; see tieba seed --help")
    work(load(), seeds, is_service=options.wait)
    return 0


def _seeds(options: argparse.Namespace) -> list[Seed]:
    """Give the seeds that the options describe; none without any."""
    given = _given(options)
    if options.seed is not None and given:
        raise UsageError("--seed holds all there is to say: give no other options")
    if options.seed is not None:
        return parse_seeds(options.seed)
    return make_seeds(given, _seed_option) if given else []


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {key: value for key in KEYS if (value := getattr(options, key, None)) is not None}


def _seed_option(key: str) -> str:
    return {"forums": "--forum", "threads": "--thread"}.get(key, f"--{key.replace('_', '-')}")


def _status(options: argparse.Namespace) -> int:
    if options.json and options.watch:
        raise UsageError("--json and --watch exclude each other")
    # Drawing tables is imported by those who draw: parse and seed start twice as fast without it.
    from tieba.status_drawing import show

    asyncio.run(
        show(load(), as_json=options.json, watch=options.watch, until_finished=options.until_finished)
    )
    return 0


def _health(options: argparse.Namespace) -> int:
    from tieba.health import examine, wait_for_workers

    if options.workers is not None:
        asyncio.run(wait_for_workers(load(), number("--workers", options.workers)))
        return 0
    accepted = 0 if options.dead_letters == "0" else number("--dead-letters", options.dead_letters)
    health = asyncio.run(examine(load(), accepted))
    if options.json:
        print(json.dumps(health.to_json(), ensure_ascii=False, indent=2))
    else:
        for check in health.checks:
            print(f"{check.state:<5}  {check.name:<12}  {check.text}")
    return 0 if health.is_well else 1


def _report(options: argparse.Namespace) -> int:
    from tieba.report import is_as_asked, make_report, print_report

    report = asyncio.run(make_report(load(), options.truth))
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        print_report(report)
    return 0 if is_as_asked(report) else 1


def _parse(options: argparse.Namespace) -> int:
    headers = {}
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon:
            raise UsageError(f"--header must be 'Name: value', not {header!r}")
        headers[name.strip().lower()] = value.strip()
    try:
        body = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    except OSError as error:
        raise UsageError(f"{options.file}: {error.strerror}; give the file of a saved answer") from None
    sample = Sample(Received(body))
    if is_sample(body):
        try:
            sample = Sample.from_bytes(body)
        except ValueError as error:
            raise UsageError(f"{options.file}: {error}; give an answer as `curl -i` prints it") from None
    received = dataclasses.replace(
        sample.received,
        status=options.status or sample.received.status,
        url=options.url or sample.received.url,
        headers={**sample.received.headers, **headers},
    )
    answer = read_any(received, sample.target)
    print(json.dumps(answer_to_json(answer), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
