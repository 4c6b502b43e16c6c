"""What ends a command; the message is one line for the user."""

from __future__ import annotations


class UsageError(Exception):
    """A mistake in the arguments of a command."""


class Unusable(Exception):  # noqa: N818 - reads as what it is
    """What a command needs is not there or refuses us."""


class Away(Unusable):
    """A server that does not answer now; it may come back."""
