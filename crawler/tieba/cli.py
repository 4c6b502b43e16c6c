"""The command `tieba`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from frontier import Frontier, connect
from frontier.connection import ERRORS
from frontier.job import Job
from tieba.checks import Unusable, redis_problem
from tieba.config import Config, ConfigError, load
from tieba.pages import answer_to_json, api
from tieba.seeds import SeedError, forum_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE = 2  # exit status of a mistake in arguments or configuration
_INTERRUPTED = 130


class UsageError(Exception):
    """A mistake in the arguments; the message is one line for the user."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Tell of a mistake in one line."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(_USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 for a failure, 2 for a mistake of the user."""
    options = _parser().parse_args(argv)
    prog = f"tieba {options.command}"
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
        help="begin a crawl, or add a forum to the running one",
        description="Begin a crawl if none is running, and give it a forum. The same twice changes nothing.",
        epilog="example: tieba seed --forum 聊天 --pages 20",
    )
    seed.add_argument("--forum", required=True, metavar="NAME", help="the forum's name, without 吧")
    seed.add_argument(
        "--pages", metavar="N", help="how many of its list pages (50 threads each); default: all"
    )
    seed.add_argument("--new", action="store_true", help="abandon what is queued and begin a new crawl")
    seed.set_defaults(run=_seed)

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

    report = commands.add_parser(
        "report",
        help="sum up the crawl, compare it with the truth",
        description="Sum up the last crawl. Exit status 1 if it is not finished, requests failed, or, with "
        "--truth, a record is missing, wrong, unexpected or doubled.",
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
    parse.add_argument(
        "--status", type=int, default=200, metavar="CODE", help="its HTTP status; default: 200"
    )
    parse.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="one of its headers"
    )
    parse.add_argument("file", metavar="FILE", help="the answer's body; - reads standard input")
    parse.set_defaults(run=_parse)
    return parser


def _seed(options: argparse.Namespace) -> int:
    seed = str(forum_seed(options.forum, options.pages, names=("--forum", "--pages")))
    config = load()
    print(asyncio.run(_push(config, seed, abandon=options.new)))
    return 0


async def _push(config: Config, seed: str, *, abandon: bool) -> str:
    redis = connect(config.redis_url)
    try:
        job = Job(Frontier(redis, config.job))
        if abandon and await job.state() == "running":
            print("tieba seed: abandoning the running crawl; waiting for requests in work", file=sys.stderr)
            if not await job.drain():
                raise Unusable("workers still have requests of the abandoned crawl in work; see tieba status")
        if await job.frontier.begin(abandon=abandon):
            await job.push_seed(seed)
            return f"A new crawl begins with {seed}"
        if seed in (await job.facts()).seeds:
            return f"The running crawl has {seed} already"
        await job.push_seed(seed)
    except ERRORS as error:
        raise redis_problem(error, config) from None
    finally:
        await redis.aclose()
    return f"The running crawl goes on with {seed}"


def _status(options: argparse.Namespace) -> int:
    if options.json and options.watch:
        raise UsageError("--json and --watch exclude each other")
    # Drawing tables is imported by those who draw: parse and seed start twice as fast without it.
    from tieba.status import show

    asyncio.run(
        show(load(), as_json=options.json, watch=options.watch, until_finished=options.until_finished)
    )
    return 0


def _report(options: argparse.Namespace) -> int:
    from tieba.report import make_report, print_report

    report = asyncio.run(make_report(load(), options.truth))
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        print_report(report)
    return 0 if report["complete"] else 1


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
    answer = api.read(body, status=options.status, url=options.url, headers=headers)
    print(json.dumps(answer_to_json(answer), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
