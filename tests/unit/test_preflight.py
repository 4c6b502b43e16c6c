"""Preflight: what an operator can get wrong is one line that names the variable, the value and the fix."""

import importlib.util
from datetime import date
from pathlib import Path

import pytest

from tests.certificates import make_certificates

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location(
    "preflight", ROOT / "roles/preflight/filter_plugins/preflight.py"
)
preflight = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(preflight)

LIMITS = {
    "crawler_processes": [1, 64],
    "crawler_posts_rate": [0.01, 1000],
    "crawler_lease_seconds": [1, 3600],
    "crawler_max_attempts": [1, 1000],
    "max_requests": [1, 1_000_000_000],
}
SHARED = {
    "deploy_no_log": {"type": "bool"},
    "restart_batch": {"type": "str", "pattern": "[1-9][0-9]*%?", "expected": "2 or 25%"},
}


def settings(**variables):
    return preflight.setting_errors({"slave1": variables}, ["slave1"], str(ROOT / "roles"), LIMITS, SHARED)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("crawler_processes", "many", "crawler_processes is 'many': it must be a whole number from 1 to 64"),
        ("crawler_processes", 0, "crawler_processes is 0: it must be a whole number from 1 to 64"),
        ("crawler_processes", True, "crawler_processes is True: it must be a whole number from 1 to 64"),
        ("crawler_max_attempts", 0, "crawler_max_attempts is 0: it must be a whole number from 1 to 1000"),
        (
            "crawler_lease_seconds",
            "long",
            "crawler_lease_seconds is 'long': it must be a number from 1 to 3600",
        ),
        (
            "crawler_scheduler",
            "redis",
            "crawler_scheduler is 'redis': it must be frontier or scrapy_redis",
        ),
        ("crawler_posts_rate", "fast", "crawler_posts_rate is 'fast': it must be a number from 0.01 to 1000"),
        ("restart_batch", "x", "restart_batch is 'x': it must be 2 or 25%"),
        ("restart_batch", "0", "restart_batch is '0': it must be 2 or 25%"),
        ("crawler_obey_robots", "maybe", "crawler_obey_robots is 'maybe': it must be true or false"),
        ("tieba_target", "mirror", "tieba_target is 'mirror': it must be live or replica"),
        (
            "crawler_proceses",
            2,
            "crawler_proceses: there is no such variable; did you mean crawler_processes?",
        ),
        (
            "crawler_storage",
            "mysql",
            "crawler_storage is 'mysql': it must be a list of one or several of mongodb, mysql, jsonl, "
            "such as [mongodb]",
        ),
        (
            "crawler_storage",
            ["mysql", "sqlite"],
            "crawler_storage is ['mysql', 'sqlite']: it must be a list of one or several of mongodb, mysql, "
            "jsonl, such as [mongodb]",
        ),
        (
            "crawler_storage",
            [{"mysql": 1}],
            "crawler_storage is [{'mysql': 1}]: it must be a list of one or several of mongodb, mysql, "
            "jsonl, such as [mongodb]",
        ),
        ("tieba_target", ["live"], "tieba_target is ['live']: it must be live or replica"),
        ("tieba_sorce", "web", "tieba_sorce: there is no such variable; did you mean tieba_source?"),
        (
            "crawler_seeds",
            [{"forum": "聊天", "max_requests": 0}],
            "crawler_seeds: max_requests is 0: it must be a whole number from 1 to 1000000000",
        ),
        ("deploy_no_log", "perhaps", "deploy_no_log is 'perhaps': it must be true or false"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(name, value, expected):
    assert settings(**{name: value}) == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crawler_processes", "4"),
        ("crawler_posts_rate", "2.5"),
        ("crawler_obey_robots", "false"),
        ("crawler_seeds", [{"forums": ["聊天"], "pages": 20, "since": date(2026, 1, 31)}]),
    ],
)
def test_values_given_as_text_on_the_command_line_are_taken(name, value):
    assert settings(**{name: value}) == []


def test_a_wrong_password_is_not_shown():
    (error,) = settings(redis_admin_password=["a secret"])
    assert "secret" not in error


