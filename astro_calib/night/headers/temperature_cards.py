"""The temperature of the detector in a header: measured before set, and not that of the dome, the air or a mirror."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from astropy.io.fits import Header

__all__ = ["detector_temperature", "doubtful_card"]

#: The usual cards. What was reached, before what the cooler is to reach: it may not have got there yet.
MEASURED = ("CCD-TEMP", "CCDTEMP", "CCD_TEMP", "DET-TEMP", "DETTEMP")
SET = ("SET-TEMP", "SETTEMP", "SET_TEMP", "CCDTSET")
CHIP = r"(?:CCD|DET(?:ECTOR)?|CHIP|CAM(?:ERA)?|SENS(?:OR)?|FPA|TEC|CMOS|IMAGER)"
DEGREES = r"TEM(?:P(?:ER(?:AT(?:U(?:RE?)?)?)?)?)?"
#: How others spell them, without hyphens, underscores and blanks.
MEASURED_TOO = re.compile(rf"{CHIP}\d?{DEGREES}\d*|{DEGREES}{CHIP}\d*|ESODET(?:CHIP\d?)?{DEGREES}\d*")
SET_TOO = re.compile(
    rf"{CHIP}?(?:SET|TARG(?:ET)?|REQ)(?:P(?:OINT)?)?T(?:{DEGREES[1:]})?|{CHIP}?{DEGREES}(?:SET\w*|TARG\w*|REQ)"
    rf"|{CHIP}T?SETP?"
)
#: One that does not say whose it is.
ANY = re.compile(rf"{DEGREES}(?<!TEM)")
OF_CHIP = re.compile(r"\bccd|chip|detector|sensor|camera|focal plane", re.IGNORECASE)
TO_REACH = re.compile(r"\bset|target|demand|request|goal|regulat", re.IGNORECASE)
OF_OTHERS = re.compile(
    r"ambient|\bair|outside|outdoor|dome|mirror|tube|focus|weather|controller|electronic|heat|housing|board|dew|truss"
    r"|telescope|case|lens|cpu|room",
    re.IGNORECASE,
)
SEPARATORS = re.compile(r"[-_ ]")
#: Above this a temperature is in kelvin; and no detector works beyond these limits, in degrees Celsius.
KELVIN, ZERO = 100.0, 273.15
COLDEST, WARMEST = -ZERO, 80.0


def detector_temperature(header: Header) -> float | None:
    """
    Return the temperature of the detector in degrees Celsius; None if a header does not tell it.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.temperature_cards import (
    ...     detector_temperature,
    ... )
    >>> detector_temperature(
    ...     fits.Header(
    ...         [("DOMETEMP", 12.0), ("SET-TEMP", -20.0), ("CHIPTEMP", -12.5)]
    ...     )
    ... )
    -12.5
    """
    told = _told(header)
    return None if told is None else told[1]


def doubtful_card(header: Header) -> str:
    """
    Return the card that counts as the detector's temperature although nothing says so; empty if one says it, or none.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.temperature_cards import doubtful_card
    >>> (
    ...     doubtful_card(fits.Header([("TEMP", 12.0)])),
    ...     doubtful_card(fits.Header([("TEMP", 12.0), ("CCD-TEMP", -20.0)])),
    ... )
    ('TEMP', '')
    """
    told = _told(header)
    return told[0] if told is not None and _rank(header, told[0], _rank_by_name(told[0]) or 0) == UNSAID else ""


def _told(header: Header) -> tuple[str, float] | None:
    """The card that tells the temperature of the detector, and that in degrees."""
    ranked = [(rank, card) for card in dict.fromkeys(header) if (rank := _rank_by_name(card)) is not None]
    ranked = [(_rank(header, card, rank), card) for rank, card in ranked]
    for rank, card in sorted(ranked):
        if rank < NEVER and (number := _celsius(as_number(header_value(header, card)))) is not None:
            return card, number
    return None


#: The order in which cards are looked at: the usual ones, those of the chip by name, by comment, what was set, others.
BY_NAME, BY_COMMENT, WAS_SET, SET_BY_NAME, UNSAID, BY_COMMENT_ONLY, NEVER = 100, 200, 300, 400, 500, 600, 700


@lru_cache(1 << 12)
def _rank_by_name(card: str) -> int | None:
    """The rank of a card by its name alone; None if it is about something else."""
    if card in MEASURED:
        return MEASURED.index(card)
    if card in SET:
        return WAS_SET + SET.index(card)
    name = SEPARATORS.sub("", card)
    if MEASURED_TOO.fullmatch(name):
        return BY_NAME
    if SET_TOO.fullmatch(name):
        return SET_BY_NAME
    if ANY.fullmatch(name):
        return UNSAID
    return BY_COMMENT_ONLY if "TEM" in name else None


def _rank(header: Header, card: str, rank: int) -> int:
    """The rank of a card, with what its comment says where the name does not tell."""
    if rank < UNSAID:
        return rank
    comment = str(header.comments[card])
    if OF_OTHERS.search(comment):
        return NEVER
    if OF_CHIP.search(comment):
        return SET_BY_NAME if TO_REACH.search(comment) else BY_COMMENT
    return rank if rank == UNSAID else NEVER


def _celsius(number: float | None) -> float | None:
    if number is None:
        return None
    degrees = number - ZERO if number > KELVIN else number
    return degrees if COLDEST < degrees < WARMEST else None
