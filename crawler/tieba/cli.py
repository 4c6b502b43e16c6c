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
from tieba.pages import CommentPage, Received, ThreadPage, answer_to_json
from tieba.pages.reading import read_any
from tieba.pages.values import identifier
from tieba.samples import Sample, is_sample
from tieba.seeds import KEYS, SeedError, forum_target, make_seeds, parse_seeds, thread_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frontier import Letter
    from tieba.pages import Target
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

    queue = commands.add_parser(
        "queue",
        help="look into the queue, and mend it",
        description="Look into the queue that all slaves share, and mend it. TIEBA_JOB names another job "
        "than the configuration.",
        epilog="example: tieba queue peek --dead",
    )
    _add_queue_commands(queue.add_subparsers(dest="action", required=True, metavar="COMMAND"))
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


def _add_queue_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    peek = commands.add_parser(
        "peek",
        help="show the next requests, or the dead letters",
        description="Show the next requests of every endpoint, or those that were given up, newest first.",
        epilog="example: tieba queue peek 20 --dead",
    )
    peek.add_argument(
        "count", nargs="?", default="10", metavar="N", help="how many, of every endpoint; default: 10"
    )
    peek.add_argument("--dead", action="store_true", help="the dead letters, with reasons and ids")
    peek.add_argument("--json", action="store_true", help="print one JSON list")
    peek.set_defaults(run=_peek)

    stats = commands.add_parser(
        "stats",
        help="count what is queued, leased, delayed, dead and seen",
        description="Count what is queued, leased, delayed, dead and seen.",
        epilog="example: tieba queue stats --json",
    )
    stats.add_argument("--json", action="store_true", help="print one JSON object")
    stats.set_defaults(run=_stats)

    retry = commands.add_parser(
        "retry",
        help="queue dead letters again",
        description="Queue dead letters again that fit all the options.",
        epilog="example: tieba queue retry --reason 'HTTP 500' --endpoint posts",
    )
    retry.add_argument(
        "--id", nargs="+", metavar="ID", help="those with these ids; see tieba queue peek --dead"
    )
    retry.add_argument("--reason", metavar="TEXT", help="those whose reason has this text in it")
    retry.add_argument("--endpoint", metavar="NAME", help="those of an endpoint, e.g. posts")
    of = retry.add_mutually_exclusive_group()
    of.add_argument("--forum", metavar="NAME", help="those for list pages of a forum")
    of.add_argument("--thread", metavar="NUMBER", help="those for a thread or its comments")
    retry.add_argument("--all", action="store_true", help="all of them")
    retry.set_defaults(run=_retry)

    forget = commands.add_parser(
        "forget",
        help="forget that pages were seen, so that they can be crawled again",
        description="Forget that pages were seen, so that the running crawl can queue them again.",
        epilog="example: tieba queue forget --thread 7777",
    )
    what = forget.add_mutually_exclusive_group(required=True)
    what.add_argument("--forum", metavar="NAME", help="the list pages of a forum")
    what.add_argument("--thread", metavar="NUMBER", help="the pages of a thread")
    what.add_argument("--url", help="the address of a forum, a thread or, in any spider's job, a page")
    forget.add_argument(
        "--post", metavar="ID", help="with --thread: the comments of one of its posts instead"
    )
    forget.add_argument("--page", metavar="N", help="only this page; default: all")
    forget.set_defaults(run=_forget)

    drop = commands.add_parser(
        "drop",
        help="remove the job: queue, seen set, dead letters, seeds",
        description="Remove all that Redis has of the job. What is stored stays.",
        epilog="example: tieba queue drop --yes",
    )
    drop.add_argument("--yes", action="store_true", help="do not ask")
    drop.set_defaults(run=_drop)

    migrate = commands.add_parser(
        "migrate",
        help="take over the queue and seen set of scrapy-redis",
        description="Take over the keys NAME:requests and NAME:dupefilter of scrapy-redis. Entries that hold "
        "more than plain values are refused and go to the dead letters; nothing in them is executed. After "
        "an interruption, run it again.",
        epilog="example: tieba queue migrate --dry-run",
    )
    migrate.add_argument("--from", dest="source", metavar="NAME", help="the spider; default: the job's name")
    migrate.add_argument("--keep", action="store_true", help="leave the keys of scrapy-redis as they are")
    migrate.add_argument("--dry-run", action="store_true", help="only count")
    migrate.set_defaults(run=_migrate)


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
    from tieba.status import show

    asyncio.run(
        show(load(), as_json=options.json, watch=options.watch, until_finished=options.until_finished)
    )
    return 0


