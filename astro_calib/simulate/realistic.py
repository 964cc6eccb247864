"""A camera with everything that calibration has to take out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_shape
from astro_calib.detector.detector import Detector
from astro_calib.simulate.components import bias, dark_current, sensitivity_variations
from astro_calib.simulate.instrument import Camera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.simulate.electronics import ReadOut

__all__ = ["camera"]


def camera(
    shape: tuple[int, int] = (512, 512),
    *,
    seed: int = 0,
    detector: Detector | None = None,
    filters: Sequence[str] = ("V", "R"),
    read_out: ReadOut | None = None,
) -> Camera:
    """
    Make a camera with everything that calibration has to take out.

    Its bias drifts by 2 adu from frame to frame and has stripes of 3 adu; its dark current of 0.1 electron /
    s comes with 0.2% of hot pixels and the glow of an amplifier; its pixels differ in sensitivity by 1%, its
    corners lose 5% of the light, and each filter has dust of its own. It has 32 columns of overscan.

    Parameters
    ----------
    shape : (int, int)
        Shape (ny, nx) of the imaging area.
    seed : int
        The same seed makes the same camera.
    detector : Detector, optional
        By default it has one amplifier, 1.5 electron / adu, 8 electron and a saturation of 60000 adu. Several
        amplifiers say themselves where their overscans are.
    filters : sequence of str
        Names of the filters.
    read_out : ReadOut, optional
        As in `Camera`.

    Returns
    -------
    Camera
        The same for the same arguments.

    Raises
    ------
    ValueError
        If the shape is not two positive whole numbers, or the detector cannot be simulated.

    Examples
    --------
    >>> from astro_calib import simulate
    >>> camera = simulate.camera((64, 96), seed=3, filters=["B", "V"])
    >>> print(camera.shape, sorted(camera.sensitivity), camera.gain)
    (64, 96) ['B', 'V'] 1.5
    """
    if detector is None:
        detector = Detector(
            gain=1.5 * u.electron / u.adu,
            read_noise=8 * u.electron,
            saturation=60000 * u.adu,
            name="simulated camera",
        )
    shape = check_shape(shape)
    bias_rng, dark_rng, pixel_rng, *filter_rngs = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(3 + len(filters))
    )
    pixels = sensitivity_variations(shape, vignetting=0, dust=0, pixel_scatter=0.01, rng=pixel_rng)
    optics = [sensitivity_variations(shape, vignetting=0.05, dust=8, pixel_scatter=0, rng=rng) for rng in filter_rngs]
    return Camera(
        shape=shape,
        detector=detector,
        bias_level=1000.0,
        bias_drift=2.0,
        bias_structure=bias(shape, 0.0, structure=3.0, rng=bias_rng),
        dark_rate=dark_current(shape, 0.1, hot_pixels=0.002, glow=2.0, rng=dark_rng),
        sensitivity={
            name: pixels * value / (pixels * value).mean() for name, value in zip(filters, optics, strict=True)
        },
        overscan_columns=32 if len(detector.amplifiers) == 1 else 0,
        read_out=read_out,
    )
