"""Which amplifier has read a pixel, and maps of what differs from one to the other."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.noise.mosaic import MosaicArray
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.noise.origin import Origin
    from astro_calib.noise.window import Window
    from astro_calib.steps.facts import FrameFacts

__all__ = [
    "PerAmplifier",
    "amplifier_sections",
    "digital_steps",
    "inside",
    "only",
    "per_amplifier",
    "sections_in",
    "uncertain_gains",
]


def amplifier_sections(ccd: FrameFacts, detector: Detector) -> list[tuple[slice, slice]]:
    """
    Rows and columns that each amplifier has read of a frame, which may have been trimmed; together they are all pixels.

    Raises
    ------
    FrameError
        If the detector has several amplifiers, and it is not known which pixels of the raw frame these are, or no
        amplifier reads some of them.
    """
    sections = sections_in(ccd, detector)
    if sum(_pixels(section) for section in sections) != ccd.size:
        msg = f"{ccd.name}: some pixels belong to none of the amplifiers' data sections; trim the overscan first."
        raise FrameError(msg)
    return sections


def sections_in(ccd: FrameFacts, detector: Detector) -> list[tuple[slice, slice]]:
    """The same for a frame that may have pixels that belong to none of the amplifiers' data sections."""
    if len(detector.amplifiers) == 1:
        return [(slice(0, ccd.shape[0], 1), slice(0, ccd.shape[1], 1))]
    origin = ccd.origin
    if origin is None:
        msg = (
            f"{ccd.name}: the detector has several amplifiers, and this frame is no longer a raw one, so that nothing "
            "says which of them read a pixel. Apply gain_correct and create_deviation before combining or assigning."
        )
        raise FrameError(msg)
    in_raw = detector.sections(origin.raw.shape)
    read = tuple(tuple(part.indices(n) for part, n in zip(one, origin.raw.shape, strict=True)) for one in in_raw)
    return list(_held(tuple(origin.window), ccd.shape, read))


@lru_cache(64)
def _held(
    window: Window, shape: tuple[int, ...], read: tuple[tuple[tuple[int, int, int], ...], ...]
) -> tuple[tuple[slice, slice], ...]:
    """Which rows and columns of a frame have each read cells of the raw frame; the same for all frames of a night."""
    sections = []
    for section in read:
        rows, columns = (
            _where(start + step * np.arange(n), np.arange(*cells))
            for (start, step), n, cells in zip(window, shape, section, strict=True)
        )
        sections.append((rows, columns))
    return tuple(sections)


def digital_steps(origin: Origin, detector: Detector) -> list[float]:
    """The digital step of the raw frame that each amplifier has, 0 where nothing was digitised."""
    if len(detector.amplifiers) == 1:
        return [origin.raw.step]
    return origin.raw.steps(detector.sections(origin.raw.shape))


def _where(held: NDArray[np.intp], read: NDArray[np.intp]) -> slice:
    """Which rows or columns of a frame an amplifier has read; both step evenly through the raw frame."""
    found = np.flatnonzero(np.isin(held, read))
    if not found.size:
        return slice(0, 0, 1)
    return slice(int(found[0]), int(found[-1]) + 1, int(found[1] - found[0]) if found.size > 1 else 1)


def _pixels(section: tuple[slice, slice]) -> int:
    rows, columns = section
    return len(range(rows.start, rows.stop, rows.step)) * len(range(columns.start, columns.stop, columns.step))


def inside(sections: Sequence[tuple[slice, slice]], index: int, shape: tuple[int, ...]) -> float | MosaicArray:
    """What is one in a section and zero in the others: the same for all frames, so that gains cancel."""
    return only(sections, index, shape).as_field(np.float32)


def only(sections: Sequence[tuple[slice, slice]], index: int, shape: tuple[int, ...]) -> PerAmplifier:
    """One for one amplifier, zero for the others."""
    return PerAmplifier(sections, tuple(float(other == index) for other in range(len(sections))), shape)


