r"""
The steps from saturation to flat in one pass over the pixels.

With the raw frame r, its overscan level o, gain G, bias B, dark D scaled by t, and flat F of mean one,

.. math:: z = \frac{G (r - o) - M}{F}, \qquad M = B + t D,

so that the frame's own noise has the coefficient 1/F, each source of the masters with coefficient c has -c/F, and each
of the flat's has -c z/F: numbers times arrays that exist anyway. The variance comes out of the same pass,

.. math:: V = \frac{v + \mathrm{Var} M}{F^2} + \frac{z^2}{F^2} \mathrm{Var} F + \frac{2 z}{F^2} \mathrm{Cov}(M, F),

with the variance v of the frame's own noise. The steps one at a time give the same numbers to rounding.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arithmetic import float_type
from astro_calib.budget import UncertaintyBudget
from astro_calib.factored import OWN, Factored
from astro_calib.flags import DataQuality
from astro_calib.frame import CCDFrame
from astro_calib.identity import Watch
from astro_calib.operands import MAX_RELATIVE_ERROR
from astro_calib.source import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector import Detector

__all__ = ["calibrated_at_once"]

BITS = (DataQuality.SATURATED, DataQuality.NO_DATA, DataQuality.UNCERTAIN_DIVISOR)


def calibrated_at_once(
    raw: CCDFrame,
    detector: Detector,
    *,
    level: NDArray[np.float64],
    level_terms: Sequence[tuple[NoiseSource, Factored]],
    shot_noise: bool,
    bias: CCDFrame | None,
    dark: CCDFrame | None,
    ratio: float,
    flat: CCDFrame | None,
) -> CCDFrame:
    """
    Calibrate a raw frame of one amplifier.

    Parameters
    ----------
    raw : CCDFrame, shape (ny, nx)
        In adu, trimmed, without a budget.
    detector : Detector
        With one amplifier.
    level : ndarray, shape (), (ny, 1) or (1, nx)
        The overscan, adu, and the pedestal.
    level_terms : sequence of (NoiseSource, Factored)
        The error of the level, adu.
    shot_noise : bool
        Whether each pixel's own signal tells its shot noise; without, it has none.
    bias, dark : CCDFrame, shape (ny, nx), optional
        In electrons, their own noise named after them.
    ratio : float
        The dark is multiplied by this.
    flat : CCDFrame, shape (ny, nx), optional
        Of mean one, and one where it cannot be divided by, with flags that say so.
    """
    from astro_calib.kernels.calibrate import Recipe, calibrate_pixels

    dtype = float_type(raw.dtype)
    amplifier = detector.amplifiers[0]
    gain = float(amplifier.gain.value)
    origin = raw._present_origin()
    assert origin is not None
    fixed = float(amplifier.read_noise.value) ** 2 + (origin.quantum * gain) ** 2 / 12
    floor = float(amplifier.read_noise.value) ** 2 / 4 - fixed
    masters = _masters(bias, dark, ratio)
    of_flat = None if flat is None else flat.budget
    present = [frame for frame in (raw, bias, dark, flat) if frame is not None]
    of_level = _variance_of_level(level_terms)
    recipe = Recipe(
        gain=gain,
        fixed=fixed,
        floor=floor,
        shot_noise=shot_noise,
        saturation=np.inf if detector.saturation is None else float(detector.saturation.to_value(raw.unit)),
        uncertain=MAX_RELATIVE_ERROR,
    )
    pixels = calibrate_pixels(
        raw._data,
        level,
        np.zeros(()) if of_level is None else of_level * gain**2,
        recipe,
        dtype=dtype,
        bias=None if bias is None else bias._data,
        dark=None if dark is None else dark._data,
        ratio=ratio,
        of_masters=None if masters is None else masters.variance(),
        flat=None if flat is None else flat._data,
        of_flat=None if of_flat is None else of_flat.variance(),
        shared=_shared(masters, of_flat),
        masks=[frame.mask for frame in present if frame.mask is not None],
        quality=[frame.flags for frame in present if frame.flags is not None],
        bits=np.array(BITS, dtype=np.uint16),
    )
    over_flat = Factored(1.0) if flat is None else Factored(1.0).times(flat._data, -1)
    own = _own_terms(raw, fixed, pixels.shot if shot_noise else None, over_flat)
    terms = [(source, coefficient.product(over_flat) * gain) for source, coefficient in level_terms]
    terms += own
    if amplifier.gain_uncertainty is not None and amplifier.gain_uncertainty.value > 0:
        collected = Factored(1.0).times(OWN)
        for master, factor in ((bias, 1.0), (dark, ratio)):
            if master is not None:
                collected = collected + over_flat.times(master._data) * factor
        variance = float(amplifier.gain_uncertainty.value) ** 2
        terms.append(
            (NoiseSource("gain", variance, axes=(), identity=detector.gain_identity(0)), collected * (1 / gain))
        )
    if masters is not None:
        terms += [(source, coefficient.product(over_flat) * -1) for source, coefficient in masters.terms]
    if flat is not None and of_flat is not None:
        by_flat = over_flat.times(OWN) * -1
        terms += [(s, c.referring_to(flat._data).product(by_flat)) for s, c in of_flat.terms]
    budget = UncertaintyBudget(raw.shape, terms, dtype, pixels.data)
    of_others = _family(masters) | _family(of_flat)
    private = of_others.isdisjoint(source.identity for source, _ in [*own, *level_terms])
    if private and of_level is not None and "gain" not in budget.names:
        # Else the frame is one of those that a master was made of, and the variance has to be asked for.
        pixels.variance.flags.writeable = False
        budget._total = pixels.variance
    mask, flags = pixels.mask, pixels.flags
    return CCDFrame(
        pixels.data,
        unit=u.electron,
        mask=mask if mask.any() or any(frame.mask is not None for frame in present) else None,
        flags=flags if flags.any() or any(frame.flags is not None for frame in present) else None,
        meta=deepcopy(raw.meta),
        wcs=raw.wcs,
        psf=raw.psf,
        name=raw._name,
        budget=budget,
        _origin=None if flat is not None else origin.scaled(gain),
        _watch=Watch(),
    )


def _variance_of_level(terms: Sequence[tuple[NoiseSource, Factored]]) -> NDArray[Any] | None:
    """The variance of one level for the frame or a row; None for another, whose variance has to be asked for."""
    total = np.zeros(())
    for source, coefficient in terms:
        variance = np.asarray(source.variance.evaluate())
        if coefficient.number is None or (variance.ndim and variance.shape[1:] != (1,)):
            return None
        total = total + coefficient.number**2 * variance
    return total


def _own_terms(
    raw: CCDFrame, fixed: float, shot: NDArray[Any] | None, coefficient: Factored
) -> list[tuple[NoiseSource, Factored]]:
    """Read noise and shot noise of the raw frame, in electrons."""
    origin = raw._present_origin()
    assert origin is not None
    identity, window = origin.raw.identity(), origin.window
    terms = [(NoiseSource("read noise", fixed, identity=f"{identity}:read", window=window), coefficient)]
    if shot is not None:
        source = NoiseSource("shot noise", shot, identity=f"{identity}:shot", window=window, slope=1.0)
        terms.append((source, coefficient))
    return terms


def _masters(bias: CCDFrame | None, dark: CCDFrame | None, ratio: float) -> UncertaintyBudget | None:
    """The budget of bias and scaled dark together."""
    budgets = [(None if master is None else master.budget, factor) for master, factor in ((bias, 1.0), (dark, ratio))]
    parts = [(budget, factor) for budget, factor in budgets if budget is not None]
    return UncertaintyBudget.linear(parts) if parts else None


def _shared(masters: UncertaintyBudget | None, flat: UncertaintyBudget | None) -> NDArray[Any] | None:
    """The covariance of masters and flat, None if they have nothing in common."""
    if masters is None or flat is None:
        return None
    return None if _family(masters).isdisjoint(_family(flat)) else masters.covariance(flat)


def _family(budget: UncertaintyBudget | None) -> frozenset[str]:
    """The identities of all that is in a budget, and of what went into it."""
    return frozenset() if budget is None else frozenset().union(*(source.family for source, _ in budget.terms))
