"""What is made from many frames: plans of a night, dark current, bad pixels."""

from astro_calib.characterize.bad_pixels import bad_pixel_mask
from astro_calib.characterize.dark_choice import DarkChoice, choose_dark
from astro_calib.characterize.darks import DarkCurrent, dark_current
from astro_calib.characterize.planning import CalibrationPlan, plan_calibration

__all__ = [
    "CalibrationPlan",
    "DarkChoice",
    "DarkCurrent",
    "bad_pixel_mask",
    "choose_dark",
    "dark_current",
    "plan_calibration",
]