class PerAmplifier(NamedTuple):
    """
    A number for each amplifier.

    Attributes
    ----------
    sections : sequence of (slice, slice)
        Rows and columns of a frame that each has read, as from `amplifier_sections`.
    values : tuple of float
        One for each.
    shape : (int, int)
        Of the frame.
    outside : float
        For pixels that no amplifier has read, such as those of the overscan.
    """

    sections: Sequence[tuple[slice, slice]]
    values: tuple[float, ...]
    shape: tuple[int, ...]
    outside: float = 0.0

    def as_field(self, dtype: Any = np.float64) -> float | MosaicArray:
        """The numbers at the pixels of the frame, without an array of its size; a number if all are the same."""
        held = [(section, value) for section, value in zip(self.sections, self.values, strict=True) if _pixels(section)]
        values = [value for _, value in held]
        if len({*values, *(() if self.is_whole else (self.outside,))}) == 1:
            return float([*values, self.outside][0])
        return MosaicArray.of_sections([section for section, _ in held], values, self.shape, dtype, self.outside)

    def over(self, dtype: Any = np.float64) -> float | NDArray[Any]:
        """The same as a number or a read-only array that broadcasts to the frame."""
        found = self.as_field(dtype)
        return found if isinstance(found, float) else found.compact

    @property
    def is_contiguous(self) -> bool:
        """Whether each amplifier has read all rows and columns of its section."""
        return all(part.step == 1 for section in self.sections for part in section)

    @property
    def is_whole(self) -> bool:
        """Whether each pixel was read by one of the amplifiers."""
        return sum(map(_pixels, self.sections)) == self.shape[0] * self.shape[1]

    @property
    def parts(self) -> tuple[tuple[tuple[slice, slice], ...], tuple[float, ...]]:
        """The sections that have pixels, if they are contiguous, and the rest of the frame, each with its number."""
        held = [(section, value) for section, value in zip(self.sections, self.values, strict=True) if _pixels(section)]
        if not self.is_whole:
            cells = tuple(tuple((part.start, part.stop) for part in section) for section, _ in held)
            held += [(section, self.outside) for section in _rest(cells, self.shape)]
        return tuple(section for section, _ in held), tuple(value for _, value in held)


@lru_cache(64)
def _rest(cells: tuple[tuple[tuple[int, int], ...], ...], shape: tuple[int, int]) -> tuple[tuple[slice, slice], ...]:
    """Rectangles that together are the pixels of a frame in none of some others."""
    edges = [sorted({0, n, *(edge for one in cells for edge in one[axis])}) for axis, n in enumerate(shape)]
    found: list[tuple[slice, slice]] = []
    for rows in pairwise(edges[0]):
        free = [
            columns
            for columns in pairwise(edges[1])
            if not any(y[0] <= rows[0] < y[1] and x[0] <= columns[0] < x[1] for y, x in cells)
        ]
        found += [(slice(*rows, 1), slice(*columns, 1)) for columns in free]
    return tuple(found)


def per_amplifier(ccd: FrameFacts, detector: Detector, attribute: str) -> PerAmplifier:
    """An attribute of the amplifiers that have read a frame."""
    values = tuple(float(getattr(amplifier, attribute).value) for amplifier in detector.amplifiers)
    return PerAmplifier(amplifier_sections(ccd, detector), values, ccd.shape)


def uncertain_gains(detector: Detector) -> Iterator[tuple[int, float, NoiseSource]]:
    """Of each amplifier whose gain is uncertain its number, its gain, and the error of that, in electrons per adu."""
    for index, amplifier in enumerate(detector.amplifiers):
        uncertainty = 0.0 if amplifier.gain_uncertainty is None else float(amplifier.gain_uncertainty.value)
        if uncertainty > 0:
            source = NoiseSource("gain", uncertainty**2, axes=(), identity=detector.gain_identity(index))
            yield index, float(amplifier.gain.value), source
