"""Subtracting crosstalk: what an amplifier has of the values that the others read at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import described
from astro_calib.detector.crosstalk import Crosstalk
from astro_calib.detector.detector import as_detector
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.noise.sparse import SomePixels, SparseArray
from astro_calib.steps.amplifiers import PerAmplifier, inside
from astro_calib.steps.applied import check_not_done, note_done
from astro_calib.steps.read_order import clear_outside, in_read_order, read_sections
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.propagation import Term
    from astro_calib.steps.read_order import ReadSection
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractCrosstalk", "subtract_crosstalk"]

#: Pixels that the typical value of an amplifier is found from.
SAMPLE = 10_000
#: The error of a coefficient counts pixel by pixel where it differs from that of the typical value by this part of the
#: standard deviation of the read noise; everywhere else that of the typical value does.
SMALL = 1e-3
#: The ghost of a saturated pixel is flagged where it reaches this part of the standard deviation of the read noise.
VISIBLE = 0.1


class _Bright(NamedTuple):
    """The values of an amplifier that stand out, in the order in which it reads."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    #: Less the typical value; NaN for what is no number.
    values: NDArray[Any]

    @property
    def known(self) -> _Bright:
        """Those that are numbers."""
        known = np.isfinite(self.values)
        return self if known.all() else _Bright(*(one[known] for one in self))


