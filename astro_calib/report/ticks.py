"""Where the marks of an axis stand, and what is written beside them."""

from __future__ import annotations

import math

__all__ = ["linear_ticks", "log_ticks", "tick_text"]


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """
    Return round numbers between two limits, about so many.

    >>> from astro_calib.report.ticks import linear_ticks
    >>> linear_ticks(-130, 128)
    [-100.0, -50.0, 0.0, 50.0, 100.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    rough = span / max(1, most)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= rough), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) + 0.0 for number in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """
    Return powers of ten between two limits; of less than two decades, their twofold and fivefold as well.

    Between limits that are near to each other, round numbers.

    >>> from astro_calib.report.ticks import log_ticks
    >>> log_ticks(0.7, 340), log_ticks(15, 120)
    ([1.0, 10.0, 100.0], [20.0, 50.0, 100.0])
    >>> log_ticks(2.2, 3.7)
    [2.5, 3.0, 3.5]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(first, last + 1) if low <= 10.0**power <= high]
    if len(decades) > 2:
        return decades[:: -(-len(decades) // most)]
    fine = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    fine = [value for value in fine if low <= value <= high]
    return fine if len(fine) > 1 else linear_ticks(low, high, most)


def tick_text(value: float) -> str:
    """
    Return a number as it stands beside an axis.

    >>> from astro_calib.report.ticks import tick_text
    >>> [tick_text(value) for value in (0.0, 0.05, 1e-6, 20000.0)]
    ['0', '0.05', '1e-6', '20000']
    """
    text = f"{value:.0e}" if 0 < abs(value) < 0.001 else f"{value:.6g}"
    mantissa, _, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if power else text
