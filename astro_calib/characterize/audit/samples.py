"""
What frames say about their noise: the covariances of differences, levels, and what two frames have in common.

Everything is in electrons by the gain that was stated, and stands beside what the stated detector predicts, part by
part, so that each part can be made larger or smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.characterize.audit.stars import Series
    from astro_calib.detector.correlation import Correlation

__all__ = ["Common", "Evidence", "Levels", "Pattern", "Pile", "Sample", "Sums"]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """
    The sums over empty apertures in a difference, less the sky of a ring around each.

    Attributes
    ----------
    radius : float
        Of the aperture, pixels.
    variance, uncertainty : float
        The variance of the sums, with its standard error, electron^2.
    """

    radius: float
    variance: float
    uncertainty: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """
    The covariance of a difference of frames with itself, and what is predicted of it.

    Attributes
    ----------
    kind : str
        ``"bias"``, ``"dark"``, ``"flat"`` or ``"science"``.
    level : float
        The signal of a frame, electron.
    lags : ndarray, shape ((REACH + 1)^2,)
        The folded covariances at all lags, electron^2.
    ring : bool
        Whether the ring of outer lags counts as zero, because light changed between the frames.
    pixels, draws : float
        How many pixels, and how many independent differences, the covariances come from.
    shape : (int, int)
        Shape of the frames.
    reads : float
        The sum of the squared factors that frames have in the difference, which rows and tones come with.
    read, shot, other : float
        Predicted variances: of the read-out noise, of the shot noise, and of the rest.
    charge : float
        Sum of the squared levels with the squared factors: what charge that repels charge moves.
    flat : float
        The same for a pattern that the flat leaves, which cancels where levels are equal.
    exposure : float
        Sum of the exposure times with the squared factors, for darks; else zero.
    doubt : float
        Relative error of the prediction that does not become smaller with more pixels.
    unseen : float
        How large, relative to the variance, covariances of faint objects may be that nobody saw.
    level_doubt : float
        Error of the variance that comes from that of the level, electron^2.
    outliers : float
        The part of the pixels that is more than five standard deviations off.
    sums : tuple of Sums
        The noise of apertures.
    correlation : Correlation or None
        How the read-out noise of neighbours goes together, as stated.
    correlated : float
        The variance that this is part of.
    """

    kind: str
    level: float
    lags: NDArray[np.float64]
    ring: bool
    pixels: float
    draws: float
    shape: tuple[int, int]
    reads: float
    read: float
    shot: float
    other: float
    charge: float = 0.0
    flat: float = 0.0
    exposure: float = 0.0
    doubt: float = 0.003
    unseen: float = 0.0
    level_doubt: float = 0.0
    outliers: float = 0.0
    sums: tuple[Sums, ...] = ()
    correlation: Correlation | None = None
    correlated: float = 0.0

    @property
    def predicted(self) -> float:
        """The variance that the stated detector has."""
        return self.read + self.shot + self.other

    @property
    def ratio(self) -> float:
        """The noise that is observed over that which is predicted."""
        return float(np.sqrt(max(self.lags[0], 0.0) / self.predicted)) if self.predicted > 0 else np.inf


@dataclass(frozen=True, kw_only=True)
class Levels:
    """
    The levels of frames of one kind.

    Attributes
    ----------
    values : ndarray, shape (n,)
        Electron.
    rows, columns : int
        How many each is the mean of.
    overscan : int
        How many columns of the overscan were averaged and subtracted; zero without.
    variance : float
        Predicted variance of a pixel, electron^2.
    correlation : Correlation or None
        How the read-out noise of neighbours goes together, as stated.
    correlated : float
        The part of the variance that this is part of.
    """

    values: NDArray[np.float64]
    rows: int
    columns: int
    overscan: int
    variance: float
    correlation: Correlation | None = None
    correlated: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Common:
    """
    What the pixels of two frames have in common after their calibration, beside what the masters explain.

    Attributes
    ----------
    covariance, uncertainty : float
        The mean product of the pixels without their sky, less what the budgets predict, electron^2.
    levels : float
        The product of the levels.
    dark : float
        The square of the level of the dark, electron^2.
    """

    covariance: float
    uncertainty: float
    levels: float
    dark: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """
    What the dark leaves in its hot pixels.

    Attributes
    ----------
    left : ndarray, shape (n,)
        The signal that is left in each, electron.
    dark : ndarray, shape (n,)
        What the dark took off.
    variance : ndarray, shape (n,)
        Predicted for the first.
    noise : ndarray, shape (n,)
        The part of it that is the dark's own.
    light : float
        The square of the level of the sky, electron^2.
    """

    left: NDArray[np.float64]
    dark: NDArray[np.float64]
    variance: NDArray[np.float64]
    noise: NDArray[np.float64]
    light: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pile:
    """
    What says that the level of frames was clamped.

    Attributes
    ----------
    likelihood : float
        The change of the logarithm of the likelihood.
    size, uncertainty : float
        A share of pixels, or electrons.
    unit : str
        Of both.
    words : str
        What was seen.
    biases : bool
        Whether biases are clamped, too.
    """

    likelihood: float
    size: float
    uncertainty: float
    unit: str
    words: str
    biases: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the frames of one amplifier say."""

    samples: tuple[Sample, ...] = ()
    levels: tuple[Levels, ...] = ()
    common: tuple[Common, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    clamp: Pile | None = None
    stars: Series | None = None
    biases: int = 0
    whole: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def kinds(self) -> set[str]:
        """Which kinds of frames were compared."""
        return {sample.kind for sample in self.samples}
