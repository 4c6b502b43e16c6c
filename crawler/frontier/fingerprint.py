"""Fingerprints: what makes two requests the same one."""

from hashlib import blake2b

_BITS = 63  # Redis keeps sets of signed 64-bit integers in 8 bytes each


def fingerprint(identity: str) -> int:
    """Give a 63-bit integer for the identity of a request, e.g. its URL.

    Two of n identities share one with a probability of about n²/2⁶⁴: 0.05 % for a hundred million.
    """
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _BITS)
