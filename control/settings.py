"""What a cluster is made for: TARGET, STORAGE, SOURCE and API_FORMAT.

It stays so until `make down`, since what it has stored would mix with other things.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from control.process import ControlError
from control.project import CLUSTER

STORES = ("mongodb", "mysql", "jsonl")
_CHOICES = {
    "target": {"replica": "the stand-in site", "live": "tieba.baidu.com"},
    "source": {"api": "what clients are told", "web": "the pages that browsers get"},
    "api_format": {"json": "signed", "protobuf": "as clients do today"},
}


@dataclass(frozen=True)
class Settings:
    """The settings of one cluster."""

    target: str = "replica"
    storage: str = "mongodb"  # one or several of STORES, with commas
    source: str = "api"
    api_format: str = "json"

    @property
    def stores(self) -> list[str]:
        """The stores, as a list."""
        return self.storage.split(",")

    def variables(self) -> dict[str, Any]:
        """Return them as Ansible's variables."""
        return {
            "tieba_target": self.target,
            "crawler_storage": self.stores,
            "tieba_source": self.source,
            "tieba_api_format": self.api_format,
        }

    def to_json(self) -> dict[str, str]:
        """Return them by name."""
        return asdict(self)


def given(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return, by name, those that the user gave; raises ControlError for one that cannot be meant."""
    found = {}
    for name, choices in _CHOICES.items():
        if value := environment.get(name.upper()):
            if value not in choices:
                ways = " or ".join(f"{choice} ({what})" for choice, what in choices.items())
                raise ControlError(f"{name.upper()}={value}: use {ways}")
            found[name] = value
    if value := environment.get("STORAGE"):
        wanted = [store.strip() for store in value.split(",")]
        if len(set(wanted)) < len(wanted) or not set(wanted) <= set(STORES):
            raise ControlError(
                f"STORAGE={value}: use one or several of {', '.join(STORES)}; "
                "for example STORAGE=mongodb,jsonl"
            )
        found["storage"] = ",".join(store for store in STORES if store in wanted)
    return found


def settle(wanted: Mapping[str, str], there: Settings | None) -> Settings:
    """Return the settings of the cluster that is `there`, or of one to be made.

    Raises ControlError where `wanted` are others than it has.
    """
    for name, value in wanted.items():
        if there and getattr(there, name) != value:
            raise ControlError(
                f"{name.upper()}={value}: cluster {CLUSTER} was made with {getattr(there, name)}; "
                f"`make down` first, or have a second one: make up {name.upper()}={value} CLUSTER=second"
            )
    return there or replace(Settings(), **wanted)
