"""The read noise of each frame, from its own overscan: electronics pick up something else in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.characterize.frame_noise import ImageExcess
    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.plan import Plan
    from astro_calib.night.sample import Piece

__all__ = ["detector_of", "excess_of"]


def excess_of(biases: Sequence[Piece]) -> ImageExcess | None:
    """Return what biases have in read-out noise in the image and not in the overscan; None if they do not tell."""
    from astro_calib.characterize.frame_noise import image_excess

    if len(biases) < 2 or any(piece.overscan is None for piece in biases):
        return None
    whole = [np.hstack([piece.pixels, piece.overscan]) for piece in biases if piece.overscan is not None]
    rows, columns = biases[0].pixels.shape
    try:
        return image_excess(whole, f"[{columns + 1}:{whole[0].shape[1]}, 1:{rows}]", f"[1:{columns}, 1:{rows}]")
    except FrameError:
        # Too small an overscan tells nothing.
        return None


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
