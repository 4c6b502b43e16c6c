"""What Grafana and the alert rules ask Prometheus."""

import json
import re
from pathlib import Path

import yaml

FILES = Path(__file__).resolve().parents[1] / "roles" / "monitoring" / "files"


def grafana():
    """Give the Grafana dashboard."""
    return json.loads((FILES / "grafana.json").read_text(encoding="utf-8"))


def panels():
    """Give the title of every panel of the Grafana dashboard with each of its expressions."""
    for panel in grafana()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "10s")


def alerts():
    """Give the name of every alert with its expression."""
    for group in yaml.safe_load((FILES / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def metrics_in(expression):
    """Give the metrics that an expression names; functions have a parenthesis behind them."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|by \([^)]*\)', " ", expression)
    return set(re.findall(r"\b((?:tieba|redis|node|up)\w*)\b(?!\s*\()", bare))
