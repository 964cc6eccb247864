"""Which pixels of a simulated raw frame each amplifier reads, in which order, and with what noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.amplifier import CORNERS, Amplifier
from astro_calib.detector.sections import slices_of_section
from astro_calib.simulate.electronics import ReadOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.simulate.electronics import ReadOutTone

__all__ = ["Layout", "Reading", "layout_of", "with_read_outs"]


class Reading(NamedTuple):
    """
    What one amplifier reads.

    Attributes
    ----------
    rows, columns : ndarray of int
        Cells of the raw frame, those of the overscan behind those of the image.
    image : (slice, slice)
        Its part of the imaging area.
    corner : str
        The corner of the image part that is read first.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    image: tuple[slice, slice]
    corner: str = "lower left"

    def in_order(self, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """
        When each row and each pixel of a row is read, counted from the corner, and which pixels are overscan.

        ``shape`` is that of the imaging area. The overscan is read after the image, wherever it lies in the frame.
        """
        columns_fall, rows_fall = CORNERS[self.corner]
        number = len(range(shape[1])[self.image[1]])
        order = []
        for cells, falls, length in ((self.rows, rows_fall, len(self.rows)), (self.columns, columns_fall, number)):
            of_image = cells[:length]
            step = int(of_image[1] - of_image[0]) if length > 1 else 1
            order.append((of_image[-1] - cells if falls else cells - of_image[0]) / step)
        behind = np.arange(number, len(self.columns), dtype=np.float64)
        order[1][number:] = behind[::-1] if columns_fall else behind
        return order[0], order[1], np.arange(len(self.columns)) >= number


class Layout(NamedTuple):
    """The shape of a raw frame, where the imaging area is in it, and what each amplifier reads."""

    shape: tuple[int, int]
    image: tuple[slice, slice]
    readings: tuple[Reading, ...]

    def over_image(self, values: Sequence[float], shape: tuple[int, int]) -> float | NDArray[np.float64]:
        """A number for each amplifier at the pixels of the imaging area; a number if there is one amplifier."""
        if len(values) == 1:
            return float(values[0])
        result = np.empty(shape)
        for reading, value in zip(self.readings, values, strict=True):
            result[reading.image] = value
        return result


def layout_of(shape: tuple[int, int], detector: Detector, overscan_columns: int) -> Layout:
    """
    Where everything is in the raw frames of a camera.

    Raises
    ------
    ValueError
        If the sections of several amplifiers are not together the imaging area, with overscans beside it.
    """
    ny, nx = shape
    amplifiers = detector.amplifiers
    if len(amplifiers) == 1:
        cells = np.arange(ny), np.arange(nx + overscan_columns)
        return Layout((ny, nx + overscan_columns), (slice(0, ny), slice(0, nx)), (Reading(*cells, np.s_[:ny, :nx]),))
    if any(amplifier.overscan_section is None for amplifier in amplifiers):
        msg = (
            f"without an overscan_section of each, the simulator reads through one amplifier; the detector has "
            f"{len(amplifiers)}."
        )
        raise ValueError(msg)
    if overscan_columns:
        msg = f"overscan_columns is {overscan_columns}; the amplifiers say themselves where their overscans are."
        raise ValueError(msg)
    sections = [(_cells(one.data_section), _cells(one.overscan_section)) for one in amplifiers]
    first, last = ([find([find(data[axis]) for data, _ in sections]) for axis in (0, 1)] for find in (np.min, np.max))
    held = np.zeros(shape, dtype=int)
    readings = []
    for amplifier, (data, overscan) in zip(amplifiers, sections, strict=True):
        if not np.array_equal(data[0], overscan[0]):
            msg = f"the overscan {amplifier.overscan_section} has other rows than {amplifier.data_section}."
            raise ValueError(msg)
        image = tuple(_slice(cells - start) for cells, start in zip(data, first, strict=True))
        held[image[0], image[1]] += 1
        columns = np.concatenate([data[1], overscan[1]])
        readings.append(Reading(data[0], columns, (image[0], image[1]), amplifier.corner))
    if [int(end - start) + 1 for start, end in zip(first, last, strict=True)] != [ny, nx] or not np.all(held == 1):
        msg = f"the data sections of the amplifiers are not together an imaging area of {nx} columns and {ny} rows."
        raise ValueError(msg)
    whole = (
        int(last[0]) + 1,
        int(max(max(data[1].max(), overscan[1].max()) for data, overscan in sections)) + 1,
    )
    return Layout(whole, (slice(int(first[0]), whole[0]), slice(int(first[1]), int(last[1]) + 1)), tuple(readings))


def _cells(section: str | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = (range(part.start or 0, part.stop, part.step or 1) for part in slices_of_section(section))
    return np.array(rows), np.array(columns)


def _slice(cells: NDArray[np.intp]) -> slice:
    return slice(int(cells[0]), int(cells[-1]) + 1, int(cells[1] - cells[0]) if len(cells) > 1 else 1)


def with_read_outs(
    detector: Detector, read_out: ReadOut | Sequence[ReadOut] | None, common: Sequence[ReadOutTone]
) -> tuple[Detector, tuple[ReadOut | None, ...]]:
    """
    The detector whose amplifiers have the noise of their read-outs, and these, without the tones common to all.

    Raises
    ------
    ValueError
        If there is not one read-out for each amplifier.
    """
    amplifiers = detector.amplifiers
    own = (read_out,) * len(amplifiers) if read_out is None or isinstance(read_out, ReadOut) else tuple(read_out)
    if len(own) != len(amplifiers):
        msg = f"there are {len(own)} read-outs; expected one, or one for each of {len(amplifiers)} amplifiers."
        raise ValueError(msg)
    if common:
        own = tuple(
            ReadOut(white=float(amplifier.read_noise.value)) if one is None else one
            for amplifier, one in zip(amplifiers, own, strict=True)
        )
    read = [None if one is None else replace(one, tones=(*one.tones, *common)) for one in own]
    if len(amplifiers) == 1 and read[0] is not None:
        sigma = np.sqrt(read[0].variance) * u.electron
        rows = read[0].rows_in_overscan
        return detector.read_out_with(sigma, read[0].correlation(), rows_in_overscan=rows), own
    if len(amplifiers) > 1:
        several = [
            amplifier if one is None else _read_out_with(amplifier, one)
            for amplifier, one in zip(amplifiers, read, strict=True)
        ]
        detector = replace(detector, amplifiers=tuple(several))
    return detector, own


def _read_out_with(amplifier: Amplifier, read_out: ReadOut) -> Amplifier:
    return replace(
        amplifier,
        read_noise=np.sqrt(read_out.variance) * u.electron,
        correlation=read_out.correlation(),
        rows_in_overscan=read_out.rows_in_overscan,
    )
