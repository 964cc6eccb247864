"""The pixels of a raw frame: those of its file, or of its chip in a file of several amplifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError
from astro_calib.night.headers.raw_file import UnusableFileError, chips_in, read_raw_file

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.frames import RawFrame

__all__ = ["raw_frame", "raw_pixels"]


def raw_pixels(frame: RawFrame, *, most: int | None = None) -> tuple[Header, NDArray[Any]]:
    """
    Return the header and the pixels of a raw frame, as `read_raw_file` does.

    An UnusableFileError says what is wrong with the file; ``most`` is how many bytes it may hold.
    """
    if not frame.is_assembled:
        return read_raw_file(frame.file, most=most)
    try:
        ccd = raw_frame(frame)
    except FrameError as error:
        raise UnusableFileError(str(error).removeprefix(f"{frame.path.name} cannot be read: ")) from error
    if ccd.mask is not None and ccd.mask.all():
        msg = "no pixel of it was read"
        raise UnusableFileError(msg, ccd.meta)
    if not ccd.pixels.any():
        msg = "every pixel is 0"
        raise UnusableFileError(msg, ccd.meta)
    return ccd.meta, ccd.pixels


def raw_frame(frame: RawFrame) -> CCDFrame:
    """Return a raw frame in adu; one of a file of several amplifiers is put together, with the overscans beside it."""
    from astro_calib.frame.frame import CCDFrame

    if not frame.is_assembled:
        return CCDFrame.read(frame.file, unit="adu")
    tables = () if frame.profile is None else frame.profile.amplifiers
    chips = {chip.name: chip for chip in chips_in(frame.file, tables)}
    if frame.chip not in chips and len(chips) != 1:
        msg = f"{frame.path.name}: there is no such chip in the file any more; reduce again."
        raise FrameError(msg)
    raw = chips[frame.chip].raw if frame.chip in chips else next(iter(chips.values())).raw
    raw.name = frame.path.name
    return raw
