"""Raw FITS images that stay on disk, and are read some rows at a time."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.io.fits.pixels import STORED, Scaling, blank_number, plane_shape
from astro_calib.io.fits.whole import BLOCK
from astro_calib.noise.digital_step import sample_of
from astro_calib.noise.identity import PIXELS, drawn_identity
from astro_calib.noise.origin import Origin, RawPixels

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.digital_step import Neighbours

__all__ = ["RawOnDisk", "RowsOnDisk", "file_version", "raw_on_disk", "spilled"]


class RowsOnDisk:
    """
    An image in an uncompressed FITS file: an index reads the rows that it names, and nothing is kept.

    ``offset`` is the byte at which the first pixel begins, ``stored`` the type of the numbers in the file.
    """

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, int], stored: str, zero: float = 0.0, scale: float = 1.0
    ) -> None:
        self.path = path
        self.shape = shape
        self._offset = offset
        self._stored = np.dtype(stored)
        self._scaling = Scaling(self._stored, zero, scale)
        self.dtype = self._scaling.dtype
        self._version = file_version(path.stat())
        self._digests = np.zeros(shape[0], dtype=np.uint64)
        self._digested = np.zeros(shape[0], dtype=np.bool_)
        #: The pixels that tell the digital step, taken while rows are read.
        self._sample = sample_of(shape, self.dtype)

    ndim = 2

    @property
    def size(self) -> int:
        """The number of pixels."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, item: tuple[slice, ...] | slice) -> NDArray[Any]:
        rows, columns = item if isinstance(item, tuple) else (item, slice(None))
        start, stop, step = rows.indices(self.shape[0])
        if step == 1:
            return self._read(start, max(stop, start))[:, columns]
        return np.concatenate([self._read(row, row + 1) for row in range(start, stop, step)])[:, columns]

    def read_into(self, rows: slice, result: NDArray[np.uint16]) -> None:
        """Read rows of 16-bit whole numbers into a C-contiguous array of uint16, without another array."""
        start, stop, _ = rows.indices(self.shape[0])
        values = self._read(start, stop, result.view(self._stored))
        if not np.may_share_memory(values, result):
            result[...] = values

    def _read(self, start: int, stop: int, values: NDArray[Any] | None = None) -> NDArray[Any]:
        """Rows as they are meant, in a new array, or in the memory of one of the type that is stored."""
        row = self.shape[1] * self._stored.itemsize
        if values is None:
            values = np.empty((stop - start, self.shape[1]), dtype=self._stored)
        # Not as a map of the file, whose pages would count as memory in use.
        with FileIO(self.path) as file:
            if file_version(os.fstat(file.fileno())) != self._version:
                msg = f"{self.path.name} was changed while it was read."
                raise OSError(msg)
            file.seek(self._offset + start * row)
            view: Any = values.data.cast("B")
            while view:
                number = file.readinto(view)
                if not number:
                    msg = f"{self.path.name} was changed while it was read."
                    raise OSError(msg)
                view = view[number:]
        from astro_calib.kernels.digest import digest_rows, unsigned_rows

        if self.dtype == np.uint16 and self._stored.itemsize == 2 and not self._stored.isnative:
            values = values.view(np.uint16)
            self._digests[start:stop] = unsigned_rows(values)
        else:
            values = self._scaling.meant(values)
            if not self._digested[start:stop].all():
                self._digests[start:stop] = digest_rows(values)
        self._digested[start:stop] = True
        self._take_sample(start, stop, values)
        return values

    def _take_sample(self, start: int, stop: int, values: NDArray[Any]) -> None:
        sample = self._sample
        first, last = np.searchsorted(sample.rows, (start, stop)).tolist()
        for place in range(first, last):
            line = values[sample.rows[place] - start]
            sample.left[place], sample.right[place] = line[sample.columns], line[sample.columns + 1]

    def neighbours(self) -> Neighbours:
        """Pairs of neighbouring pixels, as those of an array; rows that were read before are not read again."""
        for row in np.flatnonzero(~self._digested[self._sample.rows]).tolist():
            self._read(self._sample.rows[row], self._sample.rows[row] + 1)
        return self._sample

    def identity(self) -> str:
        """The identity of the noise in the image, as of an array; rows that were read before are not read again."""
        from astro_calib.kernels.digest import digest_of_rows

        for row in np.flatnonzero(~self._digested).tolist():
            self._read(row, row + 1)
        if np.all(self._digests == self._digests[0]):
            first = self._read(0, 1)
            if np.all(first == first[0, 0]):
                return drawn_identity()
        return PIXELS + digest_of_rows(self._digests, self.shape)


