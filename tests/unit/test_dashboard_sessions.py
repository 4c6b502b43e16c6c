"""Logins: hashes, cookies and the limit on wrong passwords."""

import json

import pytest

from dashboard import passwords
from dashboard.config import load_settings
from dashboard.sessions import SESSION_SECONDS, Sessions, Throttle
from dashboard.views.entry import own_target
from tieba.config import ConfigError


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(clock, tmp_path):
    return Sessions("key", "hash", tmp_path / "ended.json", clock)


def test_hashes_fit_their_password_alone():
    known = passwords.make_hash("贴吧 password")
    assert passwords.fits("贴吧 password", known)
    assert not passwords.fits("贴吧 Password", known)
    assert not passwords.fits("", known)
    assert passwords.make_hash("x", b"salt of 16 bytes") == passwords.make_hash("x", b"salt of 16 bytes")
    assert passwords.make_hash("x") != passwords.make_hash("x")


@pytest.mark.parametrize(
    "known", ["", "md5$x", "scrypt$1$2$3$4", "scrypt$x$8$1$AA==$AA==", "scrypt$2$8$1$!$!"]
)
def test_what_is_no_hash_fits_nothing(known):
    with pytest.raises(ValueError, match=r".+"):
        passwords.fits("x", known)


def test_cookies_are_read_as_they_were_made(sessions):
    session = sessions.new(is_login=True)
    assert sessions.read(sessions.cookie(session)) == session
    assert sessions.new(is_login=True).id != session.id


def test_forged_cookies_are_not_read(sessions, clock, tmp_path):
    visit = sessions.new(is_login=False)
    cookie = sessions.cookie(visit)
    text, _, signature = cookie.rpartition(".")
    for forged in (f"{text[:-1]}1.{signature}", f"{cookie}0", text, "", ".", "a.b.c.d", "é.1.1.x"):
        assert sessions.read(forged) is None
    other_key = Sessions("other key", "hash", tmp_path / "ended.json", clock)
    other_password = Sessions("key", "other hash", tmp_path / "ended.json", clock)
    assert other_key.read(cookie) is None
    assert other_password.read(cookie) is None


def test_sessions_are_over_after_a_day(sessions, clock):
    cookie = sessions.cookie(sessions.new(is_login=True))
    clock.now += SESSION_SECONDS - 1
    assert sessions.read(cookie)
    clock.now += 1
    assert sessions.read(cookie) is None


def test_ended_sessions_stay_ended_after_a_restart(sessions, clock, tmp_path):
    ended, other = sessions.new(is_login=True), sessions.new(is_login=True)
    sessions.end(ended)
    again = Sessions("key", "hash", tmp_path / "ended.json", clock)
    assert again.read(again.cookie(ended)) is None
    assert again.read(again.cookie(other)) == other
    clock.now += SESSION_SECONDS
    again.end(other)
    assert json.loads((tmp_path / "ended.json").read_text()).keys() == {other.id}


@pytest.mark.parametrize("content", ["", '{"a": 1', "[]", "null", '{"a": []}', '{"a": "x"}', "\udcff"])
def test_a_damaged_file_of_ended_sessions_keeps_nobody_out(content, tmp_path, caplog):
    path = tmp_path / "ended.json"
    path.write_text(content, errors="surrogateescape")
    sessions = Sessions("key", "hash", path)
    assert "is damaged" in caplog.text
    session = sessions.new(is_login=True)
    assert sessions.read(sessions.cookie(session)) == session
    sessions.end(session)
    assert json.loads(path.read_text()).keys() == {session.id}


def test_sessions_end_also_where_that_cannot_be_written(clock, tmp_path, caplog):
    sessions = Sessions("key", "hash", tmp_path / "missing" / "ended.json", clock)
    session = sessions.new(is_login=True)
    sessions.end(session)
    assert sessions.read(sessions.cookie(session)) is None
    assert "After a restart" in caplog.text


def test_tokens_of_forms_belong_to_a_session(sessions):
    one, other = sessions.new(is_login=True), sessions.new(is_login=True)
    assert sessions.form_token(one) == sessions.form_token(one) != sessions.form_token(other)
    assert sessions.form_token(one) not in sessions.cookie(one)


