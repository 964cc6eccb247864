"""A step of a calibration, and sequences of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.run import FrameSoFar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from astro_calib.frame.frame import CCDFrame

__all__ = ["LinearStep", "apply_steps"]


class LinearStep:
    """
    A step that adds, multiplies, divides, brings noise and sets flags, and says so once, in `apply`.

    Neighbouring linear steps are carried out in one pass over the pixels. Called by itself, a step takes a frame and
    returns a new one. A step of any other kind is a function that does so.
    """

    def apply(self, frame: FrameSoFar) -> None:
        """
        Say what the step does.

        Parameters
        ----------
        frame : FrameSoFar
            What the frame is before the step, with its name, shape, header, and some of its values if they are asked
            for; its methods are what can be done to it.
        """
        raise NotImplementedError

    def __call__(self, ccd: Any) -> CCDFrame:
        """The frame that the step makes of another."""
        return apply_steps(ccd, [self])


def apply_steps(
    ccd: CCDFrame, steps: Iterable[LinearStep | Callable[[CCDFrame], CCDFrame]], *, fused: bool = True
) -> CCDFrame:
    """
    The frame that steps make of another one after the other, neighbouring linear ones in one pass over the pixels.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame.
    steps : iterable of LinearStep or callable
        For example those of `calibration_steps`.
    fused : bool
        False for a pass for each step, which gives the same to rounding.

    Returns
    -------
    CCDFrame
        A new frame.
    """
    frame = FrameSoFar(as_frame(ccd))
    for step in steps:
        if isinstance(step, LinearStep):
            step.apply(frame)
            if not fused:
                frame = FrameSoFar(frame.finished())
        else:
            frame = FrameSoFar(step(frame.finished()))
    return frame.finished()
