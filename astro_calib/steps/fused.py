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

from astro_calib.dtypes import float_type
from astro_calib.frame.history import History
from astro_calib.frame.lending import reference_to
from astro_calib.frame.pixels import WriteGuard
from astro_calib.masters.master import with_noise_named
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.shot_variance import ShotVariance
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.amplifiers import digital_steps, inside, over_sections, uncertain_gains
from astro_calib.steps.header import note_electrons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.noise.origin import Origin

__all__ = ["calibrated_at_once"]


def calibrated_at_once(
    raw: CCDFrame,
    detector: Detector,
    sections: Sequence[tuple[slice, slice]],
    *,
    level: NDArray[np.float64],
    level_terms: Sequence[tuple[NoiseSource, Coefficient]],
    shot_noise: bool,
    bias: CCDFrame | None,
    dark: CCDFrame | None,
    ratio: float,
    flat: CCDFrame | None,
) -> CCDFrame:
    """
    Calibrate a raw frame.

    Parameters
    ----------
    raw : CCDFrame, shape (ny, nx)
        In adu, trimmed, without a budget.
    detector : Detector
    sections : sequence of (slice, slice)
        Rows and columns of each amplifier, contiguous, as from `amplifier_sections`.
    level : ndarray, shape (), (ny, 1) or (1, nx)
        The overscan, adu, and the pedestal.
    level_terms : sequence of (NoiseSource, Coefficient)
        The error of the level, adu.
    shot_noise : bool
        Whether each pixel's own signal tells its shot noise; without, it has none.
    bias, dark : CCDFrame, shape (ny, nx), optional
        In electrons.
    ratio : float
        The dark is multiplied by this.
    flat : CCDFrame, shape (ny, nx), optional
        Of mean one, and one where it cannot be divided by, with flags that say so.
    """
    from astro_calib.kernels.fused import Recipe, calibrate_pixels

    dtype = float_type(raw.dtype)
    origin = raw.origin
    assert origin is not None
    gains = [float(amplifier.gain.value) for amplifier in detector.amplifiers]
    read = [float(amplifier.read_noise.value) ** 2 for amplifier in detector.amplifiers]
    steps = digital_steps(origin, detector)
    fixed = [
        of_read + (step * gain) ** 2 / 12
        for of_read, step, gain in zip(read, map(origin.in_present_unit, steps), gains, strict=True)
    ]
    floors = [of_read / 4 - of_both for of_read, of_both in zip(read, fixed, strict=True)]
    recipes = [
        Recipe(gain=gain, ratio=ratio, fixed=of_both, floor=floor, shot_noise=shot_noise)
        for gain, of_both, floor in zip(gains, fixed, floors, strict=True)
    ]

    def over(values: Sequence[float]) -> float | NDArray[Any]:
        return over_sections(sections, values, raw.shape, dtype)

    saturation = None if detector.saturation is None else float(detector.saturation.to_value(raw.unit))
    of_gains = list(uncertain_gains(detector))
    of_level = None if of_gains else _variance_of_level(level_terms)
    own = _own_identities(origin)
    level_identities = {source.identity for source, _ in level_terms}
    related = not (_family(bias) | _family(dark) | _family(flat)).isdisjoint([*own, *level_identities])
    # A frame that is one of those that a master was made of, or whose gain is uncertain, shares noise with the masters:
    # its variance has to be asked for.
    add_up = of_level is not None and not related
    variances = _variances(bias, dark, ratio, flat) if add_up else {}
    present = [frame for frame in (raw, bias, dark, flat) if frame is not None]
    masks = [frame.mask for frame in present if frame.mask is not None]
    quality = [frame.flags for frame in present if frame.flags is not None]
    pixels = calibrate_pixels(
        raw.pixels,
        level,
        np.zeros(()) if of_level is None else of_level,
        list(zip(sections, recipes, strict=True)),
        dtype=dtype,
        saturation=saturation,
        bias=None if bias is None else bias.pixels,
        dark=None if dark is None else dark.pixels,
        flat=None if flat is None else flat.pixels,
        masks=masks,
        quality=quality,
        **variances,
    )
    guard = WriteGuard()
    over_flat = Coefficient(1.0) if flat is None else Coefficient(1.0).times(reference_to(flat), -1)
    terms = [(source, coefficient.product(over_flat).times(over(gains))) for source, coefficient in level_terms]
    for index, gain, source in of_gains:
        collected = _collected(bias, dark, ratio, over_flat).times(inside(sections, index, raw.shape))
        terms.append((source, collected * (1 / gain)))
    terms += _passed_on(bias, -1.0, "bias", over_flat)
    window = origin.window
    terms.append((NoiseSource("read noise", over(fixed), identity=own[0], window=window), over_flat))
    if shot_noise:
        of_shot = ShotVariance(
            pixels.data,
            guard,
            flat=None if flat is None else flat.pixels,
            dark=None if dark is None else reference_to(dark).array,
            ratio=ratio,
            floor=over(floors),
        )
        by_shot = Coefficient(1.0).times(of_shot)
        terms.append((NoiseSource("shot noise", by_shot, identity=own[1], window=window, slope=1.0), over_flat))
    terms += _passed_on(dark, -ratio, "dark", over_flat)
    if flat is not None and flat.known_budget is not None:
        by_flat = over_flat.times(SELF_DATA) * -1
        terms += [(s, c.referring_to(reference_to(flat)).product(by_flat)) for s, c in flat.known_budget.terms]
    budget = UncertaintyBudget(raw.shape, terms, dtype, pixels.data)
    if add_up:
        budget = budget.with_variance(pixels.variance)
    meta = deepcopy(raw.meta)
    note_electrons(meta, gains)
    flagged = saturation is not None or flat is not None
    scaled = origin.scaled(over(gains))
    history = History(
        origin=None if flat is not None else scaled,
        flattened_step=None if flat is None else scaled.quantum,
        applied=raw.history.applied,
    )
    return raw.replace(
        pixels.data,
        budget,
        unit=u.electron,
        mask=pixels.mask if flagged or masks or pixels.mask.any() else None,
        flags=pixels.flags if flagged or quality or pixels.flags.any() else None,
        meta=meta,
        wcs=None if raw.wcs is None else raw.wcs.deepcopy(),
        history=history,
        guard=guard,
    )


