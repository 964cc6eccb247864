"""How much the light of a lamp changed between two series of flats, from the times at which they were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["Drift", "drift_between", "times_of"]

#: Flats beyond those that a line needs, so that they show how far the lamp scatters about it.
MORE = 2


class Drift(NamedTuple):
    """
    The light of the first series in units of that of the second.

    Attributes
    ----------
    ratio : float
        One for a steady lamp.
    uncertainty : float
        Its standard error.
    """

    ratio: float
    uncertainty: float


def times_of(frames: Sequence[CCDFrame], keyword: str) -> NDArray[np.float64] | None:
    """When frames were begun, in days; None if some header does not tell, or all tell the same."""
    from astropy.time import Time

    try:
        times = np.array([Time(str(frame.meta[keyword]), scale="utc").mjd for frame in frames])
    except (KeyError, ValueError):
        return None
    return times if np.ptp(times) > 0 else None


def drift_between(
    levels: Sequence[NDArray[np.float64]], times: Sequence[NDArray[np.float64]], groups: tuple[int, int]
) -> Drift | None:
    """
    The drift between two series, if the logarithm of the lamp's light is a straight line in time, with some scatter.

    Parameters
    ----------
    levels : sequence of ndarray
        The light of the flats of each exposure.
    times : sequence of ndarray
        When they were taken, in any unit.
    groups : (int, int)
        The two that are compared.

    Returns
    -------
    Drift or None
        None if there are too few flats to tell.
    """
    free = sum(map(len, levels)) - len(levels) - 1
    if free < MORE:
        return None
    own = [np.log(level) - np.log(level).mean() for level in levels]
    at = [time - time.mean() for time in times]
    squares = sum(float(np.sum(time**2)) for time in at)
    if squares == 0:
        return None
    slope = sum(float(np.sum(time * level)) for time, level in zip(at, own, strict=True)) / squares
    rest = [level - slope * time for time, level in zip(at, own, strict=True)]
    scatter = sum(float(np.sum(one**2)) for one in rest) / free
    first, second = groups
    apart = float(times[first].mean() - times[second].mean())
    variance = scatter * (1 / len(own[first]) + 1 / len(own[second]) + apart**2 / squares)
    return Drift(float(np.exp(slope * apart)), float(np.sqrt(variance)))
