"""What the stored numbers of a FITS image mean, and which of them say that nothing was measured (BLANK)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header
    from numpy.typing import NDArray

__all__ = ["STORED", "Scaling", "blank_number", "fault_of_bits", "plane_shape", "without_blanks"]

#: The stored types of FITS images by BITPIX.
STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}


def fault_of_bits(bits: Any) -> str:
    """
    Return what is wrong with a file whose numbers have so many bits; empty if FITS has such.

    >>> from astro_calib.io.fits.pixels import fault_of_bits
    >>> fault_of_bits(16), fault_of_bits(17)
    ('', 'damaged: its header says that a number has 17 bits; expected one of 8, 16, 32, 64, -32, -64')
    """
    if bits in STORED:
        return ""
    return f"damaged: its header says that a number has {bits!r} bits; expected one of {', '.join(map(str, STORED))}"


#: The BZERO that shifts stored whole numbers, by their size in bytes, and what they mean then.
SHIFTED: dict[int, tuple[int, Any]] = {
    1: (-128, np.int8),
    2: (1 << 15, np.uint16),
    4: (1 << 31, np.uint32),
    8: (1 << 63, np.uint64),
}


@dataclass(frozen=True)
class Scaling:
    """What BZERO (``zero``) and BSCALE (``scale``) make of stored numbers; the types are those that astropy makes."""

    stored: np.dtype[Any]
    zero: float = 0.0
    scale: float = 1.0

    @property
    def shifted(self) -> bool:
        """Whether BZERO only turns numbers with a sign into others without, or the other way round."""
        return self.stored.kind in "iu" and self.scale == 1 and self.zero == SHIFTED[self.stored.itemsize][0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers as they are meant, in the byte order of this machine."""
        if self.shifted:
            return np.dtype(SHIFTED[self.stored.itemsize][1])
        if self.zero == 0 and self.scale == 1:
            return self.stored.newbyteorder("=")
        small = self.stored.itemsize <= 2 or (self.stored.kind == "f" and self.stored.itemsize == 4)
        return np.dtype(np.float32 if small else np.float64)

    def meant(self, values: NDArray[Any]) -> NDArray[Any]:
        """The numbers as they are meant; the array that is given is written over."""
        if not values.dtype.isnative:
            values = values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))
        if self.shifted:
            values = values.view(self.dtype)
            top_bit = np.array(1 << (8 * values.itemsize - 1), f"u{values.itemsize}").view(self.dtype)
            values ^= top_bit
        elif values.dtype != self.dtype or self.zero != 0 or self.scale != 1:
            values = values.astype(self.dtype)
            values *= self.dtype.type(self.scale)
            values += self.dtype.type(self.zero)
        return values


def blank_number(header: Header) -> int | None:
    """The stored number that stands for a pixel without a value; None if there is none: in floats that is NaN."""
    blank = header.get("BLANK")
    if header.get("BITPIX", 0) < 0 or isinstance(blank, bool) or not isinstance(blank, (int, float)):
        return None
    # Some programs write it with a decimal point.
    return int(blank) if float(blank).is_integer() else None


def without_blanks(stored: NDArray[Any], scaling: Scaling, blank: int) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """
    Return the values that stored numbers mean, and where these are ``blank``, or None; overwrite ``stored``.

    Whole numbers stay whole. Where there is no value a whole number is 0, any other NaN.
    """
    missing: NDArray[np.bool_] = stored == blank
    values = scaling.meant(stored)
    if not missing.any():
        return values, None
    values[missing] = np.nan if values.dtype.kind == "f" else 0
    return values, missing


def plane_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of an image without its last axes in FITS, as NAXIS3 = 1, that are one pixel long."""
    lengths = tuple(shape)
    while len(lengths) > 2 and lengths[0] == 1:
        lengths = lengths[1:]
    return lengths
