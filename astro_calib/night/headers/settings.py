"""What a header says of the settings of the camera."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.setting_cards import BINNING, CAMERA, GAIN, OFFSET, READ_NOISE, family_of, settings_cards
from astro_calib.night.headers.temperature_cards import detector_temperature
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.io.fits import Header

__all__ = ["COOLED", "family_or_gain", "is_near", "is_same", "rotator_of", "settings_of"]

#: Under this name the settings of a frame tell its temperature.
COOLED = "temperature"
#: Gains that differ by less than this part are one, which programs round differently or measure anew, and so are read
#: noises.
ONE_GAIN, ONE_NOISE = 0.03, 0.1
#: Which of these is written into the name of a camera depends on the program, as do repetitions and brackets.
FILLING = frozenset({"ccd"})
#: What headers say that have a card and nothing to say, in small letters; and what cameras choose by themselves.
SAYS_NOTHING = frozenset({"unknown", "undefined", "undef", "n/a", "null"})
AUTOMATIC = frozenset({"auto", "automatic", "-1"})
WORDS = re.compile(r"[^\W_]+")
FACTORS = re.compile(r"\d\s*[^\d.]\s*\d")
#: The mechanical angle of a rotator, not that of the sky.
ROTATOR = ("ROTATANG", "ROTATOR", "ROTANG", "ROTANGLE", "ROTMECH")


def settings_of(header: Header, gains: Iterable[str] = ()) -> dict[str, str | float]:
    """
    Return what a header says of the setup of the camera, by card; the temperature by itself, in degrees.

    ``gains`` are further cards that tell a gain.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.settings import settings_of
    >>> cards = [
    ...     ("INSTRUME", "ZWO ASI294MC Pro"),
    ...     ("GAIN", 120),
    ...     ("SET-TEMP", -18),
    ...     ("CCD-TEMP", -17.5),
    ... ]
    >>> settings_of(fits.Header(cards))
    {'INSTRUME': 'zwo asi294mc pro', 'GAIN': 120.0, 'temperature': -17.5}
    """
    found: dict[str, str | float] = {}
    for card in dict.fromkeys((*settings_cards(header), *gains)):
        value = header_value(header, card)
        family = family_or_gain(card)
        if value is None or (family == GAIN and not _may_be_setting(value)):
            continue
        text = " ".join(str(value).split()).casefold().replace(", ", ",")
        if text in SAYS_NOTHING or (family == OFFSET and (text in AUTOMATIC or as_number(value) == -1)):
            continue
        # Text such as 1,1 would be read as a number with a comma in it.
        number = None if family == BINNING and FACTORS.search(text) else as_number(value)
        found[card] = text if number is None else float(f"{number:.5g}")
    temperature = detector_temperature(header)
    if temperature is not None:
        found[COOLED] = temperature
    return found


def rotator_of(header: Header) -> float | None:
    """
    Return the angle of the rotator that a header tells, in degrees; None if it tells none.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.settings import rotator_of
    >>> rotator_of(fits.Header([("ROTATANG", 270.0)]))
    270.0
    """
    return _first_number(header, ROTATOR)


def is_near(one: float, other: float, part: float = ONE_GAIN) -> bool:
    """
    Whether two gains, in electron/adu, are one gain.

    >>> from astro_calib.night.headers.settings import is_near
    >>> is_near(1.47, 1.5), is_near(1.2, 1.5)
    (True, False)
    """
    return abs(one - other) <= part * max(abs(one), abs(other))


def is_same(card: str, one: str | float, other: str | float) -> bool:
    """
    Whether two values of a card tell the same setting.

    >>> from astro_calib.night.headers.settings import is_same
    >>> (
    ...     is_same("EGAIN", 1.47, 1.5),
    ...     is_same("GAIN", 100.0, 101.0),
    ...     is_same("READOUTM", "fast", "slow"),
    ... )
    (True, False, False)
    >>> (
    ...     is_same(
    ...         "INSTRUME", "zwo asi294mc pro", "zwo ccd asi294mc pro(pro)"
    ...     ),
    ...     is_same("CCDSUM", "2 2", "2x2"),
    ... )
    (True, True)
    """
    if one == other:
        return True
    family = family_or_gain(card)
    if family == BINNING:
        return _factors(one) == _factors(other)
    if isinstance(one, str) and isinstance(other, str):
        return _spelt(one, family) == _spelt(other, family)
    if isinstance(one, str) or isinstance(other, str):
        return False
    if family == READ_NOISE:
        return is_near(one, other, ONE_NOISE)
    # Whole numbers are what a camera was set to.
    return family == GAIN and not (one.is_integer() and other.is_integer()) and is_near(one, other)


def family_or_gain(card: str) -> str:
    """What a card tells of; those that only a profile names tell of a gain."""
    return family_of(card) or GAIN


@lru_cache(1 << 12)
def _spelt(text: str, family: str) -> tuple[str, ...]:
    """The words of a setting without what stands between them, for programs write them differently."""
    words = tuple(WORDS.findall(text))
    if family == CAMERA:
        words = tuple(word for word in dict.fromkeys(words) if word not in FILLING)
    return words or (text,)


@lru_cache(1 << 12)
def _factors(binning: str | float) -> tuple[str, ...]:
    """The factors of a binning, one of two that are alike; or the word for it."""
    text = f"{binning:g}" if isinstance(binning, float) else binning
    return tuple(dict.fromkeys(re.findall(r"\d+", text))) or (text,)


def _may_be_setting(value: Any) -> bool:
    """Whether a gain is a number that a camera can be set to; zero is one only where whole numbers are written."""
    number = as_number(value)
    return number is not None and (number > 0 or (number == 0 and isinstance(value, int)))


def _first_number(header: Header, cards: Iterable[str]) -> float | None:
    numbers = (as_number(header_value(header, card)) for card in cards)
    return next((number for number in numbers if number is not None), None)
