"""A night at the telescope: which frames there are, and their reduction from raw files to measured stars."""

from astro_calib.night.common.frames import RawFrame, UnusedFile
from astro_calib.night.plan.night_plan import NightPlan
from astro_calib.night.plan.plan import Plan
from astro_calib.night.planning import plan_night
from astro_calib.night.profiles.choice import builtin_profiles, choose_profile, load_profile
from astro_calib.night.profiles.profile import Profile
from astro_calib.night.run import reduce_night
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.summary.master_summary import MasterSummary
from astro_calib.night.summary.summary import NightSummary
from astro_calib.photometry.sky_noise import SkyNoise, measure_sky_noise

__all__ = [
    "FrameSummary",
    "MasterSummary",
    "NightPlan",
    "NightSummary",
    "Plan",
    "Profile",
    "RawFrame",
    "SkyNoise",
    "UnusedFile",
    "builtin_profiles",
    "choose_profile",
    "load_profile",
    "measure_sky_noise",
    "plan_night",
    "reduce_night",
]
