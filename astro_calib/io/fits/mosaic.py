"""Raw files of several amplifiers: one frame a chip, with the overscan of each amplifier beside it."""

from __future__ import annotations

import dataclasses
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import FITSFixedWarning

from astro_calib.arguments import check_switch, described
from astro_calib.detector.detector import Amplifier, Detector
from astro_calib.detector.header_layout import RawImage, amplifiers_of_headers, says_sections
from astro_calib.detector.layout import chips_of, merged
from astro_calib.detector.sections import OF_SECTIONS, section_of
from astro_calib.detector.table_layout import MOST, amplifiers_of_tables
from astro_calib.errors import FrameError, HeaderWarning, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.wcs import moved_wcs
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.io.fits.cards import remark_on_cards, repaired_header
from astro_calib.io.fits.header_reader import header_of_image, is_image
from astro_calib.io.fits.image import unit_of_header
from astro_calib.io.fits.lazy_header import LazyHeader
from astro_calib.io.fits.mosaic_pixels import assembled
from astro_calib.io.fits.rows import file_version
from astro_calib.io.fits.unit_rows import UnitRows, stored_shape
from astro_calib.io.fits.wcs import WCS_KEYWORD, header_and_wcs
from astro_calib.io.fits.whole import check_whole_fits, checked_units
from astro_calib.io.paths import file_to_read

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from astropy.wcs import WCS

    from astro_calib.detector.layout import AmplifierLayout, Box, ChipLayout
    from astro_calib.io.fits.whole import HeaderUnit

__all__ = ["Chip", "Mosaic", "MosaicAmplifier", "read_mosaic"]

