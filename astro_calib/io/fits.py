"""
Frames as FITS files that a plain CCDData reads too.

The image is in the primary HDU; UNCERT holds the variance (UTYPE = 'VarianceUncertainty'), MASK the mask, FLAGS the
bits of `~astro_calib.DataQuality`, PSFIMAGE the PSF, BUDGET and ARRAY the sources of noise. Of a file of another origin
the uncertainty is one source of noise, the same each time that the file is read.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry
from astropy.nddata.ccddata import fits_ccddata_reader
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import FrameError
from astro_calib.frame import CCDFrame
from astro_calib.io.find import Finder
from astro_calib.io.fits_budget import BUDGET, FLAGS, IDENTITY, read_tree
from astro_calib.io.fits_checksum import check_data, check_headers, compare_sums, content_of
from astro_calib.io.fits_writer import write_fits
from astro_calib.io.headers import wcs_of_tree
from astro_calib.io.paths import file_to_read
from astro_calib.io.stored import Stored
from astro_calib.io.tiles import check_tiles
from astro_calib.io.whole import check_whole_fits, header_units, openable
from astro_calib.masters import Master, filed, master_of

__all__ = ["read_fits", "stored_fits", "write_fits"]

#: What tells a file of ours.
MARK_OF_BUDGET = f"EXTNAME = '{BUDGET}".encode()
MARK = re.compile(rf"{IDENTITY:8}= 'frame:".encode() + b"|" + MARK_OF_BUDGET)
#: Where the arrays of a frame are, and the arguments that say otherwise.
EXTENSIONS = {
    "total": ("hdu_uncertainty", "UNCERT"),
    "mask": ("hdu_mask", "MASK"),
    "psf": ("hdu_psf", "PSFIMAGE"),
    "flags": ("hdu_flags", FLAGS),
}


def read_fits(filename: Any, *, masters: Any = None, checksum: bool | None = None, **kwargs: Any) -> CCDFrame:
    """
    Read a frame; this is what ``CCDFrame.read`` calls for FITS.

    Parameters
    ----------
    filename : str, path or file object
        The file; plain, compressed (.gz, .bz2) or tile-compressed (.fz). It is read to its end, and refused if any
        byte is missing.
    masters : path or list of paths, optional
        Files of masters, or directories with them, to look in before the directory of the file.
    checksum : bool, optional
        Whether to compare everything with the checksums in the file. By default the headers of files that were
        written by this package are; with False nothing is, for a file whose header was edited by other programs.
    **kwargs
        Arguments of `astropy.nddata.fits_ccddata_reader`: ``unit`` for files that do not say theirs, ``hdu`` for the
        number of the image where that is not the first.

    Returns
    -------
    CCDFrame
        Whose `~astro_calib.CCDFrame.name` is that of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If the file cannot be read as FITS, is cut off or damaged, or holds no image; the message names it.

    Warns
    -----
    NoiseWarning
        If a master is not found; what the frame shares with others through it then counts as its own noise.
    """
    path = file_to_read(filename)
    name = "the file" if path is None else path.name
    unsupported = {"do_not_scale_image_data", "scale_back"} & kwargs.keys()
    if unsupported:
        msg = f"{' and '.join(sorted(unsupported))} cannot be given: pixels are always scaled."
        raise TypeError(msg)
    try:
        found = _found(filename if path is None else path, name, kwargs, checksum, Finder(path, masters))
        return found.frame() if isinstance(found, Stored) else found
    except FileNotFoundError:
        raise
    except Exception as error:
        # Of what is in a damaged file astropy, and what it unpacks it with, make errors of any kind.
        msg = f"{name} cannot be read: {str(error) or type(error).__name__}"
        raise FrameError(msg) from error


def stored_fits(path: Path, find: Finder) -> Stored | CCDFrame:
    """A file of which only the headers are read, as far as that can be; errors are those of `read_fits`."""
    return _found(path, path.name, {}, None, find)


def _found(
    filename: Any, name: str, arguments: dict[str, Any], checksum: bool | None, find: Finder
) -> Stored | CCDFrame:
    """What is in a file: all that is known of one of ours, or else a frame."""
    path = filename.absolute() if isinstance(filename, Path) else None
    source: Path | bytes
    if path is None:
        source = bytes(filename.read())
        units = list(header_units(io.BytesIO(source)))
    else:
        source, units = check_whole_fits(path)
    # Before anything in the headers is believed.
    ours = any(MARK.search(unit.header) for unit in units)
    if checksum or (checksum is None and ours):
        check_headers(units)
    if checksum or any(b"ZIMAGE" in unit.header for unit in units):
        with content_of(source) as content:
            if checksum:
                check_data(units, content)
            elif checksum is None:
                # What unpacks tiles cannot be trusted with damaged ones.
                compare_sums(units, content, only_tiles=True)
            check_tiles(units, content)
    if checksum is False:
        # Another program may have written our header with what it has made of the frame.
        ours = any(MARK_OF_BUDGET in unit.header for unit in units)
    with warnings.catch_warnings():
        # Remarks on how a date or a unit in the WCS was understood do not concern the pixels.
        warnings.simplefilter("ignore", FITSFixedWarning)
        with fits.open(openable(source), lazy_load_hdus=False) as hdus:
            _complete_arguments(hdus, arguments)
            if ours:
                return _ours(hdus, source, path, name, arguments, find)
            flags = _flags(hdus, arguments)
        frame = CCDFrame(fits_ccddata_reader(openable(source), **arguments), name=name)
    frame.flags = flags
    frame.meta.pop(IDENTITY, None)
    if path is not None:
        known = master_of(frame)
        filed(frame, Master(known.identity, name, known.checksum, path))
    return frame


def _flags(hdus: fits.HDUList, arguments: dict[str, Any]) -> Any:
    """The flags of a frame that this package has not written."""
    extension = arguments.pop("hdu_flags", FLAGS)
    return np.array(hdus[extension].data) if extension is not None and extension in hdus else None


def _ours(
    hdus: fits.HDUList,
    source: Path | bytes,
    path: Path | None,
    name: str,
    arguments: dict[str, Any],
    find: Finder,
) -> Stored:
    """What is in a file of this package."""
    tree = read_tree(hdus)
    names = {what: arguments.pop(argument, extension) for what, (argument, extension) in EXTENSIONS.items()}
    arrays = {what: hdus[where].data for what, where in names.items() if where and where in hdus}
    image = hdus[arguments["hdu"]]
    header = image.header.copy()
    # Unit and WCS as astropy has them.
    ccd = fits_ccddata_reader(openable(source), hdu_uncertainty=None, hdu_mask=None, hdu_psf=None, **arguments)
    if "total" not in arrays:
        # Under another name, or not asked for: the numbers of the budget alone are no noise.
        tree["budget"] = None
    wcs = tree.get("wcs", True)
    if ccd.wcs is not None and not wcs:
        # A WCS that was in the header alone.
        header = ccd.meta
    for keyword in tree.get("added", ()):
        header.remove(str(keyword), ignore_missing=True, remove_all=True)
    for keyword, (found, value) in tree.get("exact", {}).items():
        if keyword in header and header[keyword] == found:
            header[keyword] = value
    return Stored(
        name=name,
        path=path,
        data=image.data,
        total=arrays.pop("total", None),
        tree=tree,
        unit=ccd.unit,
        meta=header,
        wcs=wcs_of_tree(wcs) if isinstance(wcs, dict) else ccd.wcs,
        find=find,
        **arrays,
    )


def _complete_arguments(hdus: fits.HDUList, arguments: dict[str, Any]) -> None:
    """Find the image and its unit, where they are not given."""
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


def _is_fits(origin: str, path: Any, *arguments: Any, **options: Any) -> bool:
    """Whether a file is FITS, from what it is called or how it begins."""
    name = "" if path is None else str(path).lower()
    return name.endswith(".fz") or bool(fits.connect.is_fits(origin, path, *arguments, **options))


registry.register_reader("fits", CCDFrame, read_fits)
registry.register_writer("fits", CCDFrame, write_fits)
registry.register_identifier("fits", CCDFrame, _is_fits)
