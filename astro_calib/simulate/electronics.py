"""What real detectors add to white noise: rows and tones of the read-out, and charge that repels charge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from astro_calib.detector.correlation import Correlation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["BrighterFatter", "ReadOut", "ReadOutTone"]


@dataclass(frozen=True, kw_only=True)
class ReadOutTone:
    """
    A tone that the electronics pick up; its amplitude and phase are drawn anew for each frame.

    Parameters
    ----------
    power : float
        Its variance, electron^2.
    wx, wy : float
        Radians a pixel along the row, and from row to row.
    coherent : bool
        Whether the phase goes on from row to row; without it each row has a phase of its own.

    Examples
    --------
    >>> from astro_calib.simulate import ReadOut, ReadOutTone
    >>> hum = ReadOutTone(power=9, wx=0.02, wy=0.7)
    >>> ReadOut(white=5, tones=(hum,)).variance
    34.0
    """

    power: float
    wx: float
    wy: float = 0.0
    coherent: bool = True

    def amplitudes(self, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """
        Draw cosine and sine of the tone in one frame.

        Parameters
        ----------
        rows : int
            How many rows have a phase of their own, if they have.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray of float64, shape (2, 1, 1) or (2, rows, 1)
            Electrons.
        """
        return rng.standard_normal((2, 1 if self.coherent else rows, 1)) * np.sqrt(self.power)

    def at(
        self, rows: NDArray[np.float64], columns: NDArray[np.float64], amplitudes: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """
        The tone at some places of the order in which an amplifier reads.

        Parameters
        ----------
        rows, columns : ndarray
            Rows and pixels from the first one.
        amplitudes : ndarray
            As from `amplitudes`.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_columns)
            Electrons.
        """
        phase = self.wx * columns + (self.wy * rows[:, np.newaxis] if self.coherent else 0)
        own = amplitudes if self.coherent else amplitudes[:, : len(rows)]
        return own[0] * np.cos(phase) + own[1] * np.sin(phase)


@dataclass(frozen=True, kw_only=True)
class ReadOut:
    """
    Read-out noise with parts that pixels share.

    Parameters
    ----------
    white, row : float
        Standard deviations of the part of each pixel and of that which a row shares, electron.
    tones : tuple of ReadOutTone
        Tones. They go on from the image into the overscan.
    rows_in_overscan : bool
        Whether a row of the overscan has what the row of the image has in common, or something of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.simulate.electronics import ReadOut, ReadOutTone
    >>> noise = ReadOut(
    ...     white=5, row=1, tones=(ReadOutTone(power=9, wx=2.2, wy=0.3),)
    ... )
    >>> noise.draw((50, 60), np.random.default_rng(1)).shape
    (50, 60)
    >>> round(noise.variance)
    35
    """

    white: float
    row: float = 0.0
    tones: tuple[ReadOutTone, ...] = field(default=())
    rows_in_overscan: bool = True

    @property
    def variance(self) -> float:
        """Variance of a pixel, electron^2."""
        return self.white**2 + self.row**2 + sum(tone.power for tone in self.tones)

    def correlation(self) -> Correlation:
        """
        The truth, for a `~astro_calib.Detector`: how the noise of neighbours goes together.

        Returns
        -------
        Correlation
            In parts of the variance.
        """
        total = self.variance or 1.0
        tones = [(tone.power / total, tone.wx, tone.wy if tone.coherent else None) for tone in self.tones]
        return Correlation(self.row**2 / total, tones)

    def draw(
        self, shape: tuple[int, int], rng: np.random.Generator | int, *, overscan_columns: int = 0
    ) -> NDArray[np.float64]:
        """
        The noise of one frame.

        Parameters
        ----------
        shape : (int, int)
            Shape (ny, nx), overscan included.
        rng : numpy.random.Generator or int
            Source of randomness.
        overscan_columns : int
            How many of the columns, the last ones, are overscan.

        Returns
        -------
        ndarray of float64, shape (ny, nx)
            Electrons.
        """
        columns = np.arange(shape[1], dtype=float)
        is_overscan = columns >= shape[1] - overscan_columns
        rows = np.arange(shape[0], dtype=float)
        return self.draw_at(rows, columns, np.random.default_rng(rng), is_overscan)

    def draw_at(
        self,
        rows: NDArray[np.float64],
        columns: NDArray[np.float64],
        rng: np.random.Generator,
        is_overscan: NDArray[np.bool_],
    ) -> NDArray[np.float64]:
        """
        The noise of pixels that are read at some places of the order in which an amplifier reads.

        Parameters
        ----------
        rows, columns : ndarray
            Their places, rows and pixels from the first one.
        rng : numpy.random.Generator
            Source of randomness.
        is_overscan : ndarray of bool
            Which of the columns are overscan.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_columns)
            Electrons.
        """
        shape = len(rows), len(columns)
        noise = self.white * rng.standard_normal(shape)
        image = np.ones_like(is_overscan) if self.rows_in_overscan else ~is_overscan
        for part in (image, ~image):
            if self.row and part.any() and shape[0]:
                noise[:, part] += self.row * rng.standard_normal((shape[0], 1))
        for tone in self.tones:
            noise += tone.at(rows, columns, tone.amplitudes(shape[0], rng))
        return noise

    def autocovariance(self, dx: ArrayLike, dy: ArrayLike) -> NDArray[np.float64]:
        """
        The truth: the covariance of pixels at a distance.

        Parameters
        ----------
        dx, dy : array_like of int
            Distances in pixels.

        Returns
        -------
        ndarray of float64
            Electron^2.
        """
        dx, dy = np.broadcast_arrays(dx, dy)
        same_row = dy == 0
        result = self.white**2 * (same_row & (dx == 0)) + self.row**2 * same_row
        for tone in self.tones:
            waves = np.cos(tone.wx * dx + tone.wy * dy) if tone.coherent else np.cos(tone.wx * dx) * same_row
            result = result + tone.power * waves
        return np.asarray(result, dtype=float)


@dataclass(frozen=True, kw_only=True, eq=False)
class BrighterFatter:
    r"""
    Charge that moves the borders of its pixel, so that bright pixels collect less.

    Parameters
    ----------
    a_00 : float
        Relative deficit of the variance for each electron of the level, negative, 1 / electron.
    decay : float
        How fast the covariance falls with the distance :math:`r`, as :math:`r^{-\mathrm{decay}}`.
    anisotropy : float
        Ratio of the covariances with the next pixel in the column and in the row.
    reach : int
        The largest distance in either direction, pixels.
    steps : int
        In how many parts the light arrives: charge in a pixel repels what arrives after it.

    Notes
    -----
    To first order the covariance of pixels at the lag :math:`(i, j)` is :math:`a_{ij} \mu^2` for a level :math:`\mu` in
    electrons, and the variance is :math:`\mu + a_{00} \mu^2`; the sum of all :math:`a_{ij}` is zero
    (Astier et al. 2019, A&A 629, A36).

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.simulate.electronics import BrighterFatter
    >>> effect = BrighterFatter(a_00=-2e-6)
    >>> charge = effect.collect(
    ...     np.full((200, 200), 50_000.0), np.random.default_rng(1)
    ... )
    >>> bool(0.89 < charge.var() / 50_000 < 0.92)
    True
    """

    a_00: float
    decay: float = 3.0
    anisotropy: float = 1.5
    reach: int = 6
    steps: int = 8

    def covariances(self) -> NDArray[np.float64]:
        """
        The truth: all :math:`a_{ij}`, first order, 1 / electron.

        Returns
        -------
        ndarray of float64, shape (2 reach + 1, 2 reach + 1)
            With ``a_00`` in the middle, rows first; their sum is zero.
        """
        y, x = np.mgrid[-self.reach : self.reach + 1, -self.reach : self.reach + 1]
        distance = np.hypot(x, y)
        distance[self.reach, self.reach] = np.inf
        shape = distance**-self.decay
        shape[np.abs(y) == distance] *= np.sqrt(self.anisotropy)
        shape[np.abs(x) == distance] /= np.sqrt(self.anisotropy)
        shape *= -self.a_00 / shape.sum()
        shape[self.reach, self.reach] = self.a_00
        return shape

    def collect(self, expected: NDArray[np.float64], rng: np.random.Generator | int) -> NDArray[np.float64]:
        """
        Draw the charge that each pixel holds at the end.

        Parameters
        ----------
        expected : ndarray, shape (ny, nx)
            Electrons that would arrive on average.
        rng : numpy.random.Generator or int
            Source of randomness.

        Returns
        -------
        ndarray of float64, shape (ny, nx)
            Electrons; not whole, because the borders cut the last arrivals in proportion.
        """
        from scipy.fft import irfft2, next_fast_len, rfft2

        rng = np.random.default_rng(rng)
        if self.a_00 == 0:
            return rng.poisson(expected).astype(float)
        ny, nx = expected.shape
        shape = [next_fast_len(length + 2 * self.reach, real=True) for length in (ny, nx)]
        kernel = np.zeros(shape)
        index = np.arange(-self.reach, self.reach + 1)
        kernel[np.ix_(index, index)] = self.covariances()
        # What is there before a step is less than the mean over it.
        response = rfft2(kernel) * self.steps / (self.steps - 1)
        rate = expected / self.steps
        charge = np.zeros((ny, nx))
        for step in range(self.steps):
            arriving = rng.poisson(rate).astype(float)
            if step:
                # Charge beyond the edges is like that at the edges.
                excess = np.pad(charge - step * rate, ((0, shape[0] - ny), (0, shape[1] - nx)))
                arriving += rate * irfft2(response * rfft2(excess), shape)[:ny, :nx]
            charge += arriving
        return charge
