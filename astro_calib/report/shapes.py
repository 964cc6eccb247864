"""What a value that was read from JSON has to be: texts, numbers, lists and objects, read without trust."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    #: From a value, and where it stands, to what it is taken for; or a ValueError.
    Shape = Callable[[Any, str], Any]

__all__ = ["count", "each", "maybe", "number", "record", "several", "text"]

#: Texts are cut at so many letters.
LONGEST = 2000


def text(value: Any, where: str) -> str:
    """Return a text, with nothing in it that a terminal or a browser might take for a command."""
    if not isinstance(value, str):
        raise _wrong(value, where, "a text")
    return printable(value if len(value) <= LONGEST else f"{value[:LONGEST]} ...")


def number(value: Any, where: str) -> float:
    """Return a number; NaN where it is not known."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, where, "a number or null")
    try:
        return float(value)
    except OverflowError:
        raise _wrong(value, where, "a number or null") from None


def count(value: Any, where: str) -> int:
    """Return a whole number that is not below zero."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise _wrong(value, where, "a whole number, 0 or more")
    return value


def maybe(shape: Shape) -> Shape:
    """Accept null as well."""
    return lambda value, where: None if value is None else shape(value, where)


def several(shape: Shape, most: int = 1_000_000) -> Shape:
    """Accept a list of values of one shape, at most so many."""

    def check(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > most:
            raise _wrong(value, where, f"a list of at most {most}")
        return [shape(one, f"{where}[{place}]") for place, one in enumerate(value)]

    return check


def each(shape: Shape) -> Shape:
    """Accept an object whose values are of one shape, under any names."""

    def check(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, where, "an object")
        return {text(key, where): shape(one, f"{where}.{key}") for key, one in value.items()}

    return check


def record(**shapes: Shape) -> Shape:
    """Accept an object that has at least these keys; the others are dropped."""

    def check(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, where, "an object")
        for name in shapes:
            if name not in value:
                msg = f"{where or 'it'} has no {name!r}"
                raise ValueError(msg)
        return {name: shape(value[name], f"{where}.{name}".lstrip(".")) for name, shape in shapes.items()}

    return check


def _wrong(value: Any, where: str, expected: str) -> ValueError:
    found = printable(repr(value)[:60])
    return ValueError(f"{where or 'it'} is {found}; expected {expected}")
