"""Put HDUs into a file so that each array is read once: it goes through a small buffer, and is summed up there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from astro_calib.io.fits.checksums import LARGE, encoded, folded, ones_complement_sum, sum_of_words
from astro_calib.io.fits.whole import BLOCK

if TYPE_CHECKING:
    from pathlib import Path

    from astropy.io import fits
    from numpy.typing import NDArray

__all__ = ["write_hdus"]

#: Cards of a header whose checksums are not known yet.
UNKNOWN = (("CHECKSUM", "0" * 16, "of header and data"), ("DATASUM", "0" * 10, "of the data"))


def write_hdus(hdus: fits.HDUList, path: Path) -> None:
    """Write images of any layout and byte order as a new FITS file with checksums, which their headers get, too."""
    hdus.update_extend()
    with path.open("xb") as file:
        for hdu in hdus:
            header, start = hdu.header, file.tell()
            header.extend(UNKNOWN, update=True)
            file.seek(start + len(header.tostring()))
            datasum = 0 if hdu.data is None else _write_array(hdu.data, file)
            end = file.tell()
            header["DATASUM"] = f"{datasum:<10}"
            total = ones_complement_sum(header.tostring().encode("ascii")) + datasum
            header["CHECKSUM"] = encoded(0xFFFFFFFF ^ folded(total))
            file.seek(start)
            file.write(header.tostring().encode("ascii"))
            file.seek(end)


def _write_array(array: NDArray[Any], file: BinaryIO) -> int:
    """Write an array with the padding that follows it; return the sum of both."""
    size = array.dtype.itemsize
    buffer = np.empty(LARGE, np.uint8)
    swapped, bits, words = (buffer.view(dtype) for dtype in (array.dtype.newbyteorder(">"), f"u{size}", np.uint32))
    # FITS has unsigned integers, and signed bytes, with a BZERO: as those of the other kind, with another first bit.
    other_kind = array.dtype.kind == ("i" if size == 1 else "u")
    sign = np.frombuffer(b"\x80".ljust(size, b"\0"), bits.dtype)
    total = written = 0
    pieces: Any = np.nditer(array, ["external_loop", "buffered"], order="C", buffersize=swapped.size)
    for piece in pieces:
        part = slice(piece.size)
        np.copyto(swapped[part], piece)
        if other_kind:
            np.bitwise_xor(bits[part], sign, out=bits[part])
        length = piece.nbytes
        file.write(buffer.data[:length])
        buffer[length : length + -length % 4] = 0
        # A sum of words that begin in the middle of those of the file has its bytes turned round.
        total += sum_of_words(words[: -(-length // 4)]) << 8 * (-written % 4)
        written += length
    file.write(bytes(-written % BLOCK))
    return folded(total)
