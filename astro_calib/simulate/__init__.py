"""
Frames whose truth is known.

The building blocks return expected values as plain arrays: electrons, electrons per second, adu, or relative
sensitivity. A `Camera` puts them together: it draws every electron once, reads it out, and returns the frame
with its `Truth`. `night` writes a night of raw FITS files. All randomness comes from seeds, so that the same
seed gives the same files, byte for byte.
"""

from astro_calib.simulate.components import (
    bias,
    dark_current,
    make_cosmic_rays,
    read_noise,
    sensitivity_variations,
)
from astro_calib.simulate.electronics import ReadOut, ReadOutTone
from astro_calib.simulate.exposure import Truth
from astro_calib.simulate.instrument import Camera
from astro_calib.simulate.observing import Night, night, write_frame
from astro_calib.simulate.realistic import camera
from astro_calib.simulate.scene import random_stars, sky_background, stars

__all__ = [
    "Camera",
    "Night",
    "ReadOut",
    "ReadOutTone",
    "Truth",
    "bias",
    "camera",
    "dark_current",
    "make_cosmic_rays",
    "night",
    "random_stars",
    "read_noise",
    "sensitivity_variations",
    "sky_background",
    "stars",
    "write_frame",
]
