"""Numbers in addresses and forms, which anybody can write: ASCII digits of 63 bits, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from tieba.pages.values import integer

if TYPE_CHECKING:
    from starlette.requests import Request


def number(text: str | None) -> int | None:
    """Give a number from zero on; None for anything else."""
    return integer(text)


def signed(text: str | None) -> int | None:
    """Give a number that may have a minus; None for anything else."""
    text = text or ""
    found = number(text.removeprefix("-"))
    return None if found is None else -found if text.startswith("-") else found


def id_of(request: Request) -> int:
    """Give the id in an address; what is none is found nowhere."""
    found = number(request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    return found
