"""The commands of a node, as integration tests run them."""

import subprocess

from tests.conftest import program

CRAWL_SECONDS = 120


def crawl(environment, *arguments):
    """Start a worker."""
    return subprocess.Popen(
        [program("scrapy"), "crawl", "tieba", *arguments],
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
