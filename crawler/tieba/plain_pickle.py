"""Reads pickles of plain values, such as scrapy-redis makes of requests; anything more is refused.

A pickle is a program. Before it runs, each of its instructions has to be one of those that only build texts,
bytes, numbers, lists, tuples and dicts (https://docs.python.org/3/library/pickletools.html names them).
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any, NoReturn

_MOST_BYTES = 2**20
_MOST_VALUES = 2**21  # characters, bytes and values, those that are referred to again each time
_OPCODES = {
    *("PROTO", "FRAME", "MARK", "STOP", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}


def loads(data: bytes) -> Any:
    """Give the value of a pickle; raises ValueError that tells why it is refused."""
    if len(data) > _MOST_BYTES:
        raise ValueError(f"pickle refused: it has {len(data)} bytes, more than {_MOST_BYTES}")
    try:
        _check_program(data)
        value = _Unpickler(io.BytesIO(data)).load()
        _check_size(value)
    except Exception as error:  # noqa: BLE001 - a pickle can end in many errors, all its own fault
        raise ValueError(f"pickle refused: {error}") from None
    return value


class _Unpickler(pickle.Unpickler):
    """Knows no classes and functions, should one be asked for in spite of all."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} is asked for")


def _check_program(data: bytes) -> None:
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in _OPCODES:
            told = opcode.name if argument is None else f"{opcode.name} {str(argument)[:80]!r}"
            raise ValueError(f"it needs more than plain values: {told}")
        if opcode.name == "LONG_BINPUT" and int(argument or 0) > len(data):  # as long a table would be made
            raise ValueError(f"it asks for too much memory: {opcode.name} {argument}")


def _check_size(value: Any) -> None:
    """Raise ValueError for a value that has itself inside, or others again and again."""
    left = _MOST_VALUES
    waiting = [value]
    while waiting:
        item = waiting.pop()
        left -= 1 + (len(item) if isinstance(item, (str, bytes, list, tuple, dict)) else 0)
        if left < 0:
            raise ValueError(f"it holds more than {_MOST_VALUES} values")
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, (list, tuple)):
            waiting += item
