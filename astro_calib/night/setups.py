"""Setups of a camera: frames that differ in one of its settings are neither averaged nor measured together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.detector.header_values import as_number
from astro_calib.night.headers import header_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from astropy.io.fits import Header

    from astro_calib.night.frames import RawFrame

__all__ = ["Setup", "described_setups", "difference", "settings_of", "setups"]

GAIN = "gain setting"
#: The cards that capture programs and observatories write, by what they tell of. Those of one frame may be any.
CARDS = {
    "camera": ("INSTRUME", "DETECTOR", "CAMERA", "CAMERAID", "CAM-ID", "CAM-MOD", "CAMMODEL"),
    "serial number": ("SERIALNO", "SERIAL", "SERNO", "CAMSERNO", "DETSER", "CCDSERNO", "CAM-SN"),
    "binning": ("XBINNING", "YBINNING", "CCDXBIN", "CCDYBIN", "CCDSUM", "BINNING"),
    "window": ("XORGSUBF", "YORGSUBF", "SUBRECT"),
    GAIN: ("GAIN", "EGAIN", "CAM-GAIN", "GAINRAW", "PREAMP"),
    "offset setting": ("OFFSET", "BLKLEVEL", "CAM-OFFS"),
    "read-out mode": ("READOUTM", "READMODE", "READOUT", "RDMODE", "READ-SPD", "READSPED", "CCDSPEED"),
}
#: What the cooler is to reach, and what was reached.
SET_TEMPERATURE = ("SET-TEMP", "SETTEMP", "SET_TEMP", "CCDTSET")
TEMPERATURE = ("CCD-TEMP", "CCDTEMP", "CCD_TEMP", "DET-TEMP", "DETTEMP")
COOLED = "temperature"
#: A cooler that works keeps what it is set to within so much, and temperatures further apart are two setups; degrees.
REGULATED, APART = 3.0, 2.0


class Setup(NamedTuple):
    """
    The frames of one setup of a camera.

    Attributes
    ----------
    settings : mapping of str to str or float
        What the cards of these frames say, all together.
    frames : tuple of RawFrame
        In the order in which they were given. One whose header does not tell is in several setups.
    """

    settings: Mapping[str, str | float]
    frames: tuple[RawFrame, ...]


def settings_of(header: Header, gains: Iterable[str] = ()) -> dict[str, str | float]:
    """
    Return what a header says of the setup of the camera, by card; the temperature by itself, in degrees.

    ``gains`` are further cards that tell a gain.

    >>> from astropy.io import fits
    >>> from astro_calib.night.setups import settings_of
    >>> cards = [("INSTRUME", "ZWO ASI294MC Pro"), ("GAIN", 120), ("SET-TEMP", -18), ("CCD-TEMP", -17.5)]
    >>> settings_of(fits.Header(cards))
    {'INSTRUME': 'zwo asi294mc pro', 'GAIN': 120.0, 'temperature': -18.0}
    """
    found: dict[str, str | float] = {}
    for what, cards in CARDS.items():
        for card in (*cards, *gains) if what == GAIN else cards:
            value = header_value(header, card)
            if value is None or (what == GAIN and not _may_be_setting(value)):
                continue
            number = as_number(value)
            found[card] = " ".join(str(value).split()).casefold() if number is None else float(f"{number:.5g}")
    temperatures = (_first_number(header, SET_TEMPERATURE), _first_number(header, TEMPERATURE))
    wanted, reached = temperatures
    if wanted is not None and (reached is None or abs(reached - wanted) <= REGULATED):
        found[COOLED] = wanted
    elif reached is not None:
        found[COOLED] = reached
    return found


def _may_be_setting(value: Any) -> bool:
    """Whether a gain is a number that a camera can be set to; zero is one only where whole numbers are written."""
    number = as_number(value)
    return number is not None and (number > 0 or (number == 0 and isinstance(value, int)))


def _first_number(header: Header, cards: Iterable[str]) -> float | None:
    numbers = (as_number(header_value(header, card)) for card in cards)
    return next((number for number in numbers if number is not None), None)


def setups(frames: Sequence[RawFrame]) -> list[Setup]:
    """
    Split frames by setup; cards that are missing make no difference. The one with the most frames comes first.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups import setups
    >>> @dataclass
    ... class Frame:
    ...     settings: dict
    >>> frames = [Frame({"GAIN": 1.0}), Frame({"GAIN": 2.0}), Frame({}), Frame({"GAIN": 2.0})]
    >>> [len(setup.frames) for setup in setups(frames)]
    [3, 2]
    """
    places = _temperature_groups(frames)
    told = [_with_place(frame.settings, places) for frame in frames]
    # Those that tell most come first, so that the others find their place.
    kinds = sorted({tuple(sorted(one.items())) for one in told}, key=lambda one: (-len(one), str(one)))
    groups: list[dict[str, Any]] = []
    for kind in kinds:
        values = dict(kind)
        fitting = [group for group in groups if not _differing(group, values)]
        if fitting:
            fitting[0].update(values)
        else:
            groups.append(values)
    found = []
    for group in groups:
        members = [frame for frame, own in zip(frames, told, strict=True) if not _differing(group, own)]
        settings = {card: value for frame in members for card, value in frame.settings.items()}
        found.append(Setup(settings, tuple(members)))
    return sorted(found, key=lambda setup: -len(setup.frames))


def _temperature_groups(frames: Iterable[RawFrame]) -> dict[float, int]:
    """The number of the group that each temperature belongs to: groups are further apart than what is in one."""
    known = sorted({float(frame.settings[COOLED]) for frame in frames if COOLED in frame.settings})
    groups: dict[float, int] = {}
    for index, temperature in enumerate(known):
        before = known[index - 1] if index else temperature
        groups[temperature] = groups.get(before, 0) + (temperature - before > APART)
    return groups


def _with_place(settings: Mapping[str, str | float], groups: Mapping[float, int]) -> dict[str, Any]:
    """The settings with the group of the temperature in its place."""
    values: dict[str, Any] = dict(settings)
    if COOLED in values:
        values[COOLED] = groups[float(values[COOLED])]
    return values


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [card for card, value in other.items() if card in one and one[card] != value]


def described_setups(found: Sequence[Setup]) -> list[str]:
    """
    Return what tells each of several setups from the others; empty if there is only one.

    >>> from astro_calib.night.setups import Setup, described_setups
    >>> described_setups([Setup({"GAIN": 0.0, "OFFSET": 30.0}, ()), Setup({"GAIN": 120.0, "OFFSET": 30.0}, ())])
    ['GAIN 0', 'GAIN 120']
    """
    cards = {card for setup in found for card in setup.settings}
    differing = [
        card for card in sorted(cards) if len({setup.settings[card] for setup in found if card in setup.settings}) > 1
    ]
    return [
        ", ".join(f"{card} {_shown(setup.settings[card])}" for card in differing if card in setup.settings)
        for setup in found
    ]


def _shown(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def difference(setup: Setup, frame: RawFrame) -> str:
    """
    Return in words what a frame that is in another setup has differently.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups import Setup, difference
    >>> @dataclass
    ... class Frame:
    ...     settings: dict
    >>> difference(Setup({"GAIN": 120.0}, ()), Frame({"GAIN": 0.0}))
    'gain setting (GAIN) is 0, not 120'
    """
    said = []
    for card in _differing(setup.settings, frame.settings):
        own, other = frame.settings[card], setup.settings[card]
        if card == COOLED:
            nearest = min(
                (float(one.settings[COOLED]) for one in setup.frames if COOLED in one.settings),
                key=lambda value: abs(value - float(own)),
            )
            if abs(nearest - float(own)) > APART:
                said.append(f"temperature is {own:g} C, not {nearest:g} C")
            continue
        what = next((name for name, cards in CARDS.items() if card in cards), GAIN)
        said.append(f"{what} ({card}) is {_shown(own)}, not {_shown(other)}")
    return ", ".join(said)
