"""Running other programs: output goes to the log, failures become one line for the user."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from control.project import LOG, ROOT


class ControlError(Exception):
    """Something the user can mend: one line that names the thing, the value and the way out."""


def run(
    *argv: str,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program at the project's root and keep what it prints in the log.

    `timeout` is in seconds.  Raises ControlError when the program is missing, takes too long, or
    (with `check`) ends with another status than 0.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except FileNotFoundError:
        raise ControlError(f"{argv[0]}: no such program; install it and try again") from None
    except subprocess.TimeoutExpired:
        raise ControlError(
            f"{argv[0]}: no answer within {timeout:.0f} s: {' '.join(argv).splitlines()[0][:80]}"
        ) from None
    log(argv, done.returncode, time.monotonic() - started, done.stdout + done.stderr)
    if check and done.returncode:
        raise ControlError(f"{argv[0]}: {last_line(done.stderr or done.stdout)} (whole output: {shown(LOG)})")
    return done


def log(argv: Sequence[str], status: int, seconds: float, output: str) -> None:
    """Add one program's run to the log file."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(argv)}\n{output.rstrip()}\n# exit {status} after {seconds:.1f} s\n\n")


def last_line(text: str) -> str:
    """Return the last line that says something, where most programs put what went wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")


def shown(path: os.PathLike[str]) -> str:
    """Return `path` as a user at the project's root would type it."""
    return os.path.relpath(path, ROOT)


def sudo() -> list[str]:
    """Return the words that make a command run as root: none for root itself."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        # `sudo -v` asks a member of the group sudo for a password, though another rule may ask for none.
        if subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0:
            return ["sudo"]
        # Ask for the password now, on the terminal: later the prompt would be captured.
        if subprocess.run(["sudo", "-v"], check=False).returncode == 0:
            return ["sudo"]
        raise ControlError("sudo refused; run as a user who may use sudo, or as root")
    raise ControlError("root is needed and sudo is missing; run as root, or install sudo")


def apt_install(*packages: str) -> None:
    """Install those of Debian's or Ubuntu's `packages` that are missing."""
    query = ["dpkg-query", "--show", "--showformat=${Status}\n"]
    if shutil.which("dpkg-query"):
        missing = [p for p in packages if "ok installed" not in run(*query, p, check=False).stdout]
        if not missing:
            return
    else:
        missing = list(packages)
    if not shutil.which("apt-get"):
        raise ControlError(
            f"{' '.join(missing)}: cannot be installed without apt-get; "
            "use Debian 12+ or Ubuntu 22.04+, or install them yourself"
        )
    # `env` after sudo, since sudo drops the environment.
    apt = [*sudo(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-o", "DPkg::Lock::Timeout=300"]
    run(*apt, "update")
    run(*apt, "install", "--no-install-recommends", *missing)