#: More images than any camera writes into a file.
MOST_IMAGES = MOST
#: The numbers of an amplifier.
UNITS = {"gain": u.electron / u.adu, "gain_uncertainty": u.electron / u.adu, "read_noise": u.electron, "saturation": u.adu}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MosaicAmplifier:
    """
    An amplifier of a `Chip`, as the file describes it.

    Attributes
    ----------
    name : str
        What messages call it.
    data_section : str
        The FITS section of the chip's raw frame that it has read.
    overscan_section : str or None
        That of its overscan; None if it has none.
    corner : str
        The corner of that section which is read first, such as ``"lower left"``.
    gain, gain_uncertainty, read_noise, saturation : Quantity or None
        As the header or the table says; None where it does not.
    keywords : mapping
        The header keyword of each.
    """

    name: str
    data_section: str
    overscan_section: str | None
    corner: str
    gain: u.Quantity | None = None
    gain_uncertainty: u.Quantity | None = None
    read_noise: u.Quantity | None = None
    saturation: u.Quantity | None = None
    keywords: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Chip:
    """
    A chip in a raw file, of which the pixels are read when they are first asked for.

    Attributes
    ----------
    name : str
        As the file calls it; empty if it has only one.
    kind : str
        "science", or "focus" or "guide" for detectors at the edge of the field.
    shape : (int, int)
        Of its ``frame``; the raw one is larger.
    amplifiers : tuple of MosaicAmplifier
        In the order of the file.
    trim : str
        The FITS section of the raw frame that has the data.
    """

    def __init__(self, file: _File, layout: ChipLayout) -> None:
        self._file, self._layout = file, layout
        self.name, self.kind, self.shape = layout.name, layout.kind, layout.shape
        self.trim = section_of(range(self.shape[0]), range(self.shape[1]))
        self.amplifiers = tuple(
            MosaicAmplifier(
                name=one.name,
                data_section=section_of(*cell),
                overscan_section=None if strip is None else section_of(*strip.box),
                corner=one.corner,
                keywords=one.keywords,
                **{key: None if getattr(one, key) is None else getattr(one, key) * unit for key, unit in UNITS.items()},
            )
            for one, cell, strip in zip(layout.amplifiers, layout.cells, layout.strips, strict=True)
        )

    def __repr__(self) -> str:
        ny, nx = self.shape
        return f"<Chip {self._full_name!r}: {nx} x {ny} pixels, {len(self.amplifiers)} amplifiers>"

    @property
    def _full_name(self) -> str:
        return f"{self._file.name}[{self.name}]" if self.name else self._file.name

    @property
    def header(self) -> Header:
        """
        The header of the raw frame, for which no pixels are read.

        It has the cards of the first amplifier and of the primary header, without those in which amplifiers differ.
        """
        return self._header_and_wcs[0].copy()

    @cached_property
    def raw(self) -> CCDFrame:
        """
        The chip as it is in the file, in the orientation of the detector, with the overscans beside the data.

        The overscan of an amplifier lies to the right of all data in the amplifier's rows, or above them in its
        columns. Pixels that no amplifier has read are masked and flagged ``NO_DATA``.
        """
        layout, file = self._layout, self._file
        numbers = dict.fromkeys(one.image for one in layout.amplifiers)
        header, wcs = self._header_and_wcs
        try:
            unit = unit_of_header(header, file.unit)
            pixels = assembled(layout, {number: file.rows(number) for number in numbers})
        except FrameError as error:
            msg = f"{self._full_name} cannot be read: {error}"
            raise FrameError(msg) from error
        # Nobody else has these pixels.
        frame = CCDFrame(
            pixels.values,
            unit=unit,
            mask=pixels.missing,
            meta=header.copy(),
            wcs=wcs,
            name=self._full_name,
            guard=WriteGuard(),
        )
        if pixels.missing is not None:
            frame.flags = pixels.missing * np.uint16(DataQuality.NO_DATA)
        return frame

    @property
    def frame(self) -> CCDFrame:
        """The raw frame without the overscans; it shares the pixels."""
        ny, nx = self.shape
        return self._cut((range(ny), range(nx)))

    @property
    def overscans(self) -> tuple[CCDFrame | None, ...]:
        """
        For each amplifier its overscan, a cut of the raw frame; None where there is none.

        Its rows are those of the amplifier's section; its columns, if the overscan lies above or below the data.
        """
        cuts = tuple(None if strip is None else self._cut(strip.box) for strip in self._layout.strips)
        for cut in cuts:
            if cut is not None:
                # It is not on the sky.
                cut.wcs = None
        return cuts

    def _cut(self, box: Box) -> CCDFrame:
        result = self.raw[tuple(slice(along.start, along[-1] + 1, along.step) for along in box)]
        result.meta = _without_sections(result.meta)
        if result.mask is not None and not result.mask.any():
            result.mask = result.flags = None
        return result

    def detector(
        self,
        *,
        gain: Any = None,
        read_noise: Any = None,
        gain_uncertainty: Any = None,
        saturation: Any = None,
        name: str | None = None,
    ) -> Detector:
        """
        The detector that has read the chip, with the numbers of its header where no others are given.

        Parameters
        ----------
        gain, read_noise, gain_uncertainty, saturation : Quantity or sequence of Quantity, optional
            One for all amplifiers, or one for each of them.
        name : str, optional
            Of the detector: that of the instrument and the chip, unless another is given.

        Returns
        -------
        Detector
            With an amplifier for each of the chip's.

        Raises
        ------
        FrameError
            If neither the header nor the caller says the gain or the read noise of an amplifier, or pixels of the frame
            have none.
        """
        if not self._layout.is_full and self._layout.cells == self._layout.placed:
            msg = (
                f"{self._full_name}: its amplifiers do not stand in a grid, so that pixels between them have none; read "
                "and calibrate it chip by chip."
            )
            raise FrameError(msg)
        given = {"gain": gain, "read_noise": read_noise, "gain_uncertainty": gain_uncertainty, "saturation": saturation}
        numbers = {key: self._numbers(key, value) for key, value in given.items()}
        for key in ("gain", "read_noise"):
            missing = [one.name for one, number in zip(self.amplifiers, numbers[key], strict=True) if number is None]
            if missing:
                msg = (
                    f"{self._full_name}: its header does not say the {key} of {', '.join(missing)}; give it, as in "
                    f"chip.detector({key}=...)."
                )
                raise FrameError(msg)
        amplifiers = [
            Amplifier(
                data_section=one.data_section,
                overscan_section=one.overscan_section,
                corner=one.corner,
                **{key: values[place] for key, values in numbers.items()},
            )
            for place, one in enumerate(self.amplifiers)
        ]
        instrument = str(self._file.primary.get("INSTRUME", "")).strip()
        return Detector(amplifiers=amplifiers, name=name or f"{instrument} {self.name}".strip() or "detector")

    def _numbers(self, key: str, given: Any) -> list[Any]:
        if given is None:
            return [getattr(one, key) for one in self.amplifiers]
        if isinstance(given, u.Quantity) and given.isscalar:
            return [given] * len(self.amplifiers)
        if not hasattr(given, "__len__") or isinstance(given, str) or len(given) != len(self.amplifiers):
            msg = f"{key} is {described(given)}; expected a Quantity, or {len(self.amplifiers)}, one an amplifier."
            raise TypeError(msg)
        return list(given)

    @cached_property
    def _header_and_wcs(self) -> tuple[Header, WCS | None]:
        """The header of the raw frame, and the WCS of the first amplifier that has one, as that of the raw frame."""
        numbers = list(dict.fromkeys(one.image for one in self._layout.amplifiers))
        headers = [fits.Header(self._file.header(number), copy=True) for number in numbers]
        result: Header = headers[0]
        for other in headers[1:]:
            for keyword in {card.keyword for card in result.cards} - {"", "COMMENT", "HISTORY"}:
                if not WCS_KEYWORD.fullmatch(keyword) and (
                    keyword not in other or result[keyword] != other[keyword]
                ):
                    result.remove(keyword, ignore_missing=True, remove_all=True)
        found = None
        with warnings.catch_warnings():
            # What astropy says of a date or a unit in the WCS does not concern the pixels.
            warnings.simplefilter("ignore", FITSFixedWarning)
            for number, header in zip(numbers, headers, strict=True):
                rest, wcs = header_and_wcs(header, self._full_name)
                if number == numbers[0]:
                    result = rest
                if wcs is not None:
                    place = next(place for place, one in enumerate(self._layout.amplifiers) if one.image == number)
                    found = _wcs_of_chip(wcs, self._layout, place)
                    break
        result = _without_sections(result)
        for keyword in {card.keyword for card in result.cards if WCS_KEYWORD.fullmatch(card.keyword)}:
            result.remove(keyword, ignore_missing=True, remove_all=True)
        ny, nx = self._layout.raw_shape
        result["NAXIS1"], result["NAXIS2"] = nx, ny
        sections = [one.overscan_section for one in self.amplifiers if one.overscan_section is not None]
        result["DATASEC"] = result["TRIMSEC"] = self.trim
        if len(sections) == 1:
            (result["BIASSEC"],) = sections
        return result, found


