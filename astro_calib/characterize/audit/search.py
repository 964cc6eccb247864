"""
Which fault the frames show: one at a time, by how much more likely each makes what was observed.

After the best one was found the others are tried in addition to it, until none is worth naming. Faults that are about
as likely as the best one cannot be told from it by these frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.characterize.audit.faults import FAULTS, ROOT, TONE, Fault
from astro_calib.characterize.audit.model import (
    Likelihood,
    State,
    Wave,
    operated,
    residual_on_lags,
    wave_on_lags,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from astro_calib.characterize.audit.samples import Evidence

__all__ = ["Found", "Search", "search"]

#: Twice the logarithm of the likelihood of two faults that cannot be told apart differs by less than this.
APART = 9.0
#: At most so many faults are named at once.
MOST = 4
#: Frequencies that are tried, along each axis.
FREQUENCIES = 33
#: How faults are called that are a part of the read noise that was stated.
WITHIN = "in the stated read noise"
#: The temperatures that double the current of hot pixels differ by this part at least.
LEAST_SPREAD = 0.05
#: A closer look has this distance, radians a pixel.
FINE = 0.01
#: Longer periods than 2 pi over this are no tone, but a slope or the row's own part.
SLOWEST = 0.25
#: A tone has no more power than so many times what the linear fit gives: a very strong one would excuse anything.
STRONGER = 1.5


@dataclass(frozen=True)
class Found:
    """
    A fault with its size, its error, and by how much it raises the logarithm of the likelihood.

    Attributes
    ----------
    fault : Fault
        What it is.
    size, uncertainty : float
        In the fault's unit.
    likelihood : float
        The change of the logarithm of the likelihood.
    state : State
        The detector with this fault, and those that were named before.
    """

    fault: Fault
    size: float
    uncertainty: float
    likelihood: float
    state: State

    @property
    def worth(self) -> float:
        """Twice the change of the logarithm of the likelihood, less what comes by choosing."""
        return 2 * self.likelihood - self.fault.cost

    @property
    def significant(self) -> bool:
        """Whether chance alone hardly makes it look like this."""
        return self.worth > self.fault.threshold


@dataclass(frozen=True)
class Search:
    """
    The result: what was named, with what cannot be told from it, and all that was tried first.

    Attributes
    ----------
    named : tuple of tuple of Found
        Each the best one and those that are about as likely.
    tried : tuple of Found
        Each fault by itself.
    state : State
        The detector with all that was named.
    """

    named: tuple[tuple[Found, ...], ...]
    tried: tuple[Found, ...]
    state: State


def search(evidence: Evidence) -> Search:
    """
    Look for faults.

    Parameters
    ----------
    evidence : Evidence
        What the frames say.

    Returns
    -------
    Search
        What was found.
    """
    # Levels tell a drift only; all else is known better from covariances.
    rest = Likelihood(replace(evidence, levels=()))
    state = State()
    named: list[tuple[Found, ...]] = []
    first: tuple[Found, ...] = ()
    while True:
        tried = _try_all(rest, state)
        first = first or tried
        group = _best(tried, {one.fault.key for group in named for one in group if one.fault.key != "tone"})
        if not group:
            break
        named.append(group)
        state = group[0].state
        if len(named) == MOST:
            break
    only = replace(evidence, samples=(), common=(), patterns=())
    levels = Likelihood(only)
    limit = 4 * max((float(np.ptp(one.values)) for one in evidence.levels), default=0.0) + 1e-3
    drifts = tuple(_fitted(levels, state, fault, limit) for fault in FAULTS if fault.shown_by(only))
    if group := _best(drifts, set()):
        named.append(group)
        state = group[0].state
    return Search(tuple(named), first + drifts, state)


def _best(tried: tuple[Found, ...], taken: set[str]) -> tuple[Found, ...]:
    """The fault that explains most, and those that explain about as much; none if chance explains it."""
    able = sorted((one for one in tried if one.significant and one.fault.key not in taken), key=lambda one: -one.worth)
    group: list[Found] = []
    for one in able:
        if one.fault.key not in {other.fault.key for other in group} and able[0].worth - one.worth < APART:
            group.append(one)
    # Where the noise is as large as stated, and only not white, nothing is missing.
    for one in able:
        if group[0].fault.key == one.fault.key and WITHIN in one.fault.name and group[0].worth - one.worth < APART:
            group[0] = one
    return tuple(group)


def _try_all(likelihood: Likelihood, state: State) -> tuple[Found, ...]:
    """Each fault by itself, in addition to a state."""
    evidence = likelihood.evidence
    limit = _largest(evidence)
    found = [_fitted(likelihood, state, fault, limit) for fault in FAULTS if fault.shown_by(evidence)]
    if any(sample.reads > 0 for sample in evidence.samples):
        found += [_tone(likelihood, state, limit, within=within) for within in (False, True)]
    if evidence.patterns:
        found.append(_temperature(likelihood, state))
    return tuple(found)


def _largest(evidence: Evidence) -> float:
    """A standard deviation that no part of the read-out noise exceeds: all that is observed, electron."""
    found = [sample.lags[0] / sample.reads for sample in evidence.samples if sample.reads > 0]
    return max(float(np.sqrt(max(min(found, default=0.0), 0.0))), 1e-3)


def _fitted(likelihood: Likelihood, state: State, fault: Fault, limit: float) -> Found:
    """The size that makes the observation likeliest."""
    from scipy.optimize import minimize_scalar

    before = likelihood(state)

    def surprise(x: float) -> float:
        return before - likelihood(fault.apply(state, x))

    low, high = fault.bounds
    if high == ROOT[1]:
        high = min(high, limit)
    # A first look, because the bounds are wide and the peak is narrow.
    places = _places(low, high)
    values = [surprise(x) for x in places]
    best = int(np.argmin(values))
    around = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
    result = minimize_scalar(
        surprise, bounds=around, method="bounded", options={"xatol": 1e-4 * (around[1] - around[0])}
    )
    x = float(result.x)
    if surprise(x) > values[best]:
        x = float(places[best])
    error = _error(surprise, x, high - low)
    size = fault.size(x)
    away = abs(fault.size(x + error) - size)
    return Found(fault, size, away, max(-surprise(x), 0.0), fault.apply(state, x))


def _places(low: float, high: float) -> NDArray[np.float64]:
    """Numbers from ``low`` to ``high``, close to each other near zero."""
    steps = np.linspace(0, 1, 12)[1:] ** 2.5
    return np.unique(np.concatenate([low * steps, [0.0], high * steps]))


def _error(surprise: Callable[[float], float], x: float, most: float) -> float:
    """The standard error, from where the logarithm of the likelihood is half lower."""
    step, least = 1e-3 * max(abs(x), 1e-2), surprise(x)
    for _ in range(60):
        if (drop := surprise(x + step) - least) > 0.5:
            return float(step * np.sqrt(0.5 / drop))
        if step > most:
            break
        step *= 1.5
    return float(step)


def _tone(likelihood: Likelihood, state: State, limit: float, *, within: bool) -> Found:
    """The tone that explains most: a frequency by the linear fit of each, then all of it by the likelihood."""
    from scipy.optimize import minimize

    before = likelihood(state)
    frequencies = np.linspace(0, np.pi, FREQUENCIES)
    waves = [Wave(1.0, wx, 0.0, coherent=False, within=within) for wx in frequencies if wx >= SLOWEST]
    waves += [
        Wave(1.0, wx, wy, coherent=True, within=within)
        for wx in frequencies
        for wy in frequencies
        if max(wx, wy) >= SLOWEST
    ]
    coarse = _linear_fits(likelihood, state, waves)
    best: Found | None = None
    for coherent in (False, True):
        able = [number for number, wave in enumerate(waves) if wave.coherent == coherent]
        start = waves[max(able, key=lambda number: coarse[number].worth)]
        # A closer look: the likelihood itself has many peaks near the best frequency, the linear fit has one.
        around = _around(start)
        fits = _linear_fits(likelihood, state, around)
        number = max(range(len(around)), key=lambda number: fits[number].worth)
        start, power, worth, error = around[number], *fits[number]
        if worth < TONE / 2:
            wave = start._replace(power=max(power, 0.0))
            one = _named_tone(wave, error / (2 * max(np.sqrt(wave.power), 1e-3)), worth / 2, state)
        else:

            def wave_of(parameters: NDArray[np.float64], start: Wave = start, power: float = power) -> Wave:
                wy = abs(start.wy + parameters[2]) if start.coherent else 0.0
                strength = power * float(np.exp(parameters[0]))
                return start._replace(power=strength, wx=abs(start.wx + float(parameters[1])), wy=wy)

            most = min(limit**2, STRONGER * power)

            def surprise(
                parameters: NDArray[np.float64], wave_of: Callable[..., Wave] = wave_of, most: float = most
            ) -> float:
                wave = wave_of(parameters)
                if max(wave.wx, wave.wy) < SLOWEST or wave.power > most:
                    return np.inf
                return before - likelihood(replace(state, tones=(*state.tones, wave)))

            simplex = np.array([[0, 0, 0], [0.3, 0, 0], [0, FINE, 0], [0, 0, FINE]], dtype=float)
            if not coherent:
                simplex = simplex[:3, :2]
            options = {"initial_simplex": simplex, "maxfev": 80, "xatol": 1e-3, "fatol": 1e-2}
            result = minimize(surprise, simplex[0], method="Nelder-Mead", options=options)
            wave = wave_of(result.x)

            def of_size(x: float, wave: Wave = wave) -> float:
                tones = (*state.tones, wave._replace(power=x**2))
                return before - likelihood(replace(state, tones=tones))

            error = _error(of_size, float(np.sqrt(wave.power)), limit)
            one = _named_tone(wave, error, -float(result.fun), state)
        if best is None or one.likelihood > best.likelihood:
            best = one
    assert best is not None
    return best


class _Fit(NamedTuple):
    """The power of a tone by linear least squares, by how much it lowers the sum of squares, and its error."""

    power: float
    worth: float
    uncertainty: float


def _linear_fits(likelihood: Likelihood, state: State, waves: list[Wave]) -> list[_Fit]:
    """Each tone by itself, fitted to what a state leaves."""
    shapes = np.array([wave_on_lags(wave).ravel() for wave in waves]).T
    shapes[0] -= [wave.within for wave in waves]
    signal, information = np.zeros(len(waves)), np.full(len(waves), 1e-300)
    for sample in likelihood.evidence.samples:
        if sample.reads > 0:
            off, weight = residual_on_lags(sample, state)
            columns = operated(sample.reads * shapes, sample)
            signal += columns.T @ (weight @ off)
            information += np.einsum("ij,ij->j", columns, weight @ columns)
    worth = np.where(signal > 0, signal**2 / information, 0.0)
    return [_Fit(*map(float, row)) for row in zip(signal / information, worth, 1 / np.sqrt(information), strict=True)]


def _around(wave: Wave) -> list[Wave]:
    """The same tone at frequencies between those that were tried."""
    steps = np.arange(-np.pi / (FREQUENCIES - 1), np.pi / (FREQUENCIES - 1), FINE)
    return [
        wave._replace(wx=abs(float(wave.wx + dx)), wy=abs(float(wave.wy + dy)))
        for dx in steps
        for dy in (steps if wave.coherent else (0.0,))
        if max(abs(wave.wx + dx), abs(wave.wy + dy)) >= SLOWEST
    ]


def _named_tone(wave: Wave, error: float, likelihood: float, state: State) -> Found:
    fault = Fault(
        name=f"tone, {WITHIN}" if wave.within else "tone",
        key="tone",
        apply=lambda state, x: replace(state, tones=(*state.tones, wave._replace(power=x**2))),
        size=abs,
        unit="electron",
        bounds=(0.0, 60.0),
        shown_by=lambda evidence: bool(evidence.samples),
        threshold=TONE,
    )
    return Found(
        fault, float(np.sqrt(wave.power)), float(error), likelihood, replace(state, tones=(*state.tones, wave))
    )


def _temperature(likelihood: Likelihood, state: State) -> Found:
    """What the dark leaves, where it leaves more of some hot pixels than of others."""
    from scipy.optimize import minimize

    def changed(parameters: NDArray[np.float64]) -> State:
        factor = max(1 + float(parameters[0]), 0.01)
        least = LEAST_SPREAD * factor * abs(np.log(factor))
        return replace(state, dark=float(parameters[0]), temperature=least + abs(float(parameters[1])))

    def surprise(parameters: NDArray[np.float64]) -> float:
        changes = changed(parameters)
        return -only(changes)

    evidence = likelihood.evidence
    only = Likelihood(replace(evidence, samples=(), levels=()))
    before = -only(state)
    start = float(np.median(np.concatenate([pattern.left / pattern.dark for pattern in evidence.patterns])))
    simplex = np.array([[start, 0.1], [start + 0.1, 0.1], [start, 0.3]])
    result = minimize(surprise, simplex[0], method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 200})
    fault = Fault(
        name="dark's temperature",
        key="dark's temperature",
        apply=lambda state, x: replace(state, dark=x),
        size=lambda x: x,
        unit="",
        bounds=(-2.0, 8.0),
        shown_by=lambda evidence: bool(evidence.patterns),
        cost=2.0,
    )
    best = changed(result.x)
    number = sum(len(pattern.left) for pattern in evidence.patterns)
    return Found(fault, best.dark, best.temperature / np.sqrt(max(number, 1)), before - float(result.fun), best)
