"""Subtract the electronic level that the overscan shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import NDData

from astro_calib.arguments import is_sequence_of, other_words
from astro_calib.detector.amplifier import CORNERS
from astro_calib.detector.detector import Detector, as_detector
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import as_frame
from astro_calib.noise.coefficient import Coefficient
from astro_calib.steps.amplifiers import PerAmplifier, only, sections_in
from astro_calib.steps.header import forget_encoding, forget_levels
from astro_calib.steps.overscan_level import CLIP, Strip, overscan_level
from astro_calib.steps.quality import flag_saturated
from astro_calib.steps.section import section_slices
from astro_calib.steps.step import LinearStep
from astro_calib.steps.subtracted_level import OVERSCAN, has_level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.modeling import Model
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.source import NoiseSource
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractOverscan", "overscan_to_apply", "subtract_overscan"]


class SubtractOverscan(LinearStep):
    """The step of `subtract_overscan`, with its arguments."""

    name = "overscan"

    def __init__(
        self,
        *,
        overscan: CCDFrame | Sequence[CCDFrame | str] | None = None,
        overscan_axis: int | tuple[int, int] | None = 1,
        fits_section: str | None = None,
        median: bool = False,
        model: Model | None = None,
        clip: float | None = CLIP,
        detector: Detector | None = None,
    ) -> None:
        self.overscan, self.fits_section, self.detector = overscan, fits_section, detector
        self.how = overscan_axis, median, model, clip

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the level."""
        if (self.overscan is None) == (self.fits_section is None):
            msg = "give the overscan either as overscan (a cut of the frame) or as fits_section, not both."
            raise TypeError(msg)
        _warn_of_order(frame)
        if isinstance(self.overscan, (list, tuple)) and (self.detector or _are_overscans(self.overscan)):
            strips = _strips(frame, self.overscan, as_detector(self.detector, "the overscan of several amplifiers"))
        else:
            overscan = self.overscan
            if self.fits_section is not None:
                overscan = frame.part(section_slices(frame, self.fits_section, "the overscan section"))
            strips = [Strip(as_frame(overscan, "the overscan"), (slice(None), slice(None)))]
        _refuse_twice(frame, strips)
        sections, numbers = [strip.section for strip in strips], [0.0] * len(strips)
        for index, strip in enumerate(strips):
            level, terms, lost = overscan_level(frame, strip, *self.how)
            if strip.amplifier is None:
                where, spread = None, lost
                frame.add(level, -1.0)
            else:
                where = only(sections, index, frame.shape)
                spread = _in_frame(lost, frame, strip)
                if np.ndim(level):
                    frame.add_in(where, -_in_frame(level, frame, strip))
                else:
                    numbers[index] = float(level)
            for term in terms:
                frame.add_noise(*(term if where is None else _term_in_frame(*term, frame, strip)), where=where)
            if lost.any():
                flagged = np.broadcast_to(spread, frame.shape)
                if where is not None:
                    flagged = flagged & (np.broadcast_to(where.over(), frame.shape) > 0)
                _warn_of_lost(frame, lost, flagged, strip.amplifier)
                frame.flag(flagged, DataQuality.NO_DATA)
        if any(numbers):
            frame.add(PerAmplifier(sections, tuple(numbers), frame.shape), -1.0)
        forget_encoding(frame.edited_meta())
        forget_levels(frame.edited_meta())


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def subtract_overscan(
    ccd: CCDFrame,
    overscan: CCDFrame | Sequence[CCDFrame | str] | None = None,
    overscan_axis: int | tuple[int, int] | None = 1,
    fits_section: str | None = None,
    median: bool = False,
    model: Model | None = None,
    *,
    clip: float | None = CLIP,
    detector: Detector | None = None,
) -> CCDFrame:
    r"""
    Subtract the level of the overscan, whose error becomes a source of noise.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame.
    overscan : CCDFrame or sequence, optional
        The overscan, as a cut of ``ccd``. Or a list with one overscan for each amplifier of the detector: FITS sections
        of ``ccd``, or frames that hold the overscan pixels of an amplifier, with their rows (columns) in the order of
        those of its section. The level of each is then subtracted from its own pixels; those that no amplifier has
        read stay what they are.
    overscan_axis : {1, 0, (0, 1), None}
        Axis over which the overscan is averaged: 1 gives one level for each row, 0 one for each column, (0, 1) one for
        the frame. None averages over the overscan's shorter side.
    fits_section : str, optional
        FITS section of the overscan, instead of ``overscan``.
    median : bool
        Take the median instead of the mean.
    model : astropy.modeling.Model, optional
        Fitted to the levels of rows or columns; its values are subtracted instead of them.
    clip : float or None
        Overscan pixels further than this many standard deviations from the median of their row, column or frame are
        left out, so that a cosmic ray does not count; None keeps all. Masked pixels never count.
    detector : Detector, optional
        Whose amplifiers a list of overscans is for.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        The frame less the level, overscan included; float32 for integers of 16 bits. Its header leaves out SATURATE and
        other levels of the frame as it was. Rows (columns) without a good pixel in the overscan are masked and flagged
        ``NO_DATA``, and a `~astro_calib.errors.NoiseWarning` counts them; a model has a level for them.

    Raises
    ------
    TypeError
        If not exactly one of ``overscan`` and ``fits_section`` is given.
    FrameError
        If the section lies outside the frame, or the overscan has no good pixel.
    ShapeMismatchError
        If the overscan has not as many rows (columns) as the frame.

    Warns
    -----
    NoiseWarning
        If `create_deviation` has given the frame read noise with a correlation before: what image and overscan have in
        common then counts as independent.

    Notes
    -----
    The level of n pixels with scatter s has the variance :math:`f s^2/n`, with f = 1 for a mean and the factor of
    `~astro_calib.estimators.median_variance_factor` for a median. A median of whole numbers is interpolated, which is
    a little better than the plain median of values that are not rounded, and f is less, by 7% at a scatter of 4 adu.
    A model with p parameters has p sources, each common to the frame: an orthonormal basis of the space that its
    derivatives span, with the residual scatter of the levels.

    Where rows scatter by more than their pixels explain, and not by chance, differences of neighbouring rows tell
    whether the image follows. What image and overscan have in common is subtracted, and is no error; what the image
    does not follow is a second source. A detector whose read noise has a correlation says both better:
    `create_deviation` then takes the tones and the rows of the level as part of the read noise, and leaves to the
    overscan what its pixels have each for itself. Of several amplifiers each counts as reading its overscan right after
    its data, wherever the overscan lies in the frame.

    The level of a row is common to the row's pixels. Over an aperture it adds up coherently.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, subtract_overscan
    >>> rng = np.random.default_rng(1)
    >>> raw = CCDFrame(
    ...     rng.normal(1000, 5, (100, 140)).astype(np.float32), unit="adu"
    ... )
    >>> image = subtract_overscan(
    ...     raw, fits_section="[101:140, 1:100]", overscan_axis=(0, 1)
    ... )
    >>> image.budget.names  # 4000 pixels of sigma 5: 25 / 4000
    ('overscan',)
    >>> float(image.variance[0, 0].round(4))
    0.0062
    """
    return SubtractOverscan(
        overscan=overscan,
        overscan_axis=overscan_axis,
        fits_section=fits_section,
        median=median,
        model=model,
        clip=clip,
        detector=detector,
    )(ccd)