def test_an_error_of_one_machine_names_it():
    hostvars = {"slave1": {"crawler_processes": 1}, "slave2": {"crawler_processes": "x"}}
    (error,) = preflight.setting_errors(hostvars, list(hostvars), str(ROOT / "roles"), LIMITS, SHARED)
    assert error.endswith("(on slave2)")


def test_a_list_of_many_machines_is_shortened():
    hostvars = {f"slave{number}": {"crawler_processes": "x"} for number in range(1, 100)}
    hostvars["master"] = {}
    (error,) = preflight.setting_errors(hostvars, list(hostvars), str(ROOT / "roles"), LIMITS, SHARED)
    assert error.endswith("(on slave1, slave2, slave3 and 96 more)")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("crawler_pagse", "crawler_pages"),
        ("node_adress", "node_address"),
        ("secret_dir", "secrets_dir"),
        ("ansible_hosts", "ansible_host"),
        ("ansible_become_pasword", "ansible_become_password"),
        ("ansible_ssh_private_keyfile", "ansible_ssh_private_key_file"),
    ],
)
def test_a_slip_in_a_variable_without_a_roles_prefix_is_told(name, meant):
    shared = {**SHARED, "crawler_pages": {"type": "str"}}
    errors = preflight.setting_errors({"m": {name: "1"}}, ["m"], str(ROOT / "roles"), LIMITS, shared)
    assert errors == [f"{name}: there is no such variable; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name", ["ansible_ssh_pass", "ansible_become_exe", "vault_become_password", "my_master", "ansible_host"]
)
def test_variables_of_other_things_are_nobodys_business(name):
    assert settings(**{name: "1"}) == []


def groups(master=("m",), slaves=("s",), site=(), others=None, **variables):
    others = others or {}
    everybody = [
        *dict.fromkeys([*master, *slaves, *site, *(host for name in others.values() for host in name)])
    ]
    hostvars = {host: variables.get(host, {"node_address": host}) for host in everybody}
    listed = {"master": [*master], "slaves": [*slaves], "site": [*site], **others, "all": everybody}
    return lambda target="live": preflight.group_errors(hostvars, listed, target)


DOOR = {"ansible_host": "10.0.0.1"}


@pytest.mark.parametrize(
    ("check", "target"),
    [
        (groups(), "live"),
        (groups(site=("t",)), "replica"),
        (groups(site=("m",)), "replica"),
        (groups(slaves=("m", "s")), "live"),
        (groups(slaves=("m",), site=("m",)), "replica"),
        (groups(others={"europe": ["s"], "slaves_of_europe": ["s"]}), "live"),
        (groups(m={"node_address": "m", **DOOR, "ansible_port": 23}, s=DOOR), "live"),
        (groups(slaves=("m",), m={"ansible_connection": "local"}), "live"),
        (groups(slaves=("m",), m={"node_address": "127.0.0.1"}), "live"),
        (groups(s={"node_address": "127.0.0.1"}), "live"),
        (groups(s={"node_address": "fe80::2"}), "live"),
    ],
)  # fmt: skip
def test_a_good_inventory_has_no_errors(check, target):
    assert check(target) == []


