"""Setups of a camera: frames that differ in one of its settings are neither averaged nor measured together."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from astro_calib.night.headers.setting_cards import FAMILIES, GAIN, OFFSET, READ_NOISE, is_usual
from astro_calib.night.headers.settings import COOLED, family_or_gain, is_same
from astro_calib.night.setups.by_temperature import by_temperature, temperature_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import RawFrame

__all__ = [
    "SIZE",
    "TOLERANCE",
    "Difference",
    "OfSetup",
    "Setup",
    "described_setups",
    "difference",
    "setting_text",
    "setup_titles",
    "setups",
]

#: Columns and rows, of setups that differ in it.
SIZE = "size"
#: Frames whose temperatures are further apart than this are of two setups, unless a profile says otherwise; degrees.
TOLERANCE = 2.5
#: A chip that is colder than this has so little dark current that it may be as far away as that, unless a profile says.
COLD, OF_COLD = -80.0, 10.0
#: A setting that is hardly known may have so many values in a night, and no more than half as many as there are frames.
FEW = 3
#: A flat is divided by its mean, so that these make no difference to it once it has lost its own bias and dark.
OF_LEVEL = frozenset({GAIN, OFFSET, READ_NOISE})


class HasSettings(Protocol):
    """A frame or a master whose header tells of the setup of the camera."""

    @property
    def settings(self) -> Mapping[str, str | float]:
        """What the header says, by card."""


class OfSetup(HasSettings, Protocol):
    """The same with its file, and what other cards say that may tell of the setup."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def kind(self) -> str:
        """What it is for."""

    @property
    def hints(self) -> Mapping[str, str]:
        """What the header says under cards that may tell a setting as well, by card."""


class Difference(NamedTuple):
    """
    What a frame has differently than a setup.

    Attributes
    ----------
    words : str
        For a message; empty if nothing differs.
    families : frozenset of str
        What the cards tell that differ, such as "binning"; "temperature" for that.
    """

    words: str
    families: frozenset[str]

    @property
    def is_of_temperature(self) -> bool:
        """Whether nothing differs but the temperature, which a profile can allow."""
        return self.families == {COOLED}

    @property
    def is_of_level(self) -> bool:
        """Whether nothing differs but gain, offset or read noise, on which no master flat depends."""
        return bool(self.families) and self.families <= OF_LEVEL


class Setup(NamedTuple):
    """
    The frames of one setup of a camera.

    Attributes
    ----------
    settings : mapping of str to str or float
        What the cards of these frames say, all together.
    frames : tuple of RawFrame
        In the order in which they were given. One whose header does not tell is in several setups.
    tolerance : float
        How far apart temperatures of one setup may be, in degrees.
    """

    settings: Mapping[str, str | float]
    frames: tuple[RawFrame, ...]
    tolerance: float = TOLERANCE


def setups(frames: Sequence[RawFrame], tolerance: float = TOLERANCE) -> list[Setup]:
    """
    Split frames by setup; cards that are missing make no difference. The one with the most frames comes first.

    ``tolerance`` is how far the temperature of a dark may be from that of a science frame, in degrees; the usual one is
    wider far below zero. A bias, dark or flat belongs to all the setups whose science frames it is of use for.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups.setups import setups
    >>> @dataclass
    ... class Frame:
    ...     settings: dict
    ...     kind: str = "science"
    >>> frames = [
    ...     Frame({"GAIN": 1.0}),
    ...     Frame({"GAIN": 2.0}),
    ...     Frame({}),
    ...     Frame({"GAIN": 2.0}),
    ... ]
    >>> [len(setup.frames) for setup in setups(frames)]
    [3, 2]
    """
    counts = _counts(frames)
    known = [temperature for frame in frames if (temperature := temperature_of(frame)) is not None]
    if tolerance == TOLERANCE and known and max(known) < COLD:
        tolerance = OF_COLD
    told = [
        {card: value for card, value in frame.settings.items() if card != COOLED and card not in counts}
        for frame in frames
    ]
    # Those that tell most come first, so that the others find their place.
    kinds = sorted({tuple(sorted(one.items())) for one in told}, key=lambda one: (-len(one), str(one)))
    groups: list[dict[str, Any]] = []
    for kind in kinds:
        values = dict(kind)
        fitting = [group for group in groups if not _differing(group, values)]
        if fitting:
            fitting[0].update({card: value for card, value in values.items() if card not in fitting[0]})
        else:
            groups.append(values)
    found = []
    for group in groups:
        members = [frame for frame, own in zip(frames, told, strict=True) if not _differing(group, own)]
        for alike in by_temperature(members, tolerance):
            settings = {card: value for frame in alike for card, value in frame.settings.items() if card not in counts}
            if (temperature := _typical(alike)) is not None:
                settings[COOLED] = temperature
            found.append(Setup(settings, tuple(alike), tolerance))
    return sorted(found, key=lambda setup: -len(setup.frames))