def overscan_to_apply(
    overscan: str | CCDFrame | Sequence[str | CCDFrame], detector: Detector
) -> CCDFrame | list[str | CCDFrame] | None:
    """An overscan that is a frame, with its saturated pixels flagged, or that of each amplifier; None for a section."""
    if isinstance(overscan, str):
        return None
    if not isinstance(overscan, (list, tuple)):
        return flag_saturated(as_frame(overscan, "the overscan"), detector)
    return [
        one if isinstance(one, str) else flag_saturated(as_frame(one, "the overscan"), detector.alone(index))
        for index, one in enumerate(overscan)
    ]


def _are_overscans(given: Sequence[Any]) -> bool:
    """Whether a list holds overscans, so that what lacks is the detector."""
    return bool(given) and is_sequence_of((str, NDData), given)


def _strips(frame: FrameSoFar, overscans: Sequence[Any], detector: Detector) -> list[Strip]:
    """The overscan of each amplifier of a detector, with the pixels of the frame that it has read."""
    number = len(detector.amplifiers)
    if len(overscans) != number:
        msg = (
            f"{frame.name}: {len(overscans)} overscans are given, and the detector has {number} "
            f"amplifier{'s' if number != 1 else ''}; give one for each, in their order."
        )
        raise FrameError(msg)
    if frame.origin is None:
        msg = f"{frame.name} is no longer a raw frame; subtract the overscan first."
        raise FrameError(msg)
    in_raw = detector.sections(frame.origin.raw.shape)
    strips = []
    for index, (one, section) in enumerate(zip(overscans, sections_in(frame, detector), strict=True)):
        if isinstance(one, str):
            what = f"the overscan section of amplifier {index}"
            pixels = frame.part(section_slices(frame, one, what))
        else:
            pixels = as_frame(one, f"the overscan of amplifier {index}")
        cells = None
        # Of several amplifiers the overscans may be anywhere in the raw frame, beside other amplifiers' pixels.
        if number > 1 or pixels.origin is None or pixels.origin.raw.identity() != frame.origin.raw.identity():
            rows, columns = (
                range(length)[part] for part, length in zip(in_raw[index], frame.origin.raw.shape, strict=True)
            )
            cells = _cells_beside(rows, columns, pixels.shape, detector.amplifiers[index].corner)
        strips.append(Strip(pixels, section, index, cells))
    return strips


