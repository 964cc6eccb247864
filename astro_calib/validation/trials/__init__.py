"""
The trials of the self-test, in the order of its table.

`draws` simulates, `packages` reduces, and a row of a table in the other modules says what is drawn, how it is reduced,
what the truth is, and the errors of what are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.validation.trials import (
    amplifiers,
    binned,
    chains,
    colours,
    combining,
    crosstalk,
    electrons,
    hot_pixels,
    masters,
    read_out,
    sharing,
    shutter,
    sky,
)

if TYPE_CHECKING:
    from astro_calib.validation.trial import Trial

__all__ = ["TRIALS"]

#: All trials, those of one step together.
TRIALS: tuple[Trial, ...] = (
    *electrons.TRIALS,
    *read_out.TRIALS,
    *amplifiers.TRIALS,
    *crosstalk.TRIALS,
    *masters.TRIALS,
    *hot_pixels.TRIALS,
    *shutter.TRIALS,
    *colours.TRIALS,
    *binned.TRIALS,
    *combining.TRIALS,
    *sky.TRIALS,
    *sharing.TRIALS,
    *chains.TRIALS,
)
