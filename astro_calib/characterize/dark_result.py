"""What darks say of a detector, and what is remarked on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np

from astro_calib.characterize.dark_frames import SAME_EXPOSURE, known_variance
from astro_calib.characterize.outliers import clipped
from astro_calib.dtypes import floating
from astro_calib.errors import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["DarkCurrent", "noise_table", "remarks_on_noise", "remarks_on_unsteady", "tell_of_clamp"]

#: A hot pixel whose darks are off a straight line with less probability than this does not grow steadily.
UNSTEADY = 1e-5
#: Observed over predicted noise further from one than this is worth a remark.
UNLIKE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class DarkCurrent:
    """
    What darks of several exposures say of a detector.

    Parameters
    ----------
    rate : CCDFrame, shape (ny, nx)
        Dark current in electron / s or adu / s, with its budget. Hot pixels are flagged ``DataQuality.BAD`` and masked.
    offset : CCDFrame, shape (ny, nx)
        What the darks hold at zero time, with its budget: the bias, or what is left of it.
    hot : ndarray of bool, shape (ny, nx)
        True where a pixel is hot.
    level, level_uncertainty : Quantity
        Rate of the ordinary pixels, and its standard uncertainty, which holds how the level drifts between frames.
    clamped : bool
        Whether the level falls with exposure: then the camera has moved it, and rates count from an unknown level.
    temperature : Quantity or None
        Mean temperature of the darks, if their headers tell it.
    table : Table
        A row for each exposure: ``exposure``, ``number`` of darks, ``level``, and a pixel's noise in one dark as
        ``observed`` in their differences and ``predicted``; NaN where it is not known.
    remarks : tuple of str
        What should be known about the result.

    Examples
    --------
    As `dark_current` makes it; see there.

    >>> from astro_calib import simulate
    >>> from astro_calib.characterize import dark_current
    >>> camera = simulate.Camera(
    ...     shape=(64, 64),
    ...     detector=simulate.camera((64, 64)).detector,
    ...     dark_rate=0.5,
    ... )
    >>> darks = [
    ...     camera.expose("dark", time, rng=seed)[0]
    ...     for seed, time in enumerate([60, 60, 600, 600])
    ... ]
    >>> dark_current(darks, detector=camera.detector).rate.unit
    Unit("electron / s")
    """

    rate: CCDFrame
    offset: CCDFrame
    hot: NDArray[np.bool_]
    level: u.Quantity
    level_uncertainty: u.Quantity
    clamped: bool
    temperature: u.Quantity | None
    table: Table
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        number = int(np.count_nonzero(self.hot))
        share = 100 * number / self.hot.size
        where = "" if self.temperature is None else f" at {self.temperature.value:.1f} deg C"
        rate = f"{self.level.value:.4g} +- {self.level_uncertainty.value:.2g} {self.level.unit}"
        lines = [f"Dark current{where}: {rate}; {number} hot pixels ({share:.2g}%).", *self.remarks]
        return "\n".join([*lines, "", *self.table.pformat(max_lines=-1, max_width=-1)])


def tell_of_clamp(
    times: NDArray[np.float64], levels: NDArray[np.float64], unit: u.UnitBase, remarks: list[str]
) -> None:
    """Remark, and warn, that the level falls with exposure."""
    ends = [float(np.mean(levels[np.isclose(times, time, rtol=SAME_EXPOSURE)])) for time in (times.min(), times.max())]
    words = (
        f"The level of the darks falls with exposure, from {ends[0]:.6g} {unit} at {times.min():g} s to {ends[1]:.6g} "
        f"{unit} at {times.max():g} s, which no dark current does: the camera clamps its black level, or the level "
        "drifts. Rates count from an unknown level, and the darks' noise is taken from their scatter. Take darks of "
        "the exposure of the frames, and do not scale them."
    )
    remarks.append(words)
    warn(words)


def remarks_on_unsteady(
    times: NDArray[np.float64],
    stacks: Sequence[CCDFrame],
    rate: CCDFrame,
    offset: CCDFrame,
    hot: NDArray[np.bool_],
) -> list[str]:
    """A remark on hot pixels that do not grow along a line, if three exposures or more can tell."""
    if len(times) < 3 or not hot.any():
        return []
    from scipy.special import chdtri

    square = np.zeros(np.count_nonzero(hot))
    for time, stack in zip(times, stacks, strict=True):
        off = stack.pixels[hot] - offset.pixels[hot] - time * rate.pixels[hot]
        square += np.square(off, dtype=np.float64) / known_variance(stack)[hot]
    number = int(np.count_nonzero(square > chdtri(len(times) - 2, UNSTEADY)))
    if not number:
        return []
    return [f"{number} of {square.size} hot pixels do not grow steadily with exposure; scaled darks are wrong there."]


def noise_table(
    times: NDArray[np.float64],
    groups: Sequence[NDArray[np.intp]],
    frames: Sequence[CCDFrame],
    levels: NDArray[np.float64],
    ordinary: NDArray[np.bool_],
) -> Table:
    """A row for each exposure, with the level of its darks and their noise."""
    from astropy.table import Table

    rows = []
    for time, group in zip(times, groups, strict=True):
        pairs = [[frames[place] for place in group[start : start + 2]] for start in range(0, len(group) - 1, 2)]
        own = frames[group[0]].variance
        predicted = np.nan if own is None else float(np.sqrt(np.median(own[ordinary])))
        # Over what is predicted for each pixel, where that is known: where the dark current differs, the noise does.
        ratios = [_scatter_of_pair(one, other, ordinary) for one, other in pairs]
        observed = np.sqrt(np.mean(np.square(ratios))) if ratios else np.nan
        if own is not None:
            observed *= predicted
        rows.append((time, len(group), float(levels[group].mean()), observed, predicted))
    table = Table(rows=rows, names=("exposure", "number", "level", "observed", "predicted"))
    table["exposure"].unit = u.s
    for name in ("level", "observed", "predicted"):
        table[name].unit = frames[0].unit
        table[name].format = ".4g" if name != "level" else ".6g"
    return table


def _scatter_of_pair(one: CCDFrame, other: CCDFrame, ordinary: NDArray[np.bool_]) -> float:
    """Noise in one of two darks that are alike, from their difference: over the predicted one, where that is known."""
    if one.known_budget is None or other.known_budget is None:
        return clipped(floating(other.pixels)[ordinary] - floating(one.pixels)[ordinary])[1] / np.sqrt(2)
    # In which a bias that both had subtracted cancels.
    difference = other.subtract(one)
    return clipped(difference.pixels[ordinary] / np.sqrt(known_variance(difference)[ordinary]))[1]


def remarks_on_noise(table: Table, *, scatter: bool) -> list[str]:
    """Remarks on noise that is not as predicted; it is, where the scatter tells it."""
    if scatter:
        return []
    ratios = np.asarray(table["observed"] / table["predicted"])
    return [
        f"The noise of the darks of {time:g} s is {ratio:.2f} of what is predicted; look at gain and read noise."
        for time, ratio in zip(table["exposure"], ratios, strict=True)
        if abs(ratio - 1) > UNLIKE
    ]
