"""
The faults that an error bar may have: what each does to the covariances, and how it is said.

A fault has one size, which is fitted; the tone has a frequency, and a dark of another temperature a second size, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from astro_calib.characterize.audit.model import State
    from astro_calib.characterize.audit.samples import Evidence

__all__ = ["FAULTS", "ROOT", "TONE", "Fault"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    One thing that may be wrong.

    Attributes
    ----------
    name : str
        As it stands in the table.
    key : str
        What it is a case of: two forms of one fault have one.
    apply : callable
        The state with the fault added, for a number without bounds or unit that stands for its size.
    size : callable
        The size for that number, in ``unit``.
    unit : str
        Of the size.
    bounds : (float, float)
        Between which the number is looked for.
    shown_by : callable
        Whether the evidence has anything that it would change.
    threshold : float
        How much larger twice the logarithm of the likelihood must be.
    cost : float
        By how much that grows without the fault, because it has more than one size to choose.
    """

    name: str
    key: str
    apply: Callable[[State, float], State]
    size: Callable[[float], float]
    unit: str
    bounds: tuple[float, float]
    shown_by: Callable[[Evidence], bool]
    threshold: float = 14.0
    cost: float = 0.0


def _lit(evidence: Evidence) -> bool:
    return any(sample.shot > 0.05 * sample.predicted for sample in evidence.samples)


def _any(evidence: Evidence) -> bool:
    return any(sample.reads > 0 for sample in evidence.samples)


def _of_detector(evidence: Evidence) -> bool:
    return any(sample.read + sample.shot > 0 for sample in evidence.samples)


def _correlated(evidence: Evidence) -> bool:
    return any(sample.correlation is not None for sample in evidence.samples)


#: Sizes of variances are looked for by their root, which may be zero.
ROOT = (0.0, 60.0)
#: How much better the best of some hundred frequencies must be, whose powers have a long tail.
TONE = 36.0

FAULTS = (
    Fault(
        name="gain",
        key="gain",
        # What is stated in electrons moves twice.
        apply=lambda state, x: replace(state, shot=state.shot * np.exp(x), read=state.read * np.exp(2 * x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-3.0, 3.0),
        shown_by=_of_detector,
    ),
    Fault(
        name="gain, read noise right in adu",
        key="gain",
        apply=lambda state, x: replace(state, shot=state.shot * np.exp(x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-3.0, 3.0),
        shown_by=_lit,
    ),
    Fault(
        name="read noise",
        key="read noise",
        apply=lambda state, x: replace(state, read=state.read * np.exp(2 * x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-3.0, 3.0),
        shown_by=lambda evidence: any(sample.read > 0 for sample in evidence.samples),
    ),
    Fault(
        name="error",
        key="error",
        apply=lambda state, x: replace(state, other=state.other * np.exp(2 * x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-3.0, 3.0),
        shown_by=lambda evidence: any(sample.read + sample.shot == 0 for sample in evidence.samples),
    ),
    Fault(
        name="rows",
        key="rows",
        apply=lambda state, x: replace(state, rows=state.rows + x**2),
        size=abs,
        unit="electron",
        bounds=ROOT,
        shown_by=_any,
    ),
    Fault(
        name="rows, in the stated read noise",
        key="rows",
        apply=lambda state, x: replace(state, rows_within=state.rows_within + x**2),
        size=abs,
        unit="electron",
        bounds=ROOT,
        shown_by=_any,
    ),
    # More of them is named as what is there beside the stated ones.
    Fault(
        name="stated rows and tones",
        key="correlation",
        apply=lambda state, x: replace(state, shared=state.shared * np.exp(2 * x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-4.0, 0.0),
        shown_by=_correlated,
    ),
    Fault(
        name="stated rows and tones, the rest is white",
        key="correlation",
        apply=lambda state, x: replace(state, shared=state.shared * np.exp(2 * x), taken=state.taken * np.exp(2 * x)),
        size=lambda x: float(np.expm1(x)),
        unit="",
        bounds=(-4.0, 0.0),
        shown_by=_correlated,
    ),
    Fault(
        name="brighter-fatter",
        key="brighter-fatter",
        apply=lambda state, x: replace(state, charge=state.charge + x * 1e-6),
        size=lambda x: -x * 1e-6,
        unit="1 / electron",
        bounds=(0.0, 6.0),
        shown_by=lambda evidence: any(sample.charge > 0 and sample.kind == "flat" for sample in evidence.samples),
    ),
    Fault(
        name="level drift",
        key="level drift",
        apply=lambda state, x: replace(state, drift=state.drift + x**2),
        size=abs,
        unit="electron",
        bounds=ROOT,
        shown_by=lambda evidence: any(not levels.overscan for levels in evidence.levels),
    ),
    Fault(
        name="overscan drift",
        key="overscan drift",
        apply=lambda state, x: replace(state, drift=state.drift + x**2),
        size=abs,
        unit="electron",
        bounds=ROOT,
        shown_by=lambda evidence: any(bool(levels.overscan) for levels in evidence.levels),
    ),
    Fault(
        name="flat",
        key="flat",
        apply=lambda state, x: replace(state, flat=state.flat + x**2),
        size=abs,
        unit="",
        bounds=(0.0, 0.3),
        shown_by=lambda evidence: bool(evidence.common) or any(sample.flat > 0 for sample in evidence.samples),
    ),
    Fault(
        name="dark",
        key="dark",
        apply=lambda state, x: replace(state, dark=state.dark + x),
        size=lambda x: x,
        unit="",
        bounds=(-2.0, 8.0),
        shown_by=lambda evidence: bool(evidence.patterns),
    ),
    Fault(
        name="clamp",
        key="clamp",
        apply=lambda state, x: replace(state, clamp=state.clamp + x**2),
        size=lambda x: x**2,
        unit="electron / s",
        bounds=(0.0, 30.0),
        shown_by=lambda evidence: any(sample.exposure > 0 for sample in evidence.samples),
    ),
)
