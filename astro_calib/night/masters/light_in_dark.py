"""Whether light has reached a dark: it has the pattern of the flat then, which dark current has not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["Light", "light_in", "remark_on_light"]

#: So many pixels are enough.
PIXELS = 250_000
#: Steps between neighbours that are larger than so many times their width are hot pixels, or the edges of dust.
OUTLIERS = 4.0
#: Light is said if it is so many standard errors, this part of what is in the dark, and this many electrons.
ERRORS, PART, LEAST = 6.0, 0.3, 2.0
#: Error bars are as good as this.
UNSURE = 0.2
WIDTH = 1.4826


class Light(NamedTuple):
    """How much light the pattern of a flat in a dark tells, in electron, and its standard error."""

    value: float
    error: float


def light_in(dark: CCDFrame, flats: Iterable[CCDFrame], bias: CCDFrame) -> Light | None:
    """
    Return how much light a master dark holds, by the flat that tells it best; None if it may be none.

    Steps from pixel to pixel are compared, for what changes slowly over the frame, such as the glow of an amplifier,
    is alike in many frames. The noise of the bias, which was subtracted from both, makes them alike as well, by as much
    as its variance tells.

    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night.masters.light_in_dark import light_in
    >>> pattern = np.random.default_rng(1).normal(1, 0.02, (100, 120))
    >>> noise = np.random.default_rng(2).normal(0, 2, pattern.shape)
    >>> flat = CCDFrame(30000 * pattern, unit="electron")
    >>> bias = CCDFrame(
    ...     np.zeros(pattern.shape),
    ...     unit="electron",
    ...     uncertainty=np.full(pattern.shape, 0.5),
    ... )
    >>> light = light_in(
    ...     CCDFrame(300 * pattern + noise, unit="electron"), [flat], bias
    ... )
    >>> bool(abs(light.value - 300) < 5 * light.error)
    True
    >>> light_in(CCDFrame(5 + noise, unit="electron"), [flat], bias) is None
    True
    """
    shared = math.nan if bias.variance is None else finite_median(bias.variance)
    if not shared >= 0:
        return None
    found = [one for one in (_slope(dark, flat, shared) for flat in flats) if one is not None]
    if not found:
        return None
    best = max(found, key=lambda one: one.value / one.error)
    good = usable(dark)
    level = abs(finite_median(dark.pixels[good])) if good.any() else 0.0
    return best if best.value > max(ERRORS * best.error, PART * level, LEAST) else None


def remark_on_light(time: float, dark: CCDFrame, flats: Iterable[CCDFrame], bias: CCDFrame) -> str:
    """Return what is to be said of light in the dark of an exposure time in seconds; empty if there may be none."""
    light = light_in(dark, flats, bias)
    if light is None:
        return ""
    return (
        f"the master dark of {time:g} s has the pattern of a flat, as if light of {light.value:.3g} +- "
        f"{light.error:.1g} electron had reached it: it is subtracted from the frames; take darks with the "
        "camera covered"
    )


def _slope(dark: CCDFrame, flat: CCDFrame, shared: float) -> Light | None:
    """The steps of a dark over those of a flat of mean 1, without the variance that both share; None without steps."""
    if dark.shape != flat.shape:
        return None
    every = max(1, dark.pixels.size // PIXELS)
    steps, level = [], 1.0
    for frame in (dark, flat):
        piece = frame[::every]
        values = np.where(usable(piece), piece.pixels, np.nan)
        level = finite_median(values) if frame is flat else 1.0
        if not level > 0:
            return None
        steps.append(np.diff(values, axis=1) / level)
    good = np.isfinite(steps[0]) & np.isfinite(steps[1])
    of_dark, of_flat = (one[good] for one in steps)
    if not of_dark.size:
        return None
    kept = _ordinary(of_dark) & _ordinary(of_flat)
    of_dark, of_flat = of_dark[kept], of_flat[kept]
    squares = float(of_flat @ of_flat)
    if not squares > 0:
        return None
    slope = float(of_dark @ of_flat) / squares
    error = float(np.std(of_dark - slope * of_flat) / np.sqrt(squares))
    # Each step has the noise of two pixels.
    common = 2 * shared / level * of_dark.size / squares
    return Light(slope - common, float(np.hypot(error, UNSURE * common))) if error > 0 else None


def _ordinary(steps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which steps are no larger than noise and the pattern of the pixels make them."""
    return np.abs(steps) <= OUTLIERS * WIDTH * np.median(np.abs(steps))
