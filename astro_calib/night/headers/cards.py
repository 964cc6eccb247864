"""The entries of a profile's ``[keywords]``: a header keyword, several that belong together, or one with a unit."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astropy.io.fits import Header

__all__ = ["BITS", "ENTRY", "JOINED", "UNITS", "Card", "cards_of"]

#: A header keyword, and how an entry of a profile names several, or one with its unit.
KEYWORD = r"[A-Z0-9_-]+(?: [A-Z0-9_ -]+)?"
ENTRY = re.compile(rf"{KEYWORD}(?:(?: \+ {KEYWORD})+| \[[a-z]+\])?")
#: The roles whose entries may name several keywords.
JOINED = ("filter", "object")
#: A number of bits, of which the largest number that a camera writes follows.
BITS = "bits"
#: The units that an entry may have, by role.
UNITS = {"exposure_time": ("s", "ms", "us", "min"), "saturation": (BITS,)}
#: What filter wheels say of a place without a filter, in small letters.
NO_FILTER = frozenset({"", "clear", "open", "empty", "none", "air", "no filter", "nofilter", "free", "hole", "n/a"})
PLACE = re.compile(r"(?<=[a-z]) ?\d[\d-]*$")


class Card(NamedTuple):
    """What a header says under one entry: the keywords, the value, and the unit that the entry gives it."""

    keyword: str
    value: Any
    unit: str = ""


def cards_of(header: Header, entries: Sequence[str]) -> Iterator[Card]:
    """
    Yield what a header says under those of some entries that have a value.

    What two wheels say comes later if their first keyword has no value, or if both have no filter.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.cards import cards_of
    >>> header = fits.Header(
    ...     [("FILTER1", "V"), ("FILTER2", "ND2"), ("IMG_EXP", 500)]
    ... )
    >>> list(cards_of(header, ["FILTER1 + FILTER2", "IMG_EXP [ms]"]))
    [Card(keyword='FILTER1 + FILTER2', value='V+ND2', unit=''), Card(keyword='IMG_EXP', value=500, unit='ms')]
    """
    # Another entry may know the wheel that a joined one lacks, or name a filter where that has none.
    later: list[tuple[bool, bool, Card]] = []
    for entry in entries:
        keywords, unit = _parts(entry)
        if len(keywords) == 1:
            value = header_value(header, keywords[0])
            if value is not None:
                yield Card(keywords[0], value, unit)
            continue
        values = {keyword: header_value(header, keyword) for keyword in keywords}
        told = {keyword: value for keyword, value in values.items() if value is not None}
        if not told:
            continue
        filters = {keyword: value for keyword, value in told.items() if not _is_no_filter(value)}
        said = filters or dict([next(iter(told.items()))])
        joined = next(iter(said.values())) if len(said) == 1 else "+".join(dict.fromkeys(map(str, said.values())))
        card = Card(" + ".join(said), joined)
        lacking = keywords[0] not in told
        if lacking or not filters:
            later.append((not filters, lacking, card))
        else:
            yield card
    yield from (card for *_, card in sorted(later, key=lambda one: one[:2]))


def _is_no_filter(value: Any) -> bool:
    # Some say which place without a filter it is: open1-6.
    return PLACE.sub("", " ".join(str(value).replace("_", " ").split()).casefold()) in NO_FILTER


@cache
def _parts(entry: str) -> tuple[tuple[str, ...], str]:
    names, _, unit = entry.partition(" [")
    return tuple(names.split(" + ")), unit.rstrip("]")
