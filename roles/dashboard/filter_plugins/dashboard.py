"""What of the dashboard's password lies on the master."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_COST, _BLOCK_SIZE, _PARALLELIZATION = 16384, 8, 1  # RFC 7914's N, r and p: 16 MiB, some 50 ms


def scrypt_hash(password: str, salt: str) -> str:
    """Return "scrypt$N$r$p$SALT$HASH", the last two in base64, as dashboard/passwords.py reads it."""
    digest = hashlib.scrypt(password.encode(), salt=salt.encode(), n=_COST, r=_BLOCK_SIZE, p=_PARALLELIZATION)
    shown = (base64.b64encode(part).decode() for part in (salt.encode(), digest))
    return "$".join(["scrypt", str(_COST), str(_BLOCK_SIZE), str(_PARALLELIZATION), *shown])


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, Callable[[str, str], str]]:
        """Return name -> function."""
        return {"scrypt_hash": scrypt_hash}
