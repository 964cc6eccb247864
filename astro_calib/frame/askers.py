"""
Which package asks a frame for something, and what it has to be given or told.

Some code that knows only CCDData drops the errors of a frame without a word, or adds them up as if pixels were
independent. What it gets, and what is said, depends on who it is.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["USE_DEVIATIONS", "adds_up_errors", "takes_pixels"]

#: Packages that use standard deviations, and ignore an uncertainty of any other kind, at least in some functions.
USE_DEVIATIONS = ("photutils",)
#: Modules that treat pixels as independent, and what is right for shared noise.
TREAT_AS_INDEPENDENT = {
    "photutils": "astro_calib.photometry.aperture_photometry has the right errors of sums over apertures",
    "specreduce.extract": "astro_calib.photometry.boxcar_spectrum has the right errors of a BoxcarExtract",
}
#: Modules that take the pixels and leave the rest, and what keeps it.
TAKE_PIXELS = {
    "astropy.nddata.utils": "Cutout2D takes the pixels alone; frame[cutout.slices_original] keeps unit, flags and noise"
}


def adds_up_errors() -> tuple[str, str] | None:
    """If the code that asks treats pixels as independent: its package, and what is right for shared noise."""
    for asker in _askers():
        for module, remedy in TREAT_AS_INDEPENDENT.items():
            if asker == module or asker.startswith(f"{module}."):
                return module.partition(".")[0], remedy
    return None


def takes_pixels() -> str | None:
    """If the code that asks for an array leaves the rest of a frame behind, a sentence that says so."""
    return TAKE_PIXELS.get(next(_askers(), ""))


def _askers() -> Iterator[str]:
    """The modules that ask: up the stack the first one that is not of this package, and its callers of that package."""
    caller, package = inspect.currentframe(), None
    while caller is not None:
        # Code that is run in a name space of its own may have none.
        name = str(caller.f_globals.get("__name__") or "")
        of = name.partition(".")[0]
        if package is None and of != "astro_calib":
            package = of
        if package is not None:
            if of != package:
                return
            yield name
        caller = caller.f_back