def _cells_beside(rows: range, columns: range, shape: tuple[int, ...], corner: str) -> tuple[range, range]:
    """
    The cells of the raw frame that the pixels of an overscan would have if they lay where the amplifier reads them.

    Those are read after the pixels of the section: beside it, away from the corner that is read first, or above or
    below it if they are aligned with its columns only.
    """
    columns_fall, rows_fall = CORNERS[corner]
    if shape[0] != len(rows) and shape[1] == len(columns):
        return _after(rows, shape[0], falls=rows_fall), _upwards(columns)
    return _upwards(rows)[: shape[0]], _after(columns, shape[1], falls=columns_fall)


def _upwards(cells: range) -> range:
    return cells if cells.step > 0 else cells[::-1]


def _after(cells: range, number: int, *, falls: bool) -> range:
    """As many cells after those that an amplifier reads along an axis, in rising order."""
    cells = _upwards(cells)
    first = cells[0] - number * cells.step if falls else cells[-1] + cells.step
    return range(first, first + number * cells.step, cells.step)


def _in_frame(values: NDArray[Any], frame: FrameSoFar, strip: Strip) -> NDArray[Any]:
    """What there is for each row or column of a section at those of the frame, zero beside it; a number stays one."""
    lengths = np.shape(values)
    if not lengths:
        return np.asarray(values)
    result = np.zeros([n if length > 1 else 1 for n, length in zip(frame.shape, lengths, strict=True)], values.dtype)
    result[tuple(part if length > 1 else slice(None) for part, length in zip(strip.section, lengths, strict=True))] = (
        values
    )
    return result


def _term_in_frame(
    source: NoiseSource, coefficient: Coefficient, frame: FrameSoFar, strip: Strip
) -> tuple[NoiseSource, Coefficient]:
    """A source of the level and its coefficient, as the frame has them."""
    variance, factor = source.variance.evaluate(), coefficient.evaluate()
    if np.ndim(variance):
        source = source.replace(variance=Coefficient(_in_frame(np.asarray(variance), frame, strip)))
    return source, Coefficient(_in_frame(np.asarray(factor), frame, strip)) if np.ndim(factor) else coefficient


def _refuse_twice(frame: FrameSoFar, strips: list[Strip]) -> None:
    """Refuse an overscan that still has its level, for a frame from which its own was subtracted."""
    origin = frame.origin
    if origin is None or not has_level_of(frame.terms or (), origin.raw.identity()):
        return
    budgets = [strip.pixels.known_budget for strip in strips]
    if any(budget is None or not any(source.name == OVERSCAN for source, _ in budget.terms) for budget in budgets):
        msg = (
            f"{frame.name}: an overscan level was subtracted from it already, and this overscan still has its own: it "
            "would be subtracted twice. Leave it out here, or give the overscan as a section of the frame."
        )
        raise FrameError(msg)


def _warn_of_order(frame: FrameSoFar) -> None:
    """Say that a level counts as independent of read noise that the frame has already."""
    if frame.raw_origin is None:
        return
    read = f"{frame.raw_origin.raw.identity()}:read"
    correlations = [s.correlation for s, _ in frame.terms or () if s.identity.startswith(read)]
    if any(one is not None and one.waves[:, 0].any() for one in correlations):
        msg = (
            f"{frame.name} has read noise with a correlation already: what its overscan has in common with the image "
            "counts as independent, and errors may be too large or too small. Call subtract_overscan before "
            "create_deviation."
        )
        warn(msg, NoiseWarning)


def _warn_of_lost(frame: FrameSoFar, lost: NDArray[np.bool_], pixels: NDArray[np.bool_], amplifier: int | None) -> None:
    """Say that rows and columns without a level of their own get masked, unless they are masked already."""
    if frame.are_masked(pixels):
        return
    lines = "columns" if lost.shape[0] == 1 else "rows"
    whose = "" if amplifier is None else f" of amplifier {amplifier}"
    msg = (
        f"{frame.name}: {np.count_nonzero(lost)} of {lost.size} {lines} have no good pixel in the overscan{whose}; "
        "they are masked and flagged NO_DATA. With overscan_axis=(0, 1), one level for the frame, they are kept."
    )
    warn(msg, NoiseWarning)
