"""What is worth seeing first of a night: what an error is made of, and what calibration does to the stars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.arguments import printable
from astro_calib.night.common.text import columns, glued, listed, number_text, paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astro_calib.night import FrameSummary

__all__ = ["first_look"]

#: Shares smaller than this have no line of their own.
SMALLEST = 0.001
#: A bar for all of the variance has so many letters.
LONGEST_BAR = 40


def first_look(frames: Sequence[FrameSummary], width: int) -> str:
    """Return what the error of the first frame is made of, and the signal-to-noise ratios of the stars of all."""
    lines = []
    shown = next((frame for frame in frames if frame.shares), None)
    if shown is not None:
        sigma = f"{number_text(shown.sky.predicted, '.3g')} electron"
        title = f"The error of a sky pixel, {sigma} in {glued(shown.raw_name)}, is made of"
        lines += [*paragraph(title, width, ""), *_bars(shown.shares, width), ""]
    measured = [frame for frame in frames if np.isfinite(frame.snr_empirical_before)]
    if measured:
        title = (
            "The signal-to-noise ratio of the stars before and after calibration (flux over the scatter of empty "
            "apertures, the median of the stars)"
        )
        rows = [("file", "stars", "before", "after", "times"), *map(_row, measured)]
        lines += [*paragraph(title, width, ""), *columns(rows, "<>>>>", width), ""]
    return "\n".join(lines)


def _bars(shares: Mapping[str, float], width: int) -> list[str]:
    r"""
    A bar for each share of a variance; those that are too small together have a line without one.

    >>> from astro_calib.cli.first_look import _bars
    >>> print(
    ...     "\n".join(
    ...         _bars(
    ...             {"shot noise": 0.7, "read noise": 0.2995, "bias": 0.0005},
    ...             79,
    ...         )
    ...     )
    ... )
      shot noise  70.0%  ############################
      read noise  29.9%  ############
      less than 0.1%: bias
    """
    large = {name: share for name, share in shares.items() if abs(share) >= SMALLEST}
    longest = max(map(len, large), default=0)
    lines = [
        f"  {printable(name):<{longest}}  {share:>5.1%}  {'#' * round(LONGEST_BAR * min(share, 1.0))}".rstrip()
        for name, share in large.items()
    ]
    small = [name for name in shares if name not in large]
    return [*lines, *paragraph(f"less than {SMALLEST:.1%}: {listed(small)}", width)] if small else lines


def _row(frame: FrameSummary) -> tuple[str, ...]:
    before, after = frame.snr_empirical_before, frame.snr_empirical_after
    times = after / before if before > 0 else np.nan
    numbers = (number_text(value, form) for value, form in ((before, ".1f"), (after, ".1f"), (times, ".2f")))
    return (glued(frame.raw_name), str(frame.stars), *numbers)