@pytest.mark.parametrize(
    ("check", "target", "said"),
    [
        (groups(master=()), "live", "group master holds no machine: exactly one is needed"),
        (groups(master=("a", "b")), "live", "group master holds a, b: exactly one is needed"),
        (groups(slaves=()), "live", "group slaves holds no machine: at least one is needed"),
        (groups(), "replica", "group site holds no machine"),
        (groups(s={"node_address": "m"}), "live", "node_address of s is m, as that of m"),
        (groups(s={"ansible_host": "m"}), "live", "ansible_host of s is m, as that of m"),
        (
            groups(**{name: {"ansible_host": "10.0.0.1", "node_address": name} for name in "ms"}),
            "live",
            "s is reached at 10.0.0.1:22, as m is: each machine needs its own ansible_host or ansible_port",
        ),
        (
            groups(m={"ansible_connection": "local"}, s={"ansible_connection": "local"}),
            "live",
            "s and m are both this machine (ansible_connection: local): leave one out",
        ),
        (
            groups(m={"node_address": "10.0.0.300"}),
            "live",
            "node_address of m is 10.0.0.300: it must be an address or a name alone",
        ),
        (groups(s={"ansible_host": "10.0.0.3:2222"}), "live", "a port goes to ansible_port"),
        (groups(m={"node_address": "fe80::1"}), "live", "its servers listen on IPv4 alone"),
        (
            groups(m={"node_address": "127.0.0.1"}),
            "live",
            "node_address of m is 127.0.0.1: there each of the others finds itself; give the address that",
        ),
        (
            groups(s={"ansible_host": None}),
            "live",
            "ansible_host of s is empty: give an address or a name, or",
        ),
        (groups(m={"ansible_host": "localhost"}), "live", "ansible_host of m is localhost: there each of"),
        (
            groups(others={"slave": ["a", "b"]}),
            "live",
            "group slave: there is no such group; did you mean slaves?",
        ),
        (
            groups(others={"ungrouped": ["a", "b", "c", "d"]}),
            "live",
            "a, b, c and 1 more: neither in group master nor slaves nor site; put it into one, or take it",
        ),
    ],
)
def test_a_wrong_inventory_is_explained(check, target, said):
    (error,) = check(target)
    assert said in error
    assert "\n" not in error


def test_a_misspelt_group_that_all_slaves_are_in_is_told_with_what_is_missing():
    errors = groups(slaves=(), others={"slave": ["s"]})()
    assert errors == [
        "group slaves holds no machine: at least one is needed",
        "group slave: there is no such group; did you mean slaves?",
    ]


@pytest.mark.parametrize(
    ("variables", "site", "said"),
    [
        ({}, True, None),
        ({"replica_port": 6379}, False, None),
        ({"mysql_port": 6379}, True, None),  # not used
        ({"replica_port": 6379}, True, "replica_port of m is 6379, as redis_port is: each server needs"),
        ({"redis_port": "27017"}, False, "mongodb_port of m is 27017, as redis_port is: each server needs"),
        (
            {"dashboard_port": 8080},
            True,
            "replica_port of m is 8080, as dashboard_port is: each server needs",
        ),
        ({"dashboard_port": 8080, "dashboard_enabled": False}, True, None),
        ({"dashboard_port": 8443}, False, None),  # nobody may call the other one
        (
            {"dashboard_port": 8443, "dashboard_allowed_addresses": ["10.0.0.0/8"]},
            False,
            "dashboard_tls_port of m is 8443, as dashboard_port is",
        ),
        (
            {"monitoring_enabled": True, "redis_port": 9100},
            False,
            "monitoring_node_exporter_port of m is 9100, as redis_port is",
        ),
    ],
)
def test_servers_of_one_machine_have_ports_of_their_own(variables, site, said):
    listed = {"master": ["m"], "slaves": ["m", "s"], "site": ["m"] if site else ["s"], "all": ["m", "s"]}
    errors = preflight.port_errors({"m": variables, "s": {}}, listed, "replica")
    assert errors == [] if said is None else errors[0].startswith(said)


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        (["10.0.0.5", "10.0.0.6"], None),
        ("10.0.0.5", None),  # told elsewhere
        (
            ["10.0.0.5", "10.0.0.5"],
            "crawler_addresses of s is ['10.0.0.5', '10.0.0.5']: name each address once",
        ),
        (["eth0"], "crawler_addresses of s holds 'eth0': it must be an IPv4 address of that machine"),
        ([7], "crawler_addresses of s holds 7: it must be an IPv4 address of that machine"),
    ],
)
def test_outgoing_addresses_are_addresses(addresses, said):
    errors = preflight.egress_errors({"s": {"crawler_addresses": addresses}, "m": {}}, ["s", "m"])
    assert errors == ([] if said is None else [said])


def jobs(master=None, slave=None):
    listed = {"master": ["m"], "slaves": ["s"]}
    return preflight.job_errors({"m": master or {}, "s": slave or {}}, listed)


def test_redis_lets_the_crawler_use_the_keys_of_its_job():
    other = {"crawler_job": "other"}
    assert jobs() == jobs(other, other) == []
    assert jobs({"redis_crawler_prefix": "other", **other}, other) == []