def test_wrong_passwords_are_limited_by_address(clock):
    throttle = Throttle(clock)
    assert [throttle.take("192.0.2.1") for _ in range(6)] == [0, 0, 0, 0, 0, 30]
    assert throttle.take("192.0.2.2") == 0
    clock.now += 30
    assert [throttle.take("192.0.2.1") for _ in range(2)] == [0, 30]


def test_addresses_of_one_network_are_one(clock):
    throttle = Throttle(clock)
    for number in range(5):
        assert throttle.take(f"2001:db8::{number}") == 0
    assert throttle.take("2001:db8::99") > 0
    assert throttle.take("2001:db8:0:1::1") == 0


def test_addresses_that_come_to_a_socket_for_both_kinds_are_told_apart(clock):
    throttle = Throttle(clock)
    assert [throttle.take("::ffff:192.0.2.1") for _ in range(6)] == [0, 0, 0, 0, 0, 30]
    assert throttle.take("192.0.2.1") == 30
    assert throttle.take("::ffff:192.0.2.2") == 0


def test_wrong_passwords_are_limited_in_all(clock):
    throttle = Throttle(clock)
    assert [throttle.take(f"192.0.2.{number}") for number in range(51)] == [0] * 50 + [2]
    throttle.give_back("192.0.2.1")
    assert throttle.take("192.0.2.1") == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_who_comes_through_a_tunnel_locks_nobody_out_soon(clock, address):
    throttle = Throttle(clock)
    assert [throttle.take(address) for _ in range(51)] == [0] * 50 + [2]
    assert throttle.take("127.0.0.1") == 2
    assert throttle.take("192.0.2.1") == 0
    clock.now += 2
    assert [throttle.take("127.0.0.1") for _ in range(2)] == [0, 2]
    throttle.give_back("127.0.0.1")
    assert throttle.take("127.0.0.1") == 0


def test_strangers_lock_nobody_out_who_comes_through_a_tunnel(clock):
    throttle = Throttle(clock)
    for number in range(60):
        throttle.take(f"192.0.2.{number}")
    assert throttle.take("192.0.2.99") > 0
    assert throttle.take("127.0.0.1") == 0


def test_right_passwords_are_not_counted(clock):
    throttle = Throttle(clock)
    for _ in range(500):
        assert throttle.take("192.0.2.1") == 0
        throttle.give_back("192.0.2.1")


@pytest.mark.parametrize(
    ("target", "own"),
    [
        ("/data/thread/7?cursor=x", "/data/thread/7?cursor=x"),
        ("", "/"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nset-cookie: a=b", "/"),
        ("//[", "/"),
    ],
)
def test_a_login_leads_to_this_site_alone(target, own):
    assert own_target(target) == own


GOOD = {"password_hash": "scrypt$…", "session_key": "k"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "password_hash and session_key are needed"),
        ({**GOOD, "colour": "red"}, "unknown key 'colour'"),
        ({**GOOD, "port": "8088"}, "port must be an integer"),
        ({**GOOD, "port": True}, "port must be an integer"),
        ({**GOOD, "port": 70_000}, "port must be a port"),
        ({**GOOD, "hosts": "a"}, "hosts must be a list"),
        ({**GOOD, "tls_port": 8443}, "tls_port needs tls_certificate and tls_key"),
        ({**GOOD, "crawler": {"redis_url": "x"}}, "crawler: redis_url must be a URL"),
        ({**GOOD, "crawler": []}, "crawler: must be a JSON object"),
        ([], "must hold one JSON object"),
    ],
)
def test_mistakes_in_the_configuration_are_named(tmp_path, values, told):
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=told) as error:
        load_settings(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_configuration_is_read(tmp_path):
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps({**GOOD, "hosts": ["tieba.example"], "crawler": {"storage": ["mysql"]}}))
    settings = load_settings(path)
    assert settings.hosts == ("tieba.example",)
    assert settings.crawler.storage == ("mysql",)
    assert settings.port == 8088
