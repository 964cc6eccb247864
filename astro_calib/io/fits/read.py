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
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import FrameError, HeaderWarning, warn
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.lending import file_frame, master_of
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.io import mapping
from astro_calib.io.find import Finder
from astro_calib.io.fits.cards import remark_on_cards, repaired
from astro_calib.io.fits.image import find_hdu, image_header, image_pixels, unit_of_header
from astro_calib.io.fits.integrity import check_units
from astro_calib.io.fits.pixels import plane_shape
from astro_calib.io.fits.readable import readable
from astro_calib.io.fits.wcs import header_and_wcs
from astro_calib.io.fits.whole import check_whole_fits, header_units, openable
from astro_calib.io.fits_budget import BUDGET, FLAGS, IDENTITY, read_tree
from astro_calib.io.headers import wcs_of_tree
from astro_calib.io.paths import file_to_read
from astro_calib.io.stored import Stored
from astro_calib.io.stored_arrays import bits, own_native
from astro_calib.noise.place import known_master

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MARK", "read_fits", "stored_fits"]

#: How to recognise a file that this package wrote.
MARK_OF_BUDGET = f"EXTNAME = '{BUDGET}".encode()
MARK = re.compile(rf"{IDENTITY:8}= 'frame:".encode() + b"|" + MARK_OF_BUDGET)
#: The kinds of uncertainty by the name under UTYPE.
UNCERTAINTIES = {kind.__name__: kind for kind in (StdDevUncertainty, VarianceUncertainty, InverseVariance)}
#: The extension of each array of a frame, and the argument that names another.
EXTENSIONS = {
    "total": ("hdu_uncertainty", "UNCERT"),
    "mask": ("hdu_mask", "MASK"),
    "psf": ("hdu_psf", "PSFIMAGE"),
    "flags": ("hdu_flags", FLAGS),
}