@pytest.mark.parametrize(
    ("master", "slave", "said"),
    [
        (
            {"redis_crawler_prefix": "mine", "crawler_job": "other"},
            {"crawler_job": "other"},
            "redis_crawler_prefix is 'mine', but crawler_job is 'other': leave",
        ),
        (
            {"redis_crawler_prefix": "mine"},
            {},
            "redis_crawler_prefix is 'mine', but crawler_job is 'tieba': leave",
        ),
        ({}, {"crawler_job": "other"}, "crawler_job is 'other' on s, but 'tieba' on m: set it for all"),
        (
            {"crawler_scheduler": "scrapy_redis"},
            {},
            "crawler_scheduler is 'frontier' on s, but 'scrapy_redis' on m: set it for all",
        ),
        ({"crawler_job": "a b"}, {"crawler_job": "a b"}, "crawler_job is 'a b': it must be of letters"),
        ({"crawler_job": "a}b"}, {"crawler_job": "a}b"}, "crawler_job is 'a}b': it must be of letters"),
    ],
)
def test_a_job_whose_keys_redis_would_refuse_is_explained(master, slave, said):
    (error,) = jobs(master, slave)
    assert error.startswith(said)
    assert "\n" not in error


def storage(*stores, **variables):
    hostvars = {host: {"crawler_storage": [*stores], **variables} for host in ("master", "slave1")}
    return preflight.storage_errors(hostvars, hostvars) + preflight.seed_errors(hostvars, hostvars)


def pictures(store, **variables):
    return {"crawler_pictures": True, "crawler_pictures_store": store, **variables}


ENDPOINT = "crawler_pictures_s3_endpoint"
UPDATE = {"crawler_seeds": [{"forum": "聊天", "update": True}]}


@pytest.mark.parametrize(
    ("stores", "variables"),
    [
        (["mongodb", "mysql", "jsonl"], {}),
        (["mysql", "jsonl"], {"crawler_schedule": "daily", **UPDATE}),
        (["mongodb"], pictures("/srv/pictures")),
        (["mongodb"], pictures("s3://bucket/tieba", **{ENDPOINT: "https://s3.example.com"})),
        (["mongodb"], {"crawler_pictures_store": "nowhere"}),  # not used
        (["jsonl"], {"crawler_seeds": [{"threads": [7777]}, {"forums": ["聊天"], "pages": "3-"}]}),
    ],
)
def test_settings_that_go_together(stores, variables):
    assert storage(*stores, **variables) == []


@pytest.mark.parametrize(
    ("stores", "variables", "said"),
    [
        (["mysql", "mysql"], {}, "crawler_storage is ['mysql', 'mysql']: name each store once"),
        (
            ["jsonl"],
            {"crawler_schedule": "daily"},
            "crawler_schedule is 'daily', but crawler_storage is ['jsonl']: only mongodb and mysql can tell",
        ),
        (["jsonl"], UPDATE, "crawler_seeds has a seed with update, but crawler_storage is ['jsonl']: only"),
        (["mysql"], pictures("pictures"), "crawler_pictures_store is 'pictures': it must be a whole path"),
        (
            ["mysql"],
            pictures("/home/me/pictures"),
            "crawler_pictures_store is '/home/me/pictures': the service",
        ),
        (
            ["mysql"],
            pictures("s3:///tieba"),
            "crawler_pictures_store is 's3:///tieba': it must be a bucket, and",
        ),
        (
            ["mysql"],
            pictures("s3://bucket/tieba"),
            "crawler_pictures_store is 's3://bucket/tieba', but crawler_pictures_s3_endpoint is ''",
        ),
        (
            ["mysql"],
            {"crawler_seeds": [{"pages": 3}]},
            "crawler_seeds holds {'pages': 3}: each seed needs forum or",
        ),
        (
            ["mysql"],
            {"crawler_seeds": [{"forum": "聊天", "pages": "7-3"}]},
            "crawler_seeds: pages is '7-3': it must be a number of list pages, such as 20, or a range",
        ),
        (["mysql"], {"crawler_pages": "many"}, "crawler_pages is 'many': it must be a number of list pages"),
    ],
)
def test_settings_that_do_not_go_together_are_explained(stores, variables, said):
    (error,) = storage(*stores, **variables)  # one, although both machines have it
    assert error.startswith(said)
    assert "\n" not in error


