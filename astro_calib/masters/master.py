"""A frame made ready to be applied to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.frame.frame import UNNAMED, CCDFrame
from astro_calib.frame.lending import lend_pixels, lent, lent_as, master_of
from astro_calib.noise.budget import UncertaintyBudget

if TYPE_CHECKING:
    from astropy.units import UnitBase


__all__ = ["FRAME_NOISE", "converted", "named_budget", "with_noise_named"]


#: Names of the noise of a frame's own; in a frame that a master was applied to, it is the master's noise.
FRAME_NOISE = frozenset({"read noise", "shot noise", "overscan", "scale", "merged", UNNAMED})
#: Coefficients of more products than this, as those of a map made of many calibrated frames, get too long when the
#: frame's own are added to them, and would be written out again for each frame.
FEW = 2


def with_noise_named(master: CCDFrame, kind: str) -> CCDFrame:
    """The master as it is applied, with its own noise under the name of its kind."""
    master = lent(master)
    if master.known_budget is None:
        return master
    result = master.replace(master.pixels, master.known_budget.named(kind, FRAME_NOISE))
    of_master = lent_as(master)
    assert of_master is not None
    return lend_pixels(result, *of_master)


def converted(master: CCDFrame, made: CCDFrame, unit: UnitBase, factor: float | None) -> CCDFrame:
    """
    A master in another unit, which is lent under the name of the master.

    Parameters
    ----------
    master : CCDFrame
        As it was given, lent.
    made : CCDFrame
        Its pixels and its budget in the other unit.
    unit : Unit
        The other unit.
    factor : float or None
        What its pixels were multiplied by; None if that is not the same for all.
    """
    result = master.replace(made.pixels, made.known_budget, unit=unit, origin=made.origin)
    return lend_pixels(result, master_of(master), None if factor is None else {"array": "data", "factor": factor})


def named_budget(frame: CCDFrame, kind: str | None, *, is_added: bool = False) -> UncertaintyBudget:
    """The budget of a frame whose own noise is called by a kind; made once for all frames that it is applied to.

    What is added has coefficients short enough that they need not be written out for each of these frames.
    """
    budget = frame.known_budget
    assert budget is not None
    if kind is None:
        return budget

    def make() -> UncertaintyBudget:
        named = budget.named(kind, FRAME_NOISE)
        if not is_added or all(len(coefficient.monomials) <= FEW for _, coefficient in named.terms):
            return named
        terms = [(source, coefficient.with_at_most(FEW)) for source, coefficient in named.terms]
        return UncertaintyBudget(named.shape, terms, named.dtype, named.data)

    found: UncertaintyBudget = frame.cached("named", (kind, is_added), make)
    return found
