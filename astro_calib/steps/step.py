"""A step of a calibration, and sequences of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astro_calib.frame.rebuild import as_frame
from astro_calib.steps.run import FrameSoFar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from astro_calib.frame.frame import CCDFrame

__all__ = ["LinearStep", "NamedStep", "apply_steps", "place_of"]


class LinearStep:
    """
    A step that adds, multiplies, divides, brings noise and sets flags, and says so once, in `apply`.

    Neighbouring linear steps are carried out in one pass over the pixels. Called by itself, a step takes a frame and
    returns a new one. A step of any other kind is a function that does so.
    """

    #: What `place_of` finds it by.
    name: str | None = None

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


@dataclass(frozen=True)
class NamedStep:
    """A step that is a function from frame to frame, under a name that `place_of` finds it by."""

    name: str
    function: Callable[[CCDFrame], CCDFrame]

    def __call__(self, ccd: CCDFrame) -> CCDFrame:
        """The frame that the step makes of another."""
        return self.function(ccd)


def place_of(steps: Sequence[Any], name: str) -> int:
    """
    Where a step is among others, to put another one before it, or instead of it.

    Parameters
    ----------
    steps : sequence of LinearStep or callable
        For example those of `calibration_steps`.
    name : str
        What `calibrate` calls it: ``"overscan"``, ``"pedestal"``, ``"crosstalk"``, ``"trim"``, ``"bad_pixels"``,
        ``"bias"``, ``"dark"``, ``"shutter"``, ``"flat"``, ``"illumination"``, ``"fringe"``, ``"sky"``,
        ``"cosmic_rays"``; and ``"saturation"``, ``"gain"``, ``"deviation"``, ``"linearity"``.

    Returns
    -------
    int
        The index, as ``list.insert`` takes it.

    Raises
    ------
    ValueError
        If no step has that name; the message says which ones are there.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.steps import calibration_steps, place_of
    >>> camera = Detector(
    ...     gain=2 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> place_of(calibration_steps(camera, pedestal=0), "gain")
    2
    """
    names = [getattr(step, "name", None) for step in steps]
    if name not in names:
        msg = f"no step is called {name!r}; there are {', '.join(str(known) for known in names if known)}."
        raise ValueError(msg)
    return names.index(name)


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