class Mosaic:
    """
    A raw file of several amplifiers, as `read_mosaic` returns it.

    Attributes
    ----------
    name : str
        Of the file.
    chips : tuple of Chip
        Those that take the image, in the order of the file.
    others : tuple of Chip
        Those for focus and guiding.
    header : astropy.io.fits.Header
        The primary header.
    """

    def __init__(self, file: _File, chips: Sequence[Chip]) -> None:
        self.name, self.header = file.name, file.primary
        self.chips = tuple(chip for chip in chips if chip.kind == "science")
        self.others = tuple(chip for chip in chips if chip.kind != "science")

    def __getitem__(self, name: str) -> Chip:
        for chip in (*self.chips, *self.others):
            if chip.name == name:
                return chip
        names = ", ".join(repr(chip.name) for chip in (*self.chips, *self.others))
        msg = f"{self.name} has no chip {name!r}, but {names}."
        raise KeyError(msg)

    def __repr__(self) -> str:
        return f"<Mosaic {self.name!r}: {len(self.chips)} chips>"


def read_mosaic(
    filename: str | os.PathLike[str], *, unit: Any = None, amplifiers: Any = None, one_frame: bool = False
) -> Mosaic:
    """
    Read the layout of a raw file of several amplifiers, and its pixels chip by chip when they are asked for.

    Parameters
    ----------
    filename : str or path
        A FITS file; plain, compressed (.gz, .bz2) or tile-compressed (.fz). It is read as long as its chips are.
    unit : Unit, optional
        Of the pixels, for files that do not say theirs in BUNIT.
    amplifiers : sequence of mapping, optional
        The layout, for files whose headers do not tell it: for each amplifier ``extension`` (number or name of the HDU,
        0 if it is left out), ``plane`` (of a cube, from 1), ``data``, ``overscan`` and ``placed`` (sections of the image
        and of the assembled frame, the last one written backwards where the image is mirrored), ``corner`` (the one
        that is read first), ``gain``, ``gain_uncertainty``, ``read_noise``, ``saturation`` (numbers in electron/adu,
        electron and adu), ``chip`` and ``name``.
    one_frame : bool
        Whether all chips make one frame, with the gaps between them.

    Returns
    -------
    Mosaic
        Whose ``chips`` have a ``frame``, ``overscans``, ``amplifiers`` and a ``detector()``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as FITS, is cut off or damaged, or its headers do not say where its images belong, or
        contradict each other; the message names the keywords.
    ValueError
        If a key or a value of ``amplifiers`` means nothing.

    Warns
    -----
    HeaderWarning
        If the header holds cards that FITS does not allow, which are repaired.
    AstropyUserWarning
        If images say nothing of amplifiers, and are left out.

    Notes
    -----
    The layout comes from DATASEC, BIASSEC, DETSEC, CCDSEC, AMPSEC, CCDSUM and from LTM, DTM and ATM, with a letter at
    their end where an image has several amplifiers. A section that is written backwards, or a matrix with a negative
    sign, says that the image is mirrored; the assembled frame is in the orientation of the detector.

    Examples
    --------
    Two amplifiers, of which the right one is read from the right:

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astro_calib import read_mosaic
    >>> hdus = fits.HDUList([fits.PrimaryHDU()])
    >>> for section in ("[1:3,1:2]", "[6:4,1:2]"):
    ...     cards = {"DATASEC": "[1:3,1:2]", "BIASSEC": "[4:5,1:2]", "DETSEC": section, "BUNIT": "adu"}
    ...     hdus.append(fits.ImageHDU(np.arange(10, dtype=np.int16).reshape(2, 5), fits.Header(cards)))
    >>> with TemporaryDirectory() as directory:
    ...     path = Path(directory) / "raw.fits"
    ...     hdus.writeto(path)
    ...     (chip,) = read_mosaic(path).chips
    ...     frame, overscans = chip.frame, chip.overscans
    >>> frame.data
    array([[0, 1, 2, 2, 1, 0],
           [5, 6, 7, 7, 6, 5]], dtype=int16)
    >>> overscans[1].data
    array([[4, 3],
           [9, 8]], dtype=int16)
    >>> [(one.data_section, one.corner) for one in chip.amplifiers]
    [('[1:3,1:2]', 'lower left'), ('[4:6,1:2]', 'lower right')]
    """
    one_frame = check_switch("one_frame", one_frame)
    path = file_to_read(filename)
    if path is None:
        msg = f"read_mosaic takes a path, not {described(filename)}."
        raise TypeError(msg)
    try:
        file = _File(path, unit)
        layouts = _layouts(file, amplifiers)
        if one_frame:
            science = [layout for layout in layouts if layout.kind == "science"]
            layouts = [merged(science or layouts)]
    except FrameError as error:
        msg = f"{path.name} cannot be read: {error}"
        raise FrameError(msg) from error
    if file.repaired:
        warn(f"{path.name}: {remark_on_cards(file.repaired)}", HeaderWarning)
    return Mosaic(file, [Chip(file, layout) for layout in layouts])


