"""Whether the frames that a master is made of scatter as their error bars say, from some of their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from astro_calib.frame.frame import CCDFrame

__all__ = ["Inputs", "Scatter"]

#: So many pixels of each frame are enough, and so many pairs.
PIXELS, PAIRS = 50_000, 8
#: The first and the last frame of a series that differ by so many times the prediction are of two kinds; by less, the
#: light may have changed in between.
APART = 2.0


class Scatter(NamedTuple):
    """
    How the frames of a master scatter.

    Attributes
    ----------
    ratio : float
        The noise that is observed over the predicted one; NaN for a single frame.
    rejected : float
        The share of the values that the combination left out; NaN for a single frame.
    """

    ratio: float = float("nan")
    rejected: float = float("nan")


class Inputs:
    """
    Takes note of the frames that go into a master, one after the other.

    Each is compared with the one before it, and the last with the first: what they have in common, such as a master
    that was subtracted from both, is in neither the scatter of the difference nor its prediction. With
    ``scaled`` they are brought to one level first.
    """

    def __init__(self, *, scaled: bool) -> None:
        self.scaled = scaled
        self._first: CCDFrame | None = None
        self._last: CCDFrame | None = None
        self._squares: list[float] = []
        self._values = 0
        self._step = 1

    def add(self, frame: CCDFrame) -> None:
        """Look at the next frame."""
        self._step = max(1, frame.pixels.size // PIXELS)
        piece = frame[:: self._step]
        good = usable(piece)
        self._values += int(np.count_nonzero(good))
        if self.scaled:
            level = finite_median(piece.pixels[good]) if good.any() else 0.0
            if not level > 0:
                return
            piece = piece.multiply(1 / level)
        last, self._last = self._last, piece
        if last is None:
            self._first = piece
        elif len(self._squares) < PAIRS and (square := _excess(piece, last)) is not None:
            self._squares.append(square)

    def scatter(self, stack: CCDFrame) -> Scatter:
        """How the frames that were combined scatter."""
        if not self._squares or stack.n_used is None or not self._values:
            return Scatter()
        used = float(np.sum(stack.n_used[:: self._step], dtype=np.float64))
        observed = float(np.mean(self._squares))
        # Where those of one kind follow those of another, neighbours are alike.
        assert self._first is not None
        assert self._last is not None
        ends = _excess(self._last, self._first)
        if ends is not None and ends > APART**2:
            observed = max(observed, ends)
        return Scatter(float(np.sqrt(observed)), 1 - used / self._values)


def _excess(one: CCDFrame, other: CCDFrame) -> float | None:
    """The variance of the difference of two frames over the predicted one; None if nothing tells it."""
    from astro_calib.characterize.read_noise import robust_width

    difference = one.subtract(other)
    good = usable(difference)
    variance = difference.variance
    if variance is not None:
        good &= np.isfinite(variance) & (variance > 0)
    if variance is None or not good.any():
        return None
    return robust_width(difference.pixels[good] / np.sqrt(variance[good])) ** 2
