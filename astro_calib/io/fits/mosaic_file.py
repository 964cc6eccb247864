"""The headers of a raw file with several images, and what reads the pixels of each."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from astro_calib.detector.header_layout import MOST_AMPLIFIERS, RawImage
from astro_calib.errors import FrameError
from astro_calib.io.fits.cards import repaired_header
from astro_calib.io.fits.header_reader import header_of_image, is_image
from astro_calib.io.fits.lazy_header import LazyHeader
from astro_calib.io.fits.read import MARK
from astro_calib.io.fits.rows import file_version
from astro_calib.io.fits.unit_rows import UnitRows, stored_shape
from astro_calib.io.fits.whole import check_whole_fits, checked_units

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io.fits import Header

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = ["MosaicFile"]


class MosaicFile:
    """The headers of a file, repaired, and what reads its images."""

    def __init__(self, path: Path, unit: Any) -> None:
        self.name, self.unit = path.name, unit
        self._path, self._version = path, file_version(path.stat())
        units, self._is_plain = checked_units(path)
        if any(MARK.search(one.header) for one in units):
            msg = "it holds a frame with its budget, which CCDFrame.read reads"
            raise FrameError(msg)
        self._units: list[HeaderUnit] = []
        names: dict[str, None] = {}
        for one in units:
            header, cards = repaired_header(one.header)
            names |= dict.fromkeys(cards)
            self._units.append(one._replace(header=header))
        self.repaired = list(names)
        self._headers = [LazyHeader.of_bytes(one.header) for one in self._units]

    @cached_property
    def _source(self) -> Path | bytes:
        """The file, or its content if it is compressed as a whole: what is read from then on stays in memory."""
        if self._is_plain:
            return self._path
        content, _ = check_whole_fits(self._path)
        if file_version(self._path.stat()) != self._version:
            msg = f"{self.name} was changed after its headers were read."
            raise OSError(msg)
        return content

    @property
    def primary(self) -> Header:
        """The primary header."""
        return fits.Header(LazyHeader.of_bytes(self._units[0].header), copy=True)

    def header(self, number: int) -> LazyHeader:
        """The header of the image in an HDU."""
        return header_of_image(self._headers[number], self._headers[0] if number else None)

    def rows(self, number: int) -> UnitRows:
        """The pixels of an HDU."""
        return UnitRows(self._source, self._units, number, self._version)

    def images(self) -> list[RawImage]:
        """The images in it."""
        numbers = [number for number, header in enumerate(self._headers) if is_image(header, number)]
        if not numbers:
            msg = "there is no image in it"
            raise FrameError(msg)
        if len(numbers) > MOST_AMPLIFIERS:
            msg = f"it has {len(numbers)} images; expected {MOST_AMPLIFIERS} at most, one an amplifier"
            raise FrameError(msg)
        return [
            RawImage(number, self._name(number), stored_shape(self._headers[number]), self.header(number))
            for number in numbers
        ]

    def _name(self, number: int) -> str:
        """What messages call an image."""
        name = str(self._headers[number].get("EXTNAME", "")).strip()
        version = self._headers[number].get("EXTVER")
        same = sum(str(header.get("EXTNAME", "")).strip() == name for header in self._headers) if name else 0
        if name and same > 1 and version is not None:
            name = f"{name},{version}"
        return f"extension {number} {name}".rstrip()
