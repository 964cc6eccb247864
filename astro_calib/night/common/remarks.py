"""Remarks on a night, each said once, with the names of the files that it is about."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from astropy.utils.exceptions import AstropyUserWarning, AstropyWarning
from astropy.wcs import FITSFixedWarning

from astro_calib.arguments import printable
from astro_calib.errors import HeaderWarning
from astro_calib.night.common.log import LOG
from astro_calib.night.common.names import MANY, named
from astro_calib.night.common.text import glued, listed, paragraph

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence
    from typing import Self

__all__ = ["FileRemark", "Remark", "Remarks", "heard", "heard_of_file", "parted", "remark_lines"]

#: A number that stands for itself, between spaces: not one of a name, of a section or of a header's value.
NUMBER = re.compile(r"(?<![^\s(])-?\d+(?:\.\d+)?(?=%?[,;:.)]*(?:\s|$))")

#: So many lines of a remark are shown where it has to be short.
LONGEST = 6


class FileRemark(AstropyUserWarning):
    """
    A remark on one file, whose name stands before it.

    >>> from astro_calib.night.common.remarks import FileRemark
    >>> print(FileRemark("d1.fits", "d1.fits: no star found"))
    d1.fits: no star found
    """

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text.removeprefix(f"{name}: ")
        super().__init__(f"{self.name}: {self.text}")

    def __reduce__(self) -> tuple[type[FileRemark], tuple[str, str]]:
        """Tell pickle what to make another of; exceptions are made of their text otherwise."""
        return type(self), (self.name, self.text)


class Remark(str):
    """
    A remark as text: the names of the files that it is about, if there are any, and what is said of them.

    >>> from astro_calib.night.common.remarks import Remark
    >>> remark = Remark("no WCS", ["d1.fits", "d2.fits"])
    >>> print(remark)
    d1.fits, d2.fits: no WCS
    >>> remark.text, remark.names
    ('no WCS', ('d1.fits', 'd2.fits'))
    """

    __slots__ = ("names", "text")

    text: str
    names: tuple[str, ...]

    def __new__(cls, text: str, names: Sequence[str] = ()) -> Self:
        """Make a remark of what is said of some files."""
        remark = super().__new__(cls, f"{named(names)}: {text}" if names else text)
        remark.text, remark.names = text, tuple(names)
        return remark


class Remarks:
    """
    Remarks in the order in which they come; those of one text, but for the numbers in it, together.

    >>> from astro_calib.night.common.remarks import FileRemark, Remarks
    >>> remarks = Remarks()
    >>> remarks.add(
    ...     FileRemark("d1.fits", "no WCS"),
    ...     "no darks",
    ...     FileRemark("d2.fits", "no WCS"),
    ...     "no darks",
    ... )
    >>> remarks.add(
    ...     FileRemark("d1.fits", "stars are 6.0 wide"),
    ...     FileRemark("d2.fits", "stars are 7.5 wide"),
    ... )
    >>> remarks.lines()
    ('d1.fits, d2.fits: no WCS', 'no darks', 'd1.fits, d2.fits: stars are 6.0 to 7.5 wide')
    """

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}
        self._said: dict[str, dict[str, None]] = {}

    def add(self, *remarks: str | FileRemark) -> None:
        """Add remarks; what was said already is not said again."""
        for remark in remarks:
            text, names = parted(remark)
            text = printable(text)
            key = NUMBER.sub("#", text) if names else text
            before = self._names.setdefault(key, {})
            if text not in (said := self._said.setdefault(key, {})) or not before.keys() >= set(names):
                LOG.warning(Remark(text, [printable(name) for name in names]))
            said[text] = None
            before.update(dict.fromkeys(names))

    def lines(self) -> tuple[Remark, ...]:
        """One for each text."""
        return tuple(Remark(_in_one(list(self._said[key])), tuple(names)) for key, names in self._names.items())

    @contextmanager
    def heard(self, name: str = "", called: str = "") -> Iterator[None]:
        """
        Make remarks of the warnings to users, ours and astropy's; others take their usual way.

        Those that begin with ``name`` are remarks on the file of this name, which is to be ``called`` something else.
        """
        with heard(name, called) as said:
            yield
        self.add(*said)


@contextmanager
def heard(name: str = "", called: str = "") -> Iterator[list[str]]:
    """Collect what is said as `Remarks.heard` does, in a list that is filled at the end."""
    said: list[str] = []
    with _caught() as caught:
        yield said
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if isinstance(warning.message, FileRemark):
            text, names = parted(warning.message)
            said.append(Remark(text, [called] if called and names == (name,) else names))
        elif issubclass(warning.category, AstropyUserWarning):
            about = name and text.startswith(f"{name}: ")
            said.append(Remark(text.removeprefix(f"{name}: "), [called or name]) if about else text)


def remark_lines(remark: str, width: int, *, short: bool = False) -> list[str]:
    """
    Return a remark as lines: what is said, and then the names of the files, if there are many.

    ``short``: of many files only the first and the last are named, and of a long list the end is not said.
    """
    text, names = parted(remark)
    said, all_names = printable(text), []
    if len(names) > MANY and not short:
        said, all_names = f"{len(names)} files: {said}", paragraph(listed(names), width, 4 * " ")
    elif names:
        said = f"{named([glued(name) for name in names])}: {said}"
    lines = paragraph(said, width, following=4 * " ")
    if short and len(lines) > LONGEST:
        return [*lines[: LONGEST - 1], "    ..."]
    return lines + all_names


def parted(remark: str | FileRemark) -> tuple[str, tuple[str, ...]]:
    """Return what is said, and the names of the files of which it is said."""
    if isinstance(remark, FileRemark):
        return remark.text, (remark.name,)
    return (remark.text, remark.names) if isinstance(remark, Remark) else (remark, ())


def _in_one(texts: list[str]) -> str:
    """A text for several that differ in their numbers only: the smallest and the largest of each."""
    numbers = [
        min(found, key=float) if len(set(found)) == 1 else f"{min(found, key=float)} to {max(found, key=float)}"
        for found in zip(*(NUMBER.findall(text) for text in texts), strict=True)
    ]
    return NUMBER.sub(lambda _: numbers.pop(0), texts[0])


@contextmanager
def heard_of_file(name: str) -> Iterator[None]:
    """Give what is said while a file is read again, with its name; but not what the plan has said of its cards."""
    with _caught() as caught:
        yield
    for text in dict.fromkeys(str(one.message) for one in caught if not issubclass(one.category, HeaderWarning)):
        warnings.warn(FileRemark(name, text), stacklevel=3)


@contextmanager
def _caught() -> Iterator[list[warnings.WarningMessage]]:
    """Catch warnings that astropy's users get; pass on others. What is logged for information is not said."""
    from astropy import log

    def told(record: logging.LogRecord) -> bool:
        return record.levelname != "INFO" or not getattr(record, "origin", "").startswith(("astropy.", "astro_calib."))

    caught: list[warnings.WarningMessage] = []
    # Before those of whoever calls.
    log.filters.insert(0, told)
    try:
        with warnings.catch_warnings(record=True) as recorded:
            warnings.simplefilter("always", AstropyWarning)
            yield caught
    finally:
        log.removeFilter(told)
        for warning in recorded:
            if issubclass(warning.category, FITSFixedWarning):
                # How a date or a unit in the WCS was understood does not concern the pixels.
                continue
            if issubclass(warning.category, AstropyWarning):
                caught.append(warning)
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
