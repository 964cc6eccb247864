"""Add up or average blocks of pixels, with their noise."""

from __future__ import annotations

from copy import deepcopy
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import described, is_sequence_of
from astro_calib.dtypes import float_type
from astro_calib.errors import FrameError, warn
from astro_calib.frame.bayer_cards import forget_pattern, pattern_in
from astro_calib.frame.rebuild import as_frame, lacks_own_noise, usable
from astro_calib.frame.wcs import binned_wcs
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.kernels.plain import plain
from astro_calib.noise.binning import binned_budget
from astro_calib.noise.blocks import BLOCK
from astro_calib.steps.header import forget_levels, forget_sections, note_binning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["block_mean", "block_sum"]


def block_sum(ccd: CCDFrame, block_size: int | Sequence[int]) -> CCDFrame:
    r"""
    Add up blocks of pixels, as a camera does that reads out several as one.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame with noise: calibrated, or a stack.
    block_size : int or (int, int)
        Rows and columns of a block.

    Returns
    -------
    CCDFrame, shape (ny // rows, nx // columns)
        In the unit and the type of ``ccd``. A block with a masked pixel is masked: its sum lacks light, or has too much
        of it. Flags are ORed. The WCS says where the blocks are; binning and size of pixels in the header are those of
        blocks.

    Raises
    ------
    FrameError
        If the frame has no noise of its own yet, or is smaller than a block.
    ValueError
        If the block size is none.

    Notes
    -----
    The variance is that of the sum, of each source of noise by itself: what is independent from pixel to pixel adds in
    quadrature, the error of a row's overscan level in full along the row, that of a gain in full, and correlated
    read-out noise with its waves. Frames that were binned alike go on sharing what they share, so that stacks and
    apertures are right.

    Rows and columns at the end that fill no block are left out, with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, block_sum
    >>> frame = CCDFrame(
    ...     np.arange(8.0).reshape(2, 4),
    ...     unit="electron",
    ...     uncertainty=np.full((2, 4), 3.0),
    ... )
    >>> binned = block_sum(frame, 2)
    >>> binned.pixels, binned.variance  # 4 pixels of variance 9
    (array([[10., 18.]]), array([[36., 36.]]))
    """
    return _binned(ccd, block_size, is_mean=False)


def block_mean(ccd: CCDFrame, block_size: int | Sequence[int]) -> CCDFrame:
    r"""
    The mean of blocks of pixels, without those that are masked.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A frame with noise: calibrated, or a stack.
    block_size : int or (int, int)
        Rows and columns of a block.

    Returns
    -------
    CCDFrame, shape (ny // rows, nx // columns)
        As from `block_sum`, but masked is only a block all of whose pixels are, and flags are those of pixels that
        count.

    Raises
    ------
    FrameError
        If the frame has no noise of its own yet, or is smaller than a block.
    ValueError
        If the block size is none.

    Notes
    -----
    For what is smooth over a block, such as a sky: where pixels are left out, the mean of the others stands for theirs.
    Times the number of pixels it is a sum that is scaled up for what is missing. The header's gain stays that of
    pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import CCDFrame, block_mean
    >>> mask = [[False, True, False, False], [False, False, False, False]]
    >>> frame = CCDFrame(
    ...     np.arange(8.0).reshape(2, 4),
    ...     unit="electron",
    ...     uncertainty=np.full((2, 4), 3.0),
    ...     mask=mask,
    ... )
    >>> binned = block_mean(frame, 2)
    >>> binned.pixels.round(3), binned.variance  # 9 / 3 and 9 / 4
    (array([[3. , 4.5]]), array([[3.  , 2.25]]))
    """
    return _binned(ccd, block_size, is_mean=True)