def test_slaves_write_to_the_stores_that_the_master_has():
    (error,) = jobs({"crawler_storage": ["mysql"]}, {})
    assert error == "crawler_storage is ['mongodb'] on s, but ['mysql'] on m: set it for all machines"


SLAVES = {"master": ["one"], "slaves": ["one", "two", "three"], "site": ["two"]}


@pytest.mark.parametrize(
    ("names", "to_be_removed", "expected"),
    [
        ("three", True, []),
        ("one, two", False, []),
        (" , ", False, ["some_slaves: not given; for example -e some_slaves=three"]),
        (
            "two,four",
            False,
            ["some_slaves is four: no such slave is in the inventory; there is one, two, three"],
        ),
        (
            "one",
            True,
            [
                "some_slaves is one, which is in group master, too: the cluster needs it; "
                "drain.yml -e drain_slave=one takes its workers out of the crawl"
            ],
        ),
    ],
)
def test_slaves_that_are_named_are_checked(names, to_be_removed, expected):
    hosts = ["one", "two", "three"]
    errors = preflight.slave_errors(names, "some_slaves", SLAVES, hosts, to_be_removed=to_be_removed)
    assert errors == expected


def test_the_last_slave_is_not_removed():
    both = ["one", "two"]
    (error,) = preflight.slave_errors("one,two", "some_slaves", {"slaves": both}, both, to_be_removed=True)
    assert error.startswith("some_slaves is one,two: no slave would be left; crawl_stop.yml stops the crawl")


def test_a_certificate_authority_that_is_not_there_is_explained(tmp_path):
    there = tmp_path / "ca.pem"
    there.touch()

    def errors(*names):
        hostvars = {f"m{number}": {"base_ca_file": name} for number, name in enumerate(names)}
        return preflight.file_errors({**hostvars, "plain": {}}, [*hostvars, "plain"], [str(tmp_path)])

    assert errors("", str(there), "ca.pem") == []
    missing = str(tmp_path / "none.pem")
    (error,) = errors(missing, missing)
    assert error.startswith(f"base_ca_file is '{missing}': there is no such file on this machine; give")
    assert "\n" not in error
    assert len(errors(str(tmp_path), "none.pem")) == 2  # a folder, and a relative path


def dashboard_errors(tmp_path, **variables):
    return preflight.dashboard_errors({"m": variables}, ["m"], [str(tmp_path)])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"dashboard_allowed_addresses": ["192.0.2.7", "10.0.0.0/8", "10.0.0.5/8", "fd00::/8"]}, None),
        ({"dashboard_allowed_addresses": "all"}, None),  # told elsewhere
        (
            {"dashboard_allowed_addresses": ["office.example"]},
            "dashboard_allowed_addresses holds 'office.example': it must be an address or a network, such as",
        ),
        ({"dashboard_allowed_addresses": ["10.0.0.0/33"]}, "dashboard_allowed_addresses holds '10.0.0.0/33'"),
        (
            {"dashboard_allowed_addresses": ["10.0.0.0/255.0.0.0"]},
            "dashboard_allowed_addresses holds '10.0.0",
        ),
        (
            {"dashboard_allowed_addresses": ["fe80::1%eth0"]},
            "dashboard_allowed_addresses holds 'fe80::1%eth0'",
        ),
        ({"dashboard_hosts": ["tieba.example", "192.0.2.7", "fd00::1"]}, None),
        (
            {"dashboard_hosts": ["tieba.example:8443"]},
            "dashboard_hosts holds 'tieba.example:8443': it must be a name",
        ),
        ({"dashboard_hosts": ["https://tieba"]}, "dashboard_hosts holds 'https://tieba': it must be a name"),
        ({"dashboard_tls_key": "key.pem"}, "dashboard_tls_certificate: not given; a certificate and its key"),
        ({"dashboard_tls_certificate": "cert.pem"}, "dashboard_tls_key: not given"),
        ({"dashboard_mail_to": ["me@x.example"]}, None),  # by the master's own mail server
        (
            {"dashboard_mail_from": "x@x.example"},
            "dashboard_mail_to: not given, but dashboard_mail_from; name who",
        ),
        (
            {"dashboard_webhook_url": "hooks.example"},
            "dashboard_webhook_url is (not shown): it must be an address",
        ),
    ],
)
def test_what_is_wrong_with_who_may_call_the_dashboard_is_one_line(tmp_path, variables, said):
    errors = dashboard_errors(tmp_path, **variables)
    assert [error[: len(said or "")] for error in errors] == ([said] if said else [])


