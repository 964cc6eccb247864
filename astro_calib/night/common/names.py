"""Names of output files, from headers and other files' names that may hold anything."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

from astro_calib.night.headers.raw_file import FITS_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

__all__ = [
    "MANY",
    "PLURALS",
    "called",
    "common_pattern",
    "file_name",
    "for_filter",
    "in_rows",
    "named",
    "natural",
    "stem",
    "unique_name",
]

LONGEST_NAME = 80
#: So many files are named one by one in a few words.
MANY = 4
#: So many names or rows of names are given; of the others only how many they are.
LISTED = 20
#: What several frames of a kind are called.
PLURALS = {"bias": "biases", "dark": "darks", "flat": "flats"}
DIGITS = re.compile(r"(\d+)")
#: The last number of a name, but for those of what tells a format.
NUMBER = re.compile(r"(.*?)(\d+)(\D*?(?:\.[A-Za-z][A-Za-z0-9]*)*)$", re.DOTALL)


def stem(path: Path) -> str:
    """The name of a FITS file without directory and suffix, such as ``d1048`` of ``raw/d1048.fits.gz``."""
    return FITS_SUFFIX.sub("", path.name)


def file_name(text: str) -> str:
    """
    Return ``text``, which may hold anything, as part of a file name that stays in its directory on any system.

    It has letters, digits and ``. _ + -`` only, does not begin with a dot, is not empty, and at most 80 long.

    >>> from astro_calib.night.common.names import file_name
    >>> file_name("../../etc/r'")
    '_.._etc_r_'
    """
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", text).lstrip(".-")[:LONGEST_NAME] or "frame"


def named(names: Sequence[str]) -> str:
    """
    Return the names of some files in a few words.

    >>> from astro_calib.night.common.names import named
    >>> named(["a", "b", "c"]), named(["a", "b", "c", "d", "e"])
    ('a, b, c', 'a to e (5 files)')
    """
    return ", ".join(names) if len(names) <= MANY else f"{names[0]} to {names[-1]} ({len(names)} files)"


def in_rows(names: Sequence[str], most: int = MANY) -> list[str]:
    """
    Return names in their order; of more than ``most`` that count on by one the first, the last and the number.

    If there are more than 20 names and rows, the first 20 are given, and how many files follow.

    >>> from astro_calib.night.common.names import in_rows
    >>> in_rows(["notes.txt", *(f"t{number}.txt" for number in range(2000))])
    ['notes.txt', 't0.txt to t1999.txt (2000 files)']
    """
    numbers: dict[tuple[str, str], dict[int, str]] = {}
    for name in names:
        found = NUMBER.match(name)
        if found:
            numbers.setdefault((found[1], found[3]), {})[int(found[2])] = name
    row_of: dict[str, list[str]] = {}
    for alike in numbers.values():
        row: list[str] = []
        for number in sorted(alike):
            row = row if number - 1 in alike else []
            row.append(alike[number])
            row_of[alike[number]] = row
    lines: dict[str, int] = {}
    for name in names:
        row = row_of.get(name, [])
        together = len(row) > most
        lines[f"{row[0]} to {row[-1]} ({len(row)} files)" if together else name] = len(row) if together else 1
    more = sum(list(lines.values())[LISTED:])
    return [*list(lines)[:LISTED], f"and {more} more"] if more > most else list(lines)


def natural(path: Path) -> tuple[str, list[tuple[str, int]]]:
    """
    Return a key that sorts files as they count, by folder.

    >>> from pathlib import Path
    >>> from astro_calib.night.common.names import natural
    >>> sorted(
    ...     [Path("x10.fits"), Path("x9.fits"), Path("a.fits")], key=natural
    ... )[-1].name
    'x10.fits'
    """
    parts = DIGITS.split(path.name)
    return str(path.parent), [
        (text, int(digits or 0)) for text, digits in zip(parts[::2], [*parts[1::2], ""], strict=True)
    ]


def common_pattern(files: Sequence[Path], others: Iterable[Path]) -> str:
    """
    Return the option that takes some files for science frames, and no others.

    >>> from pathlib import Path
    >>> from astro_calib.night.common.names import common_pattern
    >>> common_pattern(
    ...     [Path("raw/M31-V-1.fit"), Path("raw/M31-V-2.fit")],
    ...     [Path("raw/bias-1.fit")],
    ... )
    "--science 'M31-V-*'"
    """
    every = zip(*map(stem, files), strict=False)
    start = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, every))
    start = start.rstrip("0123456789")
    taken = [path.name.casefold() for path in others]
    if len(start) > 1 and not any(name.startswith(start.casefold()) for name in taken):
        return f"--science {shlex.quote(f'{start}*')}"
    return "--science with a pattern of their names, or their folder"


def called(files: Iterable[Path]) -> dict[Path, str]:
    """
    Return what files are called: their names, with the folders that tell them apart where these are the same.

    >>> from pathlib import Path
    >>> from astro_calib.night.common.names import called
    >>> list(
    ...     called(
    ...         [
    ...             Path("raw/a/1.fits"),
    ...             Path("raw/b/1.fits"),
    ...             Path("raw/b/2.fits"),
    ...         ]
    ...     ).values()
    ... )
    ['a/1.fits', 'b/1.fits', '2.fits']
    """
    paths = list(dict.fromkeys(files))
    names = [path.name for path in paths]
    for depth in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        times = Counter(names)
        if len(times) == len(names):
            break
        names = [
            "/".join(path.parts[-depth:]) if times[name] > 1 else name for name, path in zip(names, paths, strict=True)
        ]
    return dict(zip(paths, names, strict=True))


def for_filter(name: str) -> str:
    """What the frames of a filter are called in a remark."""
    return f"filter {name}" if name else "frames without a filter name"


def unique_name(name: str, taken: Collection[str]) -> str:
    """
    Return ``name``, with a number behind it if it is taken; capitals make no difference, as on some systems.

    >>> from astro_calib.night.common.names import unique_name
    >>> unique_name("d1", {"D1", "d1-2"})
    'd1-3'
    """
    used = {other.casefold() for other in taken}
    candidate, count = name, 1
    while candidate.casefold() in used:
        count += 1
        candidate = f"{name}-{count}"
    return candidate