def _binned(ccd: CCDFrame, block_size: int | Sequence[int], *, is_mean: bool) -> CCDFrame:
    ccd = as_frame(ccd)
    size = _block_size(block_size)
    ccd = _filled(ccd, size)
    if lacks_own_noise(ccd):
        msg = (
            f"{ccd.name} has no noise of its own yet, and a detector has that of its pixels, not of blocks. Call "
            "calibrate or create_deviation first, and bin what they return."
        )
        raise FrameError(msg)
    ccd = ccd.snapshot()
    shape = ccd.shape[0] // size[0], ccd.shape[1] // size[1]
    good = usable(ccd)
    all_good = bool(good.all())
    masked = np.zeros(shape, dtype=np.bool_) if all_good else ~_blocks(good, size).all(axis=(1, 3))
    used: NDArray[np.bool_] | None = None
    weights: float | NDArray[np.float64] = 1.0 / (size[0] * size[1]) if is_mean else 1.0
    flags = ccd.flags
    if is_mean and not all_good:
        count = _blocks(good, size).sum(axis=(1, 3))
        masked = count == 0
        # Where no pixel is good, all are shown.
        used = good | np.repeat(np.repeat(masked, size[0], axis=0), size[1], axis=1)
        weights = 1.0 / np.where(masked, size[0] * size[1], count)
        if flags is not None:
            flags = np.where(used, flags, np.uint16(0))
    data = _sums(plain(ccd.pixels), used, weights, size, float_type(ccd.dtype))
    budget = ccd.known_budget
    assert budget is not None
    step = ccd.digital_step
    if step is not None:
        # A sum of whole numbers is one, and a mean of some is a whole number of parts.
        step = step * weights if isinstance(weights, float) else None
    has_mask = ccd.mask is not None or bool(masked.any())
    return type(ccd)(
        data,
        unit=ccd.unit,
        mask=masked if has_mask else None,
        flags=None if flags is None else np.bitwise_or.reduce(_blocks(flags, size), axis=(1, 3)),
        wcs=None if ccd.wcs is None else _wcs(ccd, size, shape),
        meta=_header(ccd, size),
        name=ccd.name,
        budget=binned_budget(budget, size, used, weights, data),
        history=ccd.history.of_new_pixels(origin=None, flattened_step=step),
        guard=WriteGuard(),
    )


def _block_size(value: Any) -> tuple[int, int]:
    """Rows and columns of a block."""
    both: Any = (value, value) if isinstance(value, Integral) else value
    if isinstance(both, np.ndarray):
        both = both.tolist()
    good = is_sequence_of(Integral, both) and len(both) == 2 and min(both) > 0
    if not good or isinstance(value, (bool, np.bool_)):
        msg = f"block_size is {described(value)}; expected a whole number above 0, or one for rows and one for columns."
        raise ValueError(msg)
    return int(both[0]), int(both[1])


def _filled(ccd: CCDFrame, size: tuple[int, int]) -> CCDFrame:
    """The frame without rows and columns that fill no block."""
    over = [length % number for length, number in zip(ccd.shape, size, strict=True)]
    if any(length < number for length, number in zip(ccd.shape, size, strict=True)):
        msg = f"{ccd.name} has shape {ccd.shape}, which is less than a block of {size}."
        raise FrameError(msg)
    if not any(over):
        return ccd
    msg = (
        f"{ccd.name} has shape {ccd.shape}: the last {over[0]} rows and {over[1]} columns fill no block of {size}, and "
        "are left out. Cut it first to choose others."
    )
    warn(msg)
    return ccd[: ccd.shape[0] - over[0], : ccd.shape[1] - over[1]]


def _blocks(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """The pixels by row of blocks, row in it, column of blocks and column in it."""
    return pixels.reshape(pixels.shape[0] // size[0], size[0], pixels.shape[1] // size[1], size[1])


def _sums(
    pixels: NDArray[Any],
    used: NDArray[np.bool_] | None,
    weights: float | NDArray[np.float64],
    size: tuple[int, int],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """The weighted sums of blocks, found in double precision."""
    from astro_calib.kernels.bins import sums_of_blocks
    from astro_calib.kernels.threads import over_rows

    rows = size[0]
    result = np.empty((pixels.shape[0] // rows, pixels.shape[1] // size[1]), dtype=dtype)

    def add(part: slice) -> None:
        lines = slice(part.start * rows, part.stop * rows)
        here = weights if isinstance(weights, float) else weights[part]
        result[part] = sums_of_blocks(pixels[lines], None if used is None else used[lines], *size) * here

    over_rows(add, len(result), pixels.size, max(1, BLOCK // (rows * pixels.shape[1])))
    return result


def _wcs(ccd: CCDFrame, size: tuple[int, int], shape: tuple[int, int]) -> Any:
    from astropy.wcs import WCS

    if isinstance(ccd.wcs, WCS):
        return binned_wcs(ccd.wcs, size, shape)
    warn(f"{ccd.name}: its WCS cannot follow the binning; the result has none.")
    return None


def _header(ccd: CCDFrame, size: tuple[int, int]) -> Any:
    """The header of the blocks."""
    meta = deepcopy(ccd.meta)
    rows, columns = size
    if pattern_in(meta, ccd.shape[0], ccd.name) is not None:
        if rows % 2 or columns % 2:
            msg = (
                f"{ccd.name} is the mosaic of a colour sensor: blocks of {size} do not all have the same colours. Bin "
                "its colour_planes, or choose even numbers."
            )
            warn(msg)
        forget_pattern(meta)
    forget_sections(meta)
    forget_levels(meta)
    note_binning(meta, columns, rows)
    return meta
