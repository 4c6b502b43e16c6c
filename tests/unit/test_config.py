"""The node's configuration."""

import json

import pytest

from tieba import config


@pytest.fixture
def load(tmp_path):
    def load_with(values=None, text=None, **environ):
        path = tmp_path / "crawler.json"
        path.write_text(json.dumps(values or {}) if text is None else text)
        return config.load({"TIEBA_CONFIG": str(path), **environ})

    return load_with


def test_file_and_environment_over_it(load):
    found = load({"job": "a", "posts_rate": 3, "burst": 5}, TIEBA_JOB="b", TIEBA_OBEY_ROBOTS="false")
    assert (found.job, found.posts_rate, found.burst, found.obey_robots) == ("b", 3.0, 5, False)
    assert found.comments_rate == 5.0
    assert load({"storage": ["jsonl"]}).storage == ("jsonl",)
    assert load(TIEBA_STORAGE="mongodb, mysql").storage == ("mongodb", "mysql")


def test_processes_take_the_machines_addresses_in_turn(load):
    values = {"egress": "office", "addresses": ["10.0.0.5", "10.0.0.6"]}
    found = [load(values, TIEBA_PROCESS=str(number)) for number in (1, 2, 3)]
    assert [each.bind_address for each in found] == ["10.0.0.5", "10.0.0.6", "10.0.0.5"]
    assert [each.egress for each in found] == ["10.0.0.5", "10.0.0.6", "10.0.0.5"]
    alone = load({"egress": "office"}, TIEBA_PROCESS="2")
    assert (alone.bind_address, alone.egress) == (None, "office")


def test_defaults_without_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "none.json")
    assert config.load({}) == config.Config()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"jobs": "x"}, "unknown key 'jobs'"),
        ({"burst": "10"}, "burst must be an integer, not '10'"),
        ({"burst": True}, "burst must be an integer, not True"),
        ({"burst": 0}, "burst must be more than 0"),
        ({"posts_rate": -1}, "posts_rate must be more than 0"),
        ({"obey_robots": 1}, "obey_robots must be true or false, not 1"),
        ({"redis_url": "master:6379"}, "redis_url must be a URL like redis://host:port"),
        ({"redis_url": "redis://h:x"}, "redis_url must be a URL like redis://host:6379/0"),
        ({"redis_url": "redis://a,b"}, "redis_url must be a URL like redis://host:6379/0"),
        ({"redis_url": "rediss://h/0?ssl_ca=x"}, "(an unexpected keyword argument 'ssl_ca')"),
        ({"redis_url": "redis+sentinel://a,b"}, "redis+sentinel://host1:26379,host2:26379/service"),
        ({"redis_url": "redis+cluster://a/1"}, "redis+cluster://host1:6379,host2:6379"),
        ({"mongodb_url": "mongodb://master:27017"}, "database in its path"),
        ({"api_url": "tiebac.baidu.com"}, "api_url must be a URL like http://host:port"),
        ({"api_url": "http://x/c/f"}, "without a path"),
        ({"user_agent": "贴吧"}, "user_agent must be a text of letters and signs of ASCII"),
        ({"user_agent": "a\r\nX: b"}, "user_agent must be a text of letters and signs of ASCII"),
        ({"web_url": "tieba.baidu.com"}, "web_url must be a URL like http://host:port"),
        ({"mysql_url": "mysql://master"}, "database in its path, like mysql://host:port/tieba"),
        ({"storage": "mongodb"}, "storage must be a list of texts, not 'mongodb'"),
        ({"storage": ["mongo"]}, "storage must be one or several of mongodb, mysql, jsonl, not ['mongo']"),
        ({"storage": []}, "storage must be one or several of"),
        ({"pictures_store": "s3:///folder"}, "pictures_store must be a folder, or a bucket like s3://"),
        ({"source": "html"}, "source must be one of api, web"),
        ({"api_format": "xml"}, "api_format must be one of json, protobuf"),
        ({"log_level": "LOUD"}, "log_level must be one of DEBUG"),
        ({"addresses": ["eth0"]}, "addresses must be IPv4 addresses, each once, not ['eth0']"),
        ({"addresses": ["10.0.0.5"] * 2}, "addresses must be IPv4 addresses, each once"),
        ({"egress": " "}, "egress must be a text that is not empty"),
        ([], "must hold one JSON object"),
    ],
)
def test_errors_name_file_key_and_value(load, values, told):
    with pytest.raises(config.ConfigError) as error:
        load(text=json.dumps(values))
    assert told in str(error.value)
    assert "crawler.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_and_missing_files(load, tmp_path):
    with pytest.raises(config.ConfigError, match="cannot be read as JSON"):
        load(text="{")
    with pytest.raises(config.ConfigError, match="no such file"):
        config.load({"TIEBA_CONFIG": str(tmp_path / "none.json")})


def test_environment_errors_name_the_variable(load):
    with pytest.raises(
        config.ConfigError, match=r"environment TIEBA_BURST: burst must be an integer, not 'x'"
    ):
        load(TIEBA_BURST="x")


def test_passwords_are_not_shown(load):
    with pytest.raises(config.ConfigError) as error:
        load({"mongodb_url": "mongodb://crawler:secret@master:27017"})
    assert "secret" not in str(error.value)
    with pytest.raises(config.ConfigError) as error:
        load({"mysql_url": "mysql://crawler:secret@master"})
    assert "secret" not in str(error.value)
    with pytest.raises(config.ConfigError) as error:
        load({"redis_url": "redis://crawler:secret#1@master"})
    assert "secret" not in str(error.value)
