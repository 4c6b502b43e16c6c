"""What only several looks at a status can tell: how fast things change."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Status = dict[str, Any]

_WINDOW_SECONDS = 15.0
_MOST_LOOKS = 100


class _Look(NamedTuple):
    at: float
    crawl_id: str | None
    left: int
    granted: Mapping[str, int]


class Lately:
    """Remembers the looks of the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=_MOST_LOOKS)

    def refine(self, status: Status) -> Status:
        """Give the status with the time left, and what of each budget is used, as the last looks tell them.

        What is left over the rate would be far too little: most requests lead to more. How fast the rest
        became less lately is better; None while more is found than done. Where the crawl's maximum of
        requests leaves no room for more, what is left over the rate is right.
        """
        look = _look(status)
        while self._looks and not self._is_of_use(self._looks[0], look):
            self._looks.popleft()
        self._looks.append(look)
        first = self._looks[0]
        seconds = look.at - first.at
        if seconds <= 0:
            return status
        drained = first.left - look.left
        eta = status["eta_seconds"]  # None while the crawl is held or over
        if status["eta_is_least"]:
            is_draining = _is_working(status["crawl"]) and drained > 0
            eta = round(look.left * seconds / drained, 1) if is_draining else None
        return {
            **status,
            "eta_seconds": eta,
            "eta_is_least": False,
            "slots": [
                {**slot, "used": round((slot["granted"] - first.granted.get(slot["slot"], 0)) / seconds, 2)}
                for slot in status["slots"]
            ],
        }

    @staticmethod
    def _is_of_use(first: _Look, look: _Look) -> bool:
        return first.crawl_id == look.crawl_id and 0 <= look.at - first.at <= _WINDOW_SECONDS


def _is_working(crawl: Mapping[str, Any]) -> bool:
    return crawl["state"] == "running" and not crawl["paused"]


def _look(status: Status) -> _Look:
    return _Look(
        status["at"],
        status["crawl"]["id"],
        status["requests"]["left"],
        {slot["slot"]: slot["granted"] for slot in status["slots"]},
    )