@pytest.mark.parametrize(
    ("variables", "is_error"),
    [
        ({}, True),
        ({"dashboard_hosts": ["localhost", "127.0.0.1"]}, True),
        ({"dashboard_hosts": ["tieba.example"]}, False),
        ({"ansible_host": "localhost.example"}, False),
        ({"node_address": "10.0.0.10"}, False),
        ({"dashboard_allowed_addresses": []}, False),
        ({"dashboard_enabled": False}, False),
    ],
)
def test_a_machine_that_the_inventory_has_no_name_for_needs_one_that_browsers_use(variables, is_error):
    """As in inventory/examples/this_machine.yml."""
    known = {"node_address": "127.0.0.1", "dashboard_allowed_addresses": ["10.0.0.0/8"], **variables}
    said = (
        "dashboard_hosts: not given, but dashboard_allowed_addresses is, and the inventory calls localhost "
        "localhost and 127.0.0.1 alone; name it as browsers elsewhere do, such as [tieba.example]"
    )
    errors = preflight.dashboard_errors({"localhost": known}, ["localhost"], [])
    assert errors == ([said] if is_error else [])


@pytest.mark.parametrize(
    ("master", "slave", "said"),
    [
        ({}, {}, None),
        (
            {"monitoring_enabled": True, "monitoring_alertmanagers": ["10.0.0.20:9093", "[fd00::1]:9093"]},
            {},
            None,
        ),
        (
            {"monitoring_enabled": True, "monitoring_alertmanagers": ["http://10.0.0.20:9093"]},
            {},
            "monitoring_alertmanagers holds 'http://10.0.0.20:9093': it must be an address and a port",
        ),
        (
            {"monitoring_enabled": True, "monitoring_allowed_addresses": ["me"]},
            {},
            "monitoring_allowed_addresses holds 'me': it must be an address or a network",
        ),
        (
            {"monitoring_enabled": "yes", "dashboard_enabled": False},
            {},
            "monitoring_enabled is true, but dashboard_enabled is false: the dashboard tells",
        ),
        ({}, {"monitoring_enabled": True}, "monitoring_enabled is true on s, but not on m: set it for all"),
    ],
)
def test_what_keeps_prometheus_from_its_work_is_one_line(master, slave, said):
    listed = {"master": ["m"], "slaves": ["s"], "all": ["m", "s"]}
    errors = preflight.monitoring_errors({"m": master, "s": slave}, listed)
    assert [error[: len(said or "")] for error in errors] == ([said] if said else [])


@pytest.mark.parametrize(
    ("server", "is_right"),
    [
        ("smtp://mail.example:25", True),
        ("smtps://me:pass%40word@mail.example:465", True),
        ("mail.example:25", False),
        ("smtp://mail.example", True),
        ("smtp:///secret", False),
    ],
)
def test_a_mail_server_is_an_address_whose_password_is_not_shown(tmp_path, server, is_right):
    mail = {"dashboard_mail_to": ["me@x.example"], "dashboard_mail_from": "tieba@x.example"}
    errors = dashboard_errors(tmp_path, **mail, dashboard_mail_server=server)
    assert (errors == []) is is_right
    assert not any(server in error for error in errors)


