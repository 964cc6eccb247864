"""The truth about a simulated frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import QTable
    from numpy.typing import NDArray

    from astro_calib.simulate.instrument import Camera

__all__ = ["Truth"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """
    What a simulated frame was made of: everything that is not noise.

    All arrays have the shape (ny, nx) of the imaging area, without overscan, and hold expected values, before
    Poisson noise.

    Parameters
    ----------
    camera : Camera
        The camera that took the frame.
    kind : {"bias", "dark", "flat", "science"}
        What was taken.
    exposure_time : float
        s.
    filter : str or None
        Of a flat or a science frame.
    bias_level : float
        Level of this frame's overscan, adu; the camera's level plus this frame's drift.
    sky_rate, star_rate : ndarray of float64
        Light of the sky and of the stars at a sensitivity of 1, electron / s.
    cosmic_rays : ndarray of float64
        Charge of the cosmic rays, electron.
    saturated : ndarray of bool
        Pixels that reached the saturation level, or the end of 16 bits.
    stars : QTable
        The stars whose centre is on the frame: the columns that were given, with ``flux`` in electron, what
        the whole exposure collects at a sensitivity of 1.
    integer : bool
        Whether the frame was rounded and clipped.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib import simulate
    >>> camera = simulate.camera((64, 96), seed=3)
    >>> frame, truth = camera.expose("science", 60, filter="V", sky=20, rng=np.random.default_rng(1))
    >>> round(truth.light.mean()), round(truth.variance.mean() - truth.electrons.mean())   # 8^2 + 1.5^2 / 12
    (1200, 64)
    """

    camera: Camera
    kind: str
    exposure_time: float
    filter: str | None
    bias_level: float
    sky_rate: NDArray[np.float64]
    star_rate: NDArray[np.float64]
    cosmic_rays: NDArray[np.float64]
    saturated: NDArray[np.bool_]
    stars: QTable
    integer: bool

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Relative sensitivity through the filter, mean 1; all 1 for a closed shutter."""
        if self.filter is None:
            return np.broadcast_to(1.0, self.camera.shape)
        return self.camera.sensitivity[self.filter]

    @property
    def light(self) -> NDArray[np.float64]:
        """Expected electrons of sky and stars, after the sensitivity."""
        return (self.sky_rate + self.star_rate) * self.sensitivity * self.exposure_time

    @property
    def dark(self) -> NDArray[np.float64]:
        """Expected electrons of the dark current."""
        return self.camera.dark_rate * self.exposure_time

    @property
    def electrons(self) -> NDArray[np.float64]:
        """Expected electrons from all sources: light, dark current and cosmic rays."""
        return self.light + self.dark + self.cosmic_rays

    @property
    def bias(self) -> NDArray[np.float64]:
        """Bias with its structure, adu."""
        return self.bias_level + self.camera.bias_structure

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected raw value, adu, as if nothing saturated."""
        linearity = self.camera.detector.amplifiers[0].linearity
        signal = self.electrons / self.camera.gain
        return (signal if linearity is None else linearity.response(signal)) + self.bias

    @property
    def variance(self) -> NDArray[np.float64]:
        """
        Variance of a pixel's noise, electron squared, as if nothing saturated and the response were linear.

        Shot noise of all electrons, read noise, and for rounded frames the quantisation, the square of a digital step
        in electrons / 12.
        """
        quantisation = (self.camera.gain * self.camera.digital_step) ** 2 / 12 if self.integer else 0.0
        return self.electrons + self.camera.read_noise**2 + quantisation

    @property
    def cosmic_ray_mask(self) -> NDArray[np.bool_]:
        """True for the pixels that a cosmic ray hit."""
        return self.cosmic_rays > 0
