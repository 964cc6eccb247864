"""What a header says of the settings of the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.setting_cards import GAIN, READ_NOISE, family_of, settings_cards
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
#: The mechanical angle of a rotator, not that of the sky.
ROTATOR = ("ROTATANG", "ROTATOR", "ROTANG", "ROTANGLE", "ROTMECH")


def settings_of(header: Header, gains: Iterable[str] = ()) -> dict[str, str | float]:
    """
    Return what a header says of the setup of the camera, by card; the temperature by itself, in degrees.

    ``gains`` are further cards that tell a gain.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.settings import settings_of
    >>> cards = [("INSTRUME", "ZWO ASI294MC Pro"), ("GAIN", 120), ("SET-TEMP", -18), ("CCD-TEMP", -17.5)]
    >>> settings_of(fits.Header(cards))
    {'INSTRUME': 'zwo asi294mc pro', 'GAIN': 120.0, 'temperature': -17.5}
    """
    found: dict[str, str | float] = {}
    for card in dict.fromkeys((*settings_cards(header), *gains)):
        value = header_value(header, card)
        if value is None or (family_or_gain(card) == GAIN and not _may_be_setting(value)):
            continue
        number = as_number(value)
        text = " ".join(str(value).split()).casefold().replace(", ", ",")
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
    >>> is_same("EGAIN", 1.47, 1.5), is_same("GAIN", 100.0, 101.0), is_same("READOUTM", "fast", "slow")
    (True, False, False)
    """
    if one == other or isinstance(one, str) or isinstance(other, str):
        return one == other
    family = family_or_gain(card)
    if family == READ_NOISE:
        return is_near(one, other, ONE_NOISE)
    # Whole numbers are what a camera was set to.
    return family == GAIN and not (one.is_integer() and other.is_integer()) and is_near(one, other)


def family_or_gain(card: str) -> str:
    """What a card tells of; those that only a profile names tell of a gain."""
    return family_of(card) or GAIN


def _may_be_setting(value: Any) -> bool:
    """Whether a gain is a number that a camera can be set to; zero is one only where whole numbers are written."""
    number = as_number(value)
    return number is not None and (number > 0 or (number == 0 and isinstance(value, int)))


def _first_number(header: Header, cards: Iterable[str]) -> float | None:
    numbers = (as_number(header_value(header, card)) for card in cards)
    return next((number for number in numbers if number is not None), None)