def test_a_certificate_and_a_key_have_to_be_ones_of_each_other(tmp_path):
    mine, others = tmp_path / "mine", tmp_path / "others"
    files = []
    for folder in (mine, others):
        folder.mkdir()
        files.append(make_certificates(folder, "master")[1])
    (tmp_path / "text.pem").write_text("text")

    def errors(certificate, key):
        return dashboard_errors(tmp_path, dashboard_tls_certificate=certificate, dashboard_tls_key=key)

    assert errors(str(files[0]), str(files[0])) == errors("mine/master.pem", "mine/master.pem") == []
    for key in (str(files[1]), "text.pem"):
        (error,) = errors(str(files[0]), key)
        assert "give the PEM files of a certificate and of its key" in error
        assert "\n" not in error
    missing = {"m": {"dashboard_tls_certificate": "none.pem", "dashboard_tls_key": "mine/master.pem"}}
    assert preflight.dashboard_errors(missing, ["m"], [str(tmp_path)]) == []
    (error,) = preflight.file_errors(missing, ["m"], [str(tmp_path)])
    assert error.startswith("dashboard_tls_certificate is 'none.pem': there is no such file on this machine")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_apt_mirror", "mirror.example/debian"),
        ("base_apt_mirror", "ftp://mirror.example/debian"),
        ("base_apt_security_mirror", "http:///debian-security"),
        ("base_apt_proxy", "proxy.example:3142"),
        ("base_apt_proxy", 'http://proxy.example"; Evil "1'),
    ],
)
def test_a_mirror_or_proxy_that_is_no_address_is_explained(name, value):
    hostvars = {"m": {name: value}, "s": {name: value}, "plain": {}}
    (error,) = preflight.source_errors(hostvars, hostvars, str(ROOT))
    assert error.startswith(f"{name} is {value!r}: it must be an address such as http://")


def test_mirrors_proxies_and_a_bundle_pass(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").touch()
    variables = {
        "base_apt_mirror": "https://mirror.example:8443/debian/",
        "base_apt_proxy": "http://proxy.example:3142",
        "base_bundle": "bundle",
    }
    assert preflight.source_errors({"m": variables}, ["m"], str(tmp_path)) == []
    (error,) = preflight.source_errors({"m": {"base_bundle": "other"}}, ["m"], str(tmp_path))
    assert error.startswith("base_bundle is 'other': there is no manifest.json in that folder; give")


def test_a_bundle_is_asked_for_what_runs_where():
    facts = {
        "distribution_release": "bookworm",
        "node": {"platform": {"python": "3.11", "machine": "x86_64"}},
    }
    variables = {"ansible_facts": facts, "crawler_storage": ["mysql", "jsonl"]}
    groups = {"master": ["m"], "slaves": ["s"]}
    master, slave = preflight.bundle_nodes({"m": variables, "s": variables}, groups, ["m", "s"])
    assert master == {
        "host": "m",
        "release": "bookworm",
        "python": "3.11",
        "machine": "x86_64",
        "stores": ["mysql"],
        "trial": False,
    }
    assert slave == {**master, "host": "s", "stores": []}


def test_every_default_passes_its_own_check():
    import yaml

    for path in ROOT.glob("roles/*/defaults/main.yml"):
        defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
        plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
        assert settings(**plain) == [], path


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({}, {}, []),
        ({"crawler_engine": "urllib"}, {"crawler_engine": "urllib"}, []),
        ({"crawler_engine": "scrapy", "crawler_pictures": True}, {}, []),
        (
            {"crawler_pictures": "true"},
            {"crawler_engine": "urllib"},
            [
                "crawler_pictures is true, but crawler_engine is 'urllib' on other: "
                "only Scrapy fetches them; set crawler_engine to scrapy, or crawler_pictures to false"
            ],
        ),
        (
            {"crawler_engine": "urllib", "crawler_scheduler": "scrapy_redis"},
            {"crawler_scheduler": "scrapy_redis"},
            [
                "crawler_scheduler is 'scrapy_redis', but crawler_engine is 'urllib' on one: "
                "it is for Scrapy; set crawler_scheduler to frontier, or crawler_engine to scrapy"
            ],
        ),
    ],
)
def test_what_the_engine_urllib_cannot_do_is_told(one, other, said):
    hostvars = {"m": {}, "one": one, "other": other}
    assert preflight.engine_errors(hostvars, {"master": ["m"], "slaves": ["one", "other"]}) == said
