"""The digest tells frames apart by values, positions and shape, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from astro_calib.kernels.digest import digest

FRAME = np.random.default_rng(3).integers(0, 65536, (40, 50)).astype(np.uint16)


@pytest.mark.parametrize(
    "dtype", ["uint16", "int32", "uint32", "int64", "float32", "float64", ">u2", ">i4", ">f4", ">f8", "<f4"]
)
def test_same_values_of_any_type_have_one_digest(dtype):
    assert digest(FRAME.astype(dtype)) == digest(FRAME)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "float16"])
def test_small_types_too(dtype):
    values = np.array([[0, 1, 1], [1, 0, 1]])
    assert digest(values.astype(dtype)) == digest(values.astype(float))


def test_nothing_but_the_values_counts():
    read_only = FRAME.copy()
    read_only.flags.writeable = False
    assert digest(read_only) == digest(np.asfortranarray(FRAME)) == digest(FRAME) == digest(FRAME.copy())
    padded = np.zeros((80, 150), dtype=FRAME.dtype)
    padded[::2, ::3] = FRAME
    assert digest(padded[::2, ::3]) == digest(FRAME)


@pytest.mark.parametrize(
    "view",
    [
        FRAME[::-1],
        FRAME[:, ::-1],
        FRAME[::-1, ::-1],
        FRAME[::2],
        FRAME[:, ::3],
        FRAME[5:, 2:],
        FRAME.T,
        FRAME.byteswap().view(FRAME.dtype.newbyteorder())[::-1, 3:],
    ],
)
def test_view_has_the_digest_of_its_values_and_not_that_of_the_whole(view):
    assert digest(view) == digest(np.ascontiguousarray(view))
    assert digest(view) != digest(FRAME)


def test_any_change_of_one_pixel_is_seen():
    seen = {digest(FRAME)}
    for row, column in np.ndindex(FRAME.shape):
        changed = FRAME.copy()
        changed[row, column] ^= 1 << (row + column) % 16
        seen.add(digest(changed))
    assert len(seen) == FRAME.size + 1


@given(
    pixels=arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    row=st.integers(0, 2),
    column=st.integers(0, 3),
)
def test_smallest_change_of_a_floating_pixel_is_seen(pixels, row, column):
    changed = pixels.copy()
    changed[row, column] = np.nextafter(pixels[row, column], np.float32(np.inf))
    assert digest(changed) != digest(pixels)


@given(st.permutations(range(12)))
def test_any_other_order_of_the_pixels_is_seen(order):
    pixels = np.arange(12.0)
    swapped = pixels[order]
    assert (digest(swapped.reshape(3, 4)) == digest(pixels.reshape(3, 4))) == np.array_equal(swapped, pixels)


def test_changes_at_two_pixels_do_not_compensate():
    # A plain sum over pixels would not see this.
    changed = FRAME.astype(float)
    changed[3, 4] += 1
    changed[10, 20] -= 1
    assert digest(changed) != digest(FRAME)


@pytest.mark.parametrize("shape", [(50, 40), (2000,), (1, 2000), (2000, 1), (2, 20, 50)])
def test_shape_is_part_of_it(shape):
    assert digest(FRAME.reshape(shape)) != digest(FRAME)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3, 4), (2, 1, 3, 2), (0, 3), (3, 0), (0,), (2, 0, 3)])
def test_any_number_of_axes_and_no_pixels_at_all(shape):
    pixels = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    assert digest(pixels) == digest(pixels.copy())
    if pixels.size:
        assert digest(pixels) != digest(pixels + 1)


def test_nan_is_equal_to_nan_and_different_from_all_else():
    with_nan = FRAME.astype(float)
    with_nan[0, 0] = np.nan
    assert digest(with_nan) == digest(with_nan.copy())
    assert digest(with_nan) != digest(np.where(np.isnan(with_nan), np.inf, with_nan))
