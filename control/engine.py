"""The Docker engine: found, or installed from the distribution and started."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from control.process import ControlError, apt_install, last_line, run, sudo
from control.project import CACHE

_PID = CACHE / "dockerd.pid"  # there only while an engine runs that we started
_START_SECONDS = 60
_STOP_SECONDS = 20


@functools.cache
def docker_command() -> tuple[str, ...]:
    """Return the words that reach the engine: `docker`, or `sudo docker` where the socket asks for it.

    Raises ControlError when no engine answers.
    """
    if not shutil.which("docker"):
        raise ControlError("docker: not installed; `make up` installs it on Debian and Ubuntu")
    answer = run("docker", "version", "--format", "{{.Server.Version}}", check=False, timeout=30)
    if answer.returncode == 0:
        return ("docker",)
    if "permission denied" in answer.stderr and shutil.which("sudo"):
        probe = run("sudo", "-n", "docker", "version", check=False, timeout=30)
        if probe.returncode == 0 or subprocess.run(["sudo", "-v"], check=False).returncode == 0:
            return ("sudo", "docker")
        raise ControlError("docker: permission denied; add yourself to the group docker, or use sudo")
    raise ControlError(f"docker: no engine answers ({last_line(answer.stderr)}); start it, then try again")


def answers() -> bool:
    """Say whether an engine answers."""
    try:
        docker_command()
    except ControlError:
        return False
    return True


def docker(*arguments: str, check: bool = True, stdin: str | None = None, timeout: float = 600) -> str:
    """Run one Docker command and return what it printed; raises ControlError when it fails."""
    return run(*docker_command(), *arguments, check=check, stdin=stdin, timeout=timeout).stdout.strip()


def ensure() -> str:
    """Make sure that an engine answers, and return its version."""
    if not answers():
        if not shutil.which("dockerd"):
            apt_install("docker.io", "iptables")
        _start()
    return docker("version", "--format", "{{.Server.Version}}")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep the engine running during the block, even if `stop` is called in it."""
    pid = _PID.read_text() if _PID.exists() else None
    _PID.unlink(missing_ok=True)
    try:
        yield
    finally:
        if pid:
            _PID.write_text(pid)


def stop() -> bool:
    """Stop the engine if `ensure` started it and nothing runs on it; say whether it was stopped."""
    if not _PID.exists() or docker("ps", "--quiet"):
        return False
    pid = int(_PID.read_text())
    if Path(f"/proc/{pid}/comm").exists() and Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd":
        if os.geteuid() == 0:
            os.kill(pid, signal.SIGTERM)
        else:
            run(*sudo(), "kill", str(pid))
        deadline = time.monotonic() + _STOP_SECONDS
        # Until it is gone, no other one starts.
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    _PID.unlink()
    docker_command.cache_clear()
    return True


def _start() -> None:
    docker_command.cache_clear()
    if Path("/run/systemd/system").is_dir():
        run(*sudo(), "systemctl", "start", "docker")
    else:
        CACHE.mkdir(exist_ok=True)
        output = CACHE / "dockerd.log"
        with output.open("ab") as file:
            # A session of its own: Ctrl-C in `make up` must not take the nodes down.
            daemon = subprocess.Popen(
                [*sudo(), "dockerd"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while daemon.poll() is None and time.monotonic() < deadline:
            if run("docker", "version", check=False).returncode == 0:
                pid = Path("/run/docker.pid")
                _PID.write_text(pid.read_text() if pid.exists() else str(daemon.pid))
                break
            time.sleep(0.3)
        else:
            raise ControlError(
                f"dockerd does not start: {last_line(output.read_text(errors='replace'))} "
                "(whole output: .cache/dockerd.log)"
            )
    docker_command()
