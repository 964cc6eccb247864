"""
Which package asks a frame for something, and what it has to be given or told.

Some code that knows only CCDData drops the errors of a frame without a word. What it gets, and what is said, depends on
who it is.
"""

from __future__ import annotations

import inspect

__all__ = ["asks_for_deviations", "takes_pixels"]

#: Modules that use standard deviations, and ignore an uncertainty of any other kind.
USE_DEVIATIONS = ("photutils.aperture.",)
#: Modules that take the pixels and leave the rest, and what keeps it.
TAKE_PIXELS = {
    "astropy.nddata.utils": "Cutout2D takes the pixels alone; frame[cutout.slices_original] keeps unit, flags and noise"
}


def asks_for_deviations() -> bool:
    """Whether the code that asks uses standard deviations, and ignores an uncertainty of any other kind."""
    return _asker().startswith(USE_DEVIATIONS)


def takes_pixels() -> str | None:
    """If the code that asks for an array leaves the rest of a frame behind, a sentence that says so."""
    return TAKE_PIXELS.get(_asker())


def _asker() -> str:
    """The module that asks: the nearest one up the stack that is not of this package."""
    caller = inspect.currentframe()
    while caller is not None:
        name: str = caller.f_globals.get("__name__", "")
        if not name.startswith("astro_calib."):
            return name
        caller = caller.f_back
    return ""
