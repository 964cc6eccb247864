"""A run of operations in one pass over the pixels: each array is read once and written once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.kernels.many import addresses, array_at, part_of
from astro_calib.kernels.options import compiled, inner
from astro_calib.kernels.plain import read_only
from astro_calib.kernels.program import (
    ADD,
    ADD_OF_DIVISOR,
    ADD_PRODUCT,
    ADD_SHARED,
    ADD_SHOT,
    ADD_SQUARE,
    ADD_VARIANCE,
    CLAMP,
    DIVIDE,
    FLAG_FROM,
    FLAG_LOST,
    MULTIPLY,
    PRODUCT,
    PRODUCT_OVER,
    PRODUCT_TIMES,
    PRODUCT_TIMES_VALUE,
    RowsAndColumns,
    SomeValues,
)
from astro_calib.kernels.threads import over_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.kernels.program import Instruction, Section

__all__ = ["Pixels", "run"]


#: Pixels that one call of the compiled loops works on.
BLOCK = 1 << 18
#: Pixels of a row that are taken through all operations before the next ones: their arrays stay in the fastest cache.
WIDTH = 1024

# What y is.
NUMBER, ROW, COLUMN, IMAGE, ROW_AND_COLUMN = 0, 1, 2, 3, 4

OF_COEFFICIENT = (PRODUCT, PRODUCT_TIMES, PRODUCT_OVER, PRODUCT_TIMES_VALUE, ADD_PRODUCT)
OF_VARIANCE = (ADD_VARIANCE, ADD_SHOT, ADD_OF_DIVISOR, ADD_SHARED, ADD_SQUARE, *OF_COEFFICIENT)
OF_FLAGS = (FLAG_FROM, FLAG_LOST)
#: What does nothing in a section where its factor is zero. A square has such a factor only where no product was added.
ZERO_IS_NOTHING = (ADD, ADD_VARIANCE, ADD_SQUARE, *OF_COEFFICIENT)


class Pixels(NamedTuple):
    """The result: value, variance, flags, and whether a pixel is unfit; None for what was not asked for."""

    data: NDArray[Any]
    variance: NDArray[Any] | None
    flags: NDArray[np.uint16] | None
    mask: NDArray[np.bool_] | None


@inner(error_model="numpy")
def _load(raw: NDArray[Any], z: NDArray[Any]) -> None:
    kind = z.dtype.type
    for index in range(z.shape[0]):
        z[index] = kind(raw[index])


@inner(error_model="numpy")
def _fill(line: NDArray[Any], number: float) -> None:
    value = line.dtype.type(number)
    for index in range(line.shape[0]):
        line[index] = value


@inner(error_model="numpy")
def _add_number(line: NDArray[Any], number: float) -> None:
    value = line.dtype.type(number)
    for index in range(line.shape[0]):
        line[index] += value


@inner(error_model="numpy")
def _add(line: NDArray[Any], factor: float, y: NDArray[Any]) -> None:
    scale = line.dtype.type(factor)
    for index in range(line.shape[0]):
        line[index] += scale * y[index]


@inner(error_model="numpy")
def _multiply_number(line: NDArray[Any], number: float) -> None:
    value = line.dtype.type(number)
    for index in range(line.shape[0]):
        line[index] *= value


@inner(error_model="numpy")
def _multiply(line: NDArray[Any], factor: float, y: NDArray[Any]) -> None:
    scale = line.dtype.type(factor)
    for index in range(line.shape[0]):
        line[index] *= scale * y[index]


@inner(error_model="numpy")
def _divide_by(line: NDArray[Any], y: NDArray[Any]) -> None:
    for index in range(line.shape[0]):
        line[index] /= y[index]


@inner(error_model="numpy")
def _invert(y: NDArray[Any], inverse: NDArray[Any]) -> None:
    one = inverse.dtype.type(1)
    for index in range(y.shape[0]):
        inverse[index] = one / y[index]


@inner(error_model="numpy")
def _divide(z: NDArray[Any], v: NDArray[Any], y: NDArray[Any], inverse: NDArray[Any]) -> None:
    one = z.dtype.type(1)
    for index in range(z.shape[0]):
        over = one / y[index]
        inverse[index] = over
        z[index] *= over
        v[index] *= over * over


@inner(error_model="numpy")
def _clamp(line: NDArray[Any], floor: float) -> None:
    kind = line.dtype.type
    lowest, nothing, infinite = kind(floor), kind(0), kind(np.inf)
    for index in range(line.shape[0]):
        signal = line[index]
        # A pixel that is no number brings no shot noise.
        line[index] = max(lowest, signal) if abs(signal) < infinite else nothing


@inner(error_model="numpy")
def _add_shot(z: NDArray[Any], floor: float, v: NDArray[Any]) -> None:
    kind = z.dtype.type
    lowest, nothing, infinite = kind(floor), kind(0), kind(np.inf)
    for index in range(z.shape[0]):
        signal = z[index]
        v[index] += max(lowest, signal) if abs(signal) < infinite else nothing


@inner(error_model="numpy")
def _add_shot_above(z: NDArray[Any], factor: float, y: NDArray[Any], v: NDArray[Any]) -> None:
    kind = z.dtype.type
    scale, nothing, infinite = kind(factor), kind(0), kind(np.inf)
    for index in range(z.shape[0]):
        signal = z[index]
        v[index] += max(scale * y[index], signal) if abs(signal) < infinite else nothing


@inner(error_model="numpy")
def _add_of_divisor(z: NDArray[Any], inverse: NDArray[Any], factor: float, y: NDArray[Any], v: NDArray[Any]) -> None:
    scale = z.dtype.type(factor)
    for index in range(z.shape[0]):
        relative = z[index] * inverse[index]
        v[index] += scale * relative * relative * y[index]


@inner(error_model="numpy")
def _add_shared(z: NDArray[Any], inverse: NDArray[Any], factor: float, y: NDArray[Any], v: NDArray[Any]) -> None:
    scale = z.dtype.type(factor)
    for index in range(z.shape[0]):
        v[index] += scale * z[index] * inverse[index] * inverse[index] * y[index]


@inner(error_model="numpy")
def _add_square(c: NDArray[Any], factor: float, v: NDArray[Any]) -> None:
    scale, nothing = c.dtype.type(factor), c.dtype.type(0)
    for index in range(c.shape[0]):
        v[index] += scale * c[index] * c[index]
        c[index] = nothing


@inner(error_model="numpy")
def _flag(z: NDArray[Any], level: float, bits: int, flags: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
    lowest, own = z.dtype.type(level), np.uint16(bits)
    found = np.int32(0)
    for index in range(z.shape[0]):
        found += np.int32(z[index] >= lowest)
    # Most lines have none, and their flags need not be written.
    if found == 0:
        return
    for index in range(z.shape[0]):
        over = z[index] >= lowest
        flags[index] |= own if over else np.uint16(0)
        mask[index] |= over


@inner(error_model="numpy")
def _flag_above(
    z: NDArray[Any], factor: float, y: NDArray[Any], bits: int, flags: NDArray[np.uint16], mask: NDArray[np.bool_]
) -> None:
    scale, own = z.dtype.type(factor), np.uint16(bits)
    for index in range(z.shape[0]):
        over = z[index] >= scale * y[index]
        flags[index] |= own if over else np.uint16(0)
        mask[index] |= over


@inner(error_model="numpy")
def _flag_lost(z: NDArray[Any], bits: int, flags: NDArray[np.uint16], mask: NDArray[np.bool_]) -> None:
    infinite, own = z.dtype.type(np.inf), np.uint16(bits)
    for index in range(z.shape[0]):
        lost = not abs(z[index]) < infinite
        flags[index] |= own if lost else np.uint16(0)
        mask[index] |= lost


@compiled(error_model="numpy")
def _run(
    raw: NDArray[Any],
    rows: tuple[int, int],
    columns: tuple[int, int],
    codes: NDArray[np.int64],
    layouts: NDArray[np.int64],
    bits: NDArray[np.int64],
    factors: NDArray[np.float64],
    places: NDArray[np.uintp],
    row_places: NDArray[np.uintp],
    with_variance: bool,
    data: NDArray[Any],
    variance: NDArray[Any],
    flags: NDArray[np.uint16],
    mask: NDArray[np.bool_],
) -> None:
    across = data.shape[1]
    inverse, product = np.empty(WIDTH, dtype=data.dtype), np.empty(WIDTH, dtype=data.dtype)
    coefficient = np.zeros(WIDTH, dtype=data.dtype)
    for row in range(rows[0], rows[1]):
        for start in range(columns[0], columns[1], WIDTH):
            width = min(WIDTH, columns[1] - start)
            place = row * across + start
            z, over = part_of(data, place, width), part_of(inverse, 0, width)
            v = part_of(variance, place, width)
            p, c = part_of(product, 0, width), part_of(coefficient, 0, width)
            _load(part_of(raw, place, width), z)
            # Whether there is variance yet.
            begun = False
            for step in range(codes.shape[0]):
                code, layout, factor = codes[step], layouts[step], factors[step]
                if layout in (ROW, ROW_AND_COLUMN):
                    factor *= np.float64(array_at(row_places[step], row, 1, z)[0])
                y = array_at(places[step], place if layout == IMAGE else start, width, z)
                is_number = layout < COLUMN
                if not begun and ADD_VARIANCE <= code <= ADD_SQUARE:
                    begun, is_all = True, code == ADD_VARIANCE and is_number
                    _fill(v, factor if is_all else 0.0)
                    if is_all:
                        continue
                if code == ADD:
                    if is_number:
                        _add_number(z, factor)
                    else:
                        _add(z, factor, y)
                elif code == MULTIPLY:
                    if is_number:
                        _multiply_number(z, factor)
                        if begun:
                            _multiply_number(v, factor * factor)
                    else:
                        _multiply(z, factor, y)
                        if begun:
                            _multiply(v, factor, y)
                            _multiply(v, factor, y)
                elif code == DIVIDE:
                    if begun and not is_number:
                        _divide(z, v, y, over)
                        continue
                    if is_number:
                        _fill(over, 1.0 / factor)
                    else:
                        _invert(y, over)
                    _multiply(z, 1.0, over)
                    if begun:
                        _multiply(v, 1.0, over)
                        _multiply(v, 1.0, over)
                elif code == ADD_VARIANCE:
                    if is_number:
                        _add_number(v, factor)
                    else:
                        _add(v, factor, y)
                elif code == ADD_SHOT:
                    if is_number:
                        _add_shot(z, factor, v)
                    else:
                        _add_shot_above(z, factor, y, v)
                elif code == ADD_OF_DIVISOR:
                    _add_of_divisor(z, over, factor, y, v)
                elif code == ADD_SHARED:
                    _add_shared(z, over, factor, y, v)
                elif code == PRODUCT:
                    _fill(p, factor)
                elif code == PRODUCT_TIMES:
                    if is_number:
                        _multiply_number(p, factor)
                    else:
                        _multiply(p, factor, y)
                elif code == PRODUCT_OVER:
                    if is_number:
                        _multiply_number(p, 1.0 / factor)
                    else:
                        _divide_by(p, y)
                elif code == PRODUCT_TIMES_VALUE:
                    _multiply(p, factor, z)
                elif code == ADD_PRODUCT:
                    _add(c, factor, p)
                elif code == ADD_SQUARE:
                    _add_square(c, factor, v)
                elif code == CLAMP:
                    _clamp(z, factor)
                elif code == FLAG_FROM:
                    f, m = part_of(flags, place, width), part_of(mask, place, width)
                    if is_number:
                        _flag(z, factor, bits[step], f, m)
                    else:
                        _flag_above(z, factor, y, bits[step], f, m)
                elif code == FLAG_LOST:
                    _flag_lost(z, bits[step], part_of(flags, place, width), part_of(mask, place, width))
            if with_variance and not begun:
                _fill(v, 0.0)


def _layout(array: NDArray[Any] | RowsAndColumns | SomeValues | None, shape: tuple[int, ...]) -> int:
    if array is None:
        return NUMBER
    if isinstance(array, RowsAndColumns):
        return ROW_AND_COLUMN
    if array.shape == shape:
        return IMAGE
    return COLUMN if array.shape[-1] == shape[1] else ROW


def run(
    instructions: Sequence[Instruction],
    raw: NDArray[Any],
    *,
    dtype: np.dtype[Any],
    sections: Sequence[Section] | None = None,
    with_variance: bool = False,
    masks: Sequence[NDArray[np.bool_]] | None = None,
    quality: Sequence[NDArray[np.uint16]] = (),
) -> Pixels:
    """
    Carry out operations on the pixels of a frame.

    Parameters
    ----------
    instructions : sequence of Instruction
        The operations, in order.
    raw : ndarray, shape (ny, nx)
        The values to begin with; integers, float32 or float64.
    dtype : dtype
        Of the result, float32 or float64.
    sections : sequence of (slice, slice), optional
        Rows and columns of each part of the frame that has factors of its own; together all of the frame.
    with_variance : bool
        Whether the variance is found, too; it begins as zero.
    masks, quality : sequence of ndarray, shape (ny, nx)
        Masks and flags that are ORed. Without masks there are no flags in the result.
    """
    shape = raw.shape
    flagged = masks is not None
    data, nothing = np.empty(shape, dtype=dtype), np.empty((0, shape[1]), dtype=dtype)
    variance = np.empty(shape, dtype=dtype) if with_variance else nothing
    planes = shape if flagged else (0, shape[1])
    flags, mask = np.empty(planes, dtype=np.uint16), np.empty(planes, dtype=np.bool_)
    done = [
        one
        for one in instructions
        if (with_variance or one.code not in OF_VARIANCE) and (flagged or one.code not in OF_FLAGS)
    ]
    arrays = [_values(one, shape, dtype) for one in done]
    kinds = [_layout(array, shape) for array in arrays]
    codes, layouts, bits = np.array([[one.code for one in done], kinds, [one.bits for one in done]], dtype=np.int64)
    whole = [(slice(0, shape[0]), slice(0, shape[1]))] if sections is None else sections
    factors = [np.array([_of_section(one, index) for one in done]) for index in range(len(whole))]
    used = [np.flatnonzero((own != 0) | ~np.isin(codes, ZERO_IS_NOTHING)) for own in factors]
    if raw.dtype.kind not in "iuf" or (raw.dtype.kind == "f" and raw.dtype.itemsize not in (4, 8)):
        raw = raw.astype(dtype)
    native = raw.dtype.newbyteorder("=")

    # Blocks of zeros, for each thread and array, in which the values of some pixels stand as long as they count.
    blank: list[NDArray[Any]] = []

    def work(part: slice) -> None:
        if masks is not None:
            for planes, merged in ((quality, flags[part]), (masks, mask[part])):
                _merge(planes, part, merged)
        values = [_of_part(array, part, layout, dtype, blank) for array, layout in zip(arrays, kinds, strict=True)]
        of_rows = [
            np.ascontiguousarray(array.rows[part], dtype) if isinstance(array, RowsAndColumns) else value
            for array, value in zip(arrays, values, strict=True)
        ]
        places, row_places = addresses(values), addresses(of_rows)
        pixels = read_only(raw[part], native)
        for (rows, columns), own, held in zip(whole, factors, used, strict=True):
            begin, end = max(part.start, rows.start) - part.start, min(part.stop, rows.stop) - part.start
            if begin >= end or columns.start >= columns.stop:
                continue
            _run(
                pixels,
                (begin, end),
                (columns.start, columns.stop),
                codes[held],
                layouts[held],
                bits[held],
                own[held],
                places[held],
                row_places[held],
                with_variance,
                data[part],
                variance[part],
                flags[part],
                mask[part],
            )
        for array, block in zip(arrays, values, strict=True):
            if isinstance(array, SomeValues) and block is not None:
                block.reshape(-1)[array.within(part)[0]] = 0
                blank.append(block)

    over_rows(work, shape[0], raw.size, max(1, BLOCK // max(shape[1], 1)))
    return Pixels(data, variance if with_variance else None, flags if flagged else None, mask if flagged else None)


def _merge(planes: Sequence[NDArray[Any] | SomeValues], part: slice, merged: NDArray[Any]) -> None:
    """OR some rows of planes."""
    whole = [plane[part] for plane in planes if not isinstance(plane, SomeValues)]
    merged[...] = whole[0] if whole else 0
    for other in whole[1:]:
        np.bitwise_or(merged, other, out=merged)
    for plane in planes:
        if isinstance(plane, SomeValues):
            places, values = plane.within(part)
            merged.reshape(-1)[places] |= values


def _values(
    one: Instruction, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any] | RowsAndColumns | SomeValues | None:
    """The array of an instruction: an image, a row, a column of numbers or a row and a column; None for a number."""
    if isinstance(one.array, (RowsAndColumns, SomeValues)):
        return one.array
    array = one.array() if callable(one.array) else one.array
    if array is None or array.shape == shape:
        return array
    if array.size == 1:
        return np.full((1, shape[1]), array.reshape(-1)[0], dtype=dtype)
    return array.astype(dtype, copy=False)


def _of_part(
    array: NDArray[Any] | RowsAndColumns | SomeValues | None,
    part: slice,
    layout: int,
    dtype: np.dtype[Any],
    blank: list[NDArray[Any]],
) -> NDArray[Any] | None:
    """What there is of an array for some rows; of a row and a column only the one for each column."""
    if array is None:
        return None
    if isinstance(array, SomeValues):
        shape = part.stop - part.start, array.shape[1]
        try:
            block = blank.pop()
        except IndexError:
            block = np.zeros(shape, dtype)
        if block.shape != shape:
            block = np.zeros(shape, dtype)
        places, values = array.within(part)
        block.reshape(-1)[places] = values
        return block
    if isinstance(array, RowsAndColumns):
        return np.ascontiguousarray(array.columns, dtype)
    return np.ascontiguousarray(array[part] if layout in (ROW, IMAGE) else array, dtype)


def _of_section(one: Instruction, index: int) -> float:
    return one.factor[index] if isinstance(one.factor, tuple) else float(one.factor)
