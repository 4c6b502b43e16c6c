"""Evaluates what roles say in their variables, without the seconds that a run of Ansible takes."""

from pathlib import Path

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).resolve().parents[1] / "roles"


def evaluate(role, expression, **variables):
    """Return the value of a template of `role`, whose own variables `variables` adds to."""
    own = yaml.safe_load((ROLES / role / "vars" / "main.yml").read_text(encoding="utf-8"))
    known = {name: _trusted(value) for name, value in own.items()} | variables
    return Templar(DataLoader(), variables=known).template(trust_as_template(expression))


def _trusted(value):
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return {key: _trusted(item) for key, item in value.items()} if isinstance(value, dict) else value
