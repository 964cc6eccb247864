"""How the time of an operation grows with pixels and with frames."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from calibration import Calibration
from clock import timed
from stacks import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agreement import Operation

__all__ = ["HEADING", "rows"]

HEADING = ["operation", "what grows", "from", "to", "exponent"]
SIZES = (512, 1024, 2048, 4096, 8192)
NUMBERS = (3, 10, 30, 100, 200)


class Series(NamedTuple):
    """An operation, what grows, and for each point how it is told, its amount, and how the operation is made."""

    operation: str
    grows: str
    points: Sequence[tuple[str, int, Callable[[], Operation]]]


def all_series(largest: int, largest_stacked: int, side: int) -> list[Series]:
    """Up to so many pixels on a side; stacks of more and more frames have ``side``."""

    def of_sizes(operation: str, upto: int, make: Callable[[int], Operation]) -> Series:
        points = [(f"{size} x {size}", size**2, partial(make, size)) for size in SIZES if size <= upto]
        return Series(operation, "pixels", points)

    def of_numbers(method: str) -> Series:
        points = [(f"{number}", number, partial(Stack, side, number, method=method)) for number in NUMBERS]
        return Series(method, f"frames of {side} x {side} pixels", points)

    return [
        of_sizes("calibrate", largest, Calibration),
        of_sizes("median of 10", largest_stacked, lambda size: Stack(size, 10, method="median")),
        of_numbers("median"),
        of_numbers("mean"),
    ]


def fitted(series: Series, repeats: int) -> list[str]:
    """A row of the table: a straight line through the logarithms of the median times."""
    seconds = []
    for _, _, make in series.points:
        run = make().ours()
        run()
        seconds.append(float(np.median([timed(run) for _ in range(repeats)])))
        # Its inputs go before the next ones are made.
        del run
    amounts = [amount for _, amount, _ in series.points]
    exponent = np.polyfit(np.log(amounts), np.log(seconds), 1)[0]
    return [series.operation, series.grows, series.points[0][0], series.points[-1][0], f"{exponent:.2f}"]


def rows(repeats: int, largest: int, largest_stacked: int, side: int) -> list[list[str]]:
    """The table without its heading, of the series up to so many pixels."""
    return [fitted(series, repeats) for series in all_series(largest, largest_stacked, side)]
