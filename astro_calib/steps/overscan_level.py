"""The electronic level that an overscan shows, and its noise."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from astro_calib.arguments import check_positive, check_switch, described
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.rebuild import measured
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.noise.identity import drawn_identity
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.overscan_rows import variance_of_rows_apart
from astro_calib.steps.subtracted_level import OVERSCAN, SubtractedLevel, interpolated_median_factor, rows_apart

if TYPE_CHECKING:
    from astropy.modeling import Model
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.window import Window
    from astro_calib.steps.facts import FrameFacts
    from astro_calib.steps.run import FrameSoFar

__all__ = ["CLIP", "Strip", "overscan_level"]

#: Overscan pixels further than this many standard deviations from the median are left out.
CLIP = 5.0
#: An error of the levels that adds less than this part to their variance is not worth a source of its own.
NEGLIGIBLE = 1e-3

#: Values that are further apart, in steps, are told apart one by one.
MOST_STEPS = 1 << 20

Terms: TypeAlias = "list[tuple[NoiseSource, Coefficient]]"


class Strip(NamedTuple):
    """
    An overscan, and what its level is subtracted from.

    Attributes
    ----------
    pixels : CCDFrame
        The overscan.
    section : (slice, slice)
        The rows and columns of the frame.
    amplifier : int or None
        Which amplifier has read them; None if it is the level of the whole frame.
    cells : (range, range) or None
        The rows and columns of the raw frame that the overscan's pixels would have, if it is a frame of its own.
    """

    pixels: CCDFrame
    section: tuple[slice, slice]
    amplifier: int | None = None
    cells: tuple[range, range] | None = None

    def lengths(self, frame: FrameFacts) -> list[int]:
        """How many rows and columns the section has."""
        return [len(range(n)[part]) for part, n in zip(self.section, frame.shape, strict=True)]


def overscan_level(
    ccd: FrameSoFar,
    strip: Strip,
    overscan_axis: int | tuple[int, int] | None,
    median: bool,
    model: Model | None,
    clip: float | None,
) -> tuple[NDArray[np.float64], Terms, NDArray[np.bool_]]:
    """
    Find the level that is taken off a section, of shape (), (ny, 1) or (1, nx), and its sources of noise.

    The third is which rows or columns have no level of their own: they get one between their neighbours' levels.
    """
    overscan = strip.pixels
    median = check_switch("median (overscan_median)", median)
    if clip is not None:
        clip = check_positive("clip", clip)
    if model is not None:
        _check_model(model)
    axes = _averaged_axes(overscan, overscan_axis)
    kept = tuple(axis for axis in (0, 1) if axis not in axes)
    lengths = strip.lengths(ccd)
    for axis in kept:
        if overscan.shape[axis] != lengths[axis]:
            what = f"{ccd.name} has shape {ccd.shape} and its overscan"
            if strip.amplifier is not None:
                what = f"{ccd.name}: amplifier {strip.amplifier} has read {tuple(lengths)} pixels, and its overscan has"
            msg = (
                f"{what} {overscan.shape}; for one level for each {('row', 'column')[axis]} they must agree along axis "
                f"{axis}."
            )
            raise ShapeMismatchError(msg)
    if model is not None and len(kept) != 1:
        msg = "a model is fitted to the levels of rows or columns: give overscan_axis=1 or 0 with it."
        raise TypeError(msg)
    step, shown = _digital_step(overscan)
    values = _good_values(ccd, overscan, axes, clip, step)
    level, variance = _levels(values, axes, step if median else None)
    apart = variance_of_rows_apart(lambda: _image_of(ccd, strip), values) if 1 in axes and model is None else 0.0
    if not kept:
        apart /= len(values)
    unresolved = _unresolved_variance(values, axes, step, median) if shown else 0.0
    how = f"{'median' if median else 'mean'}, clip {clip}"
    identity, window = _identity(ccd, strip, axes, how, model)
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


def _image_of(frame: FrameSoFar, strip: Strip) -> NDArray[Any] | None:
    """The pixels of the section that are not overscan; None if that is not known, or the rows are not the same."""
    overscan = strip.pixels
    if overscan.shape[0] != strip.lengths(frame)[0]:
        return None
    if strip.amplifier is not None:
        return frame.values(strip.section)
    if frame.origin is None or overscan.origin is None:
        return None
    columns, held = (
        _columns(origin.window, shape[1])
        for origin, shape in ((frame.origin, frame.shape), (overscan.origin, overscan.shape))
    )
    image = np.flatnonzero(~np.isin(columns, held))
    return (
        frame.values((slice(None), slice(int(image[0]), int(image[-1]) + 1)))[:, image - image[0]]
        if image.size
        else None
    )


def _columns(window: Window, length: int) -> NDArray[np.intp]:
    first, step = window[-1]
    return first + step * np.arange(length)


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


def _identity(ccd: FrameFacts, strip: Strip, axes: tuple[int, ...], how: str, model: Any) -> tuple[str, Window]:
    """
    The identity of the level's noise, and the cells of it that the frame's rows or columns hold.

    The same pixels of one raw frame, averaged in the same way, are the same noise.
    """
    origin, section = ccd.origin, strip.pixels.origin
    kept = tuple(axis for axis in (0, 1) if axis not in axes)
    if origin is None or section is None:
        return drawn_identity(), ((0, 1),) * len(kept)
    raw = section.raw.identity()
    if strip.cells is None:
        places = [(*section.window[axis], strip.pixels.shape[axis]) for axis in axes]
    else:
        places = [(along.start, along.step, len(along)) for along in (strip.cells[axis] for axis in axes)]
        # The pixels of the one frame tell which noise it is, and those of the other where they are.
        how, raw = f"{how}, {raw}", origin.raw.identity()
    pixels = tuple((int(first), int(step), number) for first, step, number in places)
    level = SubtractedLevel(axes, pixels, f"{how}, {model!r}", strip.amplifier)
    return level.identity(raw), tuple(origin.window[axis] for axis in kept)


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
    usual = _most_frequent(good, step)
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


def _most_frequent(values: NDArray[np.float64], step: float) -> float:
    """The value that most have, of values that come in steps; the lowest of several."""
    lowest = float(values.min())
    places = np.rint((values - lowest) / step)
    if places.max() < MOST_STEPS and np.array_equal(lowest + places * step, values):
        return lowest + step * int(np.bincount(places.astype(np.intp)).argmax())
    distinct, number = np.unique(values, return_counts=True)
    return float(distinct[number.argmax()])


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
