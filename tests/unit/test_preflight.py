"""Preflight: what an operator can get wrong is one line that names the variable, the value and the fix."""

import importlib.util
from pathlib import Path

import pytest

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
}
SHARED = {"deploy_no_log": {"type": "bool"}}


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
        ("crawler_obey_robots", "maybe", "crawler_obey_robots is 'maybe': it must be true or false"),
        ("tieba_target", "mirror", "tieba_target is 'mirror': it must be live or replica"),
        (
            "crawler_proceses",
            2,
            "crawler_proceses: there is no such variable; did you mean crawler_processes?",
        ),
        ("deploy_no_log", "perhaps", "deploy_no_log is 'perhaps': it must be true or false"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(name, value, expected):
    assert settings(**{name: value}) == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [("crawler_processes", "4"), ("crawler_posts_rate", "2.5"), ("crawler_obey_robots", "false")],
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


def groups(master=("m",), slaves=("s",), site=(), **variables):
    everybody = [*master, *slaves, *site]
    hostvars = {host: {"node_address": host, **variables.get(host, {})} for host in everybody}
    listed = {"master": list(master), "slaves": list(slaves), "site": list(site), "all": everybody}
    return lambda target="live": preflight.group_errors(hostvars, listed, target)


def test_a_good_inventory_has_no_errors():
    assert groups()() == []
    assert groups(site=("t",))("replica") == []


@pytest.mark.parametrize(
    ("check", "target", "said"),
    [
        (groups(master=()), "live", "group master holds no machine: exactly one is needed"),
        (groups(master=("a", "b")), "live", "group master holds a, b: exactly one is needed"),
        (groups(slaves=()), "live", "group slaves holds no machine: at least one is needed"),
        (groups(), "replica", "group site holds no machine"),
        (groups(s={"node_address": "m"}), "live", "node_address of s is m, as that of m"),
    ],
)
def test_a_wrong_inventory_is_explained(check, target, said):
    (error,) = check(target)
    assert said in error
    assert "\n" not in error


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


def test_every_default_passes_its_own_check():
    import yaml

    for path in ROOT.glob("roles/*/defaults/main.yml"):
        defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
        plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
        assert settings(**plain) == [], path
