"""
Frames as FITS files that a plain CCDData reads too.

The image is in the primary HDU; UNCERT holds the variance (UTYPE = 'VarianceUncertainty'), MASK the mask, FLAGS the
bits of `~astro_calib.DataQuality`, PSFIMAGE the PSF, BUDGET and ARRAY the sources of noise. Of a file of another origin
the uncertainty is one source of noise, the same each time that the file is read.
"""

from __future__ import annotations

import io
import mmap
import re
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.io import fits, registry
from astropy.nddata import VarianceUncertainty
from astropy.nddata.ccddata import CCDData, fits_ccddata_reader
from astropy.wcs import FITSFixedWarning

from astro_calib.errors import FrameError
from astro_calib.frame import CCDFrame
from astro_calib.io.atomic import write_atomically
from astro_calib.io.find import Finder
from astro_calib.io.fits_budget import (
    BUDGET,
    IDENTITY,
    NUMBER_OF_EXTENSIONS,
    read_tree,
    storable,
    tree_extensions,
)
from astro_calib.io.fits_checksum import PLACEHOLDERS, check_data, check_headers, fill_in_checksums
from astro_calib.io.frame_tree import frame_tree, note_file
from astro_calib.io.headers import has_tables, wcs_of_tree, wcs_tree
from astro_calib.io.paths import file_to_read, file_to_write
from astro_calib.io.stored import Stored
from astro_calib.io.stored_arrays import MALFORMED, native
from astro_calib.io.whole import HeaderUnit, check_whole_fits, header_units
from astro_calib.masters import Master, filed, master_of
from astro_calib.provenance import meta_with_history

if TYPE_CHECKING:
    import os

__all__ = ["read_fits", "stored_fits", "write_fits"]

#: Name of the extension with the data quality flags.
FLAGS = "FLAGS"
UNREADABLE = (OSError, EOFError, MemoryError, zlib.error, fits.VerifyError, *MALFORMED)
#: Endings of files that astropy compresses as a whole.
COMPRESSED = (".gz", ".bz2", ".zip")
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
#: Ways of tile compression that lose nothing, by the kind of numbers.
LOSSLESS: dict[str, dict[str, Any]] = {
    "f": {"compression_type": "GZIP_2", "quantize_level": 0.0},
    "i": {"compression_type": "GZIP_2"},
}
#: Keywords that belong to the file, not to the frame.
OF_THE_FILE = (
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "PCOUNT", "GCOUNT", "BSCALE", "BZERO"),
    *("CHECKSUM", "DATASUM", "EXTNAME", "INHERIT", IDENTITY, NUMBER_OF_EXTENSIONS),
)


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
    except UNREADABLE as error:
        msg = f"{name} cannot be read: {error}"
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
    if checksum:
        _check_data(source, units)
    if checksum is False:
        # Another program may have written our header with what it has made of the frame.
        ours = any(MARK_OF_BUDGET in unit.header for unit in units)
    with warnings.catch_warnings():
        # Remarks on how a date or a unit in the WCS was understood do not concern the pixels.
        warnings.simplefilter("ignore", FITSFixedWarning)
        with fits.open(_opened(source), lazy_load_hdus=False) as hdus:
            _complete_arguments(hdus, arguments)
            if ours:
                return _ours(hdus, source, path, name, arguments, find)
            flags = _flags(hdus, arguments)
        frame = CCDFrame(fits_ccddata_reader(_opened(source), **arguments), name=name)
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
    ccd = fits_ccddata_reader(_opened(source), hdu_uncertainty=None, hdu_mask=None, hdu_psf=None, **arguments)
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


def _opened(source: Path | bytes) -> Any:
    return source if isinstance(source, Path) else io.BytesIO(source)


