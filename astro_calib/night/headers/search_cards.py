"""Look through headers for cards that may tell what those that are usual do not."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_seconds
from astro_calib.night.headers.told_by_name import kind_by_name
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header

__all__ = ["cards_that_may_tell"]

#: So many headers are looked at.
HEADERS = 200
#: How the names and the comments of cards say what they are about.
WORDS = {
    "exposure_time": re.compile(r"expos|\bexp(?:t|time)?\b|EXP|integration|shutter", re.IGNORECASE),
    "filter": re.compile(r"filt|wheel", re.IGNORECASE),
}
#: A keyword as a profile can name it.
NAME = re.compile(r"[A-Z0-9_-]{1,8}")


def cards_that_may_tell(role: str, headers: Sequence[Header]) -> dict[str, list[Any]]:
    """
    Return the values of cards that may tell the kind, the exposure time or the filter, by card, the likeliest first.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.search_cards import cards_that_may_tell
    >>> cards_that_may_tell(
    ...     "kind",
    ...     [
    ...         fits.Header(
    ...             [("WHATISIT", "flat of the dome"), ("OBSERVER", "Leavitt")]
    ...         )
    ...     ],
    ... )
    {'WHATISIT': ['flat of the dome']}
    """
    found: dict[str, list[Any]] = {}
    for header in headers[:HEADERS]:
        for keyword in dict.fromkeys(header):
            value = header_value(header, keyword) if NAME.fullmatch(keyword) else None
            if value is not None and _may_tell(role, keyword, str(header.comments[keyword]), value):
                found.setdefault(keyword, []).append(value)
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def _may_tell(role: str, keyword: str, comment: str, value: Any) -> bool:
    if role == "kind":
        return isinstance(value, str) and kind_by_name(PurePath(value.replace("/", " "))) is not None
    about = WORDS[role].search(keyword) or WORDS[role].search(comment)
    if role == "filter":
        return about is not None and isinstance(value, str)
    return about is not None and as_seconds(value) is not None
