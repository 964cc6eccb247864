"""Raw files: the header and the image, or the reason why the file cannot be used."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from astropy.utils.exceptions import AstropyUserWarning

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from astropy.io.fits import Header
    from numpy.typing import NDArray

__all__ = ["FITS_SUFFIX", "UnusableFileError", "read_raw_file"]

#: How the names of FITS files end.
FITS_SUFFIX = re.compile(r"(\.(fits|fit|fts)(\.(gz|bz2|fz))?|\.fz)$", re.IGNORECASE)

#: Extensions that say something about the image, as `astropy.nddata.CCDData.write` and ``CCDFrame.write`` name them.
BESIDE_THE_IMAGE = frozenset({"UNCERT", "MASK", "FLAGS", "PSFIMAGE", "BUDGET", "ARRAY"})


class UnusableFileError(FrameError):
    """
    A file that holds no raw frame that can be used.

    Parameters
    ----------
    reason : str
        The reason, without the name of the file.
    header : astropy.io.fits.Header, optional
        Its header, if that can be read.
    not_fits : bool
        Whether it is something else than FITS altogether, such as a text.
    """

    def __init__(self, reason: str, header: Header | None = None, *, not_fits: bool = False) -> None:
        super().__init__(reason)
        self.header = header
        self.not_fits = not_fits


def read_raw_file(path: Path, *, most: int | None = None) -> tuple[Header, NDArray[np.generic]]:
    """
    The header and the image of a raw FITS file, which is read completely.

    Parameters
    ----------
    path : Path
        FITS, plain or compressed with gzip or bzip2 (told from its content), or tile-compressed (.fz).
    most : int, optional
        How many bytes of data it may hold; it may never hold more than there is memory for.

    Returns
    -------
    header : astropy.io.fits.Header
        Of the image; if the image is in an extension, with the keywords of the primary header beside it.
    data : ndarray, shape (ny, nx)
        In adu, scaled by BZERO and BSCALE.

    Raises
    ------
    UnusableFileError
        If the file cannot be read, is not FITS, is cut off or damaged, or does not hold exactly one image
        of two dimensions with at least one finite value other than 0; or if its data differ from their DATASUM.

    Warns
    -----
    AstropyUserWarning
        If a header was changed after its CHECKSUM was written.
    """
    from astropy.io import fits

    from astro_calib.io.fits_checksum import compare_sums, content_of
    from astro_calib.io.tiles import check_tiles
    from astro_calib.io.whole import NotFitsError, check_whole_fits, openable

    remarks: list[str] = []
    try:
        source, units = check_whole_fits(path, most)
        if any(b"DATASUM" in unit.header or b"ZIMAGE" in unit.header for unit in units):
            with content_of(source) as content:
                remarks = compare_sums(units, content)
                check_tiles(units, content)
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise UnusableFileError(msg) from error
    except FrameError as error:
        raise UnusableFileError(str(error), not_fits=isinstance(error, NotFitsError)) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(openable(source), memmap=False, lazy_load_hdus=False) as hdus:
                image = _image(hdus)
        except UnusableFileError:
            raise
        except Exception as error:
            # Of what is in a damaged file astropy, and what it unpacks it with, make errors of any kind.
            msg = f"truncated or damaged: {str(error) or type(error).__name__}"
            raise UnusableFileError(msg) from error
    for remark in remarks:
        warnings.warn(f"{path.name}: {remark}", AstropyUserWarning, stacklevel=2)
    return image


def _image(hdus: Any) -> tuple[Header, NDArray[np.generic]]:
    import numpy as np

    images = [
        hdu
        for number, hdu in enumerate(hdus)
        if hdu.is_image and hdu.header.get("NAXIS", 0) > 0 and hdu.data is not None
        if number == 0 or hdu.name not in BESIDE_THE_IMAGE
    ]
    if len(images) != 1:
        found = f"{len(images)} images" if images else "no image"
        msg = f"{found} in the file; a raw frame has one"
        raise UnusableFileError(msg, hdus[0].header)
    hdu = images[0]
    header = hdu.header.copy()
    if hdu is not hdus[0]:
        header.extend(hdus[0].header, unique=True)
    data = np.asarray(hdu.data)
    if data.ndim != 2:
        msg = f"the image has {data.ndim} dimensions; a raw frame has 2"
        raise UnusableFileError(msg, header)
    if not np.isfinite(data).any():
        msg = "no pixel has a finite value"
        raise UnusableFileError(msg, header)
    if not data.any():
        msg = "every pixel is 0"
        raise UnusableFileError(msg, header)
    return header, data
