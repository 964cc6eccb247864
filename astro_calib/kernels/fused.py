"""From raw to calibrated pixels in one pass: each array is read once and written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.flags import DataQuality
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import read_only
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CalibratedPixels", "Recipe", "calibrate_pixels"]


#: Pixels that one call of the compiled loops works on.
BLOCK = 1 << 18
#: Pixels of a row that are taken through all steps before the next ones: their arrays stay in the fastest cache.
WIDTH = 1024
SATURATED = np.uint16(DataQuality.SATURATED)
NO_DATA = np.uint16(DataQuality.NO_DATA)


class Recipe(NamedTuple):
    """
    What is done to each pixel: ``z = (gain (raw - level) - bias - ratio dark) / flat``.

    Attributes
    ----------
    gain : float
        Electrons for each digital unit.
    ratio : float
        The dark is multiplied by this.
    fixed : float
        Variance of read noise and digitisation, in electrons squared.
    floor : float
        The shot noise's variance is not less than this, in electrons squared; it may be negative.
    shot_noise : bool
        Whether the signal brings shot noise.
    """

    gain: float
    ratio: float
    fixed: float
    floor: float
    shot_noise: bool


class CalibratedPixels(NamedTuple):
    """The result: value, variance, flags, and whether a pixel is unfit."""

    data: NDArray[Any]
    variance: NDArray[Any]
    flags: NDArray[np.uint16]
    mask: NDArray[np.bool_]


@inner(error_model="numpy")
def _signal(raw: NDArray[Any], level: float, columns: NDArray[Any], gain: float, data: NDArray[Any]) -> None:
    kind = data.dtype.type
    lower, factor = kind(level), kind(gain)
    for index in range(raw.shape[0]):
        data[index] = (kind(raw[index]) - lower - columns[index]) * factor


@inner(error_model="numpy")
def _own_noise(data: NDArray[Any], fixed: float, floor: float, variance: NDArray[Any]) -> None:
    kind = data.dtype.type
    lowest, constant, nothing, infinite = kind(floor), kind(fixed), kind(0), kind(np.inf)
    for index in range(data.shape[0]):
        signal = data[index]
        noise = max(lowest, signal)
        # A pixel that is no number brings no shot noise.
        variance[index] = (noise if abs(signal) < infinite else nothing) + constant


@inner(error_model="numpy")
def _add(total: NDArray[Any], values: NDArray[Any], factor: float) -> None:
    scale = total.dtype.type(factor)
    for index in range(total.shape[0]):
        total[index] += scale * values[index]


@inner(error_model="numpy")
def _divide(data: NDArray[Any], variance: NDArray[Any], flat: NDArray[Any], inverse: NDArray[Any]) -> None:
    one = data.dtype.type(1)
    for index in range(data.shape[0]):
        over = one / flat[index]
        inverse[index] = over
        data[index] *= over
        variance[index] *= over * over


@inner(error_model="numpy")
def _add_flat_noise(data: NDArray[Any], variance: NDArray[Any], inverse: NDArray[Any], of_flat: NDArray[Any]) -> None:
    for index in range(data.shape[0]):
        relative = data[index] * inverse[index]
        variance[index] += relative * relative * of_flat[index]


@inner(error_model="numpy")
def _add_shared_noise(data: NDArray[Any], variance: NDArray[Any], inverse: NDArray[Any], shared: NDArray[Any]) -> None:
    two = data.dtype.type(2)
    for index in range(data.shape[0]):
        variance[index] += two * data[index] * inverse[index] * inverse[index] * shared[index]


@inner(error_model="numpy")
def _flag_saturated(raw: NDArray[Any], saturation: Any, flags: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
    for index in range(raw.shape[0]):
        over = raw[index] >= saturation
        flags[index] |= SATURATED if over else np.uint16(0)
        mask[index] |= over


@inner(error_model="numpy")
def _flag_missing(raw: NDArray[Any], flags: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
    for index in range(raw.shape[0]):
        lost = not abs(np.float64(raw[index])) < np.inf
        flags[index] |= NO_DATA if lost else np.uint16(0)
        mask[index] |= lost


@compiled(error_model="numpy")
def _calibrate(
    raw: NDArray[Any],
    first: int,
    last: int,
    rows: NDArray[Any],
    columns: NDArray[Any],
    of_rows: NDArray[Any],
    recipe: Recipe,
    saturating: bool,
    saturation: Any,
    missing: bool,
    bias: NDArray[Any],
    of_bias: NDArray[Any],
    dark: NDArray[Any],
    of_dark: NDArray[Any],
    flat: NDArray[Any],
    of_flat: NDArray[Any],
    shared: NDArray[Any],
    data: NDArray[Any],
    variance: NDArray[Any],
    flags: NDArray[np.uint16],
    mask: NDArray[np.bool_],
) -> None:
    # An array without rows stands for one that is not there.
    inverse = np.empty(WIDTH, dtype=data.dtype)
    for row in range(raw.shape[0]):
        for start in range(first, last, WIDTH):
            stop = min(start + WIDTH, last)
            z, v, pixels = data[row, start:stop], variance[row, start:stop], raw[row, start:stop]
            _signal(pixels, rows[row], columns[start:stop], recipe.gain, z)
            if bias.shape[0]:
                _add(z, bias[row, start:stop], -1.0)
            fixed = recipe.fixed + of_rows[row] * recipe.gain * recipe.gain
            if recipe.shot_noise:
                _own_noise(z, fixed, recipe.floor, v)
            else:
                v[:] = fixed
            if of_bias.shape[0]:
                _add(v, of_bias[row, start:stop], 1.0)
            if dark.shape[0]:
                _add(z, dark[row, start:stop], -recipe.ratio)
            if of_dark.shape[0]:
                _add(v, of_dark[row, start:stop], recipe.ratio * recipe.ratio)
            if flat.shape[0]:
                over = inverse[: stop - start]
                _divide(z, v, flat[row, start:stop], over)
                if of_flat.shape[0]:
                    _add_flat_noise(z, v, over, of_flat[row, start:stop])
                if shared.shape[0]:
                    _add_shared_noise(z, v, over, shared[row, start:stop])
            if saturating:
                _flag_saturated(pixels, saturation, flags[row, start:stop], mask[row, start:stop])
            if missing:
                _flag_missing(pixels, flags[row, start:stop], mask[row, start:stop])


def calibrate_pixels(
    raw: NDArray[Any],
    level: NDArray[Any],
    of_level: NDArray[Any],
    sections: Sequence[tuple[tuple[slice, slice], Recipe]],
    *,
    dtype: np.dtype[Any],
    saturation: float | None = None,
    bias: NDArray[Any] | None = None,
    of_bias: NDArray[Any] | None = None,
    dark: NDArray[Any] | None = None,
    of_dark: NDArray[Any] | None = None,
    flat: NDArray[Any] | None = None,
    of_flat: NDArray[Any] | None = None,
    shared: NDArray[Any] | None = None,
    masks: Sequence[NDArray[np.bool_]] = (),
    quality: Sequence[NDArray[np.uint16]] = (),
) -> CalibratedPixels:
    """
    Calibrate the pixels of a frame.

    Parameters
    ----------
    raw : ndarray, shape (ny, nx)
        Digital units; integers, float32 or float64.
    level : ndarray, shape (), (ny, 1) or (1, nx)
        What is subtracted first, in digital units.
    of_level : ndarray, shape () or (ny, 1)
        Its variance, in digital units squared.
    sections : sequence of ((slice, slice), Recipe)
        Rows and columns of each part of the frame, and what is done to its pixels; together all of the frame.
    dtype : dtype
        Of the result, float32 or float64.
    saturation : float, optional
        Raw values from here on are flagged and masked.
    bias, dark, flat : ndarray, shape (ny, nx), optional
        The masters.
    of_bias, of_dark, of_flat : ndarray, shape (ny, nx), optional
        Their variances. If bias and dark share noise ``of_bias`` is that of ``bias + ratio dark``, and ``of_dark``
        is not given.
    shared : ndarray, shape (ny, nx), optional
        The covariance of ``bias + ratio dark`` and the flat.
    masks, quality : sequence of ndarray, shape (ny, nx)
        Masks and flags of raw frame and masters, which are ORed. Raw values that are not finite are flagged and masked.
    """
    shape = raw.shape
    none = np.empty((0, shape[1]), dtype=dtype)
    rows, of_rows = np.zeros(shape[0], dtype=dtype), np.zeros(shape[0], dtype=dtype)
    of_rows[:] = of_level.reshape(-1)
    columns = np.zeros(shape[1], dtype=dtype)
    if level.ndim == 2 and level.shape[1] != 1:
        columns[:] = level[0]
    else:
        rows[:] = level.reshape(-1)
    result = CalibratedPixels(
        np.empty(shape, dtype=dtype),
        np.empty(shape, dtype=dtype),
        np.empty(shape, dtype=np.uint16),
        np.empty(shape, dtype=np.bool_),
    )
    whole = raw.dtype.kind in "iu"
    if saturation is not None and whole:
        # The lowest whole number that counts as saturated, if there is one of this type.
        saturation = max(float(np.ceil(saturation)), float(np.iinfo(raw.dtype).min))
        saturation = saturation if saturation <= np.iinfo(raw.dtype).max else None
    highest = raw.dtype.type(0 if saturation is None else saturation)
    arrays = [none if array is None else array for array in (bias, of_bias, dark, of_dark, flat, of_flat, shared)]

    def work(part: slice) -> None:
        for planes, merged in ((quality, result.flags[part]), (masks, result.mask[part])):
            merged[...] = planes[0][part] if planes else 0
            for plane in planes[1:]:
                np.bitwise_or(merged, plane[part], out=merged)
        pixels, masters = read_only(raw[part], raw.dtype), [read_only(array[part], dtype) for array in arrays]
        for (of_section, along), recipe in sections:
            begin, end = max(part.start, of_section.start), min(part.stop, of_section.stop)
            if begin >= end:
                continue
            held, own = slice(begin, end), slice(begin - part.start, end - part.start)
            own_bias, own_of_bias, own_dark, own_of_dark, own_flat, own_of_flat, own_shared = (
                array[own] for array in masters
            )
            _calibrate(
                pixels[own],
                along.start,
                along.stop,
                rows[held],
                columns,
                of_rows[held],
                recipe,
                saturation is not None,
                highest,
                not whole,
                own_bias,
                own_of_bias,
                own_dark,
                own_of_dark,
                own_flat,
                own_of_flat,
                own_shared,
                result.data[held],
                result.variance[held],
                result.flags[held],
                result.mask[held],
            )

    over_rows(work, shape[0], raw.size, max(1, BLOCK // max(shape[1], 1)))
    return result


@compiled(error_model="numpy")
def _shot_variance(
    data: NDArray[Any],
    flat: NDArray[Any],
    dark: NDArray[Any],
    ratio: float,
    floor: float,
    variance: NDArray[Any],
) -> None:
    kind = variance.dtype.type
    lowest, nothing, infinite = kind(floor), kind(0), kind(np.inf)
    # An array without pixels stands for one that is not there.
    for start in range(0, data.shape[0], WIDTH):
        stop = min(start + WIDTH, data.shape[0])
        collected, values = variance[start:stop], data[start:stop]
        # Loops, which take a tenth of the time of assignments of slices to compile.
        if flat.shape[0]:
            over = flat[start:stop]
            for index in range(stop - start):
                collected[index] = values[index] * over[index]
        else:
            for index in range(stop - start):
                collected[index] = values[index]
        if dark.shape[0]:
            _add(collected, dark[start:stop], ratio)
        for index in range(stop - start):
            signal = collected[index]
            # A pixel that is no number brings no shot noise.
            collected[index] = max(lowest, signal) if abs(signal) < infinite else nothing


def shot_variance(
    data: NDArray[Any],
    flat: NDArray[Any] | None,
    dark: NDArray[Any] | None,
    ratio: float,
    floor: float | NDArray[Any],
) -> NDArray[Any]:
    """
    The variance of the shot noise in calibrated pixels, before their division by the flat.

    Parameters
    ----------
    data : ndarray, any shape
        Calibrated values.
    flat, dark : ndarray, of the same shape, optional
        What they were divided by, and what was subtracted before.
    ratio : float
        The dark was multiplied by this.
    floor : float or ndarray
        The result is not less than this; an array broadcasts to the values, and is nowhere positive.

    Returns
    -------
    ndarray
        Of the type of ``data``: ``data * flat + ratio * dark``, 0 where that is no finite number.
    """
    result = np.empty(data.shape, dtype=data.dtype)
    none = np.empty((0, *data.shape[1:]), dtype=data.dtype)
    arrays = [none if array is None else array for array in (data, flat, dark)]
    lowest = None if np.ndim(floor) == 0 else np.broadcast_to(floor, data.shape)
    number = float(floor) if lowest is None else -np.inf

    def work(rows: slice) -> None:
        values, own_flat, own_dark = (read_only(array[rows], data.dtype).reshape(-1) for array in arrays)
        _shot_variance(values, own_flat, own_dark, ratio, number, result[rows].reshape(-1))
        if lowest is not None:
            np.maximum(result[rows], lowest[rows], out=result[rows])

    over_rows(work, data.shape[0], data.size)
    return result
