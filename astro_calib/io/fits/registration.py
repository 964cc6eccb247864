"""How ``CCDFrame.read``, ``CCDFrame.write`` and the search for masters come to know FITS."""

from __future__ import annotations

from typing import Any

from astropy.io import fits, registry

from astro_calib.frame.frame import CCDFrame
from astro_calib.io.find import OPENERS
from astro_calib.io.fits.read import read_fits, stored_fits
from astro_calib.io.fits.write import write_fits


def _is_fits(origin: str, path: Any, *arguments: Any, **options: Any) -> bool:
    """Whether a file is FITS, from what it is called or how it begins."""
    name = "" if path is None else str(path).lower()
    return name.endswith(".fz") or bool(fits.connect.is_fits(origin, path, *arguments, **options))


registry.register_reader("fits", CCDFrame, read_fits)
registry.register_writer("fits", CCDFrame, write_fits)
registry.register_identifier("fits", CCDFrame, _is_fits)
OPENERS["fits"] = stored_fits
