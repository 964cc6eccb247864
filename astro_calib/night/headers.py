"""Single values of FITS headers, which may hold anything: read without trusting them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from astro_calib.sections import slices_of_section

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["as_number", "as_seconds", "header_value", "parse_section", "printable", "stated_unit_of_time"]

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


def printable(text: str) -> str:
    """``text`` with "?" for what a terminal might take for a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


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


def as_seconds(value: Any, unit: str = "") -> float | None:
    """
    The time that a header gives, in seconds.

    Parameters
    ----------
    value : bool, int, float or str
        A number, or a text such as ``"30 s"``, ``"500 ms"``, ``"1/30"`` or ``"3,2E-05"``.
    unit : str
        The unit of a value that does not say its own.

    Returns
    -------
    float or None
        None if it is no finite time of zero or more, or may mean several things, as ``"0:30"`` does.

    Examples
    --------
    >>> from astro_calib.night.headers import as_seconds
    >>> as_seconds("1/4 s"), as_seconds("3,2E-05"), as_seconds(500, unit="ms"), as_seconds("0:30")
    (0.25, 3.2e-05, 0.5, None)
    """
    parts = TIME.fullmatch(str(value).strip())
    if parts is None:
        return None
    number, parted = as_number(parts[1].strip()), 1 if parts[2] is None else int(parts[2])
    factor = UNITS_OF_TIME.get(parts[3].lower() or unit)
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


def header_value(header: Header, keyword: str) -> Any:
    """
    A header's value as a plain bool, int, float or stripped, printable str; None if it has none.

    Parameters
    ----------
    header : astropy.io.fits.Header
        The header; its cards may be damaged.
    keyword : str
        The keyword to look up.

    Returns
    -------
    bool, int, float, str or None

    Examples
    --------
    >>> from astropy.io import fits
    >>> from astro_calib.night.headers import header_value
    >>> header_value(fits.Header([("FILTER", " V  ")]), "FILTER")
    'V'
    """
    from astropy.io.fits.verify import VerifyError

    try:
        value = header.get(keyword)
    except (VerifyError, ValueError):
        return None
    if isinstance(value, str):
        return printable(value).strip() or None
    return value if isinstance(value, bool | int | float) else None


def parse_section(text: str) -> tuple[slice, slice]:
    """
    The (row, column) slices of a section in FITS convention.

    Parameters
    ----------
    text : str
        Such as ``"[1025:1056, 1:1024]"``: columns first, counted from 1, ends included; ``*`` is all.

    Returns
    -------
    (slice, slice)
        Of rows and of columns, as NumPy counts them.

    Raises
    ------
    ValueError
        If it is not a section of two axes with whole, increasing limits.

    Examples
    --------
    >>> from astro_calib.night.headers import parse_section
    >>> parse_section("[1025:1056, 1:1024]")
    (slice(0, 1024, None), slice(1024, 1056, None))
    """
    expected = "expected two ranges, columns first, such as '[1025:1056, 1:1024]'"
    try:
        rows, columns = slices_of_section(text)
    except ValueError as error:
        msg = f"{text!r} is not a section ({error}); {expected}"
        raise ValueError(msg) from error
    if any(part.step is not None or (part.start is not None and part.stop is None) for part in (rows, columns)):
        msg = f"{text!r} is not a section that can be used; {expected}"
        raise ValueError(msg)
    return rows, columns
