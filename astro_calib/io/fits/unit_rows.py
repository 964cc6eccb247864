"""The rows of an image in any extension of a FITS file, compressed tile by tile or not, read some at a time."""

from __future__ import annotations

import io
import math
import os
import warnings
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.io.fits.header_reader import is_compressed
from astro_calib.io.fits.integrity import check_units
from astro_calib.io.fits.lazy_header import LazyHeader
from astro_calib.io.fits.pixels import STORED, Scaling, blank_number, fault_of_bits, plane_shape, without_blanks
from astro_calib.io.fits.rows import file_version
from astro_calib.io.fits.whole import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.io.fits.whole import HeaderUnit

__all__ = ["UnitRows", "stored_shape"]

#: So many bytes of an image are read at a time.
AT_ONCE = 1 << 21


def stored_shape(header: Header) -> tuple[int, ...]:
    """Return the shape of the image under a header, as that of an array."""
    letter = "Z" if is_compressed(header) else ""
    return plane_shape([header[f"{letter}NAXIS{axis}"] for axis in range(header[f"{letter}NAXIS"], 0, -1)])


class UnitRows:
    """
    An image in a FITS file, of which nothing is kept.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content if it was compressed as a whole.
    units : sequence of HeaderUnit
        All of its headers, after repair.
    number : int
        Which of them is that of the image.
    version : tuple, optional
        What `file_version` said of the file when its headers were read.

    Raises
    ------
    FrameError
        If the numbers of the image are of no type that FITS has.
    """

    def __init__(self, source: Path | bytes, units: Sequence[HeaderUnit], number: int, version: Any = None) -> None:
        self._source, self._units, self._number = source, units, number
        self._version = version
        header = LazyHeader.of_bytes(units[number].header)
        self._compressed = is_compressed(header)
        letter = "Z" if self._compressed else ""
        bits = header[f"{letter}BITPIX"]
        if fault := fault_of_bits(bits):
            raise FrameError(fault)
        self._scaling = Scaling(np.dtype(STORED[bits]), header.get("BZERO", 0), header.get("BSCALE", 1))
        # In floats that are kept as whole numbers, astropy finds them.
        self._blank = blank_number(header) if bits > 0 else None
        self.shape = stored_shape(header)
        #: The type of the pixels.
        self.dtype = self._scaling.dtype
        self._tile = int(header.get("ZTILE2", 1)) if self._compressed else 1

    def blocks(self, rows: range, plane: int = 0) -> Iterator[tuple[int, NDArray[Any], NDArray[np.bool_] | None]]:
        """
        Yield the first row of each block of rows, its pixels in an array of their own, and where they have no value.

        Parameters
        ----------
        rows : range
            From the first to the last that is asked for.
        plane : int
            Of a cube.

        Raises
        ------
        FrameError
            If the file is damaged.
        OSError
            If the file was changed since its headers were read.
        """
        width = self.shape[-1]
        height = max(AT_ONCE // (width * self._scaling.stored.itemsize), 1)
        # Tiles are unpacked as a whole.
        height = math.ceil(height / self._tile) * self._tile
        start = rows.start - rows.start % self._tile
        read = self._tiles() if self._compressed else self._plain
        while start < rows.stop:
            stop = min(start + height, rows.stop)
            first = max(start, rows.start)
            stored = read(first, stop, plane)
            if self._blank is not None:
                values, missing = without_blanks(stored, self._scaling, self._blank)
            else:
                values, missing = self._scaling.meant(stored), None
                if values.dtype.kind == "f":
                    finite = np.isfinite(values)
                    missing = None if finite.all() else ~finite
            yield first, values, missing
            start = stop

    def _plain(self, start: int, stop: int, plane: int) -> NDArray[Any]:
        ny, nx = self.shape[-2:]
        values = np.empty((stop - start, nx), dtype=self._scaling.stored)
        offset = self._units[self._number].data + (plane * ny + start) * nx * values.itemsize
        if isinstance(self._source, bytes):
            values.data.cast("B")[:] = memoryview(self._source)[offset : offset + values.nbytes]
            return values
        # Not as a map of the file, whose pages would count as memory in use.
        with FileIO(self._source) as file:
            self._check_version(file.fileno())
            file.seek(offset)
            view: Any = values.data.cast("B")
            while view:
                number = file.readinto(view)
                if not number:
                    raise self._changed()
                view = view[number:]
        return values

    def _tiles(self) -> Any:
        """What reads rows of the tiles, of which it has the compressed bytes."""
        unit = self._units[self._number]
        check_units(self._source, self._units, data="tiles", numbers=(self._number,))
        if isinstance(self._source, bytes):
            data = self._source[unit.data : unit.data + unit.size]
        else:
            with FileIO(self._source) as file:
                self._check_version(file.fileno())
                file.seek(unit.data)
                data = file.read(unit.size)
        # astropy reads an extension behind a primary HDU only.
        primary = fits.PrimaryHDU().header.tostring().encode("ascii")
        content = b"".join([primary, unit.header, data, bytes(-len(data) % BLOCK)])
        with warnings.catch_warnings():
            # What is odd about the header was said when it was read.
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            hdu = fits.open(io.BytesIO(content), do_not_scale_image_data=True, memmap=False)[1]

        def rows(start: int, stop: int, plane: int) -> NDArray[Any]:
            planes = (plane,) * (len(self.shape) - 2)
            # Axes beyond the second that are one pixel long count as well.
            leading = (0,) * (len(hdu.shape) - len(self.shape))
            try:
                part = np.asarray(hdu.section[(*leading, *planes, slice(start, stop))])
            except Exception as error:
                # In a damaged file the libraries that unpack it raise errors of any kind.
                msg = f"header {self._number} cannot be unpacked: {error}"
                raise FrameError(msg) from error
            return np.require(part, requirements=("W", "C"))

        return rows

    def _check_version(self, descriptor: int) -> None:
        if file_version(os.fstat(descriptor)) != self._version:
            raise self._changed()

    def _changed(self) -> OSError:
        name = self._source.name if isinstance(self._source, Path) else "the file"
        return OSError(f"{name} was changed after its headers were read.")
