"""Write frames as FITS files (`astro_calib.io.fits`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty

from astro_calib.errors import FrameError
from astro_calib.io.atomic import write_atomically
from astro_calib.io.fits.stream import write_hdus
from astro_calib.io.fits_budget import (
    BUDGET,
    FLAGS,
    IDENTITY,
    NUMBER_OF_EXTENSIONS,
    storable,
    tree_extensions,
)
from astro_calib.io.frame_tree import frame_tree, note_file
from astro_calib.io.headers import has_tables, wcs_tree
from astro_calib.io.paths import file_to_write
from astro_calib.io.stored_arrays import native
from astro_calib.masters.provenance import meta_with_history

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from astro_calib.frame.frame import CCDFrame

__all__ = ["prepare_fits", "write_fits"]

#: Endings of files that astropy compresses as a whole.
COMPRESSED = (".gz", ".bz2")
#: Others, which are not read.
UNREAD = (".zip", ".xz", ".lzma")
#: Ways of tile compression that lose nothing, by the kind of numbers.
LOSSLESS: dict[str, dict[str, Any]] = {
    "f": {"compression_type": "GZIP_2", "quantize_level": 0.0},
    "i": {"compression_type": "GZIP_2"},
}
#: What astropy adds to what is wrong with a header.
ABOUT_NUMBERS = "Note: astropy.io.fits uses zero-based indexing."
#: Keywords that belong to the file, not to the frame.
OF_THE_FILE = (
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "PCOUNT", "GCOUNT", "BSCALE", "BZERO"),
    *("CHECKSUM", "DATASUM", "EXTNAME", "INHERIT", IDENTITY, NUMBER_OF_EXTENSIONS),
)


def write_fits(
    ccd: CCDFrame,
    filename: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    compress: bool = False,
    include_masters: bool = False,
    **kwargs: Any,
) -> None:
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
    compress : bool
        Whether to compress the arrays tile by tile, without loss. A name that ends in .fz says so, too. The image is
        in the first extension then: ``CCDData.read(filename, hdu=1)``.
    include_masters : bool
        Whether to write the noise and the arrays of masters into this file as well. Without, the file refers to the
        files of the masters, and is not larger than data, variance, mask and flags need.
    **kwargs
        Arguments of `astropy.nddata.CCDData.to_hdu`.

    Raises
    ------
    FileExistsError
        If the file is there and is not to be overwritten.
    OSError
        If it cannot be written; an old file is left as it was.
    FrameError
        If the frame holds what FITS cannot, and the message names the keyword; or the name asks for a compression that
        is not known.
    """
    prepare_fits(ccd, filename, overwrite, compress=compress, include_masters=include_masters, **kwargs)()
    note_file(ccd, Path(filename))


def prepare_fits(
    ccd: CCDFrame,
    filename: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    compress: bool = False,
    include_masters: bool = False,
    **kwargs: Any,
) -> Callable[[], None]:
    """
    Make everything of a file but its bytes, and all remarks; return what writes it.

    The arguments are those of `write_fits`. What is returned warns of nothing, takes no note of the file, and can be
    called from another thread.
    """
    path = file_to_write(filename, overwrite=overwrite)
    if path.suffix.lower() in UNREAD:
        msg = f"{path} could not be read again: compress with .gz, .bz2 or .fz."
        raise FrameError(msg)
    flags = kwargs.pop("hdu_flags", FLAGS)
    tree = frame_tree(ccd, path, include_masters=include_masters)
    if kwargs.get("hdu_uncertainty", "UNCERT") is None:
        tree["budget"] = None
    meta = meta_with_history(ccd)
    hdus = _image_hdus(ccd, meta, path, kwargs)
    image = hdus[0]
    if ccd.unit == u.dimensionless_unscaled:
        image.header["BUNIT"] = ""
    if flags is not None and ccd.flags is not None:
        hdus.append(fits.ImageHDU(storable(ccd.flags), name=flags))
    if ccd.wcs is not None:
        sky = ccd.wcs.to_header(relax=kwargs.get("wcs_relax", True))
        for hdu in hdus:
            # Extensions of the image's shape show the same part of the sky.
            if hdu.data is not None and hdu.data.shape == ccd.shape:
                hdu.header.extend(sky, useblanks=False, update=True)
    # A header alone holds no tables of distortion.
    tree["wcs"] = wcs_tree(ccd.wcs) if has_tables(ccd.wcs) else ccd.wcs is not None
    known = {"", *(str(keyword).upper() for keyword in meta)}
    tree["added"] = sorted(one for one in {*image.header, *OF_THE_FILE} if one.upper() not in known)
    tree["exact"] = _inexact(image.header)
    for extension in tree_extensions(tree):
        hdus.append(extension)
    if kwargs.get("as_image_hdu"):
        hdus.insert(0, fits.PrimaryHDU())
    tiles = compress or path.suffix == ".fz"
    if tiles:
        hdus = _compressed(hdus)
    elif path.suffix in COMPRESSED:
        hdus = _contiguous(hdus)
    hdus[0].header[IDENTITY] = (str(tree["frame_id"]), "identity of this frame")
    hdus[0].header[NUMBER_OF_EXTENSIONS] = (len(hdus) - 1, "number of extensions")

    def write(temporary: Path) -> None:
        if tiles or path.suffix in COMPRESSED:
            hdus.writeto(temporary, checksum=True)
        else:
            write_hdus(hdus, temporary)

    return partial(write_atomically, path, write)


