"""Trials of frames that four amplifiers have read, each from its corner, with its gain, noise and overscan."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.detector.amplifier import GAIN_UNIT, Amplifier
from astro_calib.detector.detector import Detector
from astro_calib.stack.combination import combine
from astro_calib.steps.sequence import calibrate
from astro_calib.validation.trials.draws import DRIFT, PEDESTAL, Drawn
from astro_calib.validation.trials.kept import read_again
from astro_calib.validation.trials.read_out import Electronics
from astro_calib.validation.trials.rows import row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors
    from astro_calib.validation.trials.packages import Package

__all__ = ["TRIALS"]

#: Rows and columns of each amplifier, and columns of its overscan.
SIDE, OVERSCAN = 32, 16
#: Corner, gain, and noise of each.
READ: tuple[tuple[str, float, Electronics], ...] = (
    ("lower left", 1.0, Electronics(4.0, 0.0, ())),
    ("lower right", 1.02, Electronics(6.0, 2.0, ())),
    ("upper left", 1.1, Electronics(5.0, 0.0, ((16.0, 1.9, None),))),
    ("upper right", 1.3, Electronics(9.0, 3.0, ((20.0, 0.8, 0.3),))),
)
#: Electrons of the sky.
SKY = 40.0
#: How many realisations of frames, and of stacks of so many.
REALISATIONS, STACKED, STACKS = 3000, 4, 1800


def camera() -> Detector:
    """The detector that a user says."""
    amplifiers = []
    for index, (corner, gain, electronics) in enumerate(READ):
        rows, columns = (SIDE * number for number in divmod(index, 2))
        alone = electronics.camera().amplifiers[0]
        amplifiers.append(
            Amplifier(
                gain=gain * GAIN_UNIT,
                read_noise=np.sqrt(electronics.variance) * u.electron,
                correlation=alone.correlation,
                corner=corner,
                data_section=f"[{columns + 1}:{columns + SIDE},{rows + 1}:{rows + SIDE}]",
            )
        )
    return Detector(amplifiers=tuple(amplifiers))


CAMERA = camera()


def draw(rng: np.random.Generator, number: int) -> Drawn:
    """Raw frames, each followed by the overscans of the amplifiers; the level drifts for each."""
    frames = []
    for _ in range(number):
        whole, strips = np.empty((2 * SIDE, 2 * SIDE), np.uint16), []
        for index, (corner, gain, electronics) in enumerate(READ):
            electrons = electronics.noise(rng, (SIDE, SIDE + OVERSCAN))
            electrons[:, :SIDE] += rng.poisson(SKY, (SIDE, SIDE))
            values = np.rint(rng.normal(PEDESTAL, DRIFT) + electrons / gain).astype(np.uint16)
            turn = np.s_[:: -1 if "upper" in corner else 1, :: -1 if "right" in corner else 1]
            y, x = (SIDE * number for number in divmod(index, 2))
            whole[y : y + SIDE, x : x + SIDE] = values[:, :SIDE][turn]
            strips.append(values[:, SIDE:][turn])
        frames += [whole, *strips]
    return Drawn(frames, rng.random(2))


def reduced(package: Package, drawn: Drawn, axis: int | tuple[int, int], kept: str | None) -> Any:
    """The calibrated frame, or the stack of all; read from a file of the format in which it was kept, if any."""
    done = []
    for first in range(0, len(drawn.frames), 1 + len(READ)):
        raw, *strips = (package.raw(values) for values in drawn.frames[first : first + 1 + len(READ)])
        done.append(calibrate(raw, CAMERA, overscan=strips, overscan_axis=axis))
    frame = done[0] if len(done) == 1 else combine(done)
    return read_again(frame, kept)


def apertures() -> NDArray[np.float64]:
    """Weights of sums over an aperture in the middle of each amplifier, and one over the corner where all meet."""
    y, x = np.mgrid[: 2 * SIDE, : 2 * SIDE]
    middles = [(SIDE / 2 + SIDE * row, SIDE / 2 + SIDE * column) for row in (0, 1) for column in (0, 1)]
    inside = [np.hypot(y - row, x - column) < 6 for row, column in (*middles, (SIDE, SIDE))]
    return np.array([one / np.sqrt(one.sum()) for one in inside])


WEIGHTS = apertures()


def in_apertures(_: Package, frame: Any, truth: float, __: Any) -> Errors:
    """Errors of the sums over apertures."""
    made = np.sum(WEIGHTS * (np.asarray(frame.data, dtype=np.float64) - truth), axis=(1, 2))
    return made, np.array([frame.known_budget.variance_of_sum(weights) for weights in WEIGHTS])


#: The level, how many frames, the format of the file, the errors of what.
ROWS: tuple[tuple[str, int, str | None, bool], ...] = (
    ("one level each", 1, None, False),
    ("one level each", 1, "fits", True),
    ("a level a row", 1, None, False),
    ("a level a row", 1, None, True),
    ("a level a row", STACKED, "asdf", True),
)

TRIALS = tuple(
    row(
        "amplifiers",
        ", ".join(
            [
                "four",
                level,
                *([f"mean of {number}"] if number > 1 else []),
                *([f"kept as {kept.upper()}"] if kept else []),
            ]
        )
        + (": apertures" if sums else ": pixel"),
        partial(draw, number=number),
        partial(reduced, axis=1 if level == "a level a row" else (0, 1), kept=kept),
        SKY,
        of=in_apertures if sums else None,
        ccdproc=False,
        realisations=(REALISATIONS if number == 1 else STACKS) if sums else 300,
        tolerance=0.04 if sums else 0.01,
    )
    for level, number, kept, sums in ROWS
)
