"""The steps of a calibration, one module each; `astro_calib.calibrate` takes them all in the right order."""

from astro_calib.steps.bias import subtract_bias
from astro_calib.steps.binning import block_mean, block_sum
from astro_calib.steps.cosmic_rays import cosmicray_lacosmic
from astro_calib.steps.crosstalk import subtract_crosstalk
from astro_calib.steps.dark import subtract_dark
from astro_calib.steps.deviation import create_deviation
from astro_calib.steps.flat import flat_correct
from astro_calib.steps.fringe import subtract_fringe
from astro_calib.steps.gain import gain_correct
from astro_calib.steps.illumination import illuminated_flat, illumination_correct
from astro_calib.steps.linearity import correct_linearity
from astro_calib.steps.overscan import subtract_overscan
from astro_calib.steps.planes import colour_planes
from astro_calib.steps.quality import flag_bad_pixels, flag_saturated
from astro_calib.steps.sequence import calibration_steps
from astro_calib.steps.shutter import shutter_correct
from astro_calib.steps.sky import subtract_sky
from astro_calib.steps.step import LinearStep, NamedStep, apply_steps, place_of
from astro_calib.steps.trim import trim_image

__all__ = [
    "LinearStep",
    "NamedStep",
    "apply_steps",
    "block_mean",
    "block_sum",
    "calibration_steps",
    "colour_planes",
    "correct_linearity",
    "cosmicray_lacosmic",
    "create_deviation",
    "flag_bad_pixels",
    "flag_saturated",
    "flat_correct",
    "gain_correct",
    "illuminated_flat",
    "illumination_correct",
    "place_of",
    "shutter_correct",
    "subtract_bias",
    "subtract_crosstalk",
    "subtract_dark",
    "subtract_fringe",
    "subtract_overscan",
    "subtract_sky",
    "trim_image",
]
