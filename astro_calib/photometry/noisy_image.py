"""Images with a budget: frames, and those of other packages that keep to `astro_calib.noise.protocol.Budget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy.nddata import NDData

from astro_calib.errors import ShapeMismatchError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import as_frame
from astro_calib.noise.protocol import Budget

if TYPE_CHECKING:
    import astropy.units as u
    from numpy.typing import NDArray

__all__ = ["NoisyImage", "noisy_image"]


class NoisyImage(NamedTuple):
    """
    What is measured of an image: its pixels, which of them are to be left out, and their noise.

    Attributes
    ----------
    values, sigma : ndarray, shape (ny, nx)
        In ``unit``; read-only for a frame.
    unit : Unit
        Of the image.
    mask : ndarray of bool or None
        True where a pixel is to be left out.
    wcs : object or None
        The WCS.
    budget : Budget
        The noise.
    """

    values: NDArray[Any]
    sigma: NDArray[Any]
    unit: u.UnitBase
    mask: NDArray[np.bool_] | None
    wcs: Any
    budget: Budget

    def error_of_sum(self, weights: NDArray[np.float64], region: tuple[slice, ...]) -> float:
        """The error of a weighted sum over the pixels of a region; the weights have its shape."""
        return float(np.sqrt(self.budget[region].variance_of_sum(weights)))


def noisy_image(image: Any) -> NoisyImage:
    """What is measured of a frame, of a plain CCDData with an uncertainty, or of an image that has a budget."""
    budget = getattr(image, "budget", None)
    if not isinstance(image, CCDFrame) and isinstance(image, NDData) and isinstance(budget, Budget):
        if budget.shape != image.data.shape or len(budget.shape) != 2:
            shapes = f"an image of shape {image.data.shape} has a budget of shape {budget.shape}"
            msg = f"{shapes}; expected the same two axes, (ny, nx), of both."
            raise ShapeMismatchError(msg)
        return NoisyImage(image.data, np.sqrt(budget.variance()), image.unit, image.mask, image.wcs, budget)
    frame = as_frame(image)
    # That of a frame without noise raises an error, which says what to do.
    frame.budget.variance()
    assert frame.sigma is not None
    return NoisyImage(frame.pixels, frame.sigma, frame.unit, frame.mask, frame.wcs, frame.budget)
