"""The commands of a node, as integration tests run them."""

import json
import subprocess

from tests.conftest import program

CRAWL_SECONDS = 120
ENGINES = ("scrapy", "urllib")


def worker_command(environment, *arguments, engine=None):
    """Give the command of a worker of an engine, by default TEST_ENGINE, with `scrapy crawl`'s arguments."""
    engine = engine or environment.get("TEST_ENGINE", "scrapy")
    if engine == "scrapy":
        return [program("scrapy"), "crawl", "tieba", *arguments]
    words = [word for word in arguments if word != "-a"]
    seed = dict(word.split("=", 1) for word in words if not word.startswith("-"))
    options = [word for word in words if word.startswith("-")]
    return [program("tieba"), "worker", *options, *(["--seed", json.dumps(seed)] if seed else [])]


def crawl(environment, *arguments, engine=None):
    """Start a worker."""
    return subprocess.Popen(
        worker_command(environment, *arguments, engine=engine),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def tieba(environment, *arguments):
    """Run a command to its end."""
    return subprocess.run(
        [program("tieba"), *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def wait_for(process, seconds=CRAWL_SECONDS):
    """Give all that a worker has said, once it has ended well, in time."""
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
    assert "Deprecat" not in output, output
    return output
