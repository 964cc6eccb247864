"""What is made from many frames: gain and read-out noise, dark current, bad pixels, plans of a night, audits."""

from astro_calib.characterize.audit import NoiseAudit, audit_noise
from astro_calib.characterize.bad_pixels import bad_pixel_mask
from astro_calib.characterize.calibration_plan import CalibrationPlan
from astro_calib.characterize.crosstalk import measure_crosstalk
from astro_calib.characterize.dark_choice import DarkChoice, choose_dark
from astro_calib.characterize.dark_result import DarkCurrent
from astro_calib.characterize.darks import dark_current
from astro_calib.characterize.frame_noise import ImageExcess, frame_detector, image_excess
from astro_calib.characterize.fringes import fringe_map
from astro_calib.characterize.neighbours import running_sky
from astro_calib.characterize.planning import plan_calibration
from astro_calib.characterize.result import AmplifierTransfer, Measured, PhotonTransfer, Point
from astro_calib.characterize.shutter import shutter_map
from astro_calib.characterize.sky_flats import illumination
from astro_calib.characterize.tones import Tone
from astro_calib.characterize.transfer import photon_transfer
from astro_calib.characterize.transfer_picture import plot_ptc

__all__ = [
    "AmplifierTransfer",
    "CalibrationPlan",
    "DarkChoice",
    "DarkCurrent",
    "ImageExcess",
    "Measured",
    "NoiseAudit",
    "PhotonTransfer",
    "Point",
    "Tone",
    "audit_noise",
    "bad_pixel_mask",
    "choose_dark",
    "dark_current",
    "frame_detector",
    "fringe_map",
    "illumination",
    "image_excess",
    "measure_crosstalk",
    "photon_transfer",
    "plan_calibration",
    "plot_ptc",
    "running_sky",
    "shutter_map",
]
