"""What is made from many frames: plans, dark current, bad pixels."""

from astro_calib.characterize.planning import CalibrationPlan, plan_calibration

__all__ = ["CalibrationPlan", "plan_calibration"]
