"""Subtract the pedestal as one exact number, or say that nothing tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_number, described
from astro_calib.errors import FrameError
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from astro_calib.steps.run import FrameSoFar

__all__ = ["RefusePedestal", "SubtractPedestal"]


class SubtractPedestal(LinearStep):
    """Subtract an exact level, in adu if it has no unit."""

    name = "pedestal"

    def __init__(self, level: float | u.Quantity) -> None:
        self.level = level

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract it."""
        level = _one_level(frame.name, self.level)
        if frame.unit != u.adu:
            msg = f"{frame.name} is in {frame.unit}; a pedestal is subtracted from a frame in adu."
            raise u.UnitConversionError(msg)
        frame.add(-level)


class RefusePedestal(LinearStep):
    """Stands for the step that would have to tell the pedestal."""

    name = "no pedestal"

    def apply(self, frame: FrameSoFar) -> None:
        """Say what is missing."""
        msg = (
            f"{frame.name}: neither overscan nor bias nor pedestal is given, so that the pedestal would count as "
            "signal and the error come out too large. Give one of them; pedestal=0 if there is none."
        )
        raise FrameError(msg)


def _one_level(name: str, pedestal: float | u.Quantity) -> float:
    """The pedestal as one number in adu."""
    try:
        return check_number(f"{name}: the pedestal", pedestal, u.adu, minimum=-np.inf)
    except u.UnitConversionError:
        raise
    except (TypeError, ValueError) as error:
        msg = (
            f"{name}: the pedestal is {described(pedestal)}; expected one finite number, in adu. Subtract an image "
            "as a bias."
        )
        raise FrameError(msg) from error
