"""Calibration frames that are not like the others of their kind: one with light in it, or a master among raw frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.names import PLURALS, named
from astro_calib.night.headers.not_raw import are_whole_numbers
from astro_calib.night.headers.values import parse_section
from astro_calib.night.matching.matching import darks_of, flat_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.profiles.matching_rules import Matching

__all__ = ["Glance", "glance_at", "remarks_on_fractions", "remarks_on_net_biases", "without_unlike"]

#: So many differences of neighbouring pixels are kept of a frame, and so many tell how they scatter.
KEPT, FEWEST = 4096, 1000
#: Fewer frames do not tell which of them is the odd one.
FEW = 3
#: Frames that scatter by more or less than this factor differently than most are not like them.
MORE, LESS = 2.0, 0.6
#: A mean of several frames has less than this part of the variance of one.
OF_MASTER = 0.2
#: If less than this part of the variance is of their own, the pattern hides it.
OWN = 0.05
#: So many frames are compared with each other at once.
BLOCK = 48
#: Differences are cut off where they are so many times as wide as most: cosmic rays.
CLIP = 5.0
#: A variance that is next to nothing may come out below zero.
TINY = 1e-4
NO_WHOLE = (
    "no raw frame, for its numbers are no whole ones, as those of the other {} are: it is a master, or was calibrated"
)
#: A level that was subtracted leaves more than this part of the numbers below zero, and less than that.
AROUND = (0.02, 0.98)
NET = (
    "its numbers lie around zero: its bias was subtracted already, and would be subtracted twice; "
    "give it as the camera wrote it, or with biases of which the level was subtracted as well"
)
WHY_MORE = "be of another kind, or have light in it"
WHY_LESS = {"bias": "be a master", "dark": "be a master", "flat": "be a master, or saturated"}


class Glance(NamedTuple):
    """
    What is kept of the pixels of a calibration frame.

    Attributes
    ----------
    differences : ndarray, shape (n,)
        Of pixels and their neighbours in the same row, adu; in all frames of a shape of the same pixels.
    level : float
        The median of these pixels, adu.
    whole : bool
        Whether all numbers are whole ones, as cameras write them.
    below : float
        Which part of these pixels is below zero.
    """

    differences: NDArray[np.float32]
    level: float
    whole: bool
    below: float = 0.0

    @property
    def around_zero(self) -> bool:
        """Whether the level was subtracted; numbers that are all below zero are counted from somewhere else."""
        return AROUND[0] < self.below < AROUND[1]


def glance_at(data: NDArray[Any], trim: str | None = None) -> Glance:
    """
    Return what is kept of an image.

    >>> import numpy as np
    >>> from astro_calib.night.files.unlike import glance_at
    >>> glance_at(np.arange(12.0).reshape(3, 4))
    Glance(differences=array([1., 1., 1., 1., 1., 1.], dtype=float32), level=5.5, whole=True, below=0.0)
    """
    inner = data if trim is None else data[parse_section(trim)]
    step = max(1, len(inner) * (inner.shape[1] // 2) // KEPT)
    # Rows from all of the frame, and of each as many columns from its middle as are needed.
    rows = inner[:: max(1, min(step, len(inner) // 64))]
    pairs = min(inner.shape[1] // 2, max(1, KEPT // max(len(rows), 1)))
    first = (inner.shape[1] - 2 * pairs) // 2
    some = rows[:, first : first + 2 * pairs].astype(np.float32)
    below = float(np.mean(some < 0))
    return Glance((some[:, 1::2] - some[:, ::2]).ravel(), float(np.median(some)), are_whole_numbers(data), below)


def without_unlike(
    frames: Sequence[RawFrame], glances: Mapping[Path, Glance], rules: Matching
) -> tuple[list[RawFrame], list[UnusedFile]]:
    """Return the frames of a setup without those that are not like the others of their kind, and these."""
    known = [frame for frame in frames if frame.path in glances]
    biases = [frame for frame in known if frame.kind == "bias"]
    found = _unlike(biases, glances) | _subtracted(known, glances)
    for darks in darks_of(frame for frame in known if frame.path not in found).values():
        found |= _unlike(darks, glances)
    dark = [glances[frame.path].level for frame in known if frame.kind in ("bias", "dark") and frame.path not in found]
    for flats in flat_groups(known, rules).values():
        found |= _unlike(flats, glances, float(np.median(dark)) if dark else 0.0)
    unused = [UnusedFile(frame.path, found[frame.path], frame.kind) for frame in frames if frame.path in found]
    return [frame for frame in frames if frame.path not in found], unused


def remarks_on_fractions(frames: Sequence[RawFrame], glances: Mapping[Path, Glance]) -> list[str]:
    """Say which darks may be masters although there are no others; of biases and flats the measurement says it."""
    darks = [frame for frame in frames if frame.kind == "dark" and frame.path in glances]
    names = [frame.path.name for frame in darks if not glances[frame.path].whole]
    what = (
        "its numbers are no whole ones, as no camera writes them; it is taken for a raw frame: if it is a master, give "
        "it with --masters and not among the raw frames"
    )
    return [f"{named(names)}: {what}"] if names else []


def _subtracted(frames: Sequence[RawFrame], glances: Mapping[Path, Glance]) -> dict[Path, str]:
    """Which darks have lost their bias already, and why they are of no use beside frames that have not."""
    around = {kind: [one for one in frames if one.kind == kind and _is_net(one, glances)] for kind in ("bias", "dark")}
    return {} if around["bias"] else dict.fromkeys((frame.path for frame in around["dark"]), NET)


def _is_net(frame: RawFrame, glances: Mapping[Path, Glance]) -> bool:
    # An overscan says what was subtracted.
    return frame.overscan is None and glances[frame.path].around_zero


def remarks_on_net_biases(frames: Sequence[RawFrame], glances: Mapping[Path, Glance]) -> list[str]:
    """Say which biases have lost their level, which stays in frames that have not."""
    net = [frame for frame in frames if frame.path in glances and _is_net(frame, glances)]
    # Darks without their level say that all frames may have lost it.
    names = [] if any(frame.kind == "dark" for frame in net) else [f.path.name for f in net if f.kind == "bias"]
    what = (
        f"{'their' if len(names) > 1 else 'its'} numbers lie around zero, as if the level had been subtracted already: "
        "it stays in all frames from which it was not; look at the levels of the science frames"
    )
    return [f"{named(names)}: {what}"] if names else []


def _unlike(frames: Sequence[RawFrame], glances: Mapping[Path, Glance], zero: float | None = None) -> dict[Path, str]:
    """Which frames of one kind are not like the others, and why; ``zero`` is the level without light, for flats."""
    fractions = [frame for frame in frames if not glances[frame.path].whole]
    raw = [frame for frame in frames if glances[frame.path].whole]
    if not raw:
        return {}
    others = PLURALS[raw[0].kind]
    found = dict.fromkeys((frame.path for frame in fractions), NO_WHOLE.format(others))
    # Where half of them differ, nothing tells which half is right.
    for _ in range(max(len(raw) == 2, (len(raw) - 1) // 2)):
        some = [glances[frame.path] for frame in raw]
        ratios = _of_two(some, zero) if len(raw) == 2 else _ratios(some, zero)
        worst = max(range(len(raw)), key=lambda number: abs(np.log(ratios[number])))
        ratio = ratios[worst]
        if LESS <= ratio <= MORE:
            break
        maybe = WHY_MORE if ratio > 1 else WHY_LESS[raw[0].kind]
        found[raw.pop(worst).path] = (
            f"it does not look like the other {others}, for its pixels scatter {ratio:.2g} times as much: "
            f"it may {maybe}"
        )
    return found


def _of_two(some: Sequence[Glance], zero: float | None) -> list[float]:
    """
    How much one of two frames scatters, over the other.

    It is 1 unless one is brighter as well, as light makes it, or has next to no noise of its own, as a master.
    """
    from astro_calib.characterize.read_noise import robust_width

    widths = [robust_width(one.differences.astype(np.float64)) for one in some]
    lit, dark = (0, 1) if some[0].level > some[1].level else (1, 0)
    ratios = [1.0, 1.0]
    if len(some[0].differences) >= FEWEST and widths[dark] and some[lit].level - some[dark].level > widths[lit]:
        ratios[lit] = max(1.0, widths[lit] / widths[dark])
    elif zero is None and len(some[0].differences) == len(some[1].differences) >= FEWEST:
        own = _own_of_two(*(one.differences.astype(np.float64) for one in some))
        less = 0 if own[0] < own[1] else 1
        if own[less] < OF_MASTER * own[1 - less]:
            ratios[less] = float(np.sqrt(max(own[less] / own[1 - less], TINY)))
    return ratios


def _own_of_two(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """The variance of each of two frames without the pattern that both have; the same where that hides it."""
    from astro_calib.characterize.read_noise import robust_width

    apart = one - other
    kept = np.all([np.abs(some) <= CLIP * robust_width(some) for some in (one, other, apart)], axis=0)
    if np.var(apart[kept]) < OWN * (np.var(one[kept]) + np.var(other[kept])):
        return 1.0, 1.0
    # What is different goes together with the frame that it is from.
    return float(np.cov(apart[kept], one[kept])[0, 1]), float(-np.cov(apart[kept], other[kept])[0, 1])


def _ratios(some: Sequence[Glance], zero: float | None) -> list[float]:
    """How much each of some frames scatters, over what most of them do; 1 where that cannot be told."""
    light = np.array([1.0 if zero is None else one.level - zero for one in some])
    sizes = {len(one.differences) for one in some}
    told = np.array([one.differences.any() for one in some]) & (light > 0)
    ratios = np.ones(len(some))
    if len(sizes) > 1 or min(sizes) < FEWEST or np.count_nonzero(told) < FEW:
        return list(ratios)
    variances = np.full(len(some), np.nan)
    numbers = np.flatnonzero(told)
    for block in np.array_split(numbers, -(-len(numbers) // BLOCK)):
        # Flats at one level; what they have in common is in none of the differences.
        scale = np.median(light[block]) / light[block]
        pixels = np.array([some[number].differences * by for number, by in zip(block, scale, strict=True)])
        variances[block] = _own_variances(pixels) / scale
    # The lower of the two in the middle, for light in a frame is more usual than a master among others.
    usual = float(np.nanpercentile(variances, 50, method="lower"))
    if not usual > 0:
        return list(ratios)
    ratios[told] = np.sqrt(np.clip(variances[told] / usual, TINY, None))
    return list(ratios)


def _own_variances(pixels: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """
    The variance of each of some frames, without what they have in common.

    The difference of two has the sum of their variances, and three and more differences tell each.
    """
    from astro_calib.characterize.read_noise import robust_width

    away = pixels - np.median(pixels, axis=0)
    for one in away:
        width = CLIP * robust_width(one.astype(np.float64))
        np.clip(one, -width, width, out=one)
    away = away.astype(np.float64) - away.mean(axis=1, keepdims=True)
    together = away @ away.T / away.shape[1]
    own = np.diag(together)
    of_pairs = own[:, None] + own - 2 * together
    sums = of_pairs.sum(axis=1)
    number = len(pixels)
    return np.asarray((sums - sums.sum() / (2 * (number - 1))) / (number - 2))
