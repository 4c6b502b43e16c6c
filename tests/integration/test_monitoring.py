"""What role monitoring gives Prometheus, and Grafana, against a real Prometheus."""

import http.server
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from dashboard.metrics import CONTENT_TYPE, render
from tests.conftest import free_port
from tests.monitoring import FILES, alerts, metrics_in, panels
from tests.statuses import full_status

TOKEN = "a token"
SECONDS = 30.0


def program(name):
    folder = os.environ.get("TIEBA_TEST_SERVERS")
    found = str(Path(folder, name)) if folder and Path(folder, name).exists() else shutil.which(name)
    if not found:
        pytest.skip(f"no {name}: TIEBA_TEST_SERVERS names a folder with it")
    return found


def test_the_alert_rules_do_what_their_tests_say(tmp_path):
    for file in (FILES / "alerts.yml", Path(__file__).with_name("alerts.test.yml")):
        shutil.copy(file, tmp_path)
    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts.test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    tests = yaml.safe_load(Path(__file__).with_name("alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    assert {name for name, _ in alerts()} == {
        case["alertname"] for test in tests for case in test["alert_rule_test"] if "exp_alerts" in case
    }


@pytest.fixture(scope="module")
def dashboard():
    """Serve the metrics of a crawl that goes on, to whoever has the token; gives the port."""
    began = time.monotonic()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            status = full_status()
            status["outcomes"]["ok"] += int(10 * (time.monotonic() - began))
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(render(status, None) if is_known else b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def ask(dashboard, tmp_path_factory):
    """Run a Prometheus with our rules, which gathers these metrics; gives a function that asks it."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "token").write_text(TOKEN)
    tieba = {
        "job_name": "tieba",
        "authorization": {"credentials_file": str(folder / "token")},
        "static_configs": [{"targets": [f"127.0.0.1:{dashboard}"]}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FILES / "alerts.yml")],
        "scrape_configs": [tieba],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command = [program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{port}"]

    def get(path, **words):
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(
                lambda: get("query", query='up{job="tieba"} == 1')["result"], (folder / "log").read_text
            )
            yield get
        finally:
            process.kill()


def wait_until(is_so, log=lambda: ""):
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            if is_so():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, log()
        time.sleep(0.2)


def test_prometheus_reads_every_metric(ask):
    told = {line.split("{")[0].split()[0] for line in render(full_status(), None).decode().splitlines()} - {
        "#"
    }
    assert told <= set(ask("label/__name__/values"))


@pytest.mark.parametrize(("title", "expression"), list(panels()))
def test_prometheus_answers_what_grafana_asks(ask, title, expression):
    answer = ask("query", query=expression)  # what it does not understand raises an error
    if all(name.startswith("tieba_") for name in metrics_in(expression)):
        wait_until(lambda: ask("query", query=expression)["result"])
    assert answer["resultType"] == "vector", title


@pytest.mark.parametrize(
    ("series", "slaves"),
    [
        ({"tieba_up": 1, 'tieba_slave_workers{machine="a"}': 2, 'tieba_slave_workers{machine="b"}': 0}, 1),
        ({"tieba_up": 1, 'tieba_slave_workers{machine="a"}': 0}, 0),
        ({"tieba_up": 1}, 0),
        ({"tieba_up": 0}, None),  # nobody knows
    ],
)
def test_grafana_tells_that_no_slave_is_alive(tmp_path, series, slaves):
    (expression,) = [expression for title, expression in panels() if title == "Slaves"]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": str(value)} for name, value in series.items()],
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": "0m",
                "exp_samples": [] if slaves is None else [{"labels": "{}", "value": slaves}],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"tests": [test]}))
    command = [program("promtool"), "test", "rules", str(tmp_path / "test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alarm_of_the_dashboard_is_an_alert(ask):
    def firing():
        return {
            (alert["labels"]["alertname"], alert["labels"].get("name"))
            for alert in ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    wanted = {("TiebaAlarm", alarm["name"]) for alarm in full_status()["alarms"]}
    assert wanted
    wait_until(lambda: firing() == wanted)