#: The arguments of `astropy.nddata.fits_ccddata_reader` that are not passed on to `astropy.io.fits.open`.
OF_THE_READER = {"hdu", "unit", "key_uncertainty_type", *(argument for argument, _ in EXTENSIONS.values())}


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
        number or name of the image where that is not the first. The header of an image in an extension has the keywords
        of the primary header beside its own.

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
    HeaderWarning
        If the header holds cards that FITS does not allow, which are repaired.
    AstropyUserWarning
        If a WCS or flags of another program cannot be used, and are left out.

    Notes
    -----
    Pixels that are blank, as BLANK or NaN says, are masked and flagged ``NO_DATA``; whole numbers stay whole,
    and are 0 there. Axes that are one pixel long, such as NAXIS3 = 1, are left out, and so are those axes of a WCS that
    the image does not have, such as a polarisation's.
    """
    path = file_to_read(filename)
    name = "the file" if path is None else path.name
    unsupported = {"do_not_scale_image_data", "scale_back"} & kwargs.keys()
    if unsupported:
        msg = f"{' and '.join(sorted(unsupported))} cannot be given: pixels are always scaled."
        raise TypeError(msg)
    cards: list[str] = []
    with readable(name):
        found = _found(filename if path is None else path, name, kwargs, checksum, Finder(path, masters), cards)
        frame = found.frame() if isinstance(found, Stored) else found
    if cards:
        warn(f"{name}: {remark_on_cards(cards)}", HeaderWarning)
    return frame


def stored_fits(path: Path, find: Finder) -> Stored | CCDFrame:
    """A file of which only the headers are read, as far as that can be; errors are those of `read_fits`."""
    return _found(path, path.name, {}, None, find, [])


def _found(
    filename: Any, name: str, arguments: dict[str, Any], checksum: bool | None, find: Finder, cards: list[str]
) -> Stored | CCDFrame:
    """Read what is stored in a file of ours, or the frame in any other; add the repaired cards to ``cards``."""
    path = filename.absolute() if isinstance(filename, Path) else None
    source: Path | bytes
    if path is None:
        source = bytes(filename.read())
        units = list(header_units(io.BytesIO(source)))
    else:
        source, units = check_whole_fits(path)
    # Before anything in the headers is believed.
    ours = any(MARK.search(unit.header) for unit in units)
    headers = ours if checksum is None else checksum
    check_units(source, units, headers=headers, data="tiles" if checksum is None else "all" if checksum else "none")
    if checksum is False:
        # Another program may have written our header with what it has made of the frame.
        ours = any(MARK_OF_BUDGET in unit.header for unit in units)
    source, _, broken = repaired(source, units)
    cards += broken
    with warnings.catch_warnings():
        # What astropy says of a card, of a date or a unit in the WCS, does not concern the pixels.
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        warnings.simplefilter("ignore", FITSFixedWarning)
        options = {key: value for key, value in arguments.items() if key not in OF_THE_READER}
        arguments = {key: value for key, value in arguments.items() if key in OF_THE_READER}
        # A map of a file takes a descriptor.
        memmap = None if ours and mapping.room() else False
        with fits.open(openable(source), **{"memmap": memmap, "lazy_load_hdus": False, **options}) as hdus:
            if ours:
                stored = _ours(hdus, path, name, arguments, find)
                mapping.note(hdu.data for hdu in hdus if "data" in vars(hdu))
                return stored
            frame = _foreign(hdus, source, name, arguments)
    if path is not None:
        master = master_of(frame)
        file_frame(frame, known_master(master.identity, name, master.checksum, path))
    return frame


def _names(arguments: dict[str, Any]) -> dict[str, Any]:
    """The extensions that a caller wants the arrays from; None for an array that is left out."""
    return {what: arguments.get(argument, extension) for what, (argument, extension) in EXTENSIONS.items()}


def _foreign(hdus: fits.HDUList, source: Path | bytes, name: str, arguments: dict[str, Any]) -> CCDFrame:
    """The frame in a file that another program has written, or a camera."""
    names = _names(arguments)
    key = arguments.get("key_uncertainty_type", "UTYPE")
    number = find_hdu(hdus, arguments.get("hdu"))
    header = image_header(hdus, number)
    unit = unit_of_header(header, arguments.get("unit"))
    header.remove(IDENTITY, ignore_missing=True, remove_all=True)
    pixels, missing = image_pixels(hdus, number, source)
    header, wcs = header_and_wcs(header, name, hdus)
    total = _beside(hdus, names["total"], pixels.shape, "hdu_uncertainty")
    kind = StdDevUncertainty
    if total is not None:
        # Older files do not say of which kind it is.
        kind = UNCERTAINTIES.get(hdus[names["total"]].header.get(key, ""), kind)
    mask = _beside(hdus, names["mask"], pixels.shape, "hdu_mask")
    mask = missing if mask is None else mask.astype(np.bool_) | (False if missing is None else missing)
    flags = _foreign_flags(hdus, names["flags"], pixels.shape, name)
    if missing is not None:
        no_data = missing * np.uint16(DataQuality.NO_DATA)
        flags = no_data if flags is None else flags | no_data
    psf = names["psf"]
    plain = CCDData(
        pixels,
        unit=unit,
        uncertainty=None if total is None else kind(total),
        mask=mask,
        meta=header,
        wcs=wcs,
        psf=own_native(hdus[psf].data) if psf is not None and psf in hdus else None,
    )
    # Nobody else has these pixels.
    frame = CCDFrame(plain, name=name, guard=WriteGuard())
    frame.flags = flags
    return frame


def _beside(hdus: fits.HDUList, where: Any, shape: tuple[int, ...], argument: str) -> NDArray[Any] | None:
    """Return the values of an extension, one for each pixel; None if there is no such extension."""
    if where is None or where not in hdus:
        return None
    hdu = hdus[where]
    found = plane_shape(hdu.shape) if hdu.is_image else None
    if found != shape:
        what = "is no image" if found is None else f"has shape {found}"
        msg = f"its extension {where} {what}, the image has shape {shape}; {argument}=None reads the file without it."
        raise FrameError(msg)
    return own_native(hdu.data).reshape(shape)


def _foreign_flags(hdus: fits.HDUList, where: Any, shape: tuple[int, ...], name: str) -> NDArray[np.uint16] | None:
    """The flags in a file of another program; None if there are none, or they cannot be bits of `DataQuality`."""
    try:
        array = _beside(hdus, where, shape, "hdu_flags")
        return None if array is None else bits(array)
    except FrameError as error:
        reason = str(error).partition(";")[0]
        msg = f"{name}: the flags of another program are left out, because {reason}. Its mask, if any, is kept."
        warn(msg)
        return None


def _ours(
    hdus: fits.HDUList,
    path: Path | None,
    name: str,
    arguments: dict[str, Any],
    find: Finder,
) -> Stored:
    """Read what is stored in a file that this package wrote."""
    tree = read_tree(hdus)
    arrays = {what: hdus[where].data for what, where in _names(arguments).items() if where and where in hdus}
    image = hdus[find_hdu(hdus, arguments.get("hdu"))]
    header = image.header.copy()
    unit = unit_of_header(header, arguments.get("unit"))
    if "total" not in arrays:
        # Under another name, or not asked for: the numbers of the budget alone are no noise.
        tree["budget"] = None
    wcs = tree.get("wcs", True)
    rest, found = (header, None) if isinstance(wcs, dict) else _wcs_of_ours(header, name, known=bool(wcs))
    if found is not None and not wcs:
        # A WCS that was in the header alone.
        header = rest
    for keyword in tree.get("added", ()):
        header.remove(str(keyword), ignore_missing=True, remove_all=True)
    for keyword, (read, value) in tree.get("exact", {}).items():
        if keyword in header and header[keyword] == read:
            header[keyword] = value
    return Stored(
        name=name,
        path=path,
        data=image.data,
        total=arrays.pop("total", None),
        tree=tree,
        unit=unit,
        meta=header,
        wcs=wcs_of_tree(wcs) if isinstance(wcs, dict) else found,
        find=find,
        **arrays,
    )


def _wcs_of_ours(header: fits.Header, name: str, *, known: bool) -> tuple[fits.Header, Any]:
    """Header and WCS of a frame; that a WCS cannot be used is said only if the frame was known to have one."""
    with warnings.catch_warnings():
        if not known:
            warnings.simplefilter("ignore", AstropyUserWarning)
        return header_and_wcs(header, name)
