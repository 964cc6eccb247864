"""
The covariances that a detector with a fault has, and how likely what was observed is then.

All variances and covariances of a difference are linear in the sizes of the sources. Estimated lags are correlated, by
Bartlett's formula, which takes the covariance that the fault itself predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.characterize.brighter_fatter import template
from astro_calib.characterize.lags import REACH, covariance_of_lags, folded, less_ring
from astro_calib.detector.waves import parts_of_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.characterize.audit.samples import Common, Evidence, Levels, Pattern, Sample
    from astro_calib.detector.correlation import Correlation

__all__ = [
    "Likelihood",
    "State",
    "Wave",
    "covariances",
    "of_lags",
    "operated",
    "residual_on_lags",
    "wave_on_lags",
    "waves_of",
]

#: Smallest number that a variance may be, electron^2.
TINY = 1e-12
#: Hot pixels that are off by more than this, in standard deviations, count as so much.
FAR = 6.0
#: Rows and tones of real cameras are not quite as simple: each covariance may be off by this part.
DOUBT_OF_SHAPE = 0.15
#: Widths of faint objects (standard deviation), pixels.
WIDTHS = (1.0, 2.0, 4.0)
#: Hot pixels do not grow in proportion to the time by better than this.
UNEVEN = 0.01


class Wave(NamedTuple):
    """
    A tone.

    Attributes
    ----------
    power : float
        Its variance, electron^2.
    wx, wy : float
        Radians a pixel along the row and from row to row.
    coherent : bool
        Whether its phase goes on from row to row.
    within : bool
        Whether it is part of the read noise that was stated, of which less is white then.
    """

    power: float
    wx: float
    wy: float
    coherent: bool
    within: bool = False


@dataclass(frozen=True)
class State:
    """
    How a detector differs from the stated one.

    Attributes
    ----------
    shot, read, other : float
        Factors of the variances of the shot noise, of the read-out noise, and of one whose parts are not known.
    shared, taken : float
        Factor of the rows and tones that were stated, and what it is where they are taken off from what is not white.
    rows, rows_within : float
        Variance that a row shares, electron^2: beside the read noise that was stated, and as a part of it.
    tones : tuple of Wave
        Tones.
    charge : float
        Relative deficit of the variance for each electron of the level, positive.
    flat : float
        Variance of the flat's own error, relative to the level squared.
    drift : float
        Variance of the levels, electron^2.
    clamp : float
        Variance of darks that their level does not show, electron^2 / s.
    dark, temperature : float
        The part of the dark that is left, and its standard deviation from hot pixel to hot pixel.
    """

    shot: float = 1.0
    read: float = 1.0
    other: float = 1.0
    shared: float = 1.0
    taken: float = 1.0
    rows: float = 0.0
    rows_within: float = 0.0
    tones: tuple[Wave, ...] = ()
    charge: float = 0.0
    flat: float = 0.0
    drift: float = 0.0
    clamp: float = 0.0
    dark: float = 0.0
    temperature: float = 0.0

    @property
    def all_rows(self) -> float:
        """Variance that a row shares, electron^2."""
        return self.rows + self.rows_within

    @property
    def not_white(self) -> float:
        """How much of the stated variance of the read-out noise is not white, electron^2."""
        return self.rows_within + sum(wave.power for wave in self.tones if wave.within)


@cache
def _grid(reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    dy, dx = np.mgrid[0 : reach + 1, 0 : reach + 1].astype(float)
    return dy, dx


@cache
def _charge_on_lags() -> NDArray[np.float64]:
    return template()[REACH:, REACH:].ravel()


@cache
def _ring() -> NDArray[np.float64]:
    return less_ring()


@cache
def _white_covariance(ring: bool) -> NDArray[np.float64]:
    white = np.zeros((2 * REACH + 1,) * 2)
    white[0, 0] = 1
    return _operated(covariance_of_lags(white), ring)


@cache
def _objects(ring: bool) -> NDArray[np.float64]:
    """The covariances that faint objects of some widths have at the lags, a column for each width."""
    dy, dx = _grid(REACH)
    shapes = np.array([np.exp(-(dx**2 + dy**2) / (4 * width**2)).ravel() for width in WIDTHS]).T
    return _ring() @ shapes if ring else shapes


def _operated(matrix: NDArray[np.float64], ring: bool) -> NDArray[np.float64]:
    return _ring() @ matrix @ _ring().T if ring else matrix


def _all_waves(state: State) -> tuple[Wave, ...]:
    """Tones, and rows as a tone of frequency 0."""
    return (*state.tones, Wave(state.all_rows, 0.0, 0.0, coherent=False)) if state.all_rows else state.tones


def wave_on_lags(wave: Wave, reach: int = REACH) -> NDArray[np.float64]:
    """The covariances of a tone at the folded lags."""
    dy, dx = _grid(reach)
    along = np.cos(wave.wx * dx)
    return wave.power * (along * np.cos(wave.wy * dy) if wave.coherent else along * (dy == 0))


@cache
def waves_of(correlation: Correlation) -> tuple[Wave, ...]:
    """Rows and tones of a correlation, with their parts of the variance; rows are a tone of frequency 0."""
    parts = np.maximum(parts_of_variance(correlation.waves, correlation.level), 0.0)
    return tuple(
        Wave(float(part), float(wx), float(np.nan_to_num(wy)), coherent=not np.isnan(wy))
        for part, (_, wx, wy) in zip(parts, correlation.waves, strict=True)
        if part
    )


@cache
def _stated_on_lags(correlation: Correlation, reach: int = REACH) -> NDArray[np.float64]:
    """The covariances that were stated, at the folded lags, without the white part."""
    dy, dx = np.mgrid[0 : reach + 1, -reach : reach + 1]
    lags = folded(correlation.rho(dx, dy))
    lags[0, 0] -= correlation.white
    return lags


@cache
def _stated_with_itself(correlation: Correlation, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The same convolved with itself, all over the frame, at lags up to twice the reach."""
    return sum(
        (_with_itself(wave, shape) for wave in waves_of(correlation)),
        np.zeros((2 * REACH + 1,) * 2),
    )


