"""Trials of blocks of pixels that are added up or averaged, and of stacks of such frames."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from astro_calib.steps.binning import block_mean, block_sum
from astro_calib.validation.trials import draws
from astro_calib.validation.trials.draws import BRIGHT, DARK_RATE, DARK_TIME, SENSITIVITY, SHAPE, Drawn, digitised
from astro_calib.validation.trials.masters import calibrated
from astro_calib.validation.trials.rows import box, pixel, row

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from astro_calib.validation.trial import Trial
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

#: Frames that share their masters.
SEVERAL = 10
#: A part of the pixels that is left out of means.
LEFT_OUT = 0.1
#: Frames in each master.
MASTERS = 3


def night(rng: np.random.Generator, science: int) -> Drawn:
    """A night with so many science frames, and pixels of them that are masked."""
    drawn = draws.small_night(rng, biases=MASTERS, darks=MASTERS, flats=MASTERS, sky=BRIGHT, time=2 * DARK_TIME)
    light, pedestal = BRIGHT * SENSITIVITY + 2 * DARK_RATE * DARK_TIME, draws.PEDESTAL + draws.PATTERN
    others = [digitised(rng, light, SHAPE, pedestal=pedestal) for _ in range(science - 1)]
    known = {"night": drawn._replace(science=[*drawn.science, *others]), "mask": rng.random(SHAPE) < LEFT_OUT}
    return Drawn((), rng.random(2), known)


def binned(package: Package, drawn: Drawn, function: Callable[..., Any], size: int, *, with_mask: bool = False) -> Any:
    """The blocks of each science frame, and the mean of these."""
    frames = calibrated(package, drawn.known["night"])
    for frame in frames if with_mask else ():
        frame.mask = drawn.known["mask"]
    blocks = [function(frame, size) for frame in frames]
    return blocks[0] if len(blocks) == 1 else package.combine(blocks)


def trial(what: str, science: int, size: int, *, mean: bool = False, of: Any = None) -> Trial:
    """A trial of blocks of so many rows and columns: of their pixels, or of sums over several of them."""
    function, truth = (block_mean, BRIGHT) if mean else (block_sum, size**2 * BRIGHT)
    return row(
        "binning",
        what,
        partial(night, science=science),
        partial(binned, function=function, size=size, with_mask=mean),
        truth,
        of=pixel() if of is None else of,
        ccdproc=False,
        realisations=100 if of is None else 200,
        tolerance=0.01 if of is None else 0.02,
    )


TRIALS = (
    trial("sums of 2 x 2: pixel", 1, 2),
    trial("means of 2 x 2, a tenth left out: pixel", 1, 2, mean=True),
    trial("sums of 2 x 2: sum over 3 x 3 of them", 1, 2, of=box(3, 3)),
    trial(f"mean of {SEVERAL} frames of sums of 2 x 2: pixel", SEVERAL, 2),
    trial(f"mean of {SEVERAL} frames of sums of 2 x 2: sum over 3 x 3 of them", SEVERAL, 2, of=box(3, 3)),
)
