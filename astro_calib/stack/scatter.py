"""Frames without noise of their own get the scatter of the sample at each pixel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.estimators.methods import at_number
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import lacks_own_noise
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.source import NoiseSource
from astro_calib.stack.noise import private_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.estimators.methods import Method
    from astro_calib.estimators.rejection import Rejection
    from astro_calib.stack.values import StackedValues

__all__ = ["lack_noise", "with_scatter"]


def lack_noise(frames: Sequence[CCDFrame]) -> bool:
    """Whether the noise has to be taken from the scatter of the sample."""
    lacking = [frame for frame in frames if lacks_own_noise(frame)]
    if not lacking:
        return False
    if len(frames) == 1:
        msg = (
            f"{lacking[0].name}: one frame without noise of its own shows nothing of it. Give detector=, or apply "
            "create_deviation first."
        )
        raise FrameError(msg)
    if len(lacking) < len(frames):
        msg = (
            f"{lacking[0].name} has no variance of its own, but other frames have. Give detector=, or apply "
            "create_deviation "
            "to it first."
        )
        raise FrameError(msg)
    return True


def with_scatter(frames: Sequence[Any], values: StackedValues, method: Method, rejection: Rejection) -> list[Any]:
    """
    The frames, each with the scatter of the sample at each pixel as noise of its own.

    It is multiplied by the factor of the estimator, so that a mean with weights 1/n has the variance of the result.
    """
    # One value alone shows no scatter: it has the usual one.
    known = values.n_before > 1
    assert values.scatter is not None
    if not np.any(values.scatter[known] > 0) if not known.all() else not np.any(values.scatter):
        msg = (
            f"the frames to combine, such as {frames[0].name}, agree in every pixel: they show nothing of their noise."
        )
        raise FrameError(msg)
    variance = values.scatter
    if not known.all():
        usual = np.mean(values.scatter, where=known & np.isfinite(values.scatter), dtype=np.float64)
        variance[~known] = usual
    factor = partial(method.factor_of_sample, rejection)
    variance *= at_number(factor, values.n_before, variance.dtype, simulated=True, interpolate=rejection.rejects)
    private = private_terms([frame for frame in frames if frame.known_budget is not None])
    result = []
    position = -1
    for frame in frames:
        origin = frame.origin
        assert origin is not None  # the frame lacks noise of its own
        source = NoiseSource(
            "read noise",
            variance,
            axes=tuple(range(frame.ndim)),
            # Not the identity that a detector gives it, whose variance is in electrons.
            identity=f"{origin.raw.identity()}:scatter",
            window=origin.window,
        )
        terms: list[Any] = [(source, 1.0)]
        if frame.known_budget is not None:
            # What only this frame has, such as the error of its overscan, is in the scatter already.
            position += 1
            terms += [term for term in frame.known_budget.terms if (position, term[0].key) not in private]
        if isinstance(frame, CCDFrame):
            budget = UncertaintyBudget(frame.shape, terms, variance.dtype, frame.pixels)
            result.append(frame.replace(frame.pixels, budget, origin=origin))
        else:
            result.append(frame.with_budget(UncertaintyBudget(frame.shape, terms, variance.dtype), origin))
    return result
