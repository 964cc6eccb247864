"""Subtract the electronic level that the overscan shows."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from astro_calib.arguments import check_positive, check_switch, described, other_words
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import as_frame, measured
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.noise.identity import drawn_identity
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.header import forget_encoding, forget_levels
from astro_calib.steps.overscan_rows import variance_of_rows_apart
from astro_calib.steps.section import section_slices
from astro_calib.steps.step import LinearStep
from astro_calib.steps.subtracted_level import OVERSCAN, SubtractedLevel, interpolated_median_factor, rows_apart

if TYPE_CHECKING:
    from astropy.modeling import Model
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.window import Window
    from astro_calib.steps.facts import FrameFacts
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractOverscan", "subtract_overscan"]

#: Overscan pixels further than this many standard deviations from the median are left out.
CLIP = 5.0
#: An error of the levels that adds less than this part to their variance is not worth a source of its own.
NEGLIGIBLE = 1e-3

Terms: TypeAlias = list[tuple[NoiseSource, Coefficient]]


class SubtractOverscan(LinearStep):
    """The step of `subtract_overscan`, with its arguments."""

    name = "overscan"

    def __init__(
        self,
        *,
        overscan: CCDFrame | None = None,
        overscan_axis: int | tuple[int, int] | None = 1,
        fits_section: str | None = None,
        median: bool = False,
        model: Model | None = None,
        clip: float | None = CLIP,
    ) -> None:
        self.overscan, self.fits_section = overscan, fits_section
        self.how = overscan_axis, median, model, clip

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the level."""
        if (self.overscan is None) == (self.fits_section is None):
            msg = "give the overscan either as overscan (a cut of the frame) or as fits_section, not both."
            raise TypeError(msg)
        overscan = self.overscan
        if self.fits_section is not None:
            overscan = frame.part(section_slices(frame, self.fits_section, "the overscan section"))
        _warn_of_order(frame)
        level, terms, lost = _overscan_level(frame, as_frame(overscan, "the overscan"), *self.how)
        if lost.any():
            _warn_of_lost(frame, lost)
            frame.flag(lost, DataQuality.NO_DATA)
        frame.add(level, -1.0)
        for source, coefficient in terms:
            frame.add_noise(source, coefficient)
        forget_encoding(frame.edited_meta())
        forget_levels(frame.edited_meta())


@other_words(add_keyword="leave it out; frame.provenance says what was done.")
def subtract_overscan(
    ccd: CCDFrame,
    overscan: CCDFrame | None = None,
    overscan_axis: int | tuple[int, int] | None = 1,
    fits_section: str | None = None,
    median: bool = False,
    model: Model | None = None,
    *,
    clip: float | None = CLIP,
) -> CCDFrame:
    r"""
    Subtract the level of the overscan, whose error becomes a source of noise.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A raw frame.
    overscan : CCDFrame, optional
        The overscan, as a cut of ``ccd``.
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
    overscan what its pixels have each for itself.

    The level of a row is common to the row's pixels. Over an aperture it adds up coherently.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, subtract_overscan
    >>> rng = np.random.default_rng(1)
    >>> raw = CCDFrame(rng.normal(1000, 5, (100, 140)).astype(np.float32), unit="adu")
    >>> image = subtract_overscan(raw, fits_section="[101:140, 1:100]", overscan_axis=(0, 1))
    >>> image.budget.names                 # 4000 pixels of sigma 5: 25 / 4000
    ('overscan',)
    >>> float(image.variance[0, 0].round(4))
    0.0062
    """
    return SubtractOverscan(
        overscan=overscan, overscan_axis=overscan_axis, fits_section=fits_section, median=median, model=model, clip=clip
    )(ccd)


