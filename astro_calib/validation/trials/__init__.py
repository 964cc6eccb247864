"""The trials of the self-test, in the order of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_calib.validation.trials import (
    chains,
    combining,
    cosmic_rays,
    deviation,
    gain,
    linearity,
    masters,
    overscan,
    sharing,
    shot_noise,
    small_flats,
)

if TYPE_CHECKING:
    from astro_calib.validation.trial import Trial

__all__ = ["TRIALS"]

#: All trials, those of one step together.
TRIALS: tuple[Trial, ...] = (
    *overscan.TRIALS,
    *gain.TRIALS,
    *deviation.TRIALS,
    *shot_noise.TRIALS,
    *linearity.TRIALS,
    *masters.TRIALS,
    *small_flats.TRIALS,
    *cosmic_rays.TRIALS,
    *combining.TRIALS,
    *sharing.TRIALS,
    *chains.TRIALS,
)
