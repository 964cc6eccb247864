"""What the steps ask of a frame: whether it is one, which of its pixels are usable, and what noise it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import described, frame_from
from astro_calib.dtypes import float_type
from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.frame import CCDFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["as_frame", "lacks_own_noise", "measured", "usable", "with_quality"]

#: The number of pixels that are looked at together.
BLOCK = 1 << 17


def as_frame(ccd: Any, name: str | None = None, *, any_shape: bool = False) -> CCDFrame:
    """A CCDFrame of two axes, or of ``any_shape``; a plain CCDData or a Quantity is made one, with a name."""
    if not isinstance(ccd, CCDFrame):
        what = name or "the frame"
        if not isinstance(getattr(ccd, "unit", None), u.UnitBase):
            msg = f"{what} is {described(ccd)}; expected a CCDFrame or a CCDData. {frame_from(ccd)}"
            raise FrameError(msg)
        ccd = CCDFrame(ccd, name=name)
    if ccd.ndim != 2 and not any_shape:
        if ccd.ndim > 2:
            remedy = "Take its planes one by one, as in frame[0]; planes of one scene go to combine as a list."
        else:
            remedy = "Cut frames by slices, which keep both axes, as in frame[5:6]."
        msg = f"{ccd.name} has shape {ccd.shape}; expected an image of two axes, (ny, nx). {remedy}"
        raise FrameError(msg)
    return ccd


def usable(frame: CCDFrame) -> NDArray[np.bool_]:
    """Where a frame holds a measurement: finite, not masked, and without a flag of `DataQuality.UNUSABLE`."""
    from astro_calib.kernels.threads import over_rows
    from astro_calib.kernels.usable import collect

    data = np.atleast_1d(frame.pixels)
    mask = None if frame.mask is None else np.atleast_1d(frame.mask)
    flags = np.atleast_1d(frame.flags) if isinstance(frame.flags, np.ndarray) else None
    used = np.empty(data.shape, dtype=np.bool_)

    def find(rows: slice) -> None:
        values = np.empty((1, *data[rows].shape), dtype=float_type(data.dtype))
        own_mask, own_flags = (None if plane is None else plane[rows] for plane in (mask, flags))
        collect([data[rows]], [own_mask], [own_flags], int(DataQuality.UNUSABLE), values, used[np.newaxis, rows])

    over_rows(find, len(data), data.size, max(1, BLOCK * len(data) // max(data.size, 1)))
    return used.reshape(frame.shape)


def measured(frame: CCDFrame) -> NDArray[np.bool_]:
    """Where a frame is usable and its variance is known: a level may be found from these pixels."""
    good = usable(frame)
    return good if frame.known_budget is None else good & frame.known_budget.is_known()


def with_quality(frame: CCDFrame, where: NDArray[np.bool_], quality: DataQuality) -> CCDFrame:
    """The frame with a flag set at some pixels, which are masked if the flag says that they are unfit for use."""
    flags = np.zeros(frame.shape, np.uint16) if frame.flags is None else frame.flags.copy()
    flags[where] |= np.uint16(quality)
    mask = frame.mask
    if quality & DataQuality.UNUSABLE:
        mask = where.copy() if mask is None else mask | where
    return frame.replace(frame.pixels, frame.known_budget, mask=mask, flags=flags)


def lacks_own_noise(frame: CCDFrame) -> bool:
    """Whether nobody has said yet what noise of its own a frame has: masters and overscan bring only theirs."""
    if frame.known_budget is None:
        return True
    origin = frame.origin
    return origin is not None and all(
        source.identity != f"{origin.raw.identity()}:read" for source, _ in frame.known_budget.terms
    )
