"""Numbers out of a file: finite and bounded ones alone go on to NumPy, OpenCV and pycocotools.

JSON has numbers of any size, Python's reader takes ``NaN`` and ``Infinity`` too, and tools write numbers as text. A
polygon with one NaN makes pycocotools allocate 21 GB.
"""

from __future__ import annotations

import reprlib
from math import isfinite
from typing import Any

#: No coordinate, size or area of a picture is larger; sums and products of such numbers stay exact enough.
MAX_NUMBER = 1e9
#: Ids are kept up to here: COCOeval keeps them in double precision.
MAX_ID = 2**53

_PLAIN = frozenset((int, float))
_MAX_DIGITS = 32
_REPR = reprlib.Repr()
_REPR.maxlist = _REPR.maxdict = 6
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = 60


def number(value: Any) -> int | float | None:
    """A finite number of at most :data:`MAX_NUMBER`, also out of text; None for anything else, ``true`` included."""
    if type(value) is float or type(value) is int:  # the usual case, quickly; both comparisons are false for NaN
        return value if -MAX_NUMBER <= value <= MAX_NUMBER else None
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= _MAX_DIGITS and '_' not in value else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if -MAX_NUMBER <= value <= MAX_NUMBER else None


def whole(value: Any) -> int | None:
    """A whole number of at most :data:`MAX_NUMBER`, also out of text or a float without fraction; else None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def numbers(values: Any, count: int | None = None) -> list[int | float] | None:
    """All of a list as finite numbers; None if one is not, or if there are not ``count`` of them."""
    if not isinstance(values, (list, tuple)) or (count is not None and len(values) != count):
        return None
    if values and type(values) is list and are_plain(values):
        return values
    found = [number(value) for value in values]
    return None if None in found else found  # type: ignore[return-value]


def are_typed(values: list[Any]) -> bool:
    """Whether all elements are int or float, and none is text, ``true`` or a list; NaN passes. Runs in C."""
    return _PLAIN.issuperset(map(type, values))


def are_plain(values: list[Any]) -> bool:
    """Whether all elements are int or float, finite and bounded, and none is text, ``true`` or a list.

    All of it runs in C. NaN hides from ``min`` and ``max`` and shows in the sum.
    """
    return (
        are_typed(values)
        and -MAX_NUMBER <= min(values, default=0)
        and max(values, default=0) <= MAX_NUMBER
        and isfinite(sum(values))
    )


def key(value: Any) -> int | str | None:
    """What an id is compared by: 7, 7.0 and "7" are one; None for what can be no id."""
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal() and len(text) <= 18 and str(int(text)) == text:
            return int(text)
        return text or None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None  # false for NaN and infinities
    return value


def shown(value: Any) -> str:
    """A value in a message: short, on one line, and of characters that can be printed."""
    if type(value) is int and -MAX_ID < value < MAX_ID:
        return str(value)
    try:
        return _REPR.repr(value)
    except ValueError:  # an int of more digits than Python prints
        return f'a {type(value).__name__} too long to print'
