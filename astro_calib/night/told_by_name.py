"""What the names of a file and of its folders tell: the kind of frame and the filter, where the header is silent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.raw_file import FITS_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Told", "filter_by_name", "folders_of", "kind_by_name"]

#: Words for each kind, in small letters.
WORDS = {
    "dark": (
        "darkflat",
        "darkflats",
        "flatdark",
        "flatdarks",
        "dark flat",
        "dark flats",
        "flat dark",
        "flat darks",
        "dark",
        "darks",
    ),
    "bias": ("bias", "biases", "zero", "zeros", "offset", "offsets"),
    "flat": ("flat", "flats", "flatfield", "flatfields", "skyflat", "skyflats", "domeflat", "domeflats", "twiflat"),
    "science": ("light", "lights", "science", "object"),
}
KIND_OF = {word: kind for kind, words in WORDS.items() for word in words}
#: Of two words that belong together, both.
ANY_WORD = re.compile(rf"\b(?:{'|'.join(sorted(KIND_OF, key=len, reverse=True))})\b")
ANY_WORD = re.compile("|".join(name for names in WORDS.values() for name in names))
#: They hold such a word, and name what is in the sky.
SKY = re.compile(r"dark nebulae?|zero age|light echo(?:es)?")
#: Filters that are told by a word, in small letters, and by a letter, of which capitals matter.
FILTERS = re.compile(
    r"lum|luminance|red|green|blue|clear|ha|h ?alpha|hbeta|oiii|o3|sii|s2|nii|ircut|uvir|[ubvri]c|[ugriz]p|sdss[ugriz]",
)
LETTERS = frozenset("UBVRIugrizyLGYJHK")
#: How far up folders are looked at.
NEAR = 2
#: Between two words of a name, and before a capital or a digit that begins one.
BETWEEN = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")


class Told(NamedTuple):
    """A kind or a filter, and the name that tells it."""

    value: str
    name: str


def folders_of(path: Path) -> tuple[str, ...]:
    """
    Return the names of the folder that a file is in and of the one above, as far as its path names them.

    >>> from pathlib import Path
    >>> from astro_calib.night.told_by_name import folders_of
    >>> folders_of(Path("/data/raw/darks/300s/d1.fits"))
    ('300s', 'darks')
    """
    return tuple(folder.name for folder in list(path.parents)[:NEAR] if folder.name)


def kind_by_name(path: Path) -> Told | None:
    """
    Return the kind that the name of a file tells, or else that of its folder; None if none does or one tells several.

    >>> from pathlib import Path
    >>> from astro_calib.night.told_by_name import kind_by_name
    >>> kind_by_name(Path("raw/flat-V-003.fit")), kind_by_name(Path("darks/M31_00001.fits"))
    (Told(value='flat', name='flat-V-003.fit'), Told(value='dark', name='darks'))
    """
    for name, text in _names(path):
        told = _kinds(text)
        if told:
            return Told(told.pop(), name) if len(told) == 1 else None
    return None


def filter_by_name(path: Path) -> Told | None:
    """
    Return the filter that the name of a file tells, or else that of its folder; None if none does or one tells several.

    >>> from pathlib import Path
    >>> from astro_calib.night.told_by_name import filter_by_name
    >>> filter_by_name(Path("flat-V-003.fit")).value, filter_by_name(Path("m57_0336Blue.fit")).value
    ('V', 'Blue')
    """
    for name, text in _names(path):
        parts = [part for part in re.split(r"[^A-Za-z0-9]+", text) if part]
        told = {part for part in parts if part in LETTERS}
        told |= {word for word in (*parts, *BETWEEN.split(text)) if FILTERS.fullmatch(word.casefold())}
        if told:
            return Told(told.pop(), name) if len({word.casefold() for word in told}) == 1 else None
    return None


def _names(path: Path) -> Iterable[tuple[str, str]]:
    """The names that may tell something, the nearest first, and what of them does."""
    yield path.name, FITS_SUFFIX.sub("", path.name)
    for folder in folders_of(path):
        yield folder, folder


def _kinds(text: str) -> set[str]:
    """The kinds that the words of a name tell; a dark for flats is a dark."""
    words = SKY.sub(" ", " ".join(word for word in BETWEEN.split(text) if word).casefold())
    return {KIND_OF[word] for word in ANY_WORD.findall(words)}