def _variance_of_level(terms: Sequence[tuple[NoiseSource, Coefficient]]) -> NDArray[Any] | None:
    """The variance of one level for the frame or a row; None for another, whose variance has to be asked for."""
    total = np.zeros(())
    for source, coefficient in terms:
        variance = np.asarray(source.variance.evaluate())
        if coefficient.number is None or (variance.ndim and variance.shape[1:] != (1,)):
            return None
        total = total + coefficient.number**2 * variance
    return total


def _own_identities(origin: Origin) -> tuple[str, str]:
    """Those of read noise and shot noise of a raw frame."""
    identity = origin.raw.identity()
    return f"{identity}:read", f"{identity}:shot"


def _collected(bias: CCDFrame | None, dark: CCDFrame | None, ratio: float, over_flat: Coefficient) -> Coefficient:
    """All electrons that the gain has made of the raw frame, over the flat."""
    collected = Coefficient(1.0).times(SELF_DATA)
    for master, factor in ((bias, 1.0), (dark, ratio)):
        if master is not None:
            collected = collected + over_flat.times(reference_to(master)) * factor
    return collected


def _passed_on(
    master: CCDFrame | None, factor: float, kind: str, over_flat: Coefficient
) -> list[tuple[NoiseSource, Coefficient]]:
    """The terms of a master that is added with a factor, its own noise under the name of its kind."""
    if master is None or master.known_budget is None:
        return []
    budget = with_noise_named(master, kind).known_budget
    assert budget is not None
    # With a reference to the master's data, not with what they make written out: the gain's part cancels then.
    data = reference_to(master)
    return [(s, c.referring_to(data).product(over_flat) * factor) for s, c in budget.terms]


def _variances(bias: CCDFrame | None, dark: CCDFrame | None, ratio: float, flat: CCDFrame | None) -> dict[str, Any]:
    """The masters' variances, and what these have in common; found once for all frames that they are applied to."""
    known = [frame for frame in (flat, dark, bias) if frame is not None and frame.known_budget is not None]
    if not known:
        return {}
    given = (ratio, *(None if frame is None else frame.known_budget for frame in (bias, dark, flat)))
    found: dict[str, Any] = known[0].cached("variances", given, lambda: _found_variances(bias, dark, ratio, flat))
    return found


def _found_variances(
    bias: CCDFrame | None, dark: CCDFrame | None, ratio: float, flat: CCDFrame | None
) -> dict[str, Any]:
    found = {
        f"of_{kind}": frame.variance
        for kind, frame in (("bias", bias), ("dark", dark), ("flat", flat))
        if frame is not None and frame.known_budget is not None
    }
    parts = [
        (frame.known_budget, factor)
        for frame, factor in ((bias, 1.0), (dark, ratio))
        if frame is not None and frame.known_budget is not None
    ]
    if not _family(bias).isdisjoint(_family(dark)):
        found |= {"of_bias": UncertaintyBudget.linear(parts).variance(), "of_dark": None}
    if not (_family(bias) | _family(dark)).isdisjoint(_family(flat)):
        assert flat is not None
        assert flat.known_budget is not None
        found["shared"] = UncertaintyBudget.linear(parts).covariance(flat.known_budget)
    return found


def _family(master: CCDFrame | None) -> frozenset[str]:
    """The identities of all noise that is in a master, and of what went into it."""
    if master is None or master.known_budget is None:
        return frozenset()
    return frozenset().union(*(source.family for source, _ in master.known_budget.terms))