class _File:
    """The headers of a file, repaired, and what reads its images."""

    def __init__(self, path: Path, unit: Any) -> None:
        self.name, self.unit = path.name, unit
        self._path, self._version = path, file_version(path.stat())
        units, self._is_plain = checked_units(path)
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
        if len(numbers) > MOST_IMAGES:
            msg = f"it has {len(numbers)} images; expected {MOST_IMAGES} at most, one an amplifier"
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


def _layouts(file: _File, tables: Any) -> list[ChipLayout]:
    images = file.images()
    if tables is not None:
        return chips_of(amplifiers_of_tables(tables, images))
    telling = [image for image in images if says_sections(image)]
    if telling and len(telling) < len(images):
        names = ", ".join(image.name for image in images if image not in telling)
        warn(f"{file.name}: {names} have neither DETSEC nor CCDSEC, and are left out.")
    return chips_of(amplifiers_of_headers(telling or images))


def _without_sections(header: Header) -> Header:
    """A header without what says where parts of the frame are."""
    result = header.copy()
    for keyword in {card.keyword for card in header.cards if OF_SECTIONS.fullmatch(card.keyword)}:
        result.remove(keyword, ignore_missing=True, remove_all=True)
    return result


def _wcs_of_chip(wcs: WCS, layout: ChipLayout, place: int) -> WCS:
    """The WCS of an amplifier's image as that of the chip's."""
    amplifier, placed = layout.amplifiers[place], layout.placed[place]
    starts, steps = [], []
    for axis in (1, 0):
        data, where = amplifier.data[axis], placed[axis]
        step = data.step / where.step * (-1 if amplifier.flipped[axis] else 1)
        first = data[-1] if amplifier.flipped[axis] else data.start
        starts.append(first - step * where.start)
        steps.append(step)
    return moved_wcs(wcs, starts, steps, layout.raw_shape[::-1])
