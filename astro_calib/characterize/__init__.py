"""Find out how a detector behaves, and whether error bars are true."""

from astro_calib.characterize.shot_noise import shot_noise_bias
from astro_calib.characterize.validate import Validation, validate

__all__ = ["Validation", "shot_noise_bias", "validate"]
