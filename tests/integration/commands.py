"""The commands of a node, as integration tests run them."""

import json
import subprocess

from tests.conftest import program

CRAWL_SECONDS = 120
ENGINES = ("scrapy", "urllib")


def crawl(environment, *arguments, engine=None):
    """Start a worker of an engine, by default that of TEST_ENGINE, with the arguments of `scrapy crawl`."""
    engine = engine or environment.get("TEST_ENGINE", "scrapy")
    command = [program("scrapy"), "crawl", "tieba", *arguments]
    if engine == "urllib":
        words = [word for word in arguments if word != "-a"]
        seed = dict(word.split("=", 1) for word in words if not word.startswith("-"))
        options = [word for word in words if word.startswith("-")]
        command = [program("tieba"), "worker", *options, *(["--seed", json.dumps(seed)] if seed else [])]
    return subprocess.Popen(
        command,
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
