"""Find out by Monte Carlo whether the error bars are true."""

from astro_calib.validation.comparison import compare_noise
from astro_calib.validation.judge import Validation, validate
from astro_calib.validation.shot_noise import shot_noise_bias

__all__ = ["Validation", "compare_noise", "shot_noise_bias", "validate"]
