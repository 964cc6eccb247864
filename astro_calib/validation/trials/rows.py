"""A row of the table of trials: what is drawn, how it is reduced, the truth, and the errors of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.validation.trial import Trial
from astro_calib.validation.trials.packages import CCDPROC, OURS, Package

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from astro_calib.validation.trial import Errors

__all__ = ["box", "line", "over_sigma", "pixel", "row"]


def row(
    step: str,
    what: str,
    draw: Callable[[np.random.Generator], Any],
    reduce: Callable[[Package, Any], Any],
    truth: Any,
    *,
    of: Callable[[Package, Any, Any, Any], Errors] | None = None,
    ccdproc: bool = True,
    **attributes: Any,
) -> Trial:
    """
    A trial of a name, with the other attributes of `Trial`, and ccdproc beside it if that can do the same.

    A package reduces what was drawn to a frame. The truth is what the frame shows without errors; it may be a function
    of what was drawn. ``of`` gives the errors: it takes the package, the frame, the truth and what was drawn. By
    default they are those of the pixels.
    """
    measure = pixel() if of is None else of

    def by(package: Package) -> Callable[[Any], Errors]:
        return lambda drawn: measure(package, reduce(package, drawn), truth(drawn) if callable(truth) else truth, drawn)

    with_ccdproc = by(CCDPROC) if ccdproc else None
    return Trial(step=step, what=what, draw=draw, reduce=by(OURS), with_ccdproc=with_ccdproc, **attributes)


def pixel(where: Any = None) -> Callable[..., Errors]:
    """The errors of the pixels that are not masked, or of those where ``where``, of what was drawn, is True."""

    def errors(package: Package, frame: Any, truth: Any, drawn: Any) -> Errors:
        return package.errors(frame, truth, where(drawn) if callable(where) else where)

    return errors


def over_sigma(variance: Any) -> Callable[..., Errors]:
    """
    The errors of the pixels in units of their true sigma, from their variance.

    So the pixels that have the largest errors do not decide for the others.
    """

    def errors(package: Package, frame: Any, truth: Any, drawn: Any) -> Errors:
        true = variance(drawn) if callable(variance) else variance
        made, predicted = package.errors(frame, truth, np.s_[...])
        return made / np.sqrt(true), predicted / true

    return errors


def line(axis: int) -> Callable[..., Errors]:
    """The errors of the sums over the rows (axis 1) or columns (axis 0)."""
    return lambda package, frame, truth, _: package.errors_of_lines(frame, truth, axis)


def box(*size: int) -> Callable[..., Errors]:
    """The errors of the sums over boxes of so many rows and columns, into which a frame is divided."""

    def sums(values: NDArray[Any]) -> NDArray[np.float64]:
        rows, columns = (length // side for length, side in zip(values.shape, size, strict=True))
        boxes = np.asarray(values, dtype=np.float64).reshape(rows, size[0], columns, size[1])
        return np.asarray(boxes.sum(axis=(1, 3)))

    def errors(package: Package, frame: Any, truth: float, drawn: Any) -> Errors:
        made = sums(frame.data - truth)
        corner = [int(part * number) * side for part, number, side in zip(drawn.place, made.shape, size, strict=True)]
        return made, np.full(made.shape, package.variances_of_sums(frame, np.ones(size), corner, sums))

    return errors
