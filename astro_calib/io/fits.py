"""
Frames as FITS files that a plain CCDData reads too.

The image is in the primary HDU; UNCERT holds the variance (UTYPE = 'VarianceUncertainty'), MASK the mask, FLAGS the
bits of `~astro_calib.DataQuality`, PSFIMAGE the PSF. The sources of the variance are not written: a frame that is read
has one source for all, the same each time that the same file is read.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.io import fits, registry
from astropy.nddata.ccddata import fits_ccddata_reader
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import FrameError
from astro_calib.frame import CCDFrame
from astro_calib.io.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_fits", "write_fits"]

#: Name of the extension with the data quality flags.
FLAGS = "FLAGS"


def read_fits(filename: Any, **kwargs: Any) -> CCDFrame:
    """
    Read a frame; this is what ``CCDFrame.read`` calls for FITS.

    Parameters
    ----------
    filename : str, path or file object
        The file, plain or compressed.
    **kwargs
        Arguments of `astropy.nddata.fits_ccddata_reader`, among them ``unit`` for files that do not say theirs.

    Returns
    -------
    CCDFrame
        Whose ``name`` is that of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as FITS, is cut off, or holds no image; the message names it.
    """
    name = Path(filename).name if isinstance(filename, (str, os.PathLike)) else getattr(filename, "name", "the file")
    kwargs.setdefault("hdu_flags", FLAGS)
    if isinstance(filename, (str, os.PathLike)) and Path(filename).is_dir():
        msg = f"{filename} is a directory; expected a FITS file."
        raise FrameError(msg)
    with warnings.catch_warnings():
        # Remarks on how a date or a unit in the WCS was understood do not concern the pixels.
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.filterwarnings("error", message=".*truncated.*")
        try:
            ccd = fits_ccddata_reader(filename, **kwargs)
        except FileNotFoundError:
            raise
        except (OSError, EOFError, TypeError, KeyError, IndexError, Warning, fits.VerifyError) as error:
            msg = f"{name} cannot be read as a FITS image, it is damaged or not FITS: {error}"
            raise FrameError(msg) from error
        except ValueError as error:
            msg = f"{name} cannot be read: {error} If the file does not say its unit, give it: unit='adu'."
            raise FrameError(msg) from error
    return CCDFrame(ccd, name=str(name))


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
    """
    path = Path(filename)
    if path.exists() and not overwrite:
        msg = f"{path} exists; give overwrite=True to replace it."
        raise FileExistsError(msg)
    kwargs.setdefault("hdu_flags", FLAGS)
    hdus = ccd.to_hdu(**kwargs)
    write: Callable[[Path], object] = hdus.writeto
    write_atomically(path, write)


registry.register_reader("fits", CCDFrame, read_fits)
registry.register_writer("fits", CCDFrame, write_fits)