def _health(options: argparse.Namespace) -> int:
    from tieba.health import examine, wait_for_workers

    if options.workers is not None:
        asyncio.run(wait_for_workers(load(), _number("--workers", options.workers)))
        return 0
    accepted = 0 if options.dead_letters == "0" else _number("--dead-letters", options.dead_letters)
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


def _peek(options: argparse.Namespace) -> int:
    from tieba import queue

    show = queue.peek_dead if options.dead else queue.peek
    asyncio.run(show(load(), _number("N", options.count), as_json=options.json))
    return 0


def _stats(options: argparse.Namespace) -> int:
    from tieba import queue

    asyncio.run(queue.stats(load(), as_json=options.json))
    return 0


def _retry(options: argparse.Namespace) -> int:
    from tieba import queue

    target = _target(options)
    selection = (options.id, options.reason, options.endpoint, target)
    if options.all == any(value is not None for value in selection):
        raise UsageError("say which: --id, --reason, --endpoint, --forum, --thread, or --all")

    def is_wanted(letter: Letter) -> bool:
        return (
            (options.id is None or letter.id in options.id)
            and (options.reason is None or options.reason in letter.reason)
            and options.endpoint in {None, letter.endpoint}
            and (target is None or queue.is_of(letter, target))
        )

    print(asyncio.run(queue.retry(load(), is_wanted)))
    return 0


def _forget(options: argparse.Namespace) -> int:
    from tieba import queue

    target = _target(options)
    page = None if options.page is None else _number("--page", options.page)
    if page is not None and target is None:
        raise UsageError(f"--page {page} needs --forum or --thread")
    if options.post is not None:
        if not isinstance(target, ThreadPage):
            raise UsageError(f"--post {options.post} needs --thread")
        target = CommentPage(target.thread_id, _number("--post", options.post))
    config = load()
    forgotten = asyncio.run(
        queue.forget_url(config, options.url) if target is None else queue.forget(config, target, page)
    )
    print(f"{forgotten} requests are forgotten" if forgotten else "nothing of that was seen")
    return 0 if forgotten else 1


def _target(options: argparse.Namespace) -> Target | None:
    if options.forum is not None:
        return forum_target(options.forum, "--forum")
    return None if options.thread is None else thread_target(options.thread, "--thread")


def _drop(options: argparse.Namespace) -> int:
    from tieba import queue

    config = load()
    lost = asyncio.run(queue.what_drop_loses(config))
    if lost is None:
        print(f"There is nothing of {config.job}")
        return 0
    if not options.yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{config.job} has {lost}; to remove it without being asked, add --yes")
        try:
            answer = input(f"Remove {config.job} with {lost}? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in {"y", "yes"}:
            print("Nothing is removed")
            return 1
    asyncio.run(queue.drop(config))
    print(f"{config.job} is removed: {lost}")
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from tieba import queue

    config = load()
    source = options.source or config.job
    print(asyncio.run(queue.migrate(config, source, keep=options.keep, is_dry=options.dry_run)))
    return 0


def _number(name: str, text: str) -> int:
    number = identifier(text)
    if number is None:
        raise UsageError(f"{name} must be a number from 1 on, not {text!r}")
    return number


if __name__ == "__main__":
    sys.exit(main())
