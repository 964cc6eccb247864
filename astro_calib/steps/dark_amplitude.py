r"""
How strong the dark current of a frame is compared with its dark: fitted to hot pixels.

Hot pixels tell it because nothing else is as sharp as they are. With x and y, by how much a hot pixel is above what is
around it in the dark and in the frame, the amplitude a solves

.. math:: \sum_i \hat x_i\, \psi\left(\frac{y_i - a x_i}{s_i}\right) \frac{1}{s_i} = 0, \qquad
          s_i^2 = V(y_i) + a^2 V(x_i) + (\tau a x_i)^2,

with the best estimate of what is in the dark, from both, for :math:`\hat x` (York 1966, Can. J. Phys. 44, 1079), and
Tukey's biweight for psi, to which a hot pixel on a star is no pixel. Hot pixels whose amplitudes differ by more than
their noise have a relative spread tau.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.errors import FrameError
from astro_calib.flags import DataQuality
from astro_calib.frame.lending import master_of
from astro_calib.steps.hot_pixels import excess_of, hot_pixels_of, pixels_around

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.hot_pixels import Excess
    from astro_calib.steps.run import FrameSoFar

__all__ = ["Amplitude", "fit_amplitude", "shared_identity"]

#: Fewer hot pixels do not tell the amplitude and how they scatter about it; more than the most are not needed.
FEWEST, MOST = 50, 2000
#: Where Tukey's biweight ends, standard deviations, and how good it is then for Gaussian noise, compared with the mean.
END, EFFICIENCY = 4.685, 0.95
#: Bright and faint hot pixels whose amplitudes differ by more than this part, with a trend (a correlation of ranks) of
#: so many standard errors, do not grow in proportion.
PROPORTION, ERRORS = 0.03, 5.0
#: Hot pixels whose amplitudes spread by more than this part have none in common.
WIDEST = 0.3
#: Squares of Gaussian deviates up to that of a limit: their mean, and their standard deviation over their mean.
LIMIT, OF_LIMITED, SCATTER_OF_LIMITED = 2.5, 0.9771, 1.328
#: The spread counts if the scatter of the pixels is wider than their noise by so many standard errors of that.
SIGNIFICANT = 2.0


class Amplitude(NamedTuple):
    """
    An amplitude with its errors.

    Attributes
    ----------
    value : float
        What the dark, scaled by exposure time, has to be multiplied by.
    own, of_dark : float
        Variances: what the frame brings, and what noise and spread of the hot pixels in the dark bring, which all
        frames share.
    spread : float
        By which part the amplitudes of hot pixels differ from each other; 0 if by no more than their noise.
    number : int
        Of hot pixels.
    """

    value: float
    own: float
    of_dark: float
    spread: float
    number: int


class _Pixels(NamedTuple):
    """Excess of hot pixels in the dark and in the frame, and the variances of both."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    of_x: NDArray[np.float64]
    of_y: NDArray[np.float64]

    def at(self, which: NDArray[np.bool_]) -> _Pixels:
        return _Pixels(*(part[which] for part in self))


def fit_amplitude(frame: FrameSoFar, dark: CCDFrame, ratio: float) -> Amplitude:
    """
    Fit the amplitude of a dark that is scaled by a ratio of exposure times.

    Raises
    ------
    FrameError
        If there are too few hot pixels, they do not grow in proportion, or the frame has no noise yet.
    """
    pixels = _hot_pixels(frame, dark, ratio)
    number = pixels.x.size
    if number < FEWEST:
        msg = (
            f"{frame.name}: the master dark ({dark.name}) has {number} hot pixels that are seen in both; the amplitude "
            f"of a dark is fitted to {FEWEST} or more. Scale it by exposure time, or take darks of this temperature."
        )
        raise FrameError(msg)
    value, spread = _solved(pixels)
    if not (value > 0 and spread <= WIDEST):
        msg = (
            f"{frame.name}: its {number} hot pixels are {value:.3g} times those of the master dark ({dark.name}), each "
            f"for itself up to {spread:.0%} more or less: they have no amplitude in common. Take darks of this "
            "temperature."
        )
        raise FrameError(msg)
    _check_proportion(frame, dark, pixels, value, spread)
    own, of_dark = _variances(pixels, value, spread)
    return Amplitude(value, own, of_dark, spread, number)


def _hot_pixels(frame: FrameSoFar, dark: CCDFrame, ratio: float) -> _Pixels:
    """The hot pixels of both; of many those in the rows in the middle."""
    if frame.terms is None:
        msg = f"{frame.name} has no noise yet, which the fit of a dark's amplitude needs; call create_deviation first."
        raise FrameError(msg)
    hot = hot_pixels_of(dark)
    nearest = np.argsort(np.abs(hot.rows - frame.shape[0] / 2), kind="stable")[:MOST]
    if nearest.size < FEWEST:
        return _Pixels(*(np.zeros(nearest.size) for _ in range(4)))
    rows, columns = hot.rows[nearest], hot.columns[nearest]
    near, is_hot = dark.cached("around hot pixels", (), lambda: _around(hot, rows, columns, dark.shape))
    pixels = frame.at(near)
    assert pixels.variance is not None
    good = np.isfinite(pixels.data)
    if pixels.mask is not None:
        good &= ~pixels.mask
    if pixels.flags is not None:
        good &= pixels.flags & np.uint16(DataQuality.UNUSABLE) == 0
    found = excess_of(rows, columns, pixels.data, pixels.variance, good & ~is_hot)
    x, of_x = ratio * hot.values[nearest], ratio**2 * hot.variances[nearest]
    seen = good[:, 0] & np.isfinite(found.values) & np.isfinite(found.variances) & np.isfinite(of_x)
    x, y, of_x, around = (one[seen] for one in (x, found.values, of_x, found.around))
    # The variance that a pixel tells of itself is low where the pixel is, which would draw the fit down.
    rise = max(float(np.median((found.variances[seen] - around) / x)), 0.0) if seen.any() else 0.0
    return _Pixels(x, y, of_x, around + rise * x)


