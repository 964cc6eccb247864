"""What one header says, and the names of its file, under the keywords of a profile."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.detector.header_values import UNITS_OF_TIME, as_seconds, stated_unit_of_time
from astro_calib.night.headers.cards import cards_of
from astro_calib.night.headers.numbers import not_meant, value_of
from astro_calib.night.headers.raw_file import FITS_SUFFIX
from astro_calib.night.headers.told_by_name import folders_of
from astro_calib.night.headers.values import header_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from astropy.io.fits import Header

__all__ = ["FILENAME", "FOLDER", "ExposureTime", "Reading", "plain", "telling"]

#: What rules call the name of the file, and those of the folder that it is in and of the one above.
FILENAME, FOLDER = "FILENAME", "FOLDER"
#: Keywords that a header may have many times.
COMMENTARY = ("COMMENT", "HISTORY")
#: What headers say that have a keyword for the kind, and nothing to say; or not which of several, in small letters.
SAYS_NOTHING = frozenset(
    {"unknown", "undefined", "undef", "n/a", "none", "null", "calib", "calibration", "cal", "other"}
)
#: Keywords that mean the same: others are of the time that passed, or of what is left of it behind clouds.
OF_THE_SHUTTER = frozenset({"EXPTIME", "EXPOSURE", "EXP_TIME", "ITIME", "EXPOINUS", "IMG_EXP"})
#: The time that was set and the one that was measured differ by less than this part, or by less than so many seconds.
ALIKE, SLOW_SHUTTER = 0.05, 0.2
#: One of two may be in ms or in us, and not say so.
SMALLER_UNITS = (1e3, 1e6)
#: FRAME is the number of a frame for some programs, and its date for others.
DATE_OR_NUMBER = re.compile(r"[\d.:/ T-]+|.*\d\d:\d\d(?::\d\d)?.*|.*\b(?:19|20)\d\d\b.*", re.IGNORECASE)


class ExposureTime(NamedTuple):
    """
    What a header says of the exposure time: under which keyword, in which value, and in which unit by its comment.

    ``seconds`` is None if the value is no time; ``unit`` is empty for seconds. ``contradicted`` is another keyword,
    with its value, that says something else; empty if none does.
    """

    keyword: str
    value: Any
    seconds: float | None
    unit: str
    contradicted: str = ""


@dataclass(frozen=True)
class Reading:
    """
    A header, the keywords of a profile by role, and the path of the file if its name may tell something.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from astro_calib.night.profiles.reading import Reading
    >>> Reading(fits.Header([("FILTER", "V")]), {"filter": ("FILTER",)}).find(
    ...     "filter"
    ... )
    ('FILTER', 'V')
    """

    header: Header
    keywords: Mapping[str, tuple[str, ...]]
    path: Path | None = None
    _found: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def find(self, role: str) -> tuple[str, Any] | None:
        """The first keyword of a role that has a value that can be meant, and that value."""
        # The rules of a profile ask for the same ones many times.
        if role not in self._found:
            self._found[role] = self._find(role)
        found: tuple[str, Any] | None = self._found[role]
        return found

    def _find(self, role: str) -> tuple[str, Any] | None:
        if role == "kind":
            return next(iter(self.of_kind()), None)
        cards = cards_of(self.header, self.keywords[role])
        return next(((card.keyword, value_of(card)) for card in cards if not not_meant(self.header, role, card)), None)

    def passed_over(self, role: str) -> str:
        """Why keywords of a role are not taken for it; empty if none is passed over."""
        cards = cards_of(self.header, self.keywords[role])
        return "; ".join(filter(None, (not_meant(self.header, role, card) for card in cards)))

    def exposure_time(self) -> ExposureTime | None:
        """The first keyword that holds a time, or else the first that holds anything."""
        found = []
        for card in cards_of(self.header, self.keywords["exposure_time"]):
            stated = stated_unit_of_time(self.header.comments[card.keyword])
            seconds = as_seconds(card.value, UNITS_OF_TIME[card.unit or stated])
            found.append(ExposureTime(card.keyword, card.value, seconds, "" if card.unit else stated))
        taken = next((time for time in found if time.seconds is not None), None)
        if taken is None:
            return found[0] if found else None
        other = next((time for time in found if _contradict(taken, time)), None)
        return taken if other is None else taken._replace(contradicted=f"{other.keyword}={other.value!r}")

    def of_kind(self) -> Iterable[tuple[str, Any]]:
        """What the header says of the kind."""
        return telling((card.keyword, card.value) for card in cards_of(self.header, self.keywords["kind"]))

    def values(self, name: str) -> Iterator[tuple[str, Any]]:
        """What one line of a rule is about, and its values: a keyword, a role, or the names of file and folders."""
        if name == FILENAME and self.path is not None:
            yield from ((name, text) for text in (self.path.name, FITS_SUFFIX.sub("", self.path.name)))
        elif name == FOLDER and self.path is not None:
            yield from ((name, text) for text in folders_of(self.path))
        elif name in COMMENTARY:
            yield from ((name, line) for line in self.header.get(name, ()))
        elif name == "exposure_time":
            time = self.exposure_time()
            if time is not None and time.seconds is not None:
                yield time.keyword, time.seconds
        elif name in self.keywords:
            found = self.find(name)
            if found is not None:
                yield found
        else:
            value = header_value(self.header, name)
            if value is not None:
                yield name, value


def _contradict(taken: ExposureTime, other: ExposureTime) -> bool:
    """Whether two keywords cannot both hold the exposure time."""
    if not {taken.keyword, other.keyword} <= OF_THE_SHUTTER or taken.seconds is None or not other.seconds:
        return False
    if taken.seconds and any(abs(other.seconds / taken.seconds / unit - 1) < ALIKE for unit in SMALLER_UNITS):
        return False
    return abs(other.seconds - taken.seconds) > max(SLOW_SHUTTER, ALIKE * max(other.seconds, taken.seconds))


def telling(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """
    Yield the keywords and values that say something of the kind of a frame.

    >>> from astro_calib.night.profiles.reading import telling
    >>> list(
    ...     telling(
    ...         [
    ...             ("FRAME", "Thu Jul 04 21:13:02 2024"),
    ...             ("OBSTYPE", "CALIB"),
    ...             ("CALTYPE", "FLAT"),
    ...         ]
    ...     )
    ... )
    [('CALTYPE', 'FLAT')]
    """
    for keyword, value in values:
        text = str(value)
        if plain(text) not in SAYS_NOTHING and not (keyword == "FRAME" and DATE_OR_NUMBER.fullmatch(text)):
            yield keyword, value


@lru_cache(1 << 12)
def plain(text: str) -> str:
    """``text`` as it is compared: small letters, one space for any run of spaces, underscores and hyphens."""
    return re.sub(r"[\s_-]+", " ", text).strip().casefold()