def _image_hdus(ccd: CCDFrame, meta: Any, path: Path, arguments: dict[str, Any]) -> fits.HDUList:
    """Image, mask, variance and PSF, as astropy lays them out; it does not write flags before version 8."""
    name_of_mask = arguments.pop("hdu_mask", "MASK")
    name_of_variance = arguments.get("hdu_uncertainty", "UNCERT")
    variance = None if ccd.known_budget is None else ccd.known_budget.variance()
    try:
        plain = CCDData(
            storable(ccd.pixels),
            unit=ccd.unit,
            uncertainty=None if variance is None else VarianceUncertainty(storable(variance), copy=False),
            meta=meta,
            psf=None if ccd.psf is None else storable(ccd.psf),
        )
        hdus = plain.to_hdu(**arguments)
        if variance is not None and name_of_variance:
            hdus[name_of_variance].header["BUNIT"] = (ccd.unit**2).to_string()
        # The other headers hold nothing of the frame's own.
        hdus[0].verify("exception")
    except (FrameError, fits.VerifyError) as error:
        reason = " ".join(str(error).split()).removeprefix("Verification reported errors: ")
        msg = f"{ccd.name} cannot be written to {path}: {reason.removesuffix(ABOUT_NUMBERS).strip()}"
        raise FrameError(msg) from error
    except (TypeError, ValueError) as error:
        unfit = [f"{keyword} = {value!r}" for keyword, value in ccd.meta.items() if not _fits_can_hold(keyword, value)]
        if not unfit:
            raise
        msg = (
            f"{ccd.name} cannot be written to {path} because of {', '.join(unfit)} in its header: give text without "
            "line breaks, finite numbers or truth values, under keywords of up to 8 letters."
        )
        raise FrameError(msg) from error
    if name_of_mask and ccd.mask is not None:
        # astropy would copy it.
        hdus.insert(1, fits.ImageHDU(storable(ccd.mask), name=name_of_mask))
    return hdus


def _inexact(header: fits.Header) -> dict[str, list[Any]]:
    """Numbers of which a FITS header does not hold all digits, and texts that it changes: as read, and as they are."""
    result = {}
    for card in header.cards:
        if isinstance(card.value, (float, str)) and card.keyword not in ("", "COMMENT", "HISTORY"):
            found = fits.Card.fromstring(str(card)).value
            if found != card.value and isinstance(found, (float, str)):
                result[card.keyword] = [found, card.value]
    return result


def _contiguous(hdus: fits.HDUList) -> fits.HDUList:
    """The same, with arrays that astropy does not write value by value."""
    arrays = [None if hdu.data is None else np.ascontiguousarray(hdu.data) for hdu in hdus]
    return fits.HDUList([type(hdu)(array, hdu.header) for hdu, array in zip(hdus, arrays, strict=True)])


def _compressed(hdus: fits.HDUList) -> fits.HDUList:
    """The same images in extensions that are compressed tile by tile."""
    result = fits.HDUList([fits.PrimaryHDU()])
    for hdu in hdus:
        if hdu.data is None:
            continue
        if hdu.name == BUDGET or hdu.data.ndim < 2:
            result.append(fits.ImageHDU(hdu.data, hdu.header))
        else:
            way = LOSSLESS["f" if hdu.data.dtype.kind == "f" else "i"]
            result.append(fits.CompImageHDU(native(hdu.data), hdu.header, **way))
    return result


def _fits_can_hold(keyword: str, value: Any) -> bool:
    try:
        CCDData([0], unit=u.adu, meta={keyword: value}).to_hdu()
    except (TypeError, ValueError):
        return False
    return True
