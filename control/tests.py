"""`make test`: linters, unit and integration tests, then a whole cluster in containers."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from control import bake, cluster, engine, environment, image, mongod, servers
from control.process import ControlError, apt_install, run
from control.project import CACHE, ROOT, VENV

_LINTERS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("yamllint", "--strict", "."),
    ("ansible-lint", "--offline", "--profile", "production"),
)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# By the languages that they are for; und-zsye are emoji.
_FONTS = {"zh": "fonts-noto-cjk", "und-zsye": "fonts-noto-color-emoji"}
_TEST_CLUSTER = "tieba-test"


def lint() -> None:
    """Run every linter; raises ControlError naming the first that objects."""
    environment.ensure("test")
    for linter in _LINTERS:
        _say(" ".join(linter))
        _tool(*linter)


def unit() -> None:
    """Run the unit tests, and the integration tests against real servers."""
    environment.ensure("test")
    if not shutil.which("ruby"):  # the checks in front of `vagrant up` are written in it
        apt_install("ruby")
    _name_servers()
    _say("pytest")
    _tool("pytest", "-q", "--numprocesses=4", "--dist=worksteal", "--durations=5")  # most of them wait


def browser() -> None:
    """Run the tests of the web page in a browser; without one say why, and fail where CI=true."""
    environment.ensure("test")
    try:
        _name_browser()
    except ControlError as error:
        if os.environ.get("CI") == "true":
            raise
        print(f"SKIPPED: the web page's tests, for want of a browser: {error}")
        return
    _name_servers()
    _say("pytest tests/browser")
    _tool("pytest", "-q", "tests/browser")


def containers() -> None:
    """Run the cluster's tests through Molecule; without containers say why, and fail where CI=true."""
    environment.ensure("test")
    try:
        engine.ensure()
        image.ensure(print)
        cluster.create(["probe"])
        cluster.remove(["probe"])
    except ControlError as error:
        if os.environ.get("CI") == "true":
            raise
        print(f"SKIPPED: the cluster's tests, for want of containers: {error}")
        return
    with _containers():
        _say("molecule test")
        _tool("molecule", "test", MOLECULE_GLOB="tests/molecule/*/molecule.yml")
        _say("pytest tests/end_to_end")
        _tool("pytest", "-q", "--durations=5", "tests/end_to_end")


def operations() -> None:
    """Run the tests of what operators do, which take long; KEEP=1 keeps the containers."""
    with _containers():
        _tool("pytest", "-q", "--durations=10", "tests/operations")


def offline() -> None:
    """Run the tests of machines without internet, which need root; KEEP=1 keeps the containers."""
    with _containers():
        _tool("pytest", "-q", "--exitfirst", "tests/offline")


@contextlib.contextmanager
def _containers() -> Iterator[None]:
    """Have what clusters in containers need; remove what is left of it, unless KEEP is set."""
    environment.ensure("test")
    engine.ensure()
    image.ensure(print)
    try:
        with engine.kept():  # the `make down` among the tests must not take it away from those that follow
            yield
    finally:
        if not os.environ.get("KEEP"):
            cluster.destroy()
            bake.remove()
            image.remove()
            engine.stop()


def bench(name: str, arguments: Sequence[str]) -> int:
    """Run a module of `bench`; returns its exit status."""
    environment.ensure("test")
    if name in {"engines", "frontier"}:
        os.environ["TIEBA_TEST_REDIS"] = str(_redis_server())
    elif name in {"dashboard", "export"}:
        _name_servers()
    command = [str(environment.PYTHON), "-m", f"bench.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def screenshots() -> int:
    """Take the pictures of the web page for docs/images; returns the exit status."""
    environment.ensure("test")
    _name_servers()
    _name_browser()
    command = [str(environment.PYTHON), "-m", "tests.screenshots"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def everything() -> None:
    """Run all tests; in a cluster of their own, so that one that `make up` made is left alone."""
    lint()
    unit()
    browser()
    # Read when control.project is imported, hence a process of its own.
    test = [sys.executable, "-m", "control", "test", "--only", "containers"]
    status = subprocess.run(
        test, cwd=ROOT, env={**os.environ, "CLUSTER": _TEST_CLUSTER}, check=False
    ).returncode
    if status:
        raise ControlError(f"the cluster's tests failed (exit status {status}); see above")


def _name_servers() -> None:
    """Tell tests where the servers are that they start, fetched if need be."""
    os.environ["TIEBA_TEST_REDIS"] = str(_redis_server())
    programs = servers.fetch(print)
    os.environ["TIEBA_TEST_SERVERS"] = str(programs)
    if (programs / servers.MARIADB).exists():
        os.environ["TIEBA_TEST_MARIADBD"] = str(programs / servers.MARIADB)
    try:
        server = str(mongod.fetch(platform.machine()))
        if run(server, "--version", check=False).returncode:
            apt_install("libcurl4", "liblzma5", "libssl3")
        os.environ["TIEBA_TEST_MONGOD"] = server
    except ControlError as error:
        print(f"{error}; trying a mongod on the PATH")


def _name_browser() -> None:
    """Tell tests where the browser is, Debian's Chromium if need be; raises ControlError."""
    if not any(map(shutil.which, _BROWSERS)):
        apt_install("chromium")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise ControlError("chromium: not found where its package was installed")
    os.environ["TIEBA_TEST_BROWSER"] = found
    for language, package in _FONTS.items():
        if not run("fc-list", f":lang={language}", check=False).stdout:
            apt_install(package)


def _redis_server() -> Path:
    """Return a redis-server program, without the service that the package redis-server would start."""
    if found := shutil.which("redis-server"):
        return Path(found)
    apt_install("redis-tools")
    # Debian's redis-server is this same program under its other name.
    link = CACHE / "bin" / "redis-server"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to("/usr/bin/redis-check-rdb")
    return link


def _say(what: str) -> None:
    print(f"\n── {what}", flush=True)


def _tool(name: str, *arguments: str, **variables: str) -> None:
    started = time.monotonic()
    path = f"{VENV / 'bin'}:{os.environ['PATH']}"
    command = [str(VENV / "bin" / name), *arguments]
    status = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path, **variables}, check=False
    ).returncode
    if status:
        raise ControlError(f"{name}: found faults (exit status {status}); see above")
    print(f"── {name}: {time.monotonic() - started:.0f} s", flush=True)
