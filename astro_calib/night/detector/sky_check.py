"""Which of two gains fits the noise of the sky in science frames better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.night.files.sample import ROWS, raw_pieces
from astro_calib.photometry.sky_noise import sky_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.detector.measure import Measurement
    from astro_calib.night.files.sample import Sampler

__all__ = ["SkyCheck", "check_sky"]

#: So many science frames are looked at, and so many pixels of each.
FRAMES, PIXELS = 2, 400_000
#: Ratios that differ by less than this tell nothing.
ALIKE = 0.01
#: Rounding adds this much, adu^2.
ROUNDING = 1 / 12


#: Ratios beyond these are more than a field that is not empty makes.
PLAUSIBLE = (0.85, 1.25)
#: A wrong gain makes the noise too large everywhere alike, a crowded field does not: so many parts along each axis, of
#: which the quarters in the middle differ by less than this factor.
PARTS, EVEN = 4, 1.25


class SkyCheck(NamedTuple):
    """
    The noise of the sky over what two gains predict.

    Attributes
    ----------
    measured, header : float
        With the gain that was measured and with that of the headers; NaN if there is no frame that tells.
    """

    measured: float = float("nan")
    header: float = float("nan")

    @property
    def contradiction(self) -> str:
        """Why the gain that was measured cannot be right; empty if it can."""
        if PLAUSIBLE[0] <= self.measured <= PLAUSIBLE[1] or not np.isfinite(self.measured):
            return ""
        return f"the noise of the sky is {self.measured:.2f} of what is predicted with it"

    @property
    def verdict(self) -> str:
        """``"nearer"`` to 1 with the gain that was measured, ``"farther"``, or empty if the sky does not tell."""
        away = [abs(np.log(ratio)) for ratio in (self.measured, self.header)]
        if not np.all(np.isfinite(away)) or abs(np.log(self.measured / self.header)) < ALIKE:
            return ""
        return "nearer" if away[0] < away[1] else "farther"


def check_sky(
    frames: Sequence[RawFrame], measurement: Measurement, sampler: Sampler, gains: tuple[float, ...]
) -> SkyCheck:
    """
    Look at the noise of the sky in a few science frames.

    Parameters
    ----------
    frames : sequence of RawFrame
        All frames of the setup.
    measurement : Measurement
        What flats and biases say.
    sampler : Sampler
        Reads pieces of frames.
    gains : (float, float) or (float,)
        The gain that was measured and that of the headers, if they tell one, electron/adu.

    Returns
    -------
    SkyCheck
        The median over the frames.
    """
    if measurement.read_noise is None:
        return SkyCheck()
    rows = slice(0, max(ROWS, PIXELS // measurement.biases[0][1].pixels.shape[1]))
    bias = np.mean([piece.pixels[rows] for _, piece in measurement.biases], axis=0)
    level = float(np.mean([piece.level for _, piece in measurement.biases]))
    flats = {name: _flat([piece.pixels[rows] for _, piece in used], bias) for name, used in measurement.flats.items()}
    science = [frame for frame in frames if frame.kind == "science" and frame.exposure_time > 0]
    # Those that are exposed longest have most light of the sky, and a flat takes the pattern off.
    science.sort(key=lambda frame: (frame.filter not in flats, -frame.exposure_time))
    ratios = []
    for frame, piece in raw_pieces(science, sampler, FRAMES, {}):
        net = piece.pixels[rows] - bias
        if np.isfinite(piece.level - level):
            net -= piece.level - level
        flat, of_flat = flats.get(frame.filter, (np.ones(bias.shape), 0.0))
        noise = measurement.read_noise.value**2 * (1 + 1 / len(measurement.biases)) + ROUNDING
        sky = max(float(np.median(net)), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            image = net / flat
            found = [_ratio(image, (noise + sky * flat / gain) / flat**2 + sky**2 * of_flat / gain) for gain in gains]
        ratios.append(found)
    ratios = [found for found in ratios if np.all(np.isfinite(found))]
    return SkyCheck(*(float(ratio) for ratio in np.median(ratios, axis=0))) if ratios else SkyCheck()


def _ratio(image: NDArray[Any], variance: NDArray[Any]) -> float:
    """Observed over predicted noise of the sky; NaN in a field that is crowded in some places more than in others."""
    ratio = sky_noise(image, variance).ratio
    if not ratio > PLAUSIBLE[1]:
        return ratio
    parts = [
        sky_noise(part, of_part).ratio
        for rows, of_rows in zip(np.array_split(image, PARTS), np.array_split(variance, PARTS), strict=True)
        for part, of_part in zip(np.array_split(rows, PARTS, 1), np.array_split(of_rows, PARTS, 1), strict=True)
    ]
    told = [part for part in parts if np.isfinite(part)]
    if not told:
        return float("nan")
    low, high = np.percentile(told, (25, 75))
    return ratio if high < EVEN * low else float("nan")


def _flat(pixels: Sequence[NDArray[Any]], bias: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The mean flat, of median 1, NaN where there is no light; and its relative variance times the gain."""
    flat = np.mean([one - bias for one in pixels], axis=0)
    level = float(np.median(flat))
    return np.where(flat > 0.1 * level, flat / level, np.nan), 1 / (level * len(pixels))
