"""Which cards of a header tell a setting of the camera: by their names, which every program spells in its own way."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.io.fits import Header

__all__ = [
    "BINNING",
    "CAMERA",
    "CARDS",
    "CHIP",
    "FAMILIES",
    "GAIN",
    "OFFSET",
    "PEDESTAL",
    "READ_NOISE",
    "family_of",
    "hints_of",
    "is_usual",
    "may_be_filter",
    "settings_cards",
]

CAMERA, BINNING, GAIN, OFFSET = "camera", "binning", "gain setting", "offset setting"
#: Under this name the settings of a frame tell its chip, in a file of several.
CHIP = "chip"
#: Under this name the settings of a frame tell the read noise of its header, in electron.
READ_NOISE = "read noise"
#: What a program added to all values, or will have to be added to them.
PEDESTAL = "pedestal"
#: The cards that capture programs and observatories write, by what they tell of. Those of one frame may be any.
CARDS = {
    CAMERA: ("INSTRUME", "DETECTOR", "CAMERA", "CAMERAID", "CAM-ID", "CAM-MOD", "CAMMODEL"),
    CHIP: (CHIP,),
    "serial number": ("SERIALNO", "SERIAL", "SERNO", "CAMSERNO", "DETSER", "CCDSERNO", "CAM-SN"),
    BINNING: ("XBINNING", "YBINNING", "CCDXBIN", "CCDYBIN", "CCDSUM", "BINNING"),
    "window": ("XORGSUBF", "YORGSUBF", "SUBRECT"),
    GAIN: ("GAIN", "EGAIN", "CAM-GAIN", "GAINRAW", "PREAMP"),
    OFFSET: ("OFFSET", "BLKLEVEL", "CAM-OFFS"),
    PEDESTAL: ("PEDESTAL",),
    "row order": ("ROWORDER",),
    "orientation": (),
    READ_NOISE: (READ_NOISE,),
    "read-out mode": ("READOUTM", "READMODE", "READOUT", "RDMODE", "READ-SPD", "READSPED", "CCDSPEED"),
}
FAMILIES = tuple(CARDS)

SENSOR = r"(?:CCD|DET(?:ECTOR)?|CHIP|CAM(?:ERA)?|SENS(?:OR)?|FPA|IMAGER|ESODETCHIP\d?|ESODET)"
AXIS = "(?:[XYHV]|COL|ROW)"
#: How others spell them, without hyphens, underscores and blanks.
PATTERNS = {
    CAMERA: rf"{SENSOR}(?:NAME?|ID|NUM|MOD(?:EL)?)?|DSENSOR|DETECNAM",
    "serial number": rf"{SENSOR}(?:SER(?:IAL)?(?:NO|NUM)?|SN)",
    BINNING: (
        rf"(?:{SENSOR}|RDOUT|READ(?:OUT)?|ESODETWIN\d?)?{AXIS}?BIN(?:N(?:ING)?)?(?:{AXIS}|FAC\w*)?\d?|{SENSOR}SUM|BINMODE"
    ),
    "window": (
        rf"{SENSOR}SEC|{SENSOR}?ROI(?:[XYWH]|START[XY]|[XY]START)?\d?|WINDOW|SUBFRAME?|SUBARR(?:AY)?|FRAMESEC|[XY]ORG(?:SUBF?R?A?M?E?)?"
        rf"|[XY]ORGSUB\w*|{SENSOR}?(?:[XY]START|START[XY]|(?:COL|ROW)(?:ORG|START))|ESODETWIN\d?(?:STR|START)[XY]"
    ),
    OFFSET: rf"BLACKLEV(?:EL)?|BRIGHTNE?S*|{SENSOR}OFFS(?:ET)?",
    "orientation": r"FLIP[XYHV]?|[XYHV]FLIP|MIRROR[XYHV]",
    "read-out mode": (
        rf"Q?(?:READ|RD|RO)(?:OUT|N)?(?:MODE?|SPEED|SPE?D|RATE)|{SENSOR}MODE|CONVGAIN|GAINMODE|[HL]CG(?:MODE)?"
        r"|(?:CLK|AD|ADC|[HV]S?|PIX)SPEED|ESODETREAD(?:MODE|SPEED|CLOCK)"
    ),
}
OF_FAMILY = {family: re.compile(pattern) for family, pattern in PATTERNS.items()}
SEPARATORS = re.compile(r"[-_ ]")
#: A camera may be known by where it is in the network, which changes.
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(?::\d+)?")
#: Of what cards with these words in their names tell, some are settings.
MAY_BE = re.compile(r"GAIN|BIN(?!A)|READ(?!Y)|CCD|CHIP|SENS|DET|(?<!L)AMPL?|ADC|CLO?C?K|FLIP|ORIENT$|(?<!WIND)SPEED$")
IS_NONE = re.compile(
    r"TIME(?<!READTIME)|DATE|EXP|CHECK|CK?SUM|TEM|FILT|FOC|TEL|DOME|GUID|RA$|DEC|SEC$|CR(?:PIX|VAL|DEL)|COUNT|NUM"
    r"|SEQ|OBS|MEAN|RMS|SKY|PRES|VOL|POW|HEAT|SIZE|SIZ|PX|FILE|VER|CLOCK$|CONAD|NOISE|RON$|SAT|MAX|MIN|LIN"
)
#: Of what cards with these words in their names tell, some are filters.
OF_FILTER = re.compile(r"FILT|FLTR|WHEEL")
NO_FILTER = re.compile(r"TIME|DATE|FOC|OFF|FILE|TEM|SPEED|STAT|VER|VEL|LIB")


@lru_cache(1 << 12)
def family_of(keyword: str) -> str:
    """
    Return which setting of the camera a card tells by its name; empty if it tells none.

    >>> from astro_calib.night.headers.setting_cards import family_of
    >>> [
    ...     family_of(card)
    ...     for card in (
    ...         "CCDXBIN",
    ...         "ESO DET WIN1 BINX",
    ...         "Y_ORGSUB",
    ...         "CHIPID",
    ...         "EXPTIME",
    ...     )
    ... ]
    ['binning', 'binning', 'window', 'camera', '']
    """
    for family, cards in CARDS.items():
        if keyword in cards:
            return family
    name = SEPARATORS.sub("", keyword)
    return next((family for family, pattern in OF_FAMILY.items() if pattern.fullmatch(name)), "")


@lru_cache(1 << 12)
def is_usual(keyword: str) -> bool:
    """Whether a card is one of `CARDS`, and not only spelt like them."""
    return any(keyword in cards for cards in CARDS.values())


def settings_cards(header: Header) -> list[str]:
    """
    Return the cards of a header that tell a setting of the camera, in the order of `CARDS`.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.setting_cards import settings_cards
    >>> settings_cards(
    ...     fits.Header([("HBIN", 2), ("CCDNAME", "e2v"), ("EXPTIME", 30.0)])
    ... )
    ['CCDNAME', 'HBIN']
    """
    told = (keyword for keyword in dict.fromkeys(header) if family_of(keyword))
    found = [keyword for keyword in told if not _is_address(header, keyword)]
    return sorted(found, key=_place)


def _is_address(header: Header, keyword: str) -> bool:
    """Whether a card names a camera by its address in the network."""
    if family_of(keyword) != "camera" or is_usual(keyword):
        return False
    return ADDRESS.fullmatch(str(header_value(header, keyword))) is not None


@lru_cache(1 << 12)
def _place(keyword: str) -> tuple[int, int]:
    family = family_of(keyword)
    cards = CARDS[family]
    return FAMILIES.index(family), cards.index(keyword) if keyword in cards else len(cards)


@lru_cache(1 << 12)
def _may_be_setting(keyword: str) -> bool:
    name = SEPARATORS.sub("", keyword)
    return bool(MAY_BE.search(name)) and not IS_NONE.search(name) and not family_of(keyword)


@lru_cache(1 << 12)
def may_be_filter(keyword: str) -> bool:
    """
    Whether a card may name a filter.

    >>> from astro_calib.night.headers.setting_cards import may_be_filter
    >>> may_be_filter("FILTERA"), may_be_filter("FOCUSPOS")
    (True, False)
    """
    name = SEPARATORS.sub("", keyword)
    return bool(OF_FILTER.search(name)) and not NO_FILTER.search(name)


def hints_of(header: Header, keywords: Mapping[str, Sequence[str]] = MappingProxyType({})) -> dict[str, str]:
    """
    Return what a header says under cards that may tell a filter, or a setting that no ``keywords`` of a profile name.

    A blank says something as well: that pixels were not mirrored, for example.

    >>> from astropy.io import fits
    >>> from astro_calib.night.headers.setting_cards import hints_of
    >>> hints_of(
    ...     fits.Header(
    ...         [("FLIPSTAT", ""), ("CHIPCONF", "fast"), ("CCD-TEMP", -20.0)]
    ...     )
    ... )
    {'FLIPSTAT': '', 'CHIPCONF': 'fast'}
    """
    found = {}
    for card in dict.fromkeys(header):
        if may_be_filter(card):
            # The same filter may be in another place of the wheel.
            if isinstance(value := header_value(header, card), str) and as_number(value) is None:
                found[card] = value.casefold()
            continue
        if not _may_be_setting(card):
            continue
        value = header_value(header, card)
        known = any(card in entry for entries in keywords.values() for entry in entries)
        # An angle on the sky is no setting.
        if not known and (card != "ORIENT" or isinstance(value, str)):
            found[card] = "" if value is None else str(value).casefold()
    return found
