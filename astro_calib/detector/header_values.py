"""Numbers and times as headers write them: as texts, with a decimal comma, or with a unit."""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["UNITS_OF_TIME", "as_number", "as_seconds", "stated_unit_of_time"]

#: A number with a decimal comma. One with three digits behind it may mean thousands, unless it begins with 0.
DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)([ED][+-]?\d+)?", re.IGNORECASE)
#: Units of time as headers write them, in seconds.
UNITS_OF_TIME = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
}
#: A number, or a fraction such as 1/30, and a unit.
TIME = re.compile(r"([^a-z/]+(?:[ed][+-]?\d+)?)(?:/ *(\d+))? *([a-z]*)\.?", re.IGNORECASE)


def as_number(value: Any) -> float | None:
    """The finite number that a header or a profile gives, also as text or with a decimal comma; None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and (comma := DECIMAL_COMMA.fullmatch(value.strip())):
        before, behind, exponent = comma.groups()
        if len(behind) == 3 and int(before) != 0 and exponent is None:
            return None
        value = f"{before}.{behind}{exponent or ''}"
    if isinstance(value, str):
        # Fortran writes exponents with a D.
        value = re.sub(r"(?<=[\d.])[dD](?=[+-]?\d+$)", "E", value.strip())
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def as_seconds(value: Any, unit: float = 1.0) -> float | None:
    """
    The time that a header gives, in seconds; ``unit`` is for a value that does not say its own.

    None if it is no finite time of zero or more, or may mean several things, as ``"0:30"`` does.

    Examples
    --------
    >>> from astro_calib.detector.header_values import as_seconds
    >>> (
    ...     as_seconds("1/4 s"),
    ...     as_seconds("3,2E-05"),
    ...     as_seconds(500, unit=1e-3),
    ...     as_seconds("0:30"),
    ... )
    (0.25, 3.2e-05, 0.5, None)
    """
    parts = TIME.fullmatch(str(value).strip())
    if parts is None:
        return None
    number, parted = as_number(parts[1].strip()), 1 if parts[2] is None else int(parts[2])
    factor = UNITS_OF_TIME.get(parts[3].lower()) if parts[3] else unit
    if isinstance(value, bool) or number is None or factor is None or number < 0 or parted == 0:
        return None
    return number / parted * factor


def stated_unit_of_time(comment: str) -> str:
    """The unit of time that the comment of an exposure time names, other than seconds; empty if it names none."""
    words = comment.lower()
    if bracket := re.search(r"\[ *([a-z]+) *\]", words):
        return bracket[1] if UNITS_OF_TIME.get(bracket[1], 1.0) != 1.0 else ""
    others = re.findall(r"\b(ms|msecs?|milliseconds?|microseconds?|minutes)\b", words)
    return others[0] if len(set(others)) == 1 and not re.search(r"\b(s|secs?|seconds?)\b", words) else ""
