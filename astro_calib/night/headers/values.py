"""Single values of FITS headers, which may hold anything: read without trusting them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable
from astro_calib.detector.sections import slices_of_section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from astropy.io.fits import Header

__all__ = ["header_value", "parse_section", "values_of"]


def header_value(header: Header, keyword: str) -> Any:
    """
    Return a header's value as a plain bool, int, float or stripped, printable str; None if it has none, or is damaged.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.values import header_value
    >>> header_value(fits.Header([("FILTER", " V  ")]), "FILTER")
    'V'
    """
    try:
        value = header.get(keyword)
    except Exception as error:
        from astropy.io.fits.verify import VerifyError

        if not isinstance(error, (VerifyError, ValueError)):
            raise
        return None
    if value is None:
        return None
    if isinstance(value, str):
        return _clean(value)
    return value if isinstance(value, bool | int | float) else None


@lru_cache(1 << 12)
def _clean(text: str) -> str | None:
    """A text without blanks at its ends, and without what cannot be printed; None if nothing is left."""
    return printable(text).strip() or None


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
