"""Whether the noise of the sky contradicts a gain that nothing but the headers tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.report.gauge import SKY_RATIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astro_calib.night.detector.decide import Number
    from astro_calib.photometry.sky_noise import SkyNoise

__all__ = ["sky_doubt"]

#: A frame tells if its noise is from more than this part of its blocks, and light has more than this part of it.
MOST, LIGHT = 0.5, 0.3
#: So little noise has a sky of which a part is no light, but a level that was not subtracted.
NO_LIGHT = 0.9


def sky_doubt(
    numbers: Sequence[Number], frames: Sequence[tuple[SkyNoise, Mapping[str, float]]], *, bias_in_darks: bool = False
) -> str:
    """
    Return what the noise of the sky says against the headers' gain; empty if nothing, or if the gain is not theirs.

    With ``bias_in_darks``, where nothing but the level of darks says that they hold their bias, it may be against that
    as well.

    Parameters
    ----------
    numbers : sequence of Number
        Gain and read noise, as they were taken.
    frames : sequence of (SkyNoise, mapping of str to float)
        Of each science frame its sky, and what the variance of that is made of.
    """
    by_role = {number.role: number for number in numbers}
    gain, read_noise = by_role.get("gain"), by_role.get("read_noise")
    if gain is None or read_noise is None or gain.value is None or read_noise.value is None:
        return ""
    telling = [(sky, shares) for sky, shares in frames if sky.ratio > 0 and sky.blocks > MOST * sky.all_blocks]
    ratio = float(np.median([sky.ratio for sky, _ in telling])) if telling else 1.0
    of_frames = f"median of {len(telling)} frames" if len(telling) > 1 else "one frame"
    if bias_in_darks and ratio < NO_LIGHT:
        return (
            f"the noise of the sky is {ratio:.2f} of what its level predicts ({of_frames}): the darks may not hold "
            "their bias, which nothing else tells, so that the level of zero light is still in the frames; or the gain "
            "is wrong. Give biases, or look at the levels of the darks"
        )
    of_headers = gain.source == "header" and gain.measured is None
    if not of_headers or SKY_RATIO[0] <= ratio <= SKY_RATIO[1]:
        return ""
    wanted = [_wanted(*frame, measured=read_noise.source == "measured") for frame in telling]
    factor = float(np.median(wanted))
    # Whatever else is in the sky adds to its noise.
    asks = f", {factor * gain.value:.2g} or more by the sky" if ratio < 1 and np.isfinite(factor) else ""
    cause = f"the gain is wrong{asks}" if ratio < 1 else "the gain is wrong, or the sky has a pattern"
    return (
        f"the noise of the sky is {ratio:.2f} of what gain {gain.value:.4g} and read noise {read_noise.value:.2g} e "
        f"predict ({of_frames}): {cause}; give two flats and two biases, so that it is measured, "
        "or --gain"
    )


def _wanted(sky: SkyNoise, shares: Mapping[str, float], *, measured: bool) -> float:
    """
    By what factor the gain would have to be larger for the noise that is seen; NaN if light has too little of it.

    A read noise that was measured is known in adu, and follows the gain; one in electrons does not.
    """
    light = shares.get("shot noise", 0.0)
    if light < LIGHT:
        return float("nan")
    seen = sky.ratio**2
    if measured:
        return light / (seen - (1 - light)) if seen > 1 - light else float("nan")
    return float((light + np.sqrt(light**2 + 4 * seen * (1 - light))) / (2 * seen))
