"""What is made from many frames: plans of a night, dark current, bad pixels."""

from astro_calib.characterize.darks import DarkCurrent, dark_current
from astro_calib.characterize.planning import CalibrationPlan, plan_calibration

__all__ = ["CalibrationPlan", "DarkCurrent", "dark_current", "plan_calibration"]
