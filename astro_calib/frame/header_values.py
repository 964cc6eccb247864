"""Single values of headers, which may hold anything: read without trusting them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["header_value"]


def header_value(header: Mapping[str, Any], keyword: str) -> Any:
    """
    Return a header's value as a plain bool, int, float or stripped, printable str; None if it has none, or is damaged.

    >>> from astropy.io import fits
    >>> from astro_calib.frame.header_values import header_value
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
