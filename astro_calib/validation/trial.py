"""One experiment of the self-test: simulate, reduce, and compare the errors made with the errors predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from astro_calib.validation.comparison import Comparison

__all__ = ["Errors", "Sums", "Trial"]

#: Errors made (result less truth), and the variances predicted for them, of one shape.
Errors: TypeAlias = "tuple[ArrayLike, ArrayLike]"

#: Of fewer realisations the scatter is hardly known.
FEWEST = 10
#: A quick run takes this part of the realisations.
QUICK = 100
#: Errors that are a smaller part than this of those predicted make a limit useless.
LEAST = 0.1


class Sums(NamedTuple):
    """The sums of squared errors and of variances of one realisation, and over how many they go."""

    squares: float
    variances: float
    number: int

    @classmethod
    def of(cls, errors: ArrayLike, variances: ArrayLike) -> Sums:
        """Add up; it is a ValueError if errors and variances differ in shape, or are not all finite."""
        if np.shape(errors) != np.shape(variances):
            msg = f"errors of shape {np.shape(errors)} and variances of shape {np.shape(variances)}."
            raise ValueError(msg)
        squares = float(np.sum(np.square(np.asarray(errors, dtype=np.float64))))
        predicted = float(np.sum(variances, dtype=np.float64))
        if not (np.isfinite(squares) and np.isfinite(predicted)):
            msg = "an error, or a variance, is not a finite number."
            raise ValueError(msg)
        return cls(squares, predicted, np.size(errors))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """
    One experiment of the self-test.

    Attributes
    ----------
    step : str
        The step that it is about, such as "overscan"; trials of one step stand together in the table.
    what : str
        What is done, in a few words, such as "one level a row".
    draw : callable
        Simulates: takes a `numpy.random.Generator`, returns what ``reduce`` takes (raw frames and the truth), with
        noise drawn anew, that of masters included.
    reduce : callable
        Runs the public functions over it and returns errors and predicted variances, arrays or numbers of one shape.
    with_ccdproc : callable, optional
        The same with ccdproc alone.
    realisations : int
        How many are drawn in a full run: so many that the standard error of the ratio is a third of the tolerance.
    tolerance : float
        Largest difference of the ratio from 1.
    limit : bool
        Whether the error predicted is an upper limit, so that the error made may be smaller, down to a tenth.
    """

    step: str
    what: str
    draw: Callable[[np.random.Generator], Any]
    reduce: Callable[[Any], Errors]
    with_ccdproc: Callable[[Any], Errors] | None = None
    realisations: int
    tolerance: float = 0.01
    limit: bool = False

    @property
    def name(self) -> str:
        """Step and what, by which the trial is known and its random numbers are chosen."""
        return f"{self.step}: {self.what}"

    def number(self, *, quick: bool) -> int:
        """How many realisations a run takes."""
        return max(FEWEST, self.realisations // QUICK) if quick else self.realisations

    def known(self, found: Comparison, *, quick: bool) -> bool:
        """Whether the ratio is known as well as it has to be: in a full run to a third of the tolerance."""
        return quick or 3 * found.ratio_error <= self.tolerance

    def passes(self, found: Comparison, *, quick: bool) -> bool:
        """
        Whether the error predicted is right.

        In a full run the ratio must be 1 within the tolerance; in a quick run, or if it is not known well enough, a
        difference must only be more than chance to fail.
        """
        if quick or not self.known(found, quick=quick):
            right = found.agrees(self.tolerance)
        else:
            right = abs(found.ratio - 1) <= self.tolerance
        return right or (self.limit and LEAST < found.ratio < 1)
