"""The command `tieba queue`: its options; `tieba.queue` does what they say."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from tieba.config import load
from tieba.errors import UsageError
from tieba.finding import is_of
from tieba.pages import CommentPage, ThreadPage
from tieba.pages.values import identifier
from tieba.seeds import forum_target, thread_target

if TYPE_CHECKING:
    import argparse

    from frontier import Letter
    from tieba.pages import Target


def add_parser(commands: Any) -> None:
    """Add the command's own commands."""
    queue = commands.add_parser(
        "queue",
        help="look into the queue, and mend it",
        description="Look into the queue that all slaves share, and mend it. TIEBA_JOB names another job "
        "than the configuration.",
        epilog="example: tieba queue peek --dead",
    )
    _add_commands(queue.add_subparsers(dest="action", required=True, metavar="COMMAND"))


def number(name: str, text: str) -> int:
    """Give the number from 1 on that an option's text is; raises UsageError."""
    found = identifier(text)
    if found is None:
        raise UsageError(f"{name} must be a number from 1 on, not {text!r}")
    return found


def _add_commands(commands: Any) -> None:
    _add_looking(commands)
    _add_mending(commands)


def _add_looking(commands: Any) -> None:
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

    find = commands.add_parser(
        "find",
        help="tell where the requests for a thread, a forum or an address are",
        description="Tell whether the first page of a thread or forum, or an address, was seen, and which "
        "requests for it are leased, delayed, given up or queued: the first twenty of each. Of many that are "
        "leased, delayed or given up, 10,000 of each are looked at.",
        epilog="example: tieba queue find --thread 7777",
    )
    what = find.add_mutually_exclusive_group(required=True)
    what.add_argument("--forum", metavar="NAME", help="the list pages of a forum")
    what.add_argument("--thread", metavar="NUMBER", help="the pages and comments of a thread")
    what.add_argument("--url", help="the address of a forum, a thread or, in any spider's job, a page")
    find.add_argument("--json", action="store_true", help="print one JSON object")
    find.set_defaults(run=_find)


def _add_mending(commands: Any) -> None:
    hold = commands.add_parser(
        "hold",
        help="hold the crawl: nothing more is fetched until go-on",
        description="Hold the crawl: no worker gets any more requests, those under way go on.",
        epilog="example: tieba queue hold --reason 'the site is being repaired'",
    )
    hold.add_argument("--reason", default="", metavar="TEXT", help="for those who wonder")
    hold.set_defaults(run=_hold)

    go_on = commands.add_parser(
        "go-on",
        help="let a crawl go on that is held",
        description="Let a crawl go on that is held.",
        epilog="example: tieba queue go-on",
    )
    go_on.set_defaults(run=_go_on)

    reprioritize = commands.add_parser(
        "reprioritize",
        help="have queued requests fetched earlier or later",
        description="Give the requests that are queued for an endpoint at one priority another one; higher "
        "ones come first. They come after those that have it already.",
        epilog="example: tieba queue reprioritize comments 20 5",
    )
    reprioritize.add_argument("endpoint", metavar="ENDPOINT", help="e.g. posts; see tieba queue stats")
    reprioritize.add_argument("old", type=int, metavar="OLD", help="their priority now")
    reprioritize.add_argument("new", type=int, metavar="NEW", help="their new priority")
    reprioritize.set_defaults(run=_reprioritize)

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


def _peek(options: argparse.Namespace) -> int:
    from tieba import queue

    show = queue.peek_dead if options.dead else queue.peek
    asyncio.run(show(load(), number("N", options.count), as_json=options.json))
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
            and (target is None or is_of(letter.payload, target))
        )

    print(asyncio.run(queue.retry(load(), is_wanted)))
    return 0


def _forget(options: argparse.Namespace) -> int:
    from tieba import queue

    target = _target(options)
    page = None if options.page is None else number("--page", options.page)
    if page is not None and target is None:
        raise UsageError(f"--page {page} needs --forum or --thread")
    if options.post is not None:
        if not isinstance(target, ThreadPage):
            raise UsageError(f"--post {options.post} needs --thread")
        target = CommentPage(target.thread_id, number("--post", options.post))
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


def _find(options: argparse.Namespace) -> int:
    from tieba import queue

    target = _target(options)
    found = asyncio.run(queue.find(load(), options.url if target is None else target))
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        queue.print_found(found)
    return 0 if found["seen"] or any(found[state] for state in queue.STATES) else 1


def _hold(options: argparse.Namespace) -> int:
    from tieba import queue

    print(asyncio.run(queue.hold(load(), options.reason)))
    return 0


def _go_on(options: argparse.Namespace) -> int:
    from tieba import queue

    print(asyncio.run(queue.go_on(load())))
    return 0


def _reprioritize(options: argparse.Namespace) -> int:
    from tieba import queue

    try:
        told = asyncio.run(queue.reprioritize(load(), options.endpoint, options.old, options.new))
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(told)
    return 0
