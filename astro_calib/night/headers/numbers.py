"""Gain, read noise and saturation in headers: which values can be what they should be, and which are something else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.cards import BITS
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from astropy.io.fits import Header

    from astro_calib.night.headers.cards import Card

__all__ = ["not_meant", "possible", "value_of"]

#: Under these some write electrons per adu, and others the number of a setting.
GAIN_OR_SETTING = re.compile(r"(?:CCD|DET|ATOD)?GAIN\d*")
#: How comments say that a gain is in electron/adu, and that it is the other way round.
ELECTRONS = re.compile(r"\be(?:lectrons?)?-?\s*(?:/|per)\s*(?:adu|dn|count|data)|e-\s*/", re.IGNORECASE)
ADU_PER_ELECTRON = re.compile(r"(?:adus?|dn|counts?)\s*(?:/|per)\s*(?:photo-?)?e", re.IGNORECASE)
SETTING = re.compile(r"setting|index|\bcode\b|unity|analogue|analog|\[?db\]?\b|iso\b|percent", re.IGNORECASE)
#: How comments name the unit of a number by itself.
IN_ADU = re.compile(r"\b(?:adus?|dn|counts?)\b", re.IGNORECASE)
IN_ELECTRONS = re.compile(r"electron|\be-|[\[(]e[\])]", re.IGNORECASE)
#: Whole numbers above this are settings, and no camera is set to more than that.
WHOLE, HIGHEST = 10, 65535
#: Cameras that write such a card have a gain that can be set, by whole numbers.
BESIDE_A_SETTING = ("OFFSET", "BLKLEVEL", "CAM-OFFS", "BAYERPAT", "USBLIMIT")
#: DATAMAX is the top of the scale for some programs, and for others the largest number of the image.
LARGEST = ("DATAMAX", "GOODMAX")
OF_THE_SCALE = re.compile(r"satur|linear|good|valid|full well", re.IGNORECASE)
#: Cameras write whole numbers of so many bits, which programs keep in 16.
FEWEST_BITS, MOST_BITS = 8, 16


def not_meant(header: Header, role: str, card: Card) -> str:
    """
    Return why a card is not about what its keyword promises; empty if it is.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.cards import Card
    >>> from astro_calib.night.headers.numbers import not_meant
    >>> not_meant(fits.Header([("GAIN", 120)]), "gain", Card("GAIN", 120))
    'GAIN=120 is what the camera was set to, and no gain in electron/adu'
    """
    number = as_number(card.value)
    if card.unit == BITS and (number is None or number not in range(FEWEST_BITS, MOST_BITS + 1)):
        return f"{card.keyword}={card.value!r} is no number of bits of a camera"
    if number is None:
        return ""
    if role == "gain":
        return _not_a_gain(header, card, number)
    if role == "saturation" and card.keyword in LARGEST and not _is_top(header, card, number):
        return f"{card.keyword}={card.value!r} is the largest number of the image"
    return _of_another_unit(header, role, card)


def _of_another_unit(header: Header, role: str, card: Card) -> str:
    """Why a read noise is not in electrons, or a saturation not in adu, as the comment says."""
    comment = _comment(header, card.keyword)
    in_adu, in_electrons = bool(IN_ADU.search(comment)), bool(IN_ELECTRONS.search(comment))
    if in_adu != in_electrons and {"read_noise": in_adu, "saturation": in_electrons}.get(role):
        unit = "adu" if in_adu else "electron"
        return f"{card.keyword}={card.value!r} is in {unit}, as its comment says"
    return ""


def _not_a_gain(header: Header, card: Card, number: float) -> str:
    comment = _comment(header, card.keyword)
    said = f"{card.keyword}={card.value!r}"
    if ADU_PER_ELECTRON.search(comment):
        return f"{said} is in adu per electron, as its comment says"
    if not GAIN_OR_SETTING.fullmatch(card.keyword) or ELECTRONS.search(comment):
        return ""
    whole = number == round(number) and 0 <= number <= HIGHEST
    beside = any(header_value(header, keyword) is not None for keyword in BESIDE_A_SETTING)
    if whole and (number > WHOLE or beside or SETTING.search(comment) or (number == 0 and _is_whole(card.value))):
        return f"{said} is what the camera was set to, and no gain in electron/adu"
    return ""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int)


def _is_top(header: Header, card: Card, number: float) -> bool:
    """Whether the largest number that a card names is that of the scale: one says so, or it is a round one."""
    if OF_THE_SCALE.search(_comment(header, card.keyword)):
        return True
    powers = [2.0**bits for bits in range(FEWEST_BITS, MOST_BITS + 1)]
    return number in powers or number + 1 in powers or (number >= 1000 and number % 1000 == 0)


def _comment(header: Header, keyword: str) -> str:
    return str(header.comments[keyword]) if keyword in header else ""


def value_of(card: Card) -> Any:
    """
    Return the value of a card in the unit of its role.

    Of a number of bits that is the level at which pixels are full: the converters of some cameras end one below the
    largest number.

    >>> from astro_calib.night.headers.cards import Card
    >>> from astro_calib.night.headers.numbers import value_of
    >>> value_of(Card("BITDEPTH", 12, "bits"))
    4094
    """
    if card.unit != BITS:
        return card.value
    bits = int(as_number(card.value) or MOST_BITS)
    # Numbers of 16 bits are known by themselves to end at 65535.
    return 2**bits - (1 if bits >= MOST_BITS else 2)


def possible(role: str, value: Any) -> float | None:
    """Return the number that a header gives for a property of the detector; None if no detector has it."""
    from astro_calib.detector.amplifier import GAINS, MAX_LEVEL, MAX_READ_NOISE

    limits = {"gain": GAINS, "gain_per_step": GAINS, "read_noise": (0, MAX_READ_NOISE)}
    lowest, highest = limits.get(role, (0, MAX_LEVEL))
    number = as_number(value)
    possible = number is not None and lowest <= number <= highest and (number > 0 or role == "read_noise")
    return number if possible else None
