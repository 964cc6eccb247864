"""
Read a file to its last byte before anything is done with it.

A FITS file that was cut off, or damaged under its compression, may still open: astropy pads what is missing, or never
reads as far as the checksum of a .gz file. Here a file is either whole or an error.
"""

from __future__ import annotations

import bz2
import gzip
import io
import warnings
import zlib
from typing import TYPE_CHECKING

from astropy.io import fits

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NotFitsError", "read_whole_fits"]

#: FITS files come in blocks of so many bytes.
BLOCK = 2880


class NotFitsError(FrameError):
    """A file of another format."""


def read_whole_fits(path: Path) -> bytes:
    """
    The bytes of a FITS file, decompressed, once it is clear that none is missing.

    Parameters
    ----------
    path : Path
        FITS, plain or compressed with gzip or bzip2 (told from its content).

    Returns
    -------
    bytes

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FrameError
        If it cannot be read, is not FITS, is cut off or damaged. The message gives the reason, not the name.
    """
    content = _decompressed(path)
    if not content:
        msg = "the file is empty"
        raise FrameError(msg)
    if not content.startswith(b"SIMPLE"):
        msg = "not a FITS file: it does not begin with SIMPLE"
        raise NotFitsError(msg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_length(content)
        except (OSError, ValueError, TypeError, KeyError, IndexError, MemoryError, fits.VerifyError) as error:
            if isinstance(error, FrameError):
                raise
            msg = f"truncated or damaged: {error}"
            raise FrameError(msg) from error
    # Some programs leave out the padding of the last block, which holds nothing.
    return content + bytes(-len(content) % BLOCK)


def _decompressed(path: Path) -> bytes:
    """The content of a file, to its end, so that the checksum of its compression was compared."""
    if path.exists() and not path.is_file():
        # A pipe or a device would be read for ever.
        msg = "it is no regular file"
        raise FrameError(msg)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"it cannot be read: {error.strerror or error}"
        raise FrameError(msg) from error
    try:
        if content.startswith(b"\x1f\x8b"):
            return gzip.decompress(content)
        if content.startswith(b"BZh"):
            return bz2.decompress(content)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        msg = f"truncated or damaged: {error}"
        raise FrameError(msg) from error
    return content


def _check_length(content: bytes) -> None:
    """Compare with what the headers announce; a compressed image is looked at as the table that it is."""
    with fits.open(io.BytesIO(content), lazy_load_hdus=False, disable_image_compression=True) as hdus:
        for hdu in hdus:
            end = hdu.fileinfo()["datLoc"] + hdu.size
            if len(content) < end:
                msg = f"truncated: {len(content)} bytes, where its header announces {end}"
                raise FrameError(msg)
        end = hdus[-1].fileinfo()["datLoc"] + hdus[-1].fileinfo()["datSpan"]
        if content[end:].strip(b"\0 "):
            # What follows the last whole HDU is the beginning of another.
            msg = f"truncated: {len(content) - end} bytes after the last whole extension"
            raise FrameError(msg)