def _overscan_level(
    ccd: FrameSoFar,
    overscan: CCDFrame,
    overscan_axis: int | tuple[int, int] | None,
    median: bool,
    model: Model | None,
    clip: float | None,
) -> tuple[NDArray[np.float64], Terms, NDArray[np.bool_]]:
    """
    The level that is taken off, of shape (), (ny, 1) or (1, nx), and its sources of noise.

    And which rows or columns have none of their own: their level is that between their neighbours' levels.
    """
    median = check_switch("median (overscan_median)", median)
    if clip is not None:
        clip = check_positive("clip", clip)
    if model is not None:
        _check_model(model)
    axes = _averaged_axes(overscan, overscan_axis)
    kept = tuple(axis for axis in (0, 1) if axis not in axes)
    for axis in kept:
        if overscan.shape[axis] != ccd.shape[axis]:
            msg = (
                f"{ccd.name} has shape {ccd.shape} and its overscan {overscan.shape}; for one level for each "
                f"{('row', 'column')[axis]} they must agree along axis {axis}."
            )
            raise ShapeMismatchError(msg)
    if model is not None and len(kept) != 1:
        msg = "a model is fitted to the levels of rows or columns: give overscan_axis=1 or 0 with it."
        raise TypeError(msg)
    step, shown = _digital_step(overscan)
    values = _good_values(ccd, overscan, axes, clip, step)
    level, variance = _levels(values, axes, step if median else None)
    apart = variance_of_rows_apart(ccd, overscan, values) if 1 in axes and model is None else 0.0
    if not kept:
        apart /= len(values)
    unresolved = _unresolved_variance(values, axes, step, median) if shown else 0.0
    identity, window = _identity(ccd, overscan, axes, f"{'median' if median else 'mean'}, clip {clip}, {model!r}")
    lost = np.zeros(np.shape(level), dtype=bool)
    if model is not None:
        level, terms = _fitted(level, model, identity)
    else:
        lost = ~np.isfinite(level)
        if lost.any():
            level = _between_neighbours(level, lost)
            # That of the row with the fewest pixels; masked, it does not count.
            variance = np.where(lost, np.max(variance[~lost]), variance)
        source_variance: Any = variance if np.ndim(variance) else float(variance)
        terms = [
            (NoiseSource(OVERSCAN, source_variance, axes=kept, identity=identity, window=window), Coefficient(1.0))
        ]
    if apart:
        # Once a detector says what rows have in common, it is known better.
        of_rows = NoiseSource(OVERSCAN, apart, axes=kept, identity=rows_apart(identity), window=window)
        terms.append((of_rows, Coefficient(1.0)))
    if unresolved > NEGLIGIBLE * float(np.nanmean(variance)):
        # All rows may lie at the same place in their step.
        terms.append((NoiseSource(OVERSCAN, unresolved, axes=(), identity=f"{identity}:step"), Coefficient(1.0)))
    return np.asarray(level), terms, lost


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


def _warn_of_lost(frame: FrameSoFar, lost: NDArray[np.bool_]) -> None:
    """Say that rows and columns without a level of their own get masked, unless they are masked already."""
    if frame.are_masked(np.broadcast_to(lost, frame.shape)):
        return
    lines = "columns" if lost.shape[0] == 1 else "rows"
    msg = (
        f"{frame.name}: {np.count_nonzero(lost)} of {lost.size} {lines} have no good pixel in the overscan; they are "
        "masked and flagged NO_DATA. With overscan_axis=(0, 1), one level for the frame, they are kept."
    )
    warn(msg, NoiseWarning)


