"""Raw files: the header and the image, or the reason why the file cannot be used."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError, warn

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np
    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.night.profile import Profile

__all__ = ["FITS_SUFFIX", "UnusableFileError", "most_bytes", "read_raw_file"]

#: How the names of FITS files end.
FITS_SUFFIX = re.compile(r"(\.(fits|fit|fts)(\.(gz|bz2|fz))?|\.fz)$", re.IGNORECASE)

#: How many bytes a file may hold for each pixel of a usual frame: uncertainties, masks and tables may be in it, too.
BYTES_A_PIXEL = 32
#: Files up to this size are read in any case.
SMALL = 1 << 25


class UnusableFileError(FrameError):
    """
    A file that holds no raw frame that can be used: the reason, without the file's name, and its header, if it has one.

    ``not_fits`` says that it is something else altogether, such as a text; ``cut`` that the header is what is left of a
    file that is cut off or damaged.
    """

    def __init__(self, reason: str, header: Header | None = None, *, not_fits: bool = False, cut: bool = False) -> None:
        super().__init__(reason)
        self.header = header
        self.not_fits = not_fits
        self.cut = cut

    @property
    def may_be_science(self) -> bool:
        """Whether it may be a science frame if its header does not say what it is."""
        return not self.not_fits and (self.cut or self.header is None)


def read_raw_file(
    path: Path, cards: list[str] | None = None, *, most: int | None = None
) -> tuple[Header, NDArray[np.generic]]:
    """
    Return the header and the image, in adu and scaled, of a raw FITS file, which is read completely.

    The file may be compressed with gzip or bzip2 (told from its content), or tile by tile. If the image is in an
    extension, the keywords of the primary header are beside its own. ``cards`` gets the names of header cards that
    break the rules of FITS and were repaired. A header that was changed after its CHECKSUM was written is warned of.

    An UnusableFileError says that the file cannot be read, is not FITS, holds more than ``most`` bytes, is cut off or
    damaged, or does not hold exactly one image of two dimensions with at least one finite value other than 0.
    """
    from astropy.io import fits

    from astro_calib.io.fits.cards import repaired
    from astro_calib.io.fits.image import header_at_beginning
    from astro_calib.io.fits.integrity import check_units
    from astro_calib.io.fits.whole import NotFitsError, check_whole_fits, openable

    try:
        source, units = check_whole_fits(path, most)
        remarks = check_units(source, units)
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise UnusableFileError(msg) from error
    except FrameError as error:
        if isinstance(error, NotFitsError):
            raise UnusableFileError(str(error), not_fits=True) from error
        raise UnusableFileError(str(error), header_at_beginning(path), cut=True) from error
    source, _, broken = repaired(source, units)
    if cards is not None:
        cards += broken
    with warnings.catch_warnings():
        # The cards that had to be repaired are in the list of broken ones, which the summary tells.
        warnings.simplefilter("ignore")
        try:
            with fits.open(openable(source), memmap=False, lazy_load_hdus=False) as hdus:
                image = _image(hdus, source)
        except UnusableFileError:
            raise
        except Exception as error:
            # In a damaged file astropy, and the libraries that unpack it, raise errors of any kind.
            msg = f"truncated or damaged: {str(error) or type(error).__name__}"
            raise UnusableFileError(msg) from error
    for remark in remarks:
        warn(f"{path.name}: {remark}")
    return image


def _image(hdus: Any, source: Path | bytes) -> tuple[Header, NDArray[np.generic]]:
    from astro_calib.io.fits.image import image_header, image_numbers, image_pixels

    images = image_numbers(hdus)
    if len(images) != 1:
        found = f"{len(images)} images" if images else "no image"
        msg = f"{found} in the file; a raw frame has one"
        raise UnusableFileError(msg, hdus[0].header)
    header = image_header(hdus, images[0])
    data, missing = image_pixels(hdus, images[0], source)
    if data.ndim != 2:
        lengths = " x ".join(map(str, reversed(data.shape)))
        msg = f"the image has {data.ndim} dimensions ({lengths} pixels); a raw frame has 2, and any others of one pixel"
        raise UnusableFileError(msg, header)
    if missing is not None and missing.all():
        msg = "no pixel has a finite value" if data.dtype.kind == "f" else "every pixel is blank, as BLANK says"
        raise UnusableFileError(msg, header)
    if not data.any():
        msg = "every pixel is 0"
        raise UnusableFileError(msg, header)
    return header, data


def most_bytes(paths: Iterable[Path], profile: Profile) -> int | None:
    """
    Return how many bytes a file of the night may hold, from the headers of all; None if no header tells anything.

    A frame of another size than most is left out in any case; one that is many times larger is not even read, so that
    it does not take the memory that the others need. The profile tells which files are frames of the night.
    """
    from astro_calib.io.fits.image import header_at_beginning
    from astro_calib.io.fits.whole import number_of_pixels

    pixels: Counter[int] = Counter()
    for path in paths:
        # Whatever is wrong with a file is told when it is read.
        with suppress(Exception):
            header = header_at_beginning(path)
            if header is None or profile.of(header).kind(header) in (None, "ignore"):
                continue
            if number_of_pixels(header):
                pixels[number_of_pixels(header)] += 1
    if not pixels:
        return None
    usual = max(pixels, key=lambda number: (pixels[number], -number))
    return max(SMALL, BYTES_A_PIXEL * usual)
