"""CCD reduction with error bars that know where they came from."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from astro_calib import home  # noqa: F401  first: astropy cannot be imported without one
from astro_calib.detector.amplifier import Amplifier
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.crosstalk import Crosstalk
from astro_calib.detector.detector import Detector
from astro_calib.detector.linearity import Linearity, LinearityPolynomial, LinearityTable
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame, covariance
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.source import NoiseSource
from astro_calib.steps import (
    block_mean,
    block_sum,
    colour_planes,
    correct_linearity,
    cosmicray_lacosmic,
    create_deviation,
    flag_bad_pixels,
    flag_saturated,
    flat_correct,
    gain_correct,
    illuminated_flat,
    illumination_correct,
    shutter_correct,
    subtract_bias,
    subtract_crosstalk,
    subtract_dark,
    subtract_fringe,
    subtract_overscan,
    subtract_sky,
    trim_image,
)
from astro_calib.steps.sequence import calibrate, ccd_process

if TYPE_CHECKING:
    from astro_calib import characterize, errors, estimators, night, photometry, simulate, validation
    from astro_calib.io.fits.mosaic import read_mosaic
    from astro_calib.night import reduce_night
    from astro_calib.photometry import compare_snr, measure_snr, plot_snr
    from astro_calib.stack.combination import combine
    from astro_calib.stack.cosmic_rays import find_cosmic_rays

#: The modules that users call, which ``ac.<tab>`` offers although they are not imported yet.
_MODULES = ("characterize", "errors", "estimators", "night", "photometry", "simulate", "validation")

#: Names that are imported when they are first asked for, because of what they import in turn.
_LATER = {
    "combine": "astro_calib.stack.combination",
    "compare_snr": "astro_calib.photometry",
    "find_cosmic_rays": "astro_calib.stack.cosmic_rays",
    "measure_snr": "astro_calib.photometry",
    "plot_snr": "astro_calib.photometry",
    "read_mosaic": "astro_calib.io.fits.mosaic",
    "reduce_night": "astro_calib.night",
    **{module: f"astro_calib.{module}" for module in _MODULES},
}

__all__ = [
    "Amplifier",
    "CCDFrame",
    "Correlation",
    "Crosstalk",
    "DataQuality",
    "Detector",
    "Linearity",
    "LinearityPolynomial",
    "LinearityTable",
    "NoiseSource",
    "UncertaintyBudget",
    "block_mean",
    "block_sum",
    "calibrate",
    "ccd_process",
    "characterize",
    "colour_planes",
    "combine",
    "compare_snr",
    "correct_linearity",
    "cosmicray_lacosmic",
    "covariance",
    "create_deviation",
    "errors",
    "estimators",
    "find_cosmic_rays",
    "flag_bad_pixels",
    "flag_saturated",
    "flat_correct",
    "gain_correct",
    "illuminated_flat",
    "illumination_correct",
    "measure_snr",
    "night",
    "photometry",
    "plot_snr",
    "read_mosaic",
    "reduce_night",
    "shutter_correct",
    "simulate",
    "subtract_bias",
    "subtract_crosstalk",
    "subtract_dark",
    "subtract_fringe",
    "subtract_overscan",
    "subtract_sky",
    "trim_image",
    "validation",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("astro-calib")
    if name not in _LATER:
        msg = f"module {__name__!r} has no attribute {name!r}"
        # With these Python says which name may be meant.
        raise AttributeError(msg, name=name, obj=sys.modules[__name__])
    module = import_module(_LATER[name])
    return module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
