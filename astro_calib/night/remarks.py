"""Remarks on a night, each said once, with the names of the files that it is about."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from astropy.utils.exceptions import AstropyUserWarning, AstropyWarning
from astropy.wcs import FITSFixedWarning

from astro_calib.arguments import printable
from astro_calib.errors import HeaderWarning
from astro_calib.night.names import named

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

__all__ = ["FileRemark", "Remarks", "heard_of_file"]


class FileRemark(AstropyUserWarning):
    """
    A remark on one file, whose name stands before it.

    >>> from astro_calib.night.remarks import FileRemark
    >>> print(FileRemark("d1.fits", "d1.fits: no star found"))
    d1.fits: no star found
    """

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text.removeprefix(f"{name}: ")
        super().__init__(f"{self.name}: {self.text}")


class Remarks:
    """
    Remarks in the order in which they come, those of one text together.

    >>> from astro_calib.night.remarks import FileRemark, Remarks
    >>> remarks = Remarks()
    >>> remarks.add(FileRemark("d1.fits", "no WCS"), "no darks", FileRemark("d2.fits", "no WCS"), "no darks")
    >>> remarks.lines()
    ('d1.fits, d2.fits: no WCS', 'no darks')
    """

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None]] = {}

    def add(self, *remarks: str | FileRemark) -> None:
        """Add remarks; what was said already is not said again."""
        for remark in remarks:
            text, name = (remark.text, [remark.name]) if isinstance(remark, FileRemark) else (remark, [])
            self._names.setdefault(printable(text), {}).update(dict.fromkeys(name))

    def lines(self) -> tuple[str, ...]:
        """One for each text."""
        return tuple(f"{named(list(names))}: {text}" if names else text for text, names in self._names.items())

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Make remarks of the warnings to users, ours and astropy's; others take their usual way."""
        with _caught() as caught:
            yield
        for warning in caught:
            if isinstance(warning.message, FileRemark):
                self.add(warning.message)
            elif issubclass(warning.category, AstropyUserWarning):
                self.add(" ".join(str(warning.message).split()))


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
