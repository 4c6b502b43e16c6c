"""What a cluster is made for: TARGET, STORAGE, SOURCE, API_FORMAT, ENGINE and SCHEDULER.

It stays so until `make down`, since what it has stored would mix with other things.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from control.process import ControlError
from control.project import CLUSTER

STORES = ("mongodb", "mysql", "jsonl")
ENGINES = ("scrapy", "urllib")
_LISTS = {"storage": STORES, "engine": ENGINES}
_CHOICES = {
    "target": {"replica": "the stand-in site", "live": "tieba.baidu.com"},
    "source": {"api": "what clients are told", "web": "the pages that browsers get"},
    "api_format": {"json": "signed", "protobuf": "as clients do today"},
    "scheduler": {"frontier": "which loses nothing", "scrapy_redis": "to compare with"},
}


@dataclass(frozen=True)
class Settings:
    """The settings of one cluster."""

    target: str = "replica"
    storage: str = "mongodb"  # one or several of STORES, with commas
    source: str = "api"
    api_format: str = "json"
    engine: str = "scrapy"  # one or several of ENGINES, with commas: the slaves have them in turn
    scheduler: str = "frontier"

    @property
    def stores(self) -> list[str]:
        """The stores, as a list."""
        return self.storage.split(",")

    def engine_of(self, slave: str) -> str:
        """Return the engine of a slave, such as slave1."""
        engines = self.engine.split(",")
        return engines[(int(slave.removeprefix("slave")) - 1) % len(engines)]

    def variables(self) -> dict[str, Any]:
        """Return them as Ansible's variables, but for those of single machines."""
        return {
            "tieba_target": self.target,
            "crawler_storage": self.stores,
            "tieba_source": self.source,
            "tieba_api_format": self.api_format,
            "crawler_scheduler": self.scheduler,
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
    for name, known in _LISTS.items():
        if value := environment.get(name.upper()):
            wanted = [word.strip() for word in value.split(",")]
            if len(set(wanted)) < len(wanted) or not set(wanted) <= set(known):
                raise ControlError(
                    f"{name.upper()}={value}: use one or several of {', '.join(known)}; "
                    f"for example {name.upper()}={known[0]},{known[-1]}"
                )
            found[name] = ",".join(word for word in known if word in wanted)
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
    made = there or replace(Settings(), **wanted)
    if made.scheduler == "scrapy_redis" and made.engine != "scrapy":
        raise ControlError(
            f"SCHEDULER=scrapy_redis ENGINE={made.engine}: that scheduler is for Scrapy; use ENGINE=scrapy"
        )
    return made