def _around(
    hot: Excess, rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where pixels and those around them are in the flattened frame, and which of these are hot."""
    near = pixels_around(rows, columns, shape)
    is_hot = np.zeros(shape[0] * shape[1], dtype=np.bool_)
    is_hot[hot.rows * shape[1] + hot.columns] = True
    return near, is_hot[near]


def _solved(pixels: _Pixels) -> tuple[float, float]:
    """The amplitude and the spread."""
    value, spread = float(np.median(pixels.y / pixels.x)), 0.0
    for _ in range(50):
        before = value
        spread = _spread(pixels, value)
        value = _step(pixels, value, spread)
        if abs(value - before) <= 1e-7 * abs(value):
            break
    return value, spread


def _sigmas(pixels: _Pixels, value: float, spread: float) -> NDArray[np.float64]:
    x, _, of_x, of_y = pixels
    return np.sqrt(of_y + value**2 * (of_x + (spread * x) ** 2))


def _spread(pixels: _Pixels, value: float) -> float:
    """
    The spread that makes the scatter of the pixels that of their noise.

    By the derivative of the likelihood, which goes by the bright pixels. Squares count up to a limit: what is further
    out is on a star.
    """
    off = np.square(pixels.y - value * pixels.x)

    def excess(spread: float) -> tuple[float, float]:
        variances = _sigmas(pixels, value, spread) ** 2
        weights = (value * pixels.x) ** 2 / variances
        beyond = np.minimum(off / variances, LIMIT**2) / OF_LIMITED - 1
        return float(np.sum(weights * beyond)), float(np.sqrt(np.sum(weights**2))) * SCATTER_OF_LIMITED

    total, error = excess(0.0)
    if total <= SIGNIFICANT * error:
        return 0.0
    low, high = 0.0, 1.0
    if excess(high)[0] > 0:
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle)[0] > 0 else (low, middle)
    return high


def _weights(pixels: _Pixels, value: float, spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best estimates of what is in the dark, and Tukey's weights over the variances."""
    x, y, of_x, _ = pixels
    variances = _sigmas(pixels, value, spread) ** 2
    of_frame = variances - value**2 * of_x
    best = (x * of_frame + value * y * of_x) / variances
    off = (y - value * x) / np.sqrt(variances)
    return best, np.where(np.abs(off) < END, (1 - (off / END) ** 2) ** 2, 0.0) / variances


def _step(pixels: _Pixels, value: float, spread: float) -> float:
    best, weights = _weights(pixels, value, spread)
    below = float(np.sum(weights * best * pixels.x))
    return float(np.sum(weights * best * pixels.y)) / below if below > 0 else np.nan


def _variances(pixels: _Pixels, value: float, spread: float) -> tuple[float, float]:
    """What the frame and the dark bring to the variance of the amplitude."""
    best, weights = _weights(pixels, value, spread)
    sigmas = _sigmas(pixels, value, spread)
    # By the noise that is known: a few bright pixels have most of the weight, and their scatter tells little.
    information = np.where(weights > 0, best * pixels.x / sigmas**2, 0.0)
    total = EFFICIENCY * float(np.sum(information))
    # Hot pixels that grow otherwise than others do so in all frames.
    of_frame = float(np.sum(information * pixels.of_y / sigmas**2)) / float(np.sum(information))
    return of_frame / total, (1 - of_frame) / total


def _check_proportion(frame: FrameSoFar, dark: CCDFrame, pixels: _Pixels, value: float, spread: float) -> None:
    """See that bright hot pixels are as strong as faint ones."""
    off = (pixels.y - value * pixels.x) / _sigmas(pixels, value, spread)
    by_excess, by_brightness = (np.argsort(np.argsort(one)) for one in (off, pixels.x))
    trend = float(np.corrcoef(by_excess, by_brightness)[0, 1]) * np.sqrt(pixels.x.size)
    bright = pixels.x > np.median(pixels.x)
    strong, weak = (_solved(pixels.at(half))[0] for half in (bright, ~bright))
    if abs(strong - weak) > PROPORTION * abs(weak) and abs(trend) > ERRORS:
        msg = (
            f"{frame.name}: hot pixels do not grow in proportion: the brighter half is {strong:.4g} times as bright as "
            f"in the master dark ({dark.name}), the fainter half {weak:.4g} times. Correct the linearity, or take "
            "darks of this exposure and temperature."
        )
        raise FrameError(msg)


def shared_identity(dark: CCDFrame, what: str) -> str:
    """The identity of an error that all frames share to which the amplitude of a dark is fitted."""
    return f"dark amplitude:{master_of(dark).identity}:{what}"
