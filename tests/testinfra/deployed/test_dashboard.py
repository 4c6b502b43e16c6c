"""The dashboard on the master: reads as a user of its own, and answers those alone who may ask."""

import json

testinfra_hosts = ["ansible://master"]

UNIT = "tieba-dashboard.service"
FILES = ["/etc/tieba/dashboard.json", "/etc/tieba/dashboard.crt", "/etc/tieba/dashboard.key"]
# Of another machine: what the page says, or that it says nothing.
CALL = """
import ssl, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
print(urllib.request.urlopen("https://master:8443/healthz", context=context, timeout=3).status)
"""
# As a browser does it: what the page says without a login, with a wrong password, and with the right one.
LOGIN = """
import http.client, re, sys, urllib.parse
def ask(method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", 8088)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read().decode()
def log_in(password):
    answer, page = ask("GET", "/login")
    token = re.search('name="token" value="([^"]*)"', page)[1]
    form = urllib.parse.urlencode({"token": token, "next": "/", "password": password})
    headers = {"Cookie": answer.getheader("Set-Cookie").split(";")[0], "Origin": "http://127.0.0.1:8088"}
    return ask("POST", "/login", form, **headers, **{"Content-Type": "application/x-www-form-urlencoded"})[0]
inside = log_in(sys.argv[1])
cookie = {"Cookie": inside.getheader("Set-Cookie").split(";")[0]}
print(ask("GET", "/")[0].status, log_in("guess").status, inside.status, ask("GET", "/", **cookie)[0].status)
"""
METRICS = """
import sys, urllib.request
bearer = {"Authorization": "Bearer " + sys.argv[1]}
request = urllib.request.Request("http://127.0.0.1:8088/metrics", headers=bearer)
print(urllib.request.urlopen(request).read().decode())
"""


def test_runs_and_starts_with_the_machine(host):
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled


def test_without_encryption_the_machine_alone_may_call_it(host):
    assert host.socket("tcp://127.0.0.1:8088").is_listening
    assert not host.socket("tcp://0.0.0.0:8088").is_listening
    assert host.socket("tcp://8443").is_listening


def test_the_sandbox_is_tight(exposure):
    assert exposure(UNIT) <= 2.5


def test_each_viewer_may_keep_a_file_open(host):
    assert int(host.check_output("systemctl show --property=LimitNOFILESoft --value %s", UNIT)) == 65536


def test_it_reads_its_own_settings_alone(host):
    user = "tieba-dashboard"
    with host.sudo():
        for path in FILES:
            file = host.file(path)
            assert (file.mode, file.user, file.group) == (0o640, "root", user), path
        assert host.run("runuser --user %s -- cat %s", user, FILES[0]).rc == 0
        assert host.run("runuser --user %s -- cat /etc/tieba/crawler.json", user).rc != 0


def test_its_password_is_a_hash_and_its_users_are_its_own(host, secret):
    with host.sudo():
        settings = host.file(FILES[0]).content_string
        seen = settings + host.check_output("ps axeww; journalctl --no-pager --lines=5000")
    assert json.loads(settings)["password_hash"].startswith("scrypt$16384$8$1$")
    assert secret("dashboard") not in seen
    for password in ("redis_admin", "redis_crawler", "mongodb_crawler", "mysql_crawler"):
        assert secret(password) not in settings, password
    for url in ("redis_url", "mongodb_url", "mysql_url"):
        assert "//dashboard:" in json.loads(settings)["crawler"][url], url


def test_the_password_opens_it(host, secret):
    assert host.check_output("python3 -c %s %s", LOGIN, secret("dashboard")) == "303 403 303 200"


def test_metrics_are_for_who_has_the_token(host, secret):
    assert "tieba_up 1" in host.check_output("python3 -c %s %s", METRICS, secret("dashboard_metrics_token"))
    refused = host.run("python3 -c %s guess", METRICS)
    assert "HTTP Error 401" in refused.stderr


def test_it_reads_the_store_and_writes_nothing_there(host, secret):
    statement = "INSERT INTO forums (id) VALUES (1)"
    login = f"MYSQL_PWD={secret('mysql_dashboard')} mariadb --host=127.0.0.1 --user=dashboard tieba"
    assert host.run(f"{login} --execute='SELECT COUNT(*) FROM posts'").rc == 0
    assert "denied" in host.run(f"{login} --execute='{statement}'").stderr
    url = f"mongodb://dashboard:{secret('mongodb_dashboard')}@127.0.0.1/tieba"
    code = f"import pymongo; print(pymongo.MongoClient('{url}').tieba.posts.%s)"
    python = "/opt/tieba/current/bin/python"
    assert host.run("%s -c %s", python, code % "estimated_document_count()").rc == 0
    assert "not authorized" in host.run("%s -c %s", python, code % "insert_one({})").stderr


def test_the_certificate_is_of_the_masters_names(host):
    with host.sudo():
        names = host.check_output("openssl x509 -noout -ext subjectAltName -in %s", FILES[1])
    assert "DNS:master" in names


def test_an_address_that_is_listed_may_call_it(machine):
    assert machine("slave1").check_output("python3 -c %s", CALL) == "200"


def test_any_other_address_gets_no_answer(machine):
    assert "timed out" in machine("slave2").run("python3 -c %s", CALL).stderr