def _counts(frames: Sequence[RawFrame]) -> set[str]:
    """Cards that are spelt like settings, and differ from frame to frame, as a count or a time does."""
    values: dict[str, list[str | float]] = {}
    for frame in frames:
        for card, value in frame.settings.items():
            if card != COOLED and not is_usual(card):
                values.setdefault(card, []).append(value)
    return {card for card, found in values.items() if len(set(found)) > max(FEW, len(found) / 2)}


def _typical(frames: Iterable[RawFrame]) -> float | None:
    """The temperature of the science frames, else of the darks, else of all; None if no header tells it."""
    known: dict[str, list[float]] = {}
    for frame in frames:
        if (temperature := temperature_of(frame)) is not None:
            known.setdefault(frame.kind, []).append(temperature)
    told = known.get("science") or known.get("dark") or [one for several in known.values() for one in several]
    return median(told) if told else None


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [card for card, value in other.items() if card in one and not is_same(card, one[card], value)]


def described_setups(found: Sequence[Setup]) -> list[str]:
    """
    Return what tells each of several setups from the others; empty if there is only one.

    >>> from astro_calib.night.setups.setups import Setup, described_setups
    >>> described_setups(
    ...     [
    ...         Setup({"GAIN": 0.0, "OFFSET": 30.0}, ()),
    ...         Setup({"GAIN": 120.0, "OFFSET": 30.0}, ()),
    ...     ]
    ... )
    ['GAIN 0', 'GAIN 120']
    """
    cards = {card for setup in found for card in setup.settings}
    differing = [
        card for card in sorted(cards) if len({setup.settings[card] for setup in found if card in setup.settings}) > 1
    ]
    return [
        ", ".join(f"{card} {setting_text(setup.settings[card])}" for card in differing if card in setup.settings)
        for setup in found
    ]


def setting_text(value: str | float) -> str:
    """
    Return what a card says as text.

    >>> from astro_calib.night.setups.setups import setting_text
    >>> setting_text(120.0)
    '120'
    """
    return f"{value:g}" if isinstance(value, float) else value


def difference(setup: Setup, frame: HasSettings, *, thermometer: str = "", degrees: str = "g") -> Difference:
    """
    Return what a frame that is in another setup has differently.

    ``thermometer`` is the card of a temperature of which nothing says whose it is; ``degrees`` is how temperatures are
    written.

    >>> from dataclasses import dataclass
    >>> from astro_calib.night.setups.setups import Setup, difference
    >>> @dataclass
    ... class Frame:
    ...     settings: dict
    >>> found = difference(Setup({"GAIN": 120.0}, ()), Frame({"GAIN": 0.0}))
    >>> found.words, found.is_of_level
    ('gain setting (GAIN) is 0, not 120', True)
    """
    said: dict[str, str] = {}
    differing = _differing(setup.settings, frame.settings)
    for card in differing:
        own, other = frame.settings[card], setup.settings[card]
        if card == COOLED:
            # Unless it is all that differs, what a cooler does within the tolerance says nothing.
            if len(differing) == 1 or abs(float(own) - float(other)) > setup.tolerance:
                whose = f" ({thermometer})" if thermometer else ""
                said[card] = f"temperature is {float(own):{degrees}} C, not {float(other):{degrees}} C{whose}"
            continue
        what = family_or_gain(card)
        named = f"{what} ({card})" if what != card else what
        said[card] = f"{named} is {setting_text(own)}, not {setting_text(other)}"
    families = frozenset(card if card == COOLED else family_or_gain(card) for card in said)
    return Difference(", ".join(said.values()), families)


def setup_titles(found: Sequence[Mapping[str, str | float]]) -> list[str]:
    """
    Return a few words for each of several setups that tell it from the others, from what their cards say.

    >>> from astro_calib.night.setups.setups import setup_titles
    >>> setup_titles(
    ...     [
    ...         {"XBINNING": 1.0, "temperature": -20.0},
    ...         {"XBINNING": 2.0, "temperature": -20.0},
    ...     ]
    ... )
    ['binning 1', 'binning 2']
    """
    titles: list[list[str]] = [[] for _ in found]
    apart = 1
    order = (*FAMILIES, SIZE, COOLED)
    cards = sorted(
        {card for settings in found for card in settings},
        key=lambda card: (order.index(card if card in order else family_or_gain(card)), card),
    )
    for card in cards:
        words = [_words(card, settings) for settings in found]
        together = len({(*title, word) for title, word in zip(titles, words, strict=True)})
        if together > apart:
            apart = together
            titles = [[*title, word] for title, word in zip(titles, words, strict=True)]
    if apart < len(found):
        return [" ".join([*title, f"no. {number}"]).strip() for number, title in enumerate(titles, start=1)]
    return [", ".join(filter(None, title)) for title in titles]


def _words(card: str, settings: Mapping[str, str | float]) -> str:
    if card not in settings:
        return ""
    value = setting_text(settings[card])
    if card == COOLED:
        return f"{float(settings[card]):.0f} C"
    what = "" if card == SIZE else family_or_gain(card)
    if card == SIZE or what in ("camera", "read-out mode", "row order"):
        return value
    return f"{(what or card).removesuffix(' setting')} {value}"
