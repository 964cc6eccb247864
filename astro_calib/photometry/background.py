"""The background of a frame: medians of boxes, with a smooth surface through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["background_of"]

#: Side of the boxes in which the background is measured; the median of 3 x 3 boxes takes out what a star left in one.
BACKGROUND_BOX = 64


def background_of(values: NDArray[Any], unfit: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the background of an image, in its type; the pixels that are ``unfit`` say nothing of it."""
    from photutils.background import Background2D, MedianBackground

    box = tuple(min(BACKGROUND_BOX, length) for length in values.shape)
    try:
        measured = Background2D(
            values, box, mask=unfit, filter_size=3, bkg_estimator=MedianBackground(), exclude_percentile=80
        )
    except ValueError:
        # Not one box has enough pixels: one level for all.
        return np.full(values.shape, np.median(values[~unfit]) if not unfit.all() else 0.0, dtype=values.dtype)
    return _surface(np.asarray(measured.background_mesh, dtype=np.float64), box, values.shape).astype(values.dtype)


def _surface(mesh: NDArray[np.float64], box: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """
    The surface that photutils lays through the levels of the boxes, within their range.

    A cubic spline along both axes is a product with a matrix for each, in a tenth of the time that it takes to find
    each pixel by itself.
    """
    from scipy.ndimage import zoom

    down, across = (
        np.stack([zoom(one, side, order=3, mode="reflect", grid_mode=True)[:length] for one in np.eye(number)], axis=1)
        for number, side, length in zip(mesh.shape, box, shape, strict=True)
    )
    surface: NDArray[np.float64] = down @ mesh @ across.T
    return np.clip(surface, mesh.min(), mesh.max(), out=surface)