def file_version(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written to, or another is put in its place."""
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, kw_only=True)
class RawOnDisk:
    """
    What `astro_calib.combine` has to know of a raw frame, under the names that a CCDFrame has for it.

    The budget is None until the noise is found, ``found_origin`` until the origin is asked for. The ``directory`` of a
    frame that was decompressed is removed with it.
    """

    name: str
    unit: u.UnitBase
    pixels: RowsOnDisk
    known_budget: UncertaintyBudget | None = None
    mask: None = None
    flags: None = None
    found_origin: Origin | None = None
    directory: TemporaryDirectory[str] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the image."""
        return self.pixels.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.pixels.ndim

    @property
    def size(self) -> int:
        """The number of pixels."""
        return self.pixels.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return self.pixels.dtype

    @property
    def origin(self) -> Origin:
        """Which pixels of a raw frame these are: all of their own."""
        if self.found_origin is not None:
            return self.found_origin
        usual_step = 1.0 if self.dtype.kind in "ui" else 0.0
        raw = RawPixels(self.shape, self.pixels.identity(), self.pixels.neighbours(), usual_step)
        return Origin(raw, ((0, 1), (0, 1)))

    def with_budget(self, budget: UncertaintyBudget, origin: Origin) -> RawOnDisk:
        """The same frame with its noise."""
        return replace(self, known_budget=budget, found_origin=origin)


def raw_on_disk(path: Path, unit: u.UnitBase, *, stated: bool) -> RawOnDisk | None:
    """
    Return a raw frame that can be read by rows where it is; None if the file is not one plain image in this unit.

    Compressed files, and those with extensions, are none. If ``stated``, the file has to say that it is in the unit;
    else the user has said so.
    """
    from astropy.io import fits

    try:
        with path.open("rb") as file:
            if file.read(6) != b"SIMPLE":
                return None
        with warnings.catch_warnings():
            # Whoever reads the frame itself is told what is odd about its header.
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
                header, offset = hdus[0].header, hdus[0].fileinfo()["datLoc"]
        same_unit = not stated or u.Unit(header["BUNIT"].strip().lower()) == unit
        stored, zero, scale = STORED[header["BITPIX"]], header.get("BZERO", 0), header.get("BSCALE", 1)
        # Numbers that are scaled in another way are left to astropy.
        as_meant = (zero, scale) == (0, 1) or stored in ("u1", ">i2", ">i4")
        # This raises an error for more than one plane.
        shape = ny, nx = plane_shape([header[f"NAXIS{axis}"] for axis in range(header["NAXIS"], 0, -1)])
        plain = min(shape) > 0 and blank_number(header) is None and as_meant
        size = ny * nx * np.dtype(stored).itemsize
        whole = size <= path.stat().st_size - offset < size + BLOCK
    except (OSError, KeyError, ValueError, TypeError, AttributeError):
        return None
    if not (plain and whole and same_unit):
        return None
    rows = RowsOnDisk(path, offset, (ny, nx), stored, zero, scale)
    return RawOnDisk(name=path.name, unit=unit, pixels=rows)


def spilled(frame: CCDFrame, directory: TemporaryDirectory[str], number: int) -> RawOnDisk:
    """A raw frame that was decompressed, put into a file from which it can be read by rows."""
    path = Path(directory.name) / str(number)
    frame.pixels.tofile(path)
    rows = RowsOnDisk(path, 0, (frame.shape[0], frame.shape[1]), frame.dtype.str)
    return RawOnDisk(name=frame.name, unit=frame.unit, pixels=rows, directory=directory)
