"""Raw files: the header and the image, or the reason why the file cannot be used."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from astro_calib.errors import FrameError, HeaderWarning, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.io.fits.chip import Chip

__all__ = [
    "FITS_SUFFIX",
    "RawHeader",
    "SeveralImagesError",
    "UnusableFileError",
    "chips_in",
    "most_bytes",
    "read_raw_file",
    "read_raw_header",
    "read_raw_headers",
]

#: How the names of FITS files end.
FITS_SUFFIX = re.compile(r"(\.(fits|fit|fts)(\.(gz|bz2|fz))?|\.fz)$", re.IGNORECASE)

#: So many planes, or numbers a pixel, has an image of several colours.
COLOURS = 3
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


class SeveralImagesError(UnusableFileError):
    """A file that holds several images, as those of several amplifiers are."""


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
    from astro_calib.io.fits.header_reader import header_at_beginning
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
    _check_number(len(images), hdus[0].header)
    header = image_header(hdus, images[0])
    data, missing = image_pixels(hdus, images[0], source)
    _check_shape(data.shape, header)
    if missing is not None and missing.all():
        msg = "no pixel has a finite value" if data.dtype.kind == "f" else "every pixel is blank, as BLANK says"
        raise UnusableFileError(msg, header)
    if not data.any():
        msg = "every pixel is 0"
        raise UnusableFileError(msg, header)
    return header, data


def _check_number(images: int, header: Header) -> None:
    if images != 1:
        found = f"{images} images" if images else "no image"
        msg = f"{found} in the file; a raw frame has one"
        raise (SeveralImagesError if images else UnusableFileError)(msg, header)


def _check_shape(shape: tuple[int, ...], header: Header) -> None:
    if len(shape) != 2:
        lengths = " x ".join(map(str, reversed(shape)))
        found = f"the image has {len(shape)} dimensions ({lengths} pixels)"
        msg = f"{found}; a raw frame has 2, and any others of one pixel"
        if len(shape) == 3 and COLOURS in (shape[0], shape[-1]):
            msg += ". It may be a colour image: give the frames that it was made of, as the camera wrote them"
        raise UnusableFileError(msg, header)


class RawHeader(NamedTuple):
    """
    The header of a raw file whose pixels were not read.

    Attributes
    ----------
    header : Header
        That of the image, with the keywords of the primary one beside its own.
    shape : (int, int)
        Rows and columns of the image.
    unsigned_16_bit : bool
        Whether its numbers end at 65535.
    chip : Chip or None
        Of a file of several amplifiers the chip whose header it is; it reads its pixels when it is asked for them.
    """

    header: Header
    shape: tuple[int, int]
    unsigned_16_bit: bool
    chip: Chip | None = None


def read_raw_header(path: Path, cards: list[str] | None = None) -> RawHeader:
    """
    Return the header of a raw FITS file and what it says of the image; no pixel is read, nor unpacked.

    ``cards`` gets the names of cards that were repaired. An UnusableFileError says the same as that of `read_raw_file`,
    as far as the headers tell it; that the pixels are damaged shows when they are read.
    """
    from astro_calib.io.fits.header_reader import read_image_header
    from astro_calib.io.fits.whole import NotFitsError

    try:
        found = read_image_header(path)
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise UnusableFileError(msg) from error
    except FrameError as error:
        raise UnusableFileError(str(error), not_fits=isinstance(error, NotFitsError), cut=True) from error
    if cards is not None:
        cards += found.repaired
    if found.fault:
        raise UnusableFileError(found.fault, found.header, cut=True)
    _check_number(found.images, found.header)
    _check_shape(found.shape, found.header)
    return RawHeader(found.header, (found.shape[0], found.shape[1]), found.dtype == "uint16")


def read_raw_headers(
    path: Path,
    cards: list[str] | None = None,
    tables: Sequence[Mapping[str, Any]] = (),
    remarks: list[str] | None = None,
) -> list[RawHeader]:
    """
    Return the headers of the chips in a raw file, as `read_raw_header` does for a file with one image.

    ``tables`` are what a profile says of the amplifiers in it. In a file of several images without them, these have to
    say where they belong. ``remarks`` gets what is to be said of the file.
    """
    if not tables:
        try:
            found = read_raw_header(path, cards)
        except SeveralImagesError as error:
            try:
                return _of_chips(path, cards, tables, remarks)
            except UnusableFileError as of_chips:
                msg = f"{error}, or one for each amplifier, and {of_chips}"
                raise UnusableFileError(msg, error.header) from error
        return [found]
    return _of_chips(path, cards, tables, remarks)


def _of_chips(
    path: Path, cards: list[str] | None, tables: Sequence[Mapping[str, Any]], remarks: list[str] | None
) -> list[RawHeader]:
    try:
        chips = chips_in(path, tables, remarks)
        headers = [chip.header for chip in chips]
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise UnusableFileError(msg) from error
    except FrameError as error:
        raise UnusableFileError(str(error).removeprefix(f"{path.name} cannot be read: ")) from error
    if cards is not None:
        cards += chips[0].repaired
    return [
        RawHeader(header, chip.raw_shape, chip.dtype == "uint16", chip)
        for header, chip in zip(headers, chips, strict=True)
    ]


def chips_in(
    path: Path, tables: Sequence[Mapping[str, Any]] = (), remarks: list[str] | None = None
) -> tuple[Chip, ...]:
    """
    Return the chips of a raw file of several amplifiers that take the image; no pixel is read.

    ``remarks`` gets what is to be said of the file.
    """
    from astro_calib.io.fits.mosaic import read_mosaic

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chips: tuple[Chip, ...] = read_mosaic(path, unit="adu", amplifiers=list(tables) or None).chips
    if remarks is not None:
        # The cards that had to be repaired are in the list of broken ones, which the summary tells.
        said = [str(one.message) for one in caught if not issubclass(one.category, HeaderWarning)]
        remarks += [text.removeprefix(f"{path.name}: ") for text in said]
    if not chips:
        msg = "none of its images is one of the sky"
        raise FrameError(msg)
    return chips


def most_bytes(pixels: Iterable[int]) -> int | None:
    """
    Return how many bytes a file of the night may hold, from the numbers of pixels of all frames; None without any.

    A frame that is many times larger than most is not even read, so that it does not take the memory that the others
    need.
    """
    found = Counter(pixels)
    if not found:
        return None
    usual = max(found, key=lambda number: (found[number], -number))
    return max(SMALL, BYTES_A_PIXEL * usual)
