"""From raw to calibrated pixels in one pass: each array is read once and written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CalibratedPixels", "Recipe", "calibrate_pixels"]


#: Pixels that are worked on at a time.
SLAB = 1 << 16


class Recipe(NamedTuple):
    """
    What is done to each pixel: ``z = (gain (raw - level) - masters) / flat``.

    Attributes
    ----------
    gain : float
        Electrons for each digital unit.
    fixed : float
        Variance of read noise and digitisation, in electrons squared.
    floor : float
        The shot noise's variance is not less than this, in electrons squared; it may be negative.
    shot_noise : bool
        Whether the signal brings shot noise.
    saturation : float
        Raw values from here on are flagged; infinity for none.
    uncertain : float
        Relative error of the flat above which a pixel is flagged.
    """

    gain: float
    fixed: float
    floor: float
    shot_noise: bool
    saturation: float
    uncertain: float


class CalibratedPixels(NamedTuple):
    """The result: value, variance, the shot noise's variance before the flat, flags, and whether a pixel is unfit."""

    data: NDArray[Any]
    variance: NDArray[Any]
    shot: NDArray[Any]
    flags: NDArray[np.uint16]
    mask: NDArray[np.bool_]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _signal(raw: NDArray[Any], level: float, columns: NDArray[Any], gain: float, data: NDArray[Any]) -> None:
    kind = data.dtype.type
    lower, factor = kind(level), kind(gain)
    for index in range(raw.shape[0]):
        data[index] = (kind(raw[index]) - lower - columns[index]) * factor


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _subtract(data: NDArray[Any], values: NDArray[Any], factor: float) -> None:
    scale = data.dtype.type(factor)
    for index in range(data.shape[0]):
        data[index] -= scale * values[index]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _own_noise(data: NDArray[Any], fixed: float, floor: float, shot: NDArray[Any], variance: NDArray[Any]) -> None:
    kind = data.dtype.type
    lowest, constant, nothing, infinite = kind(floor), kind(fixed), kind(0), kind(np.inf)
    for index in range(data.shape[0]):
        signal = data[index]
        noise = max(lowest, signal)
        # A pixel that is no number brings no shot noise.
        noise = noise if abs(signal) < infinite else nothing
        shot[index] = noise
        variance[index] = noise + constant


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(total: NDArray[Any], values: NDArray[Any]) -> None:
    for index in range(total.shape[0]):
        total[index] += values[index]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _divide(data: NDArray[Any], variance: NDArray[Any], flat: NDArray[Any]) -> None:
    one = data.dtype.type(1)
    for index in range(data.shape[0]):
        inverse = one / flat[index]
        data[index] *= inverse
        variance[index] *= inverse * inverse


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_flat_noise(data: NDArray[Any], variance: NDArray[Any], flat: NDArray[Any], of_flat: NDArray[Any]) -> None:
    for index in range(data.shape[0]):
        relative = data[index] / flat[index]
        variance[index] += relative * relative * of_flat[index]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_shared_noise(data: NDArray[Any], variance: NDArray[Any], flat: NDArray[Any], shared: NDArray[Any]) -> None:
    one, two = data.dtype.type(1), data.dtype.type(2)
    for index in range(data.shape[0]):
        inverse = one / flat[index]
        variance[index] += two * data[index] * inverse * inverse * shared[index]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _merge(flags: NDArray[Any], more: NDArray[Any]) -> None:
    for index in range(flags.shape[0]):
        flags[index] |= more[index]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flag_raw(
    raw: NDArray[Any], saturation: float, bits: NDArray[np.uint16], flags: NDArray[np.uint16], mask: NDArray[np.bool_]
) -> None:
    saturated, missing, none = bits[0], bits[1], np.uint16(0)
    for index in range(raw.shape[0]):
        value = np.float64(raw[index])
        over, lost = value >= saturation, not abs(value) < np.inf
        flags[index] |= (saturated if over else none) | (missing if lost else none)
        mask[index] |= over | lost


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flag_flat(
    flat: NDArray[Any], of_flat: NDArray[Any], uncertain: float, bit: np.uint16, flags: NDArray[np.uint16]
) -> None:
    limit = flat.dtype.type(uncertain)
    for index in range(flat.shape[0]):
        largest = limit * flat[index]
        flags[index] |= bit if of_flat[index] > largest * largest else np.uint16(0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _calibrate(
    raw: NDArray[Any],
    rows: NDArray[Any],
    columns: NDArray[Any],
    of_rows: NDArray[Any],
    recipe: Recipe,
    bias: NDArray[Any],
    dark: NDArray[Any],
    ratio: float,
    of_masters: NDArray[Any],
    flat: NDArray[Any],
    of_flat: NDArray[Any],
    shared: NDArray[Any],
    bits: NDArray[np.uint16],
    data: NDArray[Any],
    variance: NDArray[Any],
    shot: NDArray[Any],
    flags: NDArray[np.uint16],
    mask: NDArray[np.bool_],
) -> None:
    # An array without rows stands for one that is not there.
    for row in range(raw.shape[0]):
        z, v, flag = data[row], variance[row], flags[row]
        _signal(raw[row], rows[row], columns, recipe.gain, z)
        if bias.shape[0]:
            _subtract(z, bias[row], 1.0)
        if recipe.shot_noise:
            _own_noise(z, recipe.fixed + of_rows[row], recipe.floor, shot[row], v)
        else:
            v[:] = recipe.fixed + of_rows[row]
        if dark.shape[0]:
            _subtract(z, dark[row], ratio)
        if of_masters.shape[0]:
            _add(v, of_masters[row])
        if flat.shape[0]:
            _divide(z, v, flat[row])
            if of_flat.shape[0]:
                _add_flat_noise(z, v, flat[row], of_flat[row])
            if shared.shape[0]:
                _add_shared_noise(z, v, flat[row], shared[row])
        _flag_raw(raw[row], recipe.saturation, bits, flag, mask[row])
        if of_flat.shape[0]:
            _flag_flat(flat[row], of_flat[row], recipe.uncertain, bits[2], flag)


def calibrate_pixels(
    raw: NDArray[Any],
    level: NDArray[Any],
    of_level: NDArray[Any],
    recipe: Recipe,
    *,
    dtype: np.dtype[Any],
    bias: NDArray[Any] | None,
    dark: NDArray[Any] | None,
    ratio: float,
    of_masters: NDArray[Any] | None,
    flat: NDArray[Any] | None,
    of_flat: NDArray[Any] | None,
    shared: NDArray[Any] | None,
    masks: list[NDArray[np.bool_]],
    quality: list[NDArray[np.uint16]],
    bits: NDArray[np.uint16],
) -> CalibratedPixels:
    """
    Calibrate the pixels of a frame.

    Parameters
    ----------
    raw : ndarray, shape (ny, nx)
        Digital units.
    level : ndarray, shape (), (ny, 1) or (1, nx)
        What is subtracted first, in digital units.
    of_level : ndarray, shape () or (ny, 1)
        Its variance, in electrons squared.
    recipe : Recipe
    dtype : dtype
        Of the result, float32 or float64.
    bias, dark, flat : ndarray, shape (ny, nx), optional
        The masters; the dark is multiplied by ``ratio`` first.
    of_masters, of_flat, shared : ndarray, shape (ny, nx), optional
        The variance of ``bias + ratio dark``, that of the flat, and the covariance of the two.
    masks, quality : list of ndarray, shape (ny, nx)
        Masks and flags of raw frame and masters, which are ORed.
    bits : ndarray of uint16, shape (3,)
        The flags for saturated, missing, and too uncertain a flat; the first two also mask a pixel.
    """
    shape = raw.shape
    none = np.empty((0, shape[1]), dtype=dtype)
    rows, of_rows = np.zeros(shape[0], dtype=dtype), np.zeros(shape[0], dtype=dtype)
    of_rows[:] = of_level.reshape(-1)
    columns = np.zeros(shape[1], dtype=dtype)
    if level.ndim == 2 and level.shape[0] == 1 and shape[0] != 1:
        columns[:] = level[0]
    else:
        rows[:] = level.reshape(-1)
    result = CalibratedPixels(
        np.empty(shape, dtype=dtype),
        np.empty(shape, dtype=dtype),
        np.empty(shape if recipe.shot_noise else (0, shape[1]), dtype=dtype),
        np.empty(shape, dtype=np.uint16),
        np.empty(shape, dtype=np.bool_),
    )
    arrays = [none if array is None else array for array in (bias, dark, of_masters, flat, of_flat, shared)]

    def work(part: slice) -> None:
        own_bias, own_dark, own_masters, own_flat, own_of_flat, own_shared = (array[part] for array in arrays)
        for planes, whole in ((quality, result.flags), (masks, result.mask)):
            whole[part] = planes[0][part] if planes else 0
            for plane in planes[1:]:
                np.bitwise_or(whole[part], plane[part], out=whole[part])
        _calibrate(
            raw[part],
            rows[part],
            columns,
            of_rows[part],
            recipe,
            own_bias,
            own_dark,
            ratio,
            own_masters,
            own_flat,
            own_of_flat,
            own_shared,
            bits,
            result.data[part],
            result.variance[part],
            result.shot[part],
            result.flags[part],
            result.mask[part],
        )

    over_rows(work, shape[0], raw.size, max(1, SLAB // max(shape[1], 1)))
    return result
