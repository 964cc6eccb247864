"""A chip in a raw file: its frame, with the overscan of each amplifier beside the data, and its detector."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.wcs import FITSFixedWarning

from astro_calib.arguments import described
from astro_calib.detector.amplifier import Amplifier
from astro_calib.detector.detector import Detector
from astro_calib.detector.sections import OF_SECTIONS, section_of
from astro_calib.errors import FrameError, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.wcs import moved_wcs
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.io.fits.image import unit_of_header
from astro_calib.io.fits.mosaic_pixels import assembled
from astro_calib.io.fits.readable import readable
from astro_calib.io.fits.wcs import WCS_KEYWORD, header_and_wcs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.io.fits import Header
    from astropy.wcs import WCS

    from astro_calib.detector.layout import Box, ChipLayout
    from astro_calib.io.fits.mosaic_file import MosaicFile

__all__ = ["Chip", "MosaicAmplifier"]

#: The numbers of an amplifier.
UNITS = {
    "gain": u.electron / u.adu,
    "gain_uncertainty": u.electron / u.adu,
    "read_noise": u.electron,
    "saturation": u.adu,
}


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
    read_section : str
        The part of ``data_section`` that was read, which is less in a window; empty if nothing tells.
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
    read_section: str = ""


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
        Of its ``frame``.
    raw_shape : (int, int)
        Of its ``raw`` frame, which has the overscans as well.
    amplifiers : tuple of MosaicAmplifier
        In the order of the file.
    trim : str
        The FITS section of the raw frame that has the data.
    """

    def __init__(self, file: MosaicFile, layout: ChipLayout) -> None:
        self._file, self._layout = file, layout
        self._header: Header | None = None
        self._raw: CCDFrame | None = None
        self.name, self.kind, self.shape = layout.name, layout.kind, layout.shape
        self.raw_shape = layout.raw_shape
        self.trim = section_of(range(self.shape[0]), range(self.shape[1]))
        self.amplifiers = tuple(
            MosaicAmplifier(
                name=one.name,
                data_section=section_of(*cell),
                overscan_section=None if strip is None else section_of(*strip.box),
                corner=one.corner,
                keywords=one.keywords,
                read_section=section_of(*placed),
                **{key: None if getattr(one, key) is None else getattr(one, key) * unit for key, unit in UNITS.items()},
            )
            for one, cell, placed, strip in zip(
                layout.amplifiers, layout.cells, layout.placed, layout.strips, strict=True
            )
        )

    def __repr__(self) -> str:
        ny, nx = self.shape
        return f"<Chip {self._full_name!r}: {nx} x {ny} pixels, {len(self.amplifiers)} amplifiers>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels as they are in the file."""
        return self._file.rows(self._layout.amplifiers[0].image).dtype

    @property
    def repaired(self) -> list[str]:
        """The names of the cards of the file that break the rules of FITS and were repaired."""
        return list(self._file.repaired)

    @property
    def _full_name(self) -> str:
        return f"{self._file.name}[{self.name}]" if self.name else self._file.name

    @property
    def header(self) -> Header:
        """
        The header of the raw frame, for which no pixels are read.

        It has the cards of the first amplifier and of the primary header, without those in which amplifiers differ.
        """
        if self._header is None:
            with readable(self._full_name):
                self._header = self._merged()
        return self._header.copy()

    @property
    def raw(self) -> CCDFrame:
        """
        The chip as it is in the file, in the orientation of the detector, with the overscans beside the data.

        The overscan of an amplifier lies to the right of all data in the amplifier's rows, or above them in its
        columns. Pixels that no amplifier has read are masked and flagged ``NO_DATA``.
        """
        # Not by functools: a warning would point there.
        if self._raw is None:
            self._raw = self._read()
        return self._raw

    def _read(self) -> CCDFrame:
        layout, file = self._layout, self._file
        numbers = dict.fromkeys(one.image for one in layout.amplifiers)
        header = self.header
        with readable(self._full_name):
            wcs = self._wcs()
            unit = unit_of_header(header, file.unit)
            pixels = assembled(layout, {number: file.rows(number) for number in numbers})
        # Nobody else has these pixels.
        frame = CCDFrame(
            pixels.values,
            unit=unit,
            mask=pixels.missing,
            meta=header,
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
                f"{self._full_name}: its amplifiers do not stand in a grid, so that pixels between them have none; "
                "read and calibrate it chip by chip."
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
        amplifiers = tuple(
            Amplifier(
                data_section=one.data_section,
                overscan_section=one.overscan_section,
                corner=one.corner,
                **{key: values[place] for key, values in numbers.items()},
            )
            for place, one in enumerate(self.amplifiers)
        )
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

    def _headers(self) -> dict[int, Header]:
        """Those of the images that the chip is in, by the numbers of their HDUs."""
        numbers = dict.fromkeys(one.image for one in self._layout.amplifiers)
        return {number: fits.Header(self._file.header(number), copy=True) for number in numbers}

    def _merged(self) -> Header:
        """The header of the raw frame."""
        result, *others = self._headers().values()
        for keyword in {card.keyword for card in result.cards} - {"", "COMMENT", "HISTORY"}:
            if (
                WCS_KEYWORD.fullmatch(keyword)
                or OF_SECTIONS.fullmatch(keyword)
                or any(keyword not in other or result[keyword] != other[keyword] for other in others)
            ):
                result.remove(keyword, ignore_missing=True, remove_all=True)
        result["NAXIS2"], result["NAXIS1"] = self.raw_shape
        sections = [one.overscan_section for one in self.amplifiers if one.overscan_section is not None]
        result["DATASEC"] = result["TRIMSEC"] = self.trim
        if len(sections) == 1:
            (result["BIASSEC"],) = sections
        return result

    def _wcs(self) -> WCS | None:
        """The WCS of the first amplifier that begins to tell one, as that of the raw frame."""
        telling = next(((number, one) for number, one in self._headers().items() if _tells_wcs(one)), None)
        if telling is None:
            return None
        with warnings.catch_warnings():
            # What astropy says of a date or a unit in the WCS does not concern the pixels.
            warnings.simplefilter("ignore", FITSFixedWarning)
            _, wcs = header_and_wcs(telling[1], self._full_name)
        if wcs is not None and wcs.naxis < 2:
            warn(f"{self._full_name}: its WCS has {wcs.naxis} axis, and is left out.")
            return None
        place = next(place for place, one in enumerate(self._layout.amplifiers) if one.image == telling[0])
        return None if wcs is None else _wcs_of_chip(wcs, self._layout, place)


def _tells_wcs(header: Header) -> bool:
    """Whether a header begins to tell a WCS."""
    return any(str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2))


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
