"""The page for others than this machine: its certificate, and who may call it: nobody else at any moment."""

import contextlib
import json
import subprocess
import time

from tests.certificates import make_certificates
from tests.end_to_end.commands import SSH_CONFIG, on, playbook

# Tells each port of the master at which somebody answers, until its input ends.
KNOCK = """
import socket, sys, threading, time
def knock(port):
    while True:
        try:
            socket.create_connection(("master", port), 0.2).close()
        except OSError:
            time.sleep(0.005)
            continue
        print(port, flush=True)
        return
for port in (8443, 9443):
    threading.Thread(target=knock, args=(port,), daemon=True).start()
print("began", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def knocking(answered):
    """Knock at the ports from a slave; `answered` gets those that were open."""
    command = ["ssh", "-F", str(SSH_CONFIG), "slave1", "sudo", "python3", "-c", f"'{KNOCK}'"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as knocker:
        assert knocker.stdout.readline() == "began\n"
        try:
            yield
        finally:
            answered += knocker.communicate()[0].split()


def deploy(**variables):
    ran = playbook("site.yml", f"--extra-vars={json.dumps(variables)}")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def listening():
    """Give the ports at which the dashboard listens."""
    shown = on("master", "sudo", "ss", "-Hltnp").stdout.splitlines()
    return {int(line.split()[3].rpartition(":")[2]) for line in shown if "tieba-dashboar" in line}


def certified():
    """Give whom the certificate that is served names."""
    ask = "openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | openssl x509 -noout -issuer"
    return on("master", "sudo", "sh", "-c", f"'{ask}'").stdout.strip()


def test_nobody_else_gets_in_while_the_port_changes_or_the_page_is_closed():
    allowed = ["192.0.2.7"]  # nobody
    answered = []
    with knocking(answered):
        deploy(dashboard_allowed_addresses=allowed)
        assert listening() == {8088, 8443}
        deploy(dashboard_allowed_addresses=allowed, dashboard_tls_port=9443)
        assert listening() == {8088, 9443}
        deploy()
        assert listening() == {8088}
        time.sleep(1)
    assert answered == []


def test_a_certificate_that_is_withdrawn_is_served_no_more(tmp_path):
    allowed = {"dashboard_allowed_addresses": ["192.0.2.7"]}
    _, given = make_certificates(tmp_path, "master")
    deploy(**allowed)
    ours = certified()
    deploy(**allowed, dashboard_tls_certificate=str(given), dashboard_tls_key=str(given))
    assert certified() == "issuer=CN = authority"
    deploy(**allowed)
    assert certified() == ours
    deploy()
