"""
Frames as FITS files that a plain CCDData reads too.

The image is in the primary HDU; UNCERT holds the variance (UTYPE = 'VarianceUncertainty'), MASK the mask, FLAGS the
bits of `~astro_calib.DataQuality`, PSFIMAGE the PSF. The sources of the variance are not written: a frame that is read
has one source for all, the same each time that the same file is read.
"""

from __future__ import annotations

import copy
import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry
from astropy.nddata.ccddata import CCDData, fits_ccddata_reader
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import FrameError
from astro_calib.frame import CCDFrame
from astro_calib.io.atomic import write_atomically
from astro_calib.io.whole import read_whole_fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["read_fits", "write_fits"]

#: Name of the extension with the data quality flags.
FLAGS = "FLAGS"


def read_fits(filename: Any, **kwargs: Any) -> CCDFrame:
    """
    Read a frame; this is what ``CCDFrame.read`` calls for FITS.

    Parameters
    ----------
    filename : str, path or file object
        The file; plain, compressed (.gz, .bz2) or tile-compressed (.fz). It is read to its end, and refused if any
        byte is missing.
    **kwargs
        Arguments of `astropy.nddata.fits_ccddata_reader`: ``unit`` for files that do not say theirs, ``hdu`` for the
        number of the image where that is not the first.

    Returns
    -------
    CCDFrame
        Whose `~CCDFrame.name` is that of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as FITS, is cut off, or holds no image; the message names it.
    """
    where = filename if isinstance(filename, (str, os.PathLike)) else getattr(filename, "name", None)
    path = Path(where) if isinstance(where, (str, os.PathLike)) else None
    name = "the file" if path is None else path.name
    unsupported = {"do_not_scale_image_data", "scale_back"} & kwargs.keys()
    if unsupported:
        msg = f"{' and '.join(sorted(unsupported))} cannot be given: pixels are always scaled."
        raise TypeError(msg)
    flags = kwargs.pop("hdu_flags", FLAGS)
    with warnings.catch_warnings():
        # Remarks on how a date or a unit in the WCS was understood do not concern the pixels.
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            content = filename.read() if path is None else read_whole_fits(path)
            flag_values = _complete_arguments(content, kwargs, flags)
            frame = CCDFrame(fits_ccddata_reader(io.BytesIO(content), **kwargs), name=name)
            frame.flags = flag_values
        except FileNotFoundError:
            raise
        except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, fits.VerifyError) as error:
            msg = f"{name} cannot be read: {error}"
            raise FrameError(msg) from error
    return frame


def _complete_arguments(content: bytes, arguments: dict[str, Any], flags: str | None) -> NDArray[Any] | None:
    """Find the image and its unit, where they are not given; return the flags, which astropy 7 does not read."""
    with fits.open(io.BytesIO(content), lazy_load_hdus=False) as hdus:
        if "hdu" not in arguments:
            images = [number for number, hdu in enumerate(hdus) if hdu.is_image and hdu.header.get("NAXIS", 0) > 0]
            if not images:
                msg = "there is no image in it."
                raise FrameError(msg)
            arguments["hdu"] = images[0]
        unit = hdus[arguments["hdu"]].header.get("BUNIT")
        given = arguments.get("unit")
        if given is None and unit is None:
            msg = "it does not say its unit; give it, as in unit='adu'."
            raise FrameError(msg)
        if not str(unit if given is None else given).strip():
            # A unit without name counts as none in astropy.
            arguments["unit"] = u.dimensionless_unscaled
        elif given is not None and str(unit).strip().lower() == str(given).lower():
            # Both say the same, which is not worth a remark.
            del arguments["unit"]
        return np.array(hdus[flags].data) if flags is not None and flags in hdus else None


def write_fits(ccd: CCDFrame, filename: str | os.PathLike[str], overwrite: bool = False, **kwargs: Any) -> None:
    """
    Write a frame; this is what ``CCDFrame.write`` calls for FITS.

    Parameters
    ----------
    ccd : CCDFrame
        The frame.
    filename : str or path
        Where to; a name that ends in .gz is compressed. The file is there whole or not at all.
    overwrite : bool
        Whether to replace a file that is there.
    **kwargs
        Arguments of `astropy.nddata.CCDData.to_hdu`.

    Raises
    ------
    FileExistsError
        If the file is there and is not to be overwritten.
    OSError
        If it cannot be written; an old file is left as it was.
    FrameError
        If the header holds what FITS cannot; the message names the keyword.
    """
    path = Path(filename)
    if path.exists() and not overwrite:
        msg = f"{path} exists; give overwrite=True to replace it."
        raise FileExistsError(msg)
    flags = kwargs.pop("hdu_flags", FLAGS)
    try:
        hdus = _without_flags(ccd).to_hdu(**kwargs)
    except (TypeError, ValueError) as error:
        unfit = [f"{keyword} = {value!r}" for keyword, value in ccd.meta.items() if not _fits_can_hold(keyword, value)]
        if not unfit:
            raise
        msg = (
            f"{ccd.name} cannot be written to {path} because of {', '.join(unfit)} in its header: give text without "
            "line breaks, finite numbers or truth values, under keywords of up to 8 letters."
        )
        raise FrameError(msg) from error
    if flags is not None and ccd.flags is not None:
        hdus.append(fits.ImageHDU(ccd.flags, name=flags))
    if kwargs.get("as_image_hdu"):
        hdus.insert(0, fits.PrimaryHDU())
    if ccd.unit == u.dimensionless_unscaled:
        hdus[1 if kwargs.get("as_image_hdu") else 0].header["BUNIT"] = ""
    write: Callable[[Path], object] = hdus.writeto
    write_atomically(path, write)


def _fits_can_hold(keyword: str, value: Any) -> bool:
    try:
        CCDData([0], unit=u.adu, meta={keyword: value}).to_hdu()
    except (TypeError, ValueError):
        return False
    return True


def _without_flags(ccd: CCDFrame) -> CCDFrame:
    """A frame for astropy 7, which does not write flags and stumbles over them."""
    result = copy.copy(ccd)
    result.flags = None
    return result


registry.register_reader("fits", CCDFrame, read_fits)
registry.register_writer("fits", CCDFrame, write_fits)
