"""MongoDB on the master: reachable from the slaves, closed to whoever has no password."""

testinfra_hosts = ["ansible://master"]

PYTHON = "/opt/tieba/current/bin/python"


def _client(host, url, statement):
    code = (
        f"import pymongo; client = pymongo.MongoClient('{url}', serverSelectionTimeoutMS=5000); {statement}"
    )
    return host.run("%s -c %s", PYTHON, code)


def test_runs_and_listens_for_other_machines(host):
    assert host.service("mongod").is_running
    assert host.service("mongod").is_enabled
    assert host.socket("tcp://0.0.0.0:27017").is_listening


def test_nobody_reads_without_a_password(host):
    refused = _client(host, "mongodb://127.0.0.1/", "client.tieba.threads.find_one()")
    assert "requires authentication" in refused.stderr


def test_the_crawlers_user_sees_its_own_database_alone(host, secret):
    password = secret("mongodb_crawler")
    url = f"mongodb://crawler:{password}@127.0.0.1/tieba"
    assert _client(host, url, "client.tieba.threads.find_one()").rc == 0
    assert "not authorized" in _client(host, url, "client.other.things.insert_one({})").stderr
    assert "not authorized" in _client(host, url, "client.admin.system.users.find_one()").stderr


def test_the_dashboards_user_reads_alone(host, secret):
    url = f"mongodb://dashboard:{secret('mongodb_dashboard')}@127.0.0.1/tieba"
    assert _client(host, url, "client.tieba.threads.find_one()").rc == 0
    assert "not authorized" in _client(host, url, "client.tieba.things.insert_one({})").stderr
    assert "not authorized" in _client(host, url, "client.tieba.threads.create_index('title')").stderr
    assert "not authorized" in _client(host, url, "client.admin.system.users.find_one()").stderr
