"""What role dashboard writes is what the dashboard reads."""

import importlib.util
from pathlib import Path

import pytest

from dashboard import passwords
from tests.roles import evaluate

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location(
    "role_dashboard", ROOT / "roles/dashboard/filter_plugins/dashboard.py"
)
role = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(role)


def test_the_password_opens_the_page_and_the_hash_is_the_same_each_time():
    known = role.scrypt_hash("pass word 聊", "salt")
    assert passwords.fits("pass word 聊", known)
    assert not passwords.fits("password", known)
    assert role.scrypt_hash("pass word 聊", "salt") == known
    assert role.scrypt_hash("pass word 聊", "other") != known


@pytest.mark.parametrize(
    ("variables", "hosts", "url"),
    [
        ({}, ["master"], "https://master:8443"),
        (
            {"ansible_host": "localhost.example"},
            ["localhost.example", "master"],
            "https://localhost.example:8443",
        ),
        (
            {"ansible_host": "2001:db8::1", "node_address": "10.0.0.10"},
            ["2001:db8::1", "10.0.0.10", "master"],
            "https://[2001:db8::1]:8443",
        ),
        (
            {"dashboard_hosts": ["x.example"], "ansible_host": "127.0.0.1"},
            ["x.example", "master"],
            "https://x.example:8443",
        ),
        ({"inventory_hostname": "localhost", "node_address": "127.0.0.1", "ansible_host": "::1"}, [], None),
    ],
)
def test_the_masters_names_are_those_that_others_can_call_it_by(variables, hosts, url):
    known = {
        "inventory_hostname": "master",
        "dashboard_hosts": [],
        "dashboard_allowed_addresses": ["10.0.0.0/8"],
        "dashboard_tls_port": 8443,
        **variables,
    }
    assert evaluate("dashboard", "{{ __dashboard_hosts }}", **known) == hosts
    if url:  # else preflight refuses it
        assert evaluate("dashboard", "{{ __dashboard_config.public_url }}", **known) == url
