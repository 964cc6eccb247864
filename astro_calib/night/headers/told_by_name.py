"""What the names of a file and of its folders tell: the kind of frame and the filter, where the header is silent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from astro_calib.night.headers.raw_file import FITS_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import PurePath

__all__ = ["Told", "exposure_by_name", "filter_by_name", "folders_of", "kind_by_name"]

#: Filters that are told by a word, in small letters, and by a letter, of which capitals matter.
FILTERS = re.compile(
    r"lum|luminance|red|green|blue|clear|ha|h ?alpha|hbeta|oiii|o3|sii|s2|nii|ircut|uvir|[ubvri]c|[ugriz]p|sdss[ugriz]",
)
LETTERS = frozenset("UBVRIugrizyLGYJHK")
#: The letter of a filter with the number of a frame at the end of a name, but not that of a star such as V404.
NUMBERED = re.compile(r"([UBVRILG])(?:\d{1,2}|0\d+)")
#: What stands before or behind "flat" without a space, in small letters: where it was taken, and in which filter.
WHERE = "sky|dome|twi|twilight|dusk|dawn|lamp|panel|screen|auto"
BESIDE = "[ubvrigzyl]|lum|red|green|blue|clear|ha|oiii|sii"
#: Words for each kind, in small letters. Two that belong together are one: a dark for flats is a dark.
WORDS = {
    "dark": r"dark ?flats?|flat ?darks?|darks?(?: ?frames?)?|dunkelbild(?:er)?",
    "bias": r"(?:bias(?:es)?|biais|zeros?|offsets?)(?: ?frames?)?",
    "flat": rf"(?:{WHERE}|{BESIDE})?flats?(?: ?frames?| ?fields?| ?wizard|{BESIDE})?",
    "science": r"(?:lights?|science|objects?|objekte?|objets?|objetos?)(?: ?frames?)?",
}
KIND = re.compile(rf"\b(?:{'|'.join(f'(?P<{kind}>{words})' for kind, words in WORDS.items())})\b")
#: The letter of a filter beside "flat".
FLAT_OF = re.compile(r"(?<![A-Za-z])(?:([A-Za-z])|[A-Za-z]{3,})?flats?([A-Za-z])?(?![A-Za-z])", re.IGNORECASE)
#: They hold such a word, and name what is in the sky, or where it is looked at from.
SKY = re.compile(r"dark nebulae?|zero age|light echo(?:es)?|dark (?:sky|skies|site)")
#: What may follow the letter of a filter in the name of a folder; an R before anything else may be a star's.
BEHIND = re.compile(r"\d+[a-z]{0,3}|bin\d*|[a-z]|filter|frames?")
#: A time with its unit, and not the south of a name such as "NGC 12S" or the seconds of a clock.
SECONDS = re.compile(
    r"(?<![\d.A-Za-z])(?<!\d\d[-_:]\d\d[-_:])(\d+(?:\.\d+)?)(?:s|(?i: ?(?:sec|secs|seconds)))(?![A-Za-z])"
)
#: How far up folders are looked at.
NEAR = 2
#: Between two words of a name, and before a capital or a digit that begins one.
BETWEEN = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")


class Told(NamedTuple):
    """A kind or a filter, and the name that tells it; ``against`` is a folder that tells another kind."""

    value: str
    name: str
    against: str = ""


def folders_of(path: PurePath, places: Collection[PurePath] = ()) -> tuple[str, ...]:
    """
    Return the names of the folder that a file is in and of the one above, as far as its path names them.

    ``places`` are the folders that somebody gave as a night: neither these nor what is above them counts.

    >>> from pathlib import Path
    >>> from astro_calib.night.headers.told_by_name import folders_of
    >>> folders_of(Path("/data/raw/darks/300s/d1.fits"))
    ('300s', 'darks')
    >>> folders_of(Path("flats_V/darks/d1.fits"), [Path("flats_V")])
    ('darks',)
    """
    names: list[str] = []
    for folder in list(path.parents)[:NEAR]:
        if folder in places:
            break
        names.append(folder.name)
    return tuple(filter(None, names))


def kind_by_name(path: PurePath, places: Collection[PurePath] = ()) -> Told | None:
    """
    Return the kind that the name of a file tells, or else that of its folder; None if none does or one tells several.

    ``places`` are the folders that somebody gave as a night. Such a folder tells a kind only if it is one of several,
    and is called by nothing but the word for it.

    >>> from pathlib import Path
    >>> from astro_calib.night.headers.told_by_name import kind_by_name
    >>> (
    ...     kind_by_name(Path("raw/flat-V-003.fit")).value,
    ...     kind_by_name(Path("darks/M31_00001.fits")).value,
    ... )
    ('flat', 'dark')
    >>> print(kind_by_name(Path("Flaters_001.fits")))
    None
    """
    told: Told | None = None
    for name, text in (*_names(path, places), *_place(path, places)):
        kinds = _kinds(text)
        if told is None and len(kinds) > 1:
            return None
        if told is None and kinds:
            told = Told(kinds.pop(), name)
        # Darks for flats lie among these.
        elif told is not None and kinds - {told.value} and not (told.value == "dark" and kinds == {"flat"}):
            return told._replace(against=name)
    return told


def filter_by_name(path: PurePath, places: Collection[PurePath] = ()) -> Told | None:
    """
    Return the filter that the name of a file tells, or else that of its folder; None if none does or one tells several.

    ``places`` are the folders that somebody gave as a night, which tell no filter.

    >>> from pathlib import Path
    >>> from astro_calib.night.headers.told_by_name import filter_by_name
    >>> [
    ...     filter_by_name(Path(name)).value
    ...     for name in ("flat-V-003.fit", "m57_0336Blue.fit", "vflat001.fits")
    ... ]
    ['V', 'Blue', 'V']
    """
    for name, text in _names(path, places):
        parts = [part for part in re.split(r"[^A-Za-z0-9]+", text) if part]
        told = set(_letters(parts, is_folder=name != path.name))
        told |= {word for word in (*parts, *BETWEEN.split(text)) if FILTERS.fullmatch(word.casefold())}
        if told:
            return Told(told.pop(), name) if len({word.casefold() for word in told}) == 1 else None
    return None


def exposure_by_name(path: PurePath) -> float | None:
    """
    Return the exposure time in seconds that the name of a file tells; None if it tells none, or several.

    >>> from pathlib import Path
    >>> from astro_calib.night.headers.told_by_name import exposure_by_name
    >>> (
    ...     exposure_by_name(Path("M 31_60s60_Astro.fits")),
    ...     exposure_by_name(Path("M31s_0060.fits")),
    ... )
    (60.0, None)
    >>> [
    ...     exposure_by_name(Path(f"{name}.fits"))
    ...     for name in ("J1200 30S", "NGC 12S", "HD 209458 s", "T22-30-15s")
    ... ]
    [None, None, None, None]
    """
    told = {float(number) for number in SECONDS.findall(FITS_SUFFIX.sub("", path.name))}
    return told.pop() if len(told) == 1 and min(told) > 0 else None


def _letters(parts: Sequence[str], *, is_folder: bool) -> Iterator[str]:
    """The letters of filters among the words of a name."""
    for number, part in enumerate(parts):
        behind = " ".join(parts[number + 1 :]).casefold()
        if part in LETTERS and not (is_folder and not _is_neutral(behind)):
            yield part
        numbered = NUMBERED.fullmatch(part) if number and not behind and not is_folder else None
        if numbered:
            yield numbered[1]
        beside = FLAT_OF.fullmatch(part.rstrip("0123456789"))
        for letter in filter(None, beside.groups() if beside else ()):
            if letter.upper() in LETTERS or letter in LETTERS:
                yield letter if letter in LETTERS else letter.upper()


def _is_neutral(words: str) -> bool:
    """Whether words say a kind of frame, a time or a number at most."""
    return all(BEHIND.fullmatch(word) for word in KIND.sub(" ", words).split())


def _names(path: PurePath, places: Collection[PurePath]) -> Iterator[tuple[str, str]]:
    """The names that may tell something, the nearest first, and what of them does."""
    yield path.name, FITS_SUFFIX.sub("", path.name)
    for folder in folders_of(path, places):
        yield folder, folder


def _place(path: PurePath, places: Collection[PurePath]) -> Iterator[tuple[str, str]]:
    """The name of the folder that was given, if it is one of several and says nothing but a kind."""
    place = next((folder for folder in list(path.parents)[:NEAR] if folder in places), None)
    if place is not None and len(places) > 1 and KIND.fullmatch(_words(place.name)):
        yield place.name, place.name


def _words(text: str) -> str:
    """The words of a name, in small letters."""
    return " ".join(word for word in BETWEEN.split(text) if word).casefold()


def _kinds(text: str) -> set[str]:
    """The kinds that the words of a name tell."""
    return {str(found.lastgroup) for found in KIND.finditer(SKY.sub(" ", _words(text)))}