def _with_itself(wave: Wave, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A tone's covariances convolved with themselves all over the frame."""
    ny, nx = shape
    steady = wave.wx % np.pi == 0 and (not wave.coherent or wave.wy % np.pi == 0)
    number = nx * ny if wave.coherent else nx
    return (1.0 if steady else 0.5) * number * wave.power * wave_on_lags(wave, 2 * REACH)


def _white(sample: Sample, state: State) -> float:
    white = state.shot * sample.shot + state.read * sample.read
    if sample.correlation is not None:
        white -= state.read * state.taken * sample.correlated * (1 - sample.correlation.white)
    white += sample.other * (state.other if sample.read + sample.shot == 0 else 1.0)
    white += state.flat * sample.flat + state.clamp * sample.exposure - sample.reads * state.not_white
    return max(white, TINY)


def covariances(sample: Sample, state: State) -> tuple[float, NDArray[np.float64]]:
    """The variance of what is white in a difference, and the covariances at all lags without it, electron^2."""
    dy, _ = _grid(REACH)
    rest = sample.reads * state.all_rows * (dy == 0)
    for wave in state.tones:
        rest = rest + sample.reads * wave_on_lags(wave)
    if sample.correlation is not None:
        rest = rest + state.read * state.shared * sample.correlated * _stated_on_lags(sample.correlation)
    rest = rest.ravel()
    if state.charge:
        rest = rest + state.charge * sample.charge * state.shot * _charge_on_lags()
    return _white(sample, state), rest


def _covariance(sample: Sample, state: State, white: float, rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """How uncertain the estimated covariances are, and how they go together."""
    result = white**2 * _white_covariance(sample.ring)
    together = bool(state.all_rows or state.tones or sample.correlation is not None)
    if together:
        # Each part with the white one, and with itself.
        power = np.zeros((2 * REACH + 1,) * 2)
        for wave in _all_waves(state):
            scaled = wave._replace(power=sample.reads * wave.power)
            power += 2 * white * wave_on_lags(scaled, 2 * REACH) + _with_itself(scaled, sample.shape)
        if sample.correlation is not None:
            # As stated, whatever the state: a tone that is one draw a frame may be weak in few of them by chance.
            power += 2 * white * sample.correlated * _stated_on_lags(sample.correlation, 2 * REACH)
            power += sample.correlated**2 * _stated_with_itself(sample.correlation, sample.shape)
        result = result + _operated(covariance_of_lags(power), sample.ring)
    result = result / (sample.pixels * sample.draws)
    if together:
        result = result + _operated(np.diag(_doubt_of_shape(sample, state)), sample.ring)
    if sample.unseen:
        shapes = _objects(sample.ring) * sample.unseen * (white + rest[0])
        result = result + shapes @ shapes.T
    doubt = sample.doubt**2 * (white + rest[0]) ** 2 + sample.level_doubt**2
    result[0, 0] += doubt
    return result


def _doubt_of_shape(sample: Sample, state: State) -> NDArray[np.float64]:
    """The variance at each lag that comes from rows and tones that are not as simple as they are taken."""
    dy, _ = _grid(REACH)
    added = sample.reads * (state.all_rows * (dy == 0) + sum(wave_on_lags(wave) for wave in state.tones)).ravel()
    # No more than is seen, or a tone of any strength would fit.
    seen, most = np.max(np.abs(sample.lags[1:])), np.max(np.abs(added[1:]))
    result = np.square(added * min(1.0, seen / most if most else 1.0))
    if sample.correlation is not None:
        result += np.square(sample.correlated * _stated_on_lags(sample.correlation).ravel())
    result[0] = 0.0
    return np.asarray(DOUBT_OF_SHAPE**2 * result)


def of_lags(sample: Sample, state: State) -> float:
    """The logarithm of the likelihood of a difference's covariances."""
    from scipy.linalg import cho_factor, cho_solve

    white, rest = covariances(sample, state)
    off = sample.lags - rest
    off[0] -= white
    if sample.ring:
        off = _ring() @ off
    matrix = _covariance(sample, state, white, rest)
    scale = 1 / np.sqrt(np.diag(matrix))
    factor = cho_factor(matrix * np.outer(scale, scale) + 1e-12 * np.eye(len(off)), lower=True, check_finite=False)
    scaled = off * scale
    determinant = 2 * float(np.sum(np.log(np.diag(factor[0])))) - 2 * float(np.sum(np.log(scale)))
    return -0.5 * (float(scaled @ cho_solve(factor, scaled, check_finite=False)) + determinant)


def of_levels(levels: Levels, state: State) -> float:
    """The same of the scatter of levels."""
    free = len(levels.values) - 1
    found = float(np.var(levels.values, ddof=1))
    widths = [width for width in (levels.columns, levels.overscan) if width]
    predicted = state.drift + state.all_rows / levels.rows + TINY
    white, tones = state.read * levels.variance - state.not_white, state.tones
    if levels.correlation is not None:
        stated = state.read * levels.correlated
        white -= stated * state.taken * (1 - levels.correlation.white)
        waves = waves_of(levels.correlation)
        tones += tuple(wave._replace(power=stated * state.shared * wave.power) for wave in waves)
    for width in widths:
        predicted += max(white, 0.0) / (levels.rows * width)
        for wave in tones:
            down = _mean_of_wave(levels.rows, wave.wy) if wave.coherent else 1 / levels.rows
            predicted += wave.power * down * _mean_of_wave(width, wave.wx)
    return -0.5 * free * (np.log(predicted) + found / predicted)


def _mean_of_wave(number: int, frequency: float) -> float:
    """The squared amplitude that is left of a wave in the mean over so many pixels."""
    return float(abs(np.mean(np.exp(1j * frequency * np.arange(number)))) ** 2)


def of_common(common: Common, state: State) -> float:
    """The same of what two frames have in common."""
    # Ordinary pixels differ in how they change with temperature, as hot ones do, but not quite as much or as little.
    pattern = state.temperature**2 * common.dark
    off = common.covariance - state.flat * common.levels - pattern
    variance = common.uncertainty**2 + (2 * pattern) ** 2
    return float(-0.5 * (off**2 / variance + np.log(variance)))


def of_pattern(pattern: Pattern, state: State) -> float:
    """The same of what is left in hot pixels."""
    # The dark's own noise is in what it took off, and so in what is left.
    noise = ((1 + state.dark) ** 2 - 1) * pattern.noise
    variance = pattern.variance + noise + (state.temperature**2 + UNEVEN**2) * pattern.dark**2
    variance += state.flat * pattern.light
    off = pattern.left - state.dark * pattern.dark
    return -0.5 * float(np.sum(np.minimum(off**2 / variance, FAR**2) + np.log(variance)))


class Likelihood:
    """The logarithm of the likelihood of all that was observed; differences that a fault does not change cost once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._known: dict[tuple[Any, ...], float] = {}

    def __call__(self, state: State) -> float:
        """Return it for one state."""
        evidence = self.evidence
        total = 0.0
        for number, sample in enumerate(evidence.samples):
            key = (
                number,
                _white(sample, state),
                state.all_rows,
                state.tones,
                sample.charge * state.charge * state.shot,
                state.read * state.shared * sample.correlated,
            )
            if key not in self._known:
                self._known[key] = of_lags(sample, state)
            total += self._known[key]
        total += sum(of_levels(levels, state) for levels in evidence.levels)
        total += sum(of_common(common, state) for common in evidence.common)
        return float(total + sum(of_pattern(pattern, state) for pattern in evidence.patterns))


def residual_on_lags(sample: Sample, state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is left of the covariances, and the inverse of their covariance."""
    white, rest = covariances(sample, state)
    off = sample.lags - rest
    off[0] -= white
    if sample.ring:
        off = _ring() @ off
    return off, np.asarray(np.linalg.inv(_covariance(sample, state, white, rest)), dtype=np.float64)


def operated(lags: NDArray[np.float64], sample: Sample) -> NDArray[np.float64]:
    """Covariances, for each of which there is a column, as the sample is compared: less the ring, or as they are."""
    return _ring() @ lags if sample.ring else lags
