"""Trials of read-out noise that pixels share: rows and tones, under a level that drifts, in pixels and apertures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.detector.amplifier import GAIN_UNIT
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.detector import Detector
from astro_calib.validation.trials.draws import DRIFT, GAIN, PEDESTAL, Drawn, Layout
from astro_calib.validation.trials.kept import read_again
from astro_calib.validation.trials.packages import CCDPROC, Package
from astro_calib.validation.trials.rows import row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors

__all__ = ["TRIALS"]


class Electronics(NamedTuple):
    """
    Standard deviations of the white part and of what a row has in common, electron, and tones.

    Each tone has its variance, radians a pixel along the row, and from row to row; None where each row has a phase of
    its own.
    """

    white: float
    row: float
    tones: tuple[tuple[float, float, float | None], ...]

    @property
    def variance(self) -> float:
        """That of a pixel, electron^2."""
        return self.white**2 + self.row**2 + sum(power for power, _, _ in self.tones)

    def camera(self) -> Detector:
        """The detector that a user says."""
        tones = [(power / self.variance, wx, wy) for power, wx, wy in self.tones]
        return Detector(
            gain=GAIN * GAIN_UNIT,
            read_noise=np.sqrt(self.variance) * u.electron,
            correlation=Correlation(self.row**2 / self.variance, tones),
        )

    def noise(self, rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        """That of one frame, overscan included, electron."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        noise = self.white * rng.standard_normal(shape) + self.row * rng.standard_normal((shape[0], 1))
        for power, wx, wy in self.tones:
            in_phase, behind = np.sqrt(power) * rng.standard_normal((2, shape[0] if wy is None else 1, 1))
            phase = wx * x + (0.0 if wy is None else wy) * y
            noise = noise + in_phase * np.cos(phase) + behind * np.sin(phase)
        return noise


#: Tones as strong as the white noise.
COHERENT = Electronics(5.0, 0.0, ((15.0, 0.5, 0.3), (10.0, 2.2, -0.8)))
CHANGING = Electronics(5.0, 1.5, ((15.0, 0.5, None), (10.0, 2.2, None)))
#: One level for the frame, a row, a column.
SIDE, OVERSCAN = 64, 24
LAYOUTS = {
    "frame": Layout(SIDE, SIDE, OVERSCAN, (0, 1)),
    "row": Layout(SIDE, SIDE, OVERSCAN, 1),
    "column": Layout(SIDE, SIDE, OVERSCAN, 0),
}
#: Radii of apertures, pixels; the annulus begins 3 pixels further, and is so wide.
RADII, GAP, WIDE = (2, 5, 8, 15), 3, 8


def apertures() -> NDArray[np.float64]:
    """Weights of the pixels in sums over apertures less annuli, each scaled to a variance of about that of a pixel."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    distance = np.hypot(x, y)
    result = []
    for radius in RADII:
        inside = (distance <= radius).astype(float)
        ring = ((distance > radius + GAP) & (distance <= radius + GAP + WIDE)).astype(float)
        weights = inside - inside.sum() / ring.sum() * ring
        result.append(weights / np.sqrt(np.sum(weights**2)))
    return np.array(result)


WEIGHTS = apertures()


def draw(rng: np.random.Generator, electronics: Electronics, layout: Layout, number: int) -> Drawn:
    """Raw frames without light, whose level drifts from one to the next."""
    whole = layout.light + layout.overscan
    shape = (whole, layout.lines) if layout.turned else (layout.lines, whole)
    frames = [
        np.rint(rng.normal(PEDESTAL, DRIFT) + electronics.noise(rng, shape) / GAIN).astype(np.uint16)
        for _ in range(number)
    ]
    return Drawn(frames, rng.random(2))


def reduced(
    package: Package, drawn: Drawn, electronics: Electronics, layout: Layout, method: str | None, kept: str | None
) -> Any:
    """The frame in electrons, or the stack of all; read from a file of the format in which it was kept, if any."""
    camera = electronics.camera()
    frames = [package.calibrated(package.raw(pixels), camera, layout, light=False) for pixels in drawn.frames]
    frame = frames[0] if method is None else package.combine(frames, method=method)
    return read_again(frame, kept)


def in_apertures(package: Package, frame: Any, _: Any, __: Any) -> Errors:
    """Errors of the sums over apertures of all radii."""
    made = np.sum(WEIGHTS * np.asarray(frame.data, dtype=np.float64), axis=(1, 2))
    if package is CCDPROC:
        return made, np.sum(WEIGHTS**2 * package.variance(frame), axis=(1, 2))
    return made, np.array([frame.known_budget.variance_of_sum(weights) for weights in WEIGHTS])


#: What is read out, the level, the stack of how many, the format of the file, the errors of what.
ROWS: tuple[tuple[str, Electronics, str, str | None, int, str | None, bool], ...] = (
    ("coherent tones", COHERENT, "frame", None, 1, None, False),
    ("coherent tones", COHERENT, "frame", None, 1, None, True),
    ("coherent tones", COHERENT, "row", None, 1, None, True),
    ("coherent tones", COHERENT, "column", None, 1, None, True),
    ("coherent tones", COHERENT, "row", "median", 10, None, True),
    ("coherent tones", COHERENT, "row", "mean", 10, "fits", True),
    ("rows, tones of each row", CHANGING, "row", None, 1, None, False),
    ("rows, tones of each row", CHANGING, "frame", None, 1, None, True),
    ("rows, tones of each row", CHANGING, "row", None, 1, None, True),
    ("rows, tones of each row", CHANGING, "column", None, 1, None, True),
    ("rows, tones of each row", CHANGING, "row", "mean", 10, None, True),
    ("rows, tones of each row", CHANGING, "frame", "median", 10, None, True),
)

#: How many tell the errors of apertures well enough, of frames and of stacks. A coherent tone is one draw a frame.
REALISATIONS = {
    (COHERENT, False): 3200,
    (COHERENT, True): 1800,
    (CHANGING, False): 1500,
    (CHANGING, True): 1100,
}

TRIALS = tuple(
    row(
        "read-out",
        ", ".join(
            [
                what,
                f"a level a {level}" if level != "frame" else "one level",
                *([f"{method} of {number}"] if method else []),
                *([f"kept as {kept.upper()}"] if kept else []),
            ]
        )
        + (": apertures" if sums else ": pixel"),
        partial(draw, electronics=electronics, layout=LAYOUTS[level], number=number),
        partial(reduced, electronics=electronics, layout=LAYOUTS[level], method=method, kept=kept),
        0.0,
        of=in_apertures if sums else None,
        ccdproc=kept is None,
        realisations=REALISATIONS[electronics, method is not None] if sums else 1000,
        tolerance=0.04 if sums else 0.02,
    )
    for what, electronics, level, method, number, kept, sums in ROWS
)
