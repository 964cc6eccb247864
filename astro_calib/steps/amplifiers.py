"""Which amplifier has read a pixel, and maps of what differs from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.noise.origin import Origin
    from astro_calib.steps.facts import FrameFacts

__all__ = [
    "PerAmplifier",
    "amplifier_sections",
    "digital_steps",
    "inside",
    "over_sections",
    "per_amplifier",
    "uncertain_gains",
]

#: Maps of the amplifiers' values, each there once for all frames that refer to it, as long as one does.
_maps: WeakValueDictionary[tuple[Any, ...], NDArray[Any]] = WeakValueDictionary()


def amplifier_sections(ccd: FrameFacts, detector: Detector) -> list[tuple[slice, slice]]:
    """
    Rows and columns that each amplifier has read of a frame, which may have been trimmed; together they are all pixels.

    Raises
    ------
    FrameError
        If the detector has several amplifiers, and it is not known which pixels of the raw frame these are, or no
        amplifier reads some of them.
    """
    if len(detector.amplifiers) == 1:
        return [(slice(0, ccd.shape[0], 1), slice(0, ccd.shape[1], 1))]
    origin = ccd.origin
    if origin is None:
        msg = (
            f"{ccd.name}: the detector has several amplifiers, and this frame is no longer a raw one, so that its "
            "pixels "
            "cannot be told apart by amplifier. Apply gain_correct and create_deviation before combining or assigning."
        )
        raise FrameError(msg)
    cells = [start + step * np.arange(n) for (start, step), n in zip(origin.window, ccd.shape, strict=True)]
    sections = []
    for section in detector.sections(origin.raw.shape):
        rows, columns = (
            _where(held, np.arange(length)[part])
            for held, length, part in zip(cells, origin.raw.shape, section, strict=True)
        )
        sections.append((rows, columns))
    if sum(_pixels(section) for section in sections) != ccd.size:
        msg = f"{ccd.name}: some pixels belong to none of the amplifiers' data sections; trim the overscan first."
        raise FrameError(msg)
    return sections


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
    rows, columns = (len(range(part.start, part.stop, part.step)) for part in section)
    return rows * columns


def over_sections(
    sections: Sequence[tuple[slice, slice]], values: Sequence[float], shape: tuple[int, ...], dtype: Any = np.float64
) -> float | NDArray[Any]:
    """
    A map of values that are constant over each section.

    Parameters
    ----------
    sections : sequence of (slice, slice)
        Rows and columns, as from `amplifier_sections`.
    values : sequence of float
        One for each section.
    shape : (int, int)
        Of the frame.
    dtype : dtype
        Of the map.

    Returns
    -------
    float or ndarray, shape (ny, nx), (1, nx) or (ny, 1)
        A number if all values are the same; an array, read-only, that broadcasts to the frame.
    """
    if len(set(values)) == 1:
        return float(values[0])
    filled = [(section, value) for section, value in zip(sections, values, strict=True) if _pixels(section)]
    # Along an axis that no section divides one value is enough.
    divided = [any(section[axis] != slice(0, n, 1) for section, _ in filled) for axis, n in enumerate(shape)]
    lengths = tuple(n if cut else 1 for n, cut in zip(shape, divided, strict=True))
    parts = [tuple(part if cut else slice(None) for part, cut in zip(s, divided, strict=True)) for s, _ in filled]
    key = (lengths, np.dtype(dtype).str, repr(parts), tuple(value for _, value in filled))
    result = _maps.get(key)
    if result is None:
        result = np.zeros(lengths, dtype=dtype)
        for part, (_, value) in zip(parts, filled, strict=True):
            result[part] = value
        result.flags.writeable = False
        _maps[key] = result
    return result


def inside(sections: Sequence[tuple[slice, slice]], index: int, shape: tuple[int, ...]) -> float | NDArray[Any]:
    """A map that is one in a section and zero in the others: the same for all frames, so that gains cancel."""
    return over_sections(sections, [float(other == index) for other in range(len(sections))], shape, np.float32)


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
    """

    sections: Sequence[tuple[slice, slice]]
    values: tuple[float, ...]
    shape: tuple[int, ...]

    def over(self, dtype: Any = np.float64) -> float | NDArray[Any]:
        """The numbers at the pixels of the frame, as from `over_sections`."""
        return over_sections(self.sections, self.values, self.shape, dtype)

    @property
    def is_contiguous(self) -> bool:
        """Whether each amplifier has read all rows and columns of its section."""
        return all(part.step == 1 for section in self.sections for part in section)


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
