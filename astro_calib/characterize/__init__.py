"""Find out how a detector behaves, and whether error bars are true."""

from astro_calib.characterize.comparison import compare_noise
from astro_calib.characterize.shot_noise import shot_noise_bias
from astro_calib.characterize.validate import Validation, validate

__all__ = ["Validation", "compare_noise", "shot_noise_bias", "validate"]
