"""Passwords as scrypt hashes: `scrypt$N$r$p$salt$hash`, the last two in Base64 (RFC 7914, RFC 4648)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

# 16 MiB and some 50 ms a guess; the generated password is long, and guesses are limited besides.
_COST, _BLOCK_SIZE, _PARALLEL = 2**14, 8, 1
_SALT_BYTES = 16
_MEMORY_BYTES = 128 * 2**20


def make_hash(password: str, salt: bytes | None = None) -> str:
    """Hash a password; `salt` is made up unless it is given."""
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    digest = _scrypt(password, salt, _COST, _BLOCK_SIZE, _PARALLEL)
    shown = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["scrypt", str(_COST), str(_BLOCK_SIZE), str(_PARALLEL), *shown])


def fits(password: str, known: str) -> bool:
    """Tell whether a password is the one of a hash; raises ValueError for what is none."""
    match known.split("$"):
        case ["scrypt", cost, block_size, parallel, salt, digest]:
            expected = base64.b64decode(digest, validate=True)
            numbers = int(cost), int(block_size), int(parallel)
            made = _scrypt(password, base64.b64decode(salt, validate=True), *numbers)
            return hmac.compare_digest(made, expected)
    raise ValueError("a hash is scrypt$N$r$p$salt$hash")


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallel,
        maxmem=_MEMORY_BYTES,
    )
