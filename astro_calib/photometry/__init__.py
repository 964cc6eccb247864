"""Stars on a frame: where they are, how bright, with what error, and what the error is made of."""

from astro_calib.photometry.before import before_calibration
from astro_calib.photometry.for_photutils import aperture_photometry, as_photutils
from astro_calib.photometry.for_specreduce import boxcar_spectrum
from astro_calib.photometry.picture import plot_snr
from astro_calib.photometry.portable_table import StarTable
from astro_calib.photometry.snr import compare_snr, measure_snr

__all__ = [
    "StarTable",
    "aperture_photometry",
    "as_photutils",
    "before_calibration",
    "boxcar_spectrum",
    "compare_snr",
    "measure_snr",
    "plot_snr",
]