def _between_neighbours(level: NDArray[np.float64], lost: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The levels, with those that are not known interpolated."""
    known = np.flatnonzero(~lost)
    return np.interp(np.arange(level.size), known, level.ravel()[known]).reshape(level.shape)


def _digital_step(overscan: CCDFrame) -> tuple[float, bool]:
    """The digital step of an overscan, 0 if it was not digitised; and whether pixels show it, or only their type."""
    own = digital_step(neighbours(overscan.pixels))
    if own is not None:
        return own, True
    # Of a few pixels, or pixels of few values, the rest of the frame tells it.
    origin = overscan.origin
    return (0.0, False) if origin is None else (origin.quantum, origin.raw.found_step is not None)


def _check_model(model: Any) -> None:
    """Refuse what cannot be fitted to the levels."""
    from astropy.modeling import Model

    if not isinstance(model, Model) or (model.n_inputs, model.n_outputs) != (1, 1):
        msg = (
            f"the model of the overscan is {described(model)}; expected one of astropy.modeling in one variable, such "
            "as Chebyshev1D(2)."
        )
        raise TypeError(msg)


def _averaged_axes(overscan: CCDFrame, overscan_axis: int | tuple[int, int] | None) -> tuple[int, ...]:
    if overscan_axis is None:
        return (1,) if overscan.shape[1] < overscan.shape[0] else (0,)
    axes = tuple(overscan_axis) if isinstance(overscan_axis, (list, tuple)) else (overscan_axis,)
    whole = all(isinstance(axis, Integral) and not isinstance(axis, bool) for axis in axes)
    if not axes or not whole or any(axis not in (0, 1) for axis in axes):
        msg = (
            f"overscan_axis is {described(overscan_axis)}; expected 1 (a level a row), 0 (a column), (0, 1) (the "
            "frame) or None."
        )
        raise ValueError(msg)
    return tuple(int(axis) for axis in axes)


def _identity(ccd: FrameFacts, overscan: CCDFrame, axes: tuple[int, ...], how: str) -> tuple[str, Window]:
    """
    The identity of the level's noise, and the cells of it that the frame's rows or columns hold.

    The same pixels of one raw frame, averaged in the same way, are the same noise.
    """
    origin, section = ccd.origin, overscan.origin
    kept = tuple(axis for axis in (0, 1) if axis not in axes)
    if origin is None or section is None:
        return drawn_identity(), ((0, 1),) * len(kept)
    windows = [section.window[axis] for axis in axes]
    pixels = tuple(
        (int(first), int(step), overscan.shape[axis]) for axis, (first, step) in zip(axes, windows, strict=True)
    )
    level = SubtractedLevel(axes, pixels, how)
    return level.identity(section.raw.identity()), tuple(origin.window[axis] for axis in kept)


def _good_values(
    ccd: FrameFacts, overscan: CCDFrame, axes: tuple[int, ...], clip: float | None, step: float
) -> NDArray[np.float64]:
    """The overscan, NaN where a pixel does not count."""
    values = overscan.pixels.astype(np.float64)
    values[~measured(overscan)] = np.nan
    if clip is not None:
        with warnings.catch_warnings():
            # A row without a good pixel has no median; it is masked.
            warnings.simplefilter("ignore", RuntimeWarning)
            deviation = np.abs(values - _plain_median(values, axes))
            # One scatter for all: with a few dozen pixels a row, each row's own would be too uncertain. It is not less
            # than one digital step, where most pixels may have the same value.
            sigma = max(1.4826 * float(np.nanmedian(deviation)), step)
        with np.errstate(invalid="ignore"):
            values[deviation > clip * sigma] = np.nan
    if not np.isfinite(values).any():
        msg = f"{ccd.name}: the overscan has no good pixel."
        raise FrameError(msg)
    return values


def _levels(
    values: NDArray[np.float64], axes: tuple[int, ...], median_step: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Level and its variance, with the averaged axes kept at length 1 (or a number for the frame).

    A mean, or if ``median_step`` is given a median of values that come in such steps.
    """
    whole = len(axes) == 2
    number = np.isfinite(values).sum(axis=axes, keepdims=True)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # A row without a good pixel has no level; it is masked.
        warnings.simplefilter("ignore", RuntimeWarning)
        if median_step is None:
            level = np.nanmean(values, axis=axes, keepdims=True)
        else:
            level = _median(values, axes, median_step)
        # About the mean: about the median it is larger, the more so the fewer there are.
        residual = values - np.nanmean(values, axis=axes, keepdims=True)
        freedom = np.isfinite(residual).sum() - np.isfinite(level).sum()
        scatter = np.nansum(residual**2) / max(freedom, 1)
        typical = max(round(float(np.median(number))), 1)
        factor = 1.0 if median_step is None else interpolated_median_factor(typical, median_step, float(scatter))
        variance = factor * scatter / number
    return (level[0, 0], variance[0, 0]) if whole else (level, variance)


def _plain_median(values: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """The median of each row, column or frame, of the values that are not NaN."""
    # NumPy looks for NaN in each row by itself, which takes twenty times longer.
    median = np.nanmedian if np.isnan(values).any() else np.median
    return np.asarray(median(values, axis=axes, keepdims=True))


def _median(values: NDArray[np.float64], axes: tuple[int, ...], step: float) -> NDArray[np.float64]:
    """
    The median of each row, column or frame, interpolated within a digital step.

    The plain median of whole numbers is a whole number, and off by up to half a step however many pixels there are.
    What part of the pixels lies below either edge of its step tells, for Gaussian noise, how far it is from both.
    """
    from scipy.special import ndtri

    median = _plain_median(values, axes)
    if step <= 0:
        return median
    lower = np.nanmax(np.where(values <= median, values, np.nan), axis=axes, keepdims=True)
    below = (values < lower - step / 2).sum(axis=axes, keepdims=True)
    inside = (np.abs(values - lower) <= step / 2).sum(axis=axes, keepdims=True)
    number = np.isfinite(values).sum(axis=axes, keepdims=True)
    part = np.where((below > 0) & (below + inside < number), ndtri(below / number), np.nan)
    upper = ndtri((below + inside) / number)
    # Linear, where all pixels on one side of the median have its value.
    linear = (number / 2 - below) / inside
    fraction = np.where(np.isfinite(part), -part / (upper - part), linear)
    # Halfway between two values of an even number of pixels the plain median is right.
    between = 2 * (below + inside) == number
    return np.where((inside > 0) & ~between, lower + step * (fraction - 0.5), median)


def _unresolved_variance(values: NDArray[np.float64], axes: tuple[int, ...], step: float, median: bool) -> float:
    r"""
    Variance of the error that digitisation leaves in all levels, however many pixels there are.

    With less noise than half a step sigma, the mean of digitised values is off by an amount that depends on where in
    the step q the truth lies; over all places it has the variance :math:`q^2 \sum_k \exp(-(2 \pi k \sigma/q)^2) /
    (2 \pi^2 k^2)`, and :math:`q^2/12` without noise (Widrow & Kollar, Quantization Noise, 2008). An interpolated median
    is not off where there are values on both sides of it.
    """
    from scipy.special import ndtri

    if step <= 0:
        return 0.0
    good = values[np.isfinite(values)]
    distinct, number = np.unique(good, return_counts=True)
    usual = distinct[number.argmax()]
    below, above = np.mean(good < usual - step / 2), np.mean(good > usual + step / 2)
    if below > 0 and above > 0:
        sigma = step / float(ndtri(1 - float(above)) - ndtri(float(below)))
    else:
        sigma = float(np.sqrt(max(float(np.var(good)) - step**2 / 12, 0.0)))
    k = np.arange(1, 31)
    variance = step**2 * float(np.sum(np.exp(-np.square(2 * np.pi * k * sigma / step)) / (2 * np.pi**2 * k**2)))
    if not median or variance == 0:
        return variance
    with warnings.catch_warnings():
        # A row without a good pixel has no level; it is masked.
        warnings.simplefilter("ignore", RuntimeWarning)
        center = _plain_median(values, axes)
    lower, upper = np.any(values < center - step / 2, axis=axes), np.any(values > center + step / 2, axis=axes)
    return variance * (1 - float(np.mean(lower & upper)))


def _fitted(level: NDArray[np.float64], model: Model, identity: str) -> tuple[NDArray[np.float64], Terms]:
    """A model's values at each row (column), and a source of noise for each of its parameters."""
    from astropy.modeling.fitting import LinearLSQFitter, TRFLSQFitter

    measured = level.ravel()
    good = np.isfinite(measured)
    position = np.arange(measured.size, dtype=float)
    fitter = LinearLSQFitter() if model.linear else TRFLSQFitter()
    fitted = fitter(model, position[good], measured[good])
    values = fitted(position)
    derivatives = _derivatives(fitted, position)
    _, size, right = np.linalg.svd(derivatives[good], full_matrices=False)
    rank = int(np.sum(size > size[0] * 1e-10)) if size.size else 0
    variance = float(np.sum((measured[good] - values[good]) ** 2) / max(good.sum() - rank, 1))
    # The left singular vectors, continued to rows that have no good pixel.
    full = derivatives @ (right[:rank].T / size[:rank])
    shape = level.shape
    terms: Terms = [
        (
            NoiseSource(OVERSCAN, variance, axes=(), identity=f"{identity}:{k}"),
            Coefficient(np.ascontiguousarray(full[:, k]).reshape(shape)),
        )
        for k in range(rank)
    ]
    return values.reshape(shape), terms


def _derivatives(fitted: Model, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives of a model with respect to its free parameters, shape (n, p), by central differences."""
    columns = []
    for name in fitted.param_names:
        if fitted.fixed[name] or fitted.tied[name]:
            continue
        value = float(getattr(fitted, name).value)
        step = 1e-4 * max(abs(value), 1e-2)
        high, low = fitted.copy(), fitted.copy()
        setattr(high, name, value + step)
        setattr(low, name, value - step)
        columns.append((high(position) - low(position)) / (2 * step))
    return np.stack(columns, axis=1)
