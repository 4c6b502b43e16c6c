"""`make dashboard`: a way to the master's web page, and to Prometheus where there is one."""

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from control import inventory
from control.inventory import Machine
from control.process import ControlError, shown

_ANSWER_SECONDS = 15.0  # for the page, once ssh is connected
_POLL_SECONDS = 0.1
_VARIABLES = (
    "'secrets_dir': secrets_dir | default(inventory_dir ~ '/secrets')",
    "'is_given': dashboard_password is defined",
    "'is_enabled': dashboard_enabled | default(true) | bool",
    "'port': dashboard_port | default(8088) | int",
    "'is_monitored': monitoring_enabled | default(false) | bool",
    "'prometheus': monitoring_prometheus_port | default(9090) | int",
)


def show() -> int:
    """Open a tunnel to the page, say where it is and which file holds its password; ends with Ctrl-C.

    The inventory is that of INVENTORY, else the containers'.  Raises ControlError where there is no page.
    """
    master = inventory.master(*_VARIABLES)
    if not master.variables["is_enabled"]:
        raise ControlError("dashboard_enabled is false: this cluster has no dashboard")
    remote = {"dashboard": master.variables["port"]}
    if master.variables["is_monitored"]:
        remote["Prometheus"] = master.variables["prometheus"]
    if master.is_this:
        _check(remote["dashboard"], None)
        _tell(master, remote)
        return 0
    local = {name: _free_port(port) for name, port in remote.items()}
    forwards = [f"-L127.0.0.1:{local[name]}:127.0.0.1:{remote[name]}" for name in remote]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the tunnel must not outlive us
    options = ["-N", "-oExitOnForwardFailure=yes", "-oServerAliveInterval=15", *forwards]
    with subprocess.Popen(master.ssh(*options)) as tunnel:
        try:
            _check(local["dashboard"], tunnel)
            _tell(master, local)
            print("Ctrl-C closes the tunnel.", flush=True)
            return tunnel.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            tunnel.terminate()


def _tell(master: Machine, ports: dict[str, int]) -> None:
    for name, port in ports.items():
        print(f"{name}: http://localhost:{port}")
    file = Path(master.variables["secrets_dir"]).expanduser() / "dashboard"
    if master.variables["is_given"]:
        place = "dashboard_password of the inventory"
    elif file.exists():
        place = f"in {shown(file.resolve())}"
    else:
        place = "in secrets/dashboard of the inventory, on the machine where site.yml was run"
    print(f"password: {place}", flush=True)


def _free_port(wanted: int) -> int:
    """Return that port of this machine if it is free, else another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ControlError("no port is free on this machine")


def _check(port: int, tunnel: "subprocess.Popen[bytes] | None") -> None:
    """Wait until the page answers; as long as ssh asks for something, or waits for the machine, so do we."""
    deadline = None
    while True:
        if tunnel is not None and tunnel.poll() is not None:
            raise ControlError(f"ssh to the master has ended with status {tunnel.returncode}; see above")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except (OSError, urllib.error.URLError) as error:
            is_up = tunnel is None or not isinstance(getattr(error, "reason", None), ConnectionRefusedError)
        if is_up:  # the tunnel, but not what is behind it
            deadline = deadline or time.monotonic() + _ANSWER_SECONDS
            if time.monotonic() > deadline:
                raise ControlError(
                    "the dashboard does not answer: site.yml deploys it; on the master, "
                    "journalctl --unit=tieba-dashboard says why"
                )
        time.sleep(_POLL_SECONDS)
