"""The command `tieba-dashboard`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import logging
import resource
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard import passwords
from dashboard.app import create_app
from dashboard.config import DEFAULT_PATH, load_settings, trial_settings
from dashboard.server import servers
from tieba.config import LOG_LINES, ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashboard.live import Live
    from dashboard.server import Server

_USAGE = 2  # exit status of a mistake in arguments or configuration
_MOST_FILES = 65_536  # as in the unit of role dashboard: each viewer has one open


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ConfigError, OSError) as error:
        print(f"tieba-dashboard: {error}", file=sys.stderr)
        return _USAGE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tieba-dashboard", description="The cluster's web page.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve the page until stopped",
        description=f"Serve the page as {DEFAULT_PATH} says. Without it: for this machine alone, at "
        "http://127.0.0.1:8088, with the crawler's configuration and a password that is made up and printed.",
        epilog="example: tieba-dashboard serve --config dashboard.json",
    )
    serve.add_argument("--config", type=Path, metavar="FILE", help=f"default: {DEFAULT_PATH}")
    serve.set_defaults(run=_serve)
    hashing = commands.add_parser(
        "hash-password",
        help="print the hash of a password, for password_hash",
        description="Read a password, without showing it, or from standard input; print its scrypt hash.",
        epilog="example: tieba-dashboard hash-password < password",
    )
    hashing.set_defaults(run=_hash_password)
    return parser


def _hash_password(_: argparse.Namespace) -> int:
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise ConfigError("a password is not empty")
    print(passwords.make_hash(password))
    return 0


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format=LOG_LINES)
    _allow_files()
    with contextlib.ExitStack() as stack:
        if options.config or DEFAULT_PATH.exists():
            settings = load_settings(options.config)
        else:
            password = secrets.token_urlsafe(12)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tieba-dashboard-")))
            settings = trial_settings(passwords.make_hash(password), secrets.token_hex(), folder)
            print(f"password: {password}", flush=True)
        app, live = create_app(settings)
        asyncio.run(_run(servers(app, settings), live))
    return 0


def _allow_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def _run(serving: list[Server], live: Live) -> None:
    def stop() -> None:
        live.stop()
        for server in serving:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([server.listener]) for server in serving))