class SubtractCrosstalk(LinearStep):
    """The step of `subtract_crosstalk`."""

    name = "crosstalk"

    def __init__(self, crosstalk: Crosstalk, detector: Detector) -> None:
        self.detector = as_detector(detector, "subtract_crosstalk")
        if not isinstance(crosstalk, Crosstalk):
            msg = f"the crosstalk is {described(crosstalk)}; expected Crosstalk(matrix), a row for each amplifier."
            raise TypeError(msg)
        if crosstalk.amplifiers != len(self.detector.amplifiers):
            msg = (
                f"the crosstalk is that of {crosstalk.amplifiers} amplifiers, and the detector has "
                f"{len(self.detector.amplifiers)}; expected one row and one column for each."
            )
            raise ValueError(msg)
        self.crosstalk = crosstalk
        amplifiers = self.detector.amplifiers
        noises = [float(one.read_noise.value) / float(one.gain.value) for one in amplifiers]
        # In adu, with that of digitisation.
        self._read_noises = np.hypot(noises, 12**-0.5)

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the ghosts, add the errors of the coefficients, and flag the ghosts of saturated pixels."""
        if frame.unit != u.adu:
            msg = f"{frame.name} is in {frame.unit}; crosstalk is subtracted in adu, before the gain."
            raise u.UnitConversionError(msg)
        check_not_done(frame, self.name, self.crosstalk.identity_of_all(), "this crosstalk was subtracted")
        sections = read_sections(frame, self.detector)
        if frame.dtype.kind != "f":
            msg = (
                f"{frame.name} is a raw frame of whole numbers: its levels would count as signal that comes over. "
                "Subtract them first, with subtract_overscan, or calibrate with overscan= or pedestal=."
            )
            raise FrameError(msg)
        values, levels = frame.values_and_levels([(one.rows, one.columns) for one in sections])
        typical = [
            _typical(in_read_order(values, section), level, frame.dtype)
            for section, level in zip(sections, levels, strict=True)
        ]
        from astro_calib.kernels.crosstalk import ghosts_of

        matrix, progressions = self.crosstalk.matrix, np.array([section.progression for section in sections])
        ghosts, found = ghosts_of(
            values, np.array(levels), progressions, matrix, np.array(typical), self._limits(), frame.dtype
        )
        bright = [_Bright(*one) for one in found]
        clear_outside(ghosts, sections)
        ghosts.flags.writeable = False
        self._flag(frame, typical, bright, sections)
        self._add_noise(frame, sections, typical, [one.known for one in bright], ghosts.dtype)
        frame.add(ghosts)
        note_done(frame, self.name, self.crosstalk.identity_of_all())

    def _limits(self) -> NDArray[np.float64]:
        """How far from the typical value a value of each amplifier has to be to count by itself."""
        noises = self._read_noises
        matrix, uncertainty = np.abs(self.crosstalk.matrix), self._uncertainty
        limits = []
        for number in range(len(noises)):
            with np.errstate(divide="ignore"):
                of_error = SMALL * noises / uncertainty[:, number]
                to_be_seen = VISIBLE * noises / matrix[:, number]
            limits.append(float(min(of_error.min(), to_be_seen.min())))
        return np.array(limits)

    @property
    def _uncertainty(self) -> NDArray[np.float64]:
        known = self.crosstalk.uncertainty
        return np.zeros_like(self.crosstalk.matrix) if known is None else known

    def _add_noise(
        self, frame: FrameSoFar, sections: list[ReadSection], typical: list[float], bright: list[_Bright], dtype: Any
    ) -> None:
        """The errors of the coefficients."""
        if not self._uncertainty.any():
            return
        where = [(section.rows, section.columns) for section in sections]
        rows, columns, excess = _together(bright, dtype)
        terms: list[Term] = []
        levels = [0.0] * len(sections)
        ghosts: list[tuple[NDArray[np.int64], NDArray[Any]]] = []
        for victim, section in enumerate(sections):
            exist = _exist(rows, columns, section)
            flat = section.flat(rows[exist], columns[exist], frame.shape)
            order = np.argsort(flat, kind="stable")
            pixels, held = SomePixels(flat[order], frame.shape), np.flatnonzero(exist)[order]
            variance, of_victim = np.zeros(len(flat), dtype=dtype), inside(where, victim, frame.shape)
            for aggressor in np.flatnonzero(self._uncertainty[victim]).tolist():
                error, level, values = (
                    float(self._uncertainty[victim, aggressor]),
                    typical[aggressor],
                    excess[aggressor][held],
                )
                coefficient = Coefficient(-1.0).times(SparseArray(pixels, values))
                if level:
                    coefficient += Coefficient(-level).times(of_victim)
                identity = self.crosstalk.identity(victim, aggressor)
                terms.append((NoiseSource("crosstalk", error**2, axes=(), identity=identity), coefficient))
                levels[victim] += (error * level) ** 2
                variance += error**2 * values * (values + 2 * level)
            ghosts.append((pixels.flat, variance))
        flat, variance = (np.concatenate(parts) for parts in zip(*ghosts, strict=True))
        order = np.argsort(flat, kind="stable")
        more = SparseArray(SomePixels(flat[order], frame.shape), variance[order])
        frame.add_noises(terms, PerAmplifier(where, tuple(levels), frame.shape), more)

    def _flag(
        self, frame: FrameSoFar, typical: list[float], bright: list[_Bright], sections: list[ReadSection]
    ) -> None:
        """Flag the ghosts of saturated pixels that are to be seen, and those of what is no number."""
        matrix, noises = np.abs(self.crosstalk.matrix), self._read_noises
        ghosts = [np.zeros(0, dtype=np.int64)]
        for aggressor, (rows, columns, values) in enumerate(bright):
            is_clipped = frame.flagged(DataQuality.SATURATED, sections[aggressor].flat(rows, columns, frame.shape))
            is_lost = np.isnan(values)
            clipped = np.flatnonzero(is_clipped | is_lost)
            y, x, levels = rows[clipped], columns[clipped], np.abs(values[clipped] + typical[aggressor])
            for victim in np.flatnonzero(matrix[:, aggressor]) if clipped.size else ():
                is_seen = is_lost[clipped] | (matrix[victim, aggressor] * levels > VISIBLE * noises[victim])
                is_seen &= _exist(y, x, sections[victim])
                ghosts.append(sections[victim].flat(y[is_seen], x[is_seen], frame.shape))
        pixels = np.unique(np.concatenate(ghosts))
        if pixels.size:
            flags = np.full(pixels.shape, DataQuality.CROSSTALK, dtype=np.uint16)
            frame.flag_some(SparseArray(SomePixels(pixels, frame.shape), flags))


def subtract_crosstalk(ccd: CCDFrame, crosstalk: Crosstalk, detector: Detector) -> CCDFrame:
    r"""
    Subtract what each amplifier has of the values that the others read at the same moment.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame in adu, as it is in the file, less its overscan level, so that its values are net of it.
    crosstalk : Crosstalk
        How much of each amplifier is found in the others.
    detector : Detector
        Its amplifiers, in the order of the matrix; ``corner`` says where each begins to read.

    Returns
    -------
    CCDFrame
        Less its ghosts. Where the ghost is that of a saturated pixel, `DataQuality.CROSSTALK` is set.

    Raises
    ------
    astropy.units.UnitConversionError
        If the frame is not in adu.
    FrameError
        If the same crosstalk was subtracted before, rows or columns were cut off, so that it is not known what was read
        together, or the frame is a raw one of whole numbers, whose levels were not subtracted.
    ValueError
        If the detector has another number of amplifiers.

    Notes
    -----
    With the value :math:`v_j` of amplifier j that is read together with that of amplifier i,

    .. math:: z_i = v_i - \sum_j c_{ij} v_j.

    All amplifiers read the corner of their section first, at the same moment. The ghosts of ghosts, of the order of
    :math:`c^2`, are left.

    The error of :math:`c_{ij}` is one source of noise that all frames share, with the sensitivity coefficient
    :math:`-v_j`. For values close to the typical one of their amplifier it is that of the typical one. The shot noise
    of :math:`v_j` is in the ghost, too, and is subtracted with it. Its read noise, times :math:`c_{ij}`, is
    neglected.

    A pixel that is saturated has had more light than its value says. What was subtracted is then the ghost of its
    value: all of the ghost where the signal was clipped before it came over, and a lower limit where only the digital
    converter has clipped it. The flag says so, and does not mask the pixel.

    Examples
    --------
    The left amplifier reads from the left, the right one from the right, and has a hundredth of the left one:

    >>> import astropy.units as u
    >>> from astro_calib import (
    ...     Amplifier,
    ...     CCDFrame,
    ...     Crosstalk,
    ...     Detector,
    ...     subtract_crosstalk,
    ... )
    >>> numbers = {"gain": 2 * u.electron / u.adu, "read_noise": 5 * u.electron}
    >>> left = Amplifier(data_section="[1:2, 1:1]", **numbers)
    >>> right = Amplifier(
    ...     data_section="[3:4, 1:1]", corner="lower right", **numbers
    ... )
    >>> frame = CCDFrame([[1000.0, 20.0, 30.0, 40.0]], unit="adu")
    >>> subtract_crosstalk(
    ...     frame,
    ...     Crosstalk([[0, 0], [0.01, 0]]),
    ...     Detector(amplifiers=[left, right]),
    ... ).data
    array([[1000. ,   20. ,   29.8,   30. ]])
    """
    return SubtractCrosstalk(crosstalk, detector)(ccd)


def _typical(values: NDArray[Any], level: float, dtype: np.dtype[Any]) -> float:
    step = max(1, round((values.size / SAMPLE) ** 0.5))
    some = values[step // 2 :: step, step // 2 :: step].astype(dtype) + dtype.type(level)
    some = some[np.isfinite(some)]
    return float(np.median(some)) if some.size else 0.0


def _exist(rows: NDArray[Any], columns: NDArray[Any], section: ReadSection) -> NDArray[np.bool_]:
    """Which of the places in the order of the read-out an amplifier has."""
    return np.asarray((rows < section.shape[0]) & (columns < section.shape[1]))


def _together(bright: list[_Bright], dtype: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
    """Rows and columns, in the order of the read-out, at which some amplifier's value stands out; and those of all."""
    width = max((int(one.columns.max(initial=0)) for one in bright), default=0) + 1
    places = np.unique(np.concatenate([one.rows * width + one.columns for one in bright]))
    excess = np.zeros((len(bright), len(places)), dtype=dtype)
    for one, values in zip(bright, excess, strict=True):
        values[np.searchsorted(places, one.rows * width + one.columns)] = one.values
    rows, columns = np.divmod(places, width)
    return rows, columns, excess