def _check_data(source: Path | bytes, units: list[HeaderUnit]) -> None:
    if isinstance(source, bytes):
        check_data(units, source)
        return
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check_data(units, content)


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
        If the frame holds what FITS cannot; the message names the keyword.
    """
    path = file_to_write(filename, overwrite=overwrite)
    flags = kwargs.pop("hdu_flags", FLAGS)
    tree = frame_tree(ccd, path, include_masters=include_masters)
    if kwargs.get("hdu_uncertainty", "UNCERT") is None:
        tree["budget"] = None
    hdus = _image_hdus(ccd, path, kwargs)
    image = hdus[0]
    if ccd.unit == u.dimensionless_unscaled:
        image.header["BUNIT"] = ""
    if flags is not None and ccd.flags is not None:
        hdus.append(fits.ImageHDU(storable(ccd.flags), name=flags))
    # A header alone holds no tables of distortion.
    tree["wcs"] = wcs_tree(ccd.wcs) if has_tables(ccd.wcs) else ccd.wcs is not None
    known = {"", *(str(keyword).upper() for keyword in meta_with_history(ccd))}
    tree["added"] = sorted(one for one in {*image.header, *OF_THE_FILE} if one.upper() not in known)
    tree["exact"] = _inexact(image.header)
    for extension in tree_extensions(tree):
        hdus.append(extension)
    if kwargs.get("as_image_hdu"):
        hdus.insert(0, fits.PrimaryHDU())
    tiles = compress or path.suffix == ".fz"
    if tiles:
        hdus = _compressed(hdus)
    hdus[0].header[IDENTITY] = (str(tree["frame_id"]), "identity of this frame")
    hdus[0].header[NUMBER_OF_EXTENSIONS] = (len(hdus) - 1, "number of extensions")

    def write(temporary: Path) -> None:
        if tiles or path.suffix in COMPRESSED:
            hdus.writeto(temporary, checksum=True)
            return
        for hdu in hdus:
            hdu.header.extend(PLACEHOLDERS, update=True)
        hdus.writeto(temporary)
        fill_in_checksums(temporary)

    try:
        write_atomically(path, write)
    except fits.VerifyError as error:
        msg = f"{ccd.name} cannot be written to {path}: {' '.join(str(error).split())}"
        raise FrameError(msg) from error
    note_file(ccd, path)


def _image_hdus(ccd: CCDFrame, path: Path, arguments: dict[str, Any]) -> fits.HDUList:
    """Image, variance, mask and PSF, as astropy lays them out; it does not write flags before version 8."""
    variance = None if ccd._budget is None else ccd._budget.variance()
    try:
        plain = CCDData(
            storable(ccd._data),
            unit=ccd.unit,
            uncertainty=None if variance is None else VarianceUncertainty(storable(variance), copy=False),
            mask=ccd.mask,
            meta=meta_with_history(ccd),
            wcs=ccd.wcs,
            psf=None if ccd.psf is None else storable(ccd.psf),
        )
        return plain.to_hdu(**arguments)
    except FrameError as error:
        msg = f"{ccd.name} cannot be written to {path}: {error}"
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


def _inexact(header: fits.Header) -> dict[str, list[Any]]:
    """Numbers of which a FITS header does not hold all digits, and texts that it changes: as read, and as they are."""
    result = {}
    for card in header.cards:
        if isinstance(card.value, (float, str)) and card.keyword not in ("", "COMMENT", "HISTORY"):
            found = fits.Card.fromstring(str(card)).value
            if found != card.value and isinstance(found, (float, str)):
                result[card.keyword] = [found, card.value]
    return result


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


def _is_fits(origin: str, path: Any, *arguments: Any, **options: Any) -> bool:
    """Whether a file is FITS, from what it is called or how it begins."""
    name = "" if path is None else str(path).lower()
    return name.endswith(".fz") or bool(fits.connect.is_fits(origin, path, *arguments, **options))


registry.register_reader("fits", CCDFrame, read_fits)
registry.register_writer("fits", CCDFrame, write_fits)
registry.register_identifier("fits", CCDFrame, _is_fits)
