"""Frames that are measured together: whether they fit, their exposures and temperatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_positive, described, frame_from, is_sequence_of
from astro_calib.detector.header_values import as_number
from astro_calib.errors import FrameError, ShapeMismatchError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.master import exposure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SAME_EXPOSURE", "as_frames", "by_exposure", "exposures_of", "known_variance", "other_temperatures"]

#: Exposures that differ by less than this part are the same.
SAME_EXPOSURE = 1e-3


def as_frames(function: str, what: str, given: Any) -> list[CCDFrame]:
    """The frames of a list, once it is clear that they fit together, and that none is there twice."""
    if isinstance(given, CCDFrame) or not hasattr(given, "__iter__") or isinstance(given, (str, np.ndarray)):
        msg = f"{function} takes a list of {what}, not {described(given)}: write {function}([frame, frame, ...])."
        raise TypeError(msg)
    given = list(given)
    if not given or not is_sequence_of((CCDFrame,), given):
        other = next((one for one in given if not isinstance(one, CCDFrame)), None)
        remedy = "the list is empty." if not given else f"found {described(other)}. {frame_from(other)}"
        msg = f"{function} takes a list of {what} as CCDFrame; {remedy}"
        raise TypeError(msg)
    frames = [as_frame(frame) for frame in given]
    first = frames[0]
    seen: dict[str, str] = {}
    for frame in frames:
        if frame.shape != first.shape:
            msg = f"{first.name} has shape {first.shape}, {frame.name} has {frame.shape}; give {what} of one size."
            raise ShapeMismatchError(msg)
        if frame.unit != first.unit:
            msg = f"{first.name} is in {first.unit}, {frame.name} in {frame.unit}; give {what} of one unit."
            raise u.UnitConversionError(msg)
        digest = frame.pixel_digest()
        if digest in seen:
            msg = f"{frame.name} has the same pixels as {seen[digest]}; give each of the {what} once."
            raise FrameError(msg)
        seen[digest] = frame.name
    return frames


def exposures_of(frame: CCDFrame, keyword: str, unit: Any) -> float:
    """The exposure time of a frame in seconds."""
    return float(exposure(frame, keyword, unit).to_value(u.s))


def other_temperatures(frames: Sequence[CCDFrame], keyword: str, tolerance: Any) -> tuple[list[str], float | None]:
    """
    Which frames have another temperature than most.

    Parameters
    ----------
    frames : sequence of CCDFrame
        With headers.
    keyword : str
        Of the temperature, degrees Celsius.
    tolerance : float or Quantity
        How far from the median a temperature may be, K.

    Returns
    -------
    others : list of str
        The names of these frames with their temperatures.
    celsius : float or None
        Mean temperature of the frames that are left; None if a header does not tell it.
    """
    allowed = check_positive("tolerance", tolerance, u.K)
    found = [as_number(frame.meta.get(keyword)) for frame in frames]
    known = np.array([value for value in found if value is not None])
    if not known.size:
        return [], None
    middle = np.median(known)
    others = [
        f"{frame.name} has {value:g} deg C"
        for frame, value in zip(frames, found, strict=True)
        if value is not None and abs(value - middle) > allowed
    ]
    if len(known) < len(found):
        return others, None if not others else float(middle)
    near = known[np.abs(known - middle) <= allowed]
    return others, float(near.mean() if near.size else middle)


def by_exposure(times: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Which frames have the same exposure, the shortest first."""
    groups: list[list[int]] = []
    for place in np.argsort(times, kind="stable"):
        if groups and times[place] <= times[groups[-1][0]] * (1 + SAME_EXPOSURE):
            groups[-1].append(int(place))
        else:
            groups.append([int(place)])
    return [np.array(sorted(group)) for group in groups]


def known_variance(frame: CCDFrame) -> NDArray[Any]:
    """The variance of a frame that has one."""
    variance = frame.variance
    assert variance is not None
    return variance
