"""The read noise of each frame, from its own overscan: electronics pick up something else in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.plan.plan import Plan

__all__ = ["detector_of"]


def detector_of(plan: Plan, ccd: CCDFrame, *, neighbours: bool) -> Detector:
    """
    Return the detector as it read out one raw frame: as its own overscan says, where the plan wants that.

    With ``neighbours`` it says how the read noise of these goes together, too, which matters for stars and costs time
    in all that is measured: masters have little of it.
    """
    from astro_calib.characterize.frame_noise import frame_detector

    if plan.image_excess is None or plan.overscan is None:
        return plan.camera
    try:
        found = frame_detector(ccd, plan.overscan, plan.camera, plan.image_excess)
    except FrameError:
        return plan.camera
    return found if neighbours else found.read_out_with(found.amplifiers[0].read_noise, None)
