"""Command line of the stand-in site: serve it, list its ground truth, measure it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from replica import bench, truth
from replica.app import create_app
from replica.config import CONFIG_HELP, Config, ConfigError, load
from replica.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BACKLOG = 2_048  # connections that wait to be accepted
_KEEP_ALIVE = 75  # seconds; longer than a polite crawler's pause between two requests


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ConfigError as error:
        print(f"tieba-replica: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tieba-replica",
        description="A stand-in for Tieba, its client API and its web pages, to try a crawler offline.",
        epilog="example: tieba-replica serve --port 8080",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, help_text: str, example: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=help_text,
            description=f"{help_text[0].upper()}{help_text[1:]}.",
            epilog=f"example: {example}\n\n{CONFIG_HELP}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--config", type=Path, metavar="FILE", help="JSON configuration (keys below)")
        command.add_argument("--seed", type=_whole(0, 2**32 - 1), help="overrides the configuration's seed")
        return command

    serve = add(
        "serve",
        "answer the client API and serve web pages until stopped",
        "tieba-replica serve --config replica.json",
    )
    serve.add_argument("--host", help="overrides the configuration's host")
    serve.add_argument(
        "--port", type=_whole(0, 65_535), help="overrides the configuration's port; 0 takes a free one"
    )
    serve.add_argument("--check", action="store_true", help="only check the configuration, do not serve")
    serve.set_defaults(run=_serve)

    listing = add(
        "truth",
        "print what a perfect crawler stores, one JSON object a line",
        "tieba-replica truth --forum 聊天 --pages 10",
    )
    listing.add_argument("--forum", required=True, help="name of the forum")
    listing.add_argument(
        "--pages", type=_whole(1, 10**9), help="first list pages, of 100 threads (web: 50; default: all)"
    )
    listing.add_argument(
        "--source", choices=truth.SOURCES, default="api", help="what the crawler reads (default: api)"
    )
    listing.set_defaults(run=_truth)

    measure = add(
        "bench", "measure answers per second over the loopback interface", "tieba-replica bench --json"
    )
    measure.add_argument(
        "--seconds", type=_whole(1, 10), default=5, help="how long to measure (1 to 10, default 5)"
    )
    measure.add_argument(
        "--connections", type=_whole(1, 64), default=8, help="keep-alive connections (default 8)"
    )
    measure.add_argument(
        "--form", choices=tuple(bench.FORMS), default="json", help="of requests and answers (default: json)"
    )
    measure.add_argument("--json", action="store_true", help="print one JSON object")
    measure.set_defaults(run=_bench)
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from {low} to {high}")
        return number

    return convert


def _config(options: argparse.Namespace) -> Config:
    config = load(options.config) if options.config else Config()
    given = {
        name: value
        for name in ("host", "port", "seed")
        if (value := getattr(options, name, None)) is not None
    }
    return dataclasses.replace(config, **given)


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    if options.check:
        return 0
    listener = _listen(config.host, config.port)
    host, port = listener.getsockname()[:2]
    app = create_app(config)
    names = ", ".join(f"{forum.name} ({forum.pages} list pages)" for forum in config.forums)
    shown = f"[{host}]" if ":" in host else host
    print(
        f"tieba-replica: serving {names} at http://{shown}:{port} with seed {config.seed}",
        flush=True,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=2,
        )
    )
    server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"host {host!r} is not known: {error.strerror}; give another with --host") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port"
        ) from None
    return listener


def _truth(options: argparse.Namespace) -> int:
    config = _config(options)
    world = World(config.seed, config.forums, hostile=config.hostile)
    forum = world.forum(options.forum)
    if forum is None:
        known = ", ".join(item.name for item in world.forums)
        raise ConfigError(f"forum {options.forum!r} does not exist; there are {known}")
    for record in truth.records(forum, truth.Part(last=options.pages, source=options.source)):
        sys.stdout.write(truth.encode(record))
    sys.stdout.flush()
    return 0


def _bench(options: argparse.Namespace) -> int:
    result = bench.run(_config(options), options.config, options.seconds, options.connections, options.form)
    print(result.to_json() if options.json else result.to_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
