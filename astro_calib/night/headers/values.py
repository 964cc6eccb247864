"""Single values of FITS headers, which may hold anything: read without trusting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.detector.sections import slices_of_section
from astro_calib.frame.header_values import header_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from astropy.io.fits import Header

__all__ = ["header_value", "parse_section", "values_of"]


def values_of(header: Header, keywords: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield those of the keywords that have a value, and the value."""
    for keyword in keywords:
        value = header_value(header, keyword)
        if value is not None:
            yield keyword, value


def parse_section(text: str) -> tuple[slice, slice]:
    """
    Return the (row, column) slices of a section in FITS convention: columns first, from 1, ends included; ``*`` is all.

    What is not a section of two axes with whole, increasing limits is a ValueError.

    >>> from astro_calib.night.headers.values import parse_section
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
