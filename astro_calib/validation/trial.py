r"""
One experiment of the self-test: simulate, reduce, and compare the errors made with the errors predicted.

With n independent realisations i, each with errors :math:`\epsilon` (result less truth) and predicted variances V,

.. math:: S_i = \sum_x \epsilon_i(x)^2, \quad P_i = \sum_x V_i(x), \quad r^2 = \sum_i S_i \Big/ \sum_i P_i,

r is the ratio of the scatter observed to the root of the mean variance predicted. Its standard error is taken from
the scatter of :math:`S_i - r^2 P_i` from realisation to realisation, so that it is right however the errors of one
realisation are correlated: noise that is common to a frame counts once a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

__all__ = ["Comparison", "Errors", "Sums", "Trial", "compare"]

#: Errors made (result less truth), and the variances predicted for them, of one shape.
Errors: TypeAlias = "tuple[ArrayLike, ArrayLike]"

#: Of fewer realisations the scatter is hardly known.
FEWEST = 10
#: A quick run takes this part of the realisations.
QUICK = 100
#: How often chance may make a trial of a quick run fail where the error bar is right.
CHANCE = 1e-4
#: Errors that are a smaller part than this of those predicted make a limit useless.
LEAST = 0.1


class Sums(NamedTuple):
    """
    What is kept of one realisation.

    Attributes
    ----------
    squares, variances : float
        Sum of the squared errors, and of the variances predicted for them.
    number : int
        How many there are.
    """

    squares: float
    variances: float
    number: int

    @classmethod
    def of(cls, errors: ArrayLike, variances: ArrayLike) -> Sums:
        """
        The sums of one realisation.

        Raises
        ------
        ValueError
            If errors and variances differ in shape, or are not all finite.
        """
        if np.shape(errors) != np.shape(variances):
            msg = f"errors of shape {np.shape(errors)} and variances of shape {np.shape(variances)}."
            raise ValueError(msg)
        squares = float(np.sum(np.square(np.asarray(errors, dtype=np.float64))))
        predicted = float(np.sum(variances, dtype=np.float64))
        if not (np.isfinite(squares) and np.isfinite(predicted)):
            msg = "an error, or a variance, is not a finite number."
            raise ValueError(msg)
        return cls(squares, predicted, np.size(errors))


@dataclass(frozen=True)
class Comparison:
    """
    What a trial found.

    Attributes
    ----------
    predicted : float
        Root of the mean predicted variance.
    observed : float
        Root of the mean squared error.
    ratio, ratio_error : float
        Observed over predicted, and its standard error.
    realisations : int
        From how many.
    """

    predicted: float
    observed: float
    ratio: float
    ratio_error: float
    realisations: int

    @classmethod
    def of(cls, realisations: Sequence[Sums]) -> Comparison:
        """
        The comparison over independent realisations.

        Raises
        ------
        ValueError
            If there are fewer than two, or no error is predicted.
        """
        if len(realisations) < 2:
            msg = f"{len(realisations)} realisations; at least two are needed to tell how they scatter."
            raise ValueError(msg)
        s, p, numbers = (np.array(column) for column in zip(*realisations, strict=True))
        if not p.sum() > 0:
            msg = "no error is predicted: the variances add up to zero."
            raise ValueError(msg)
        squared, number = s.sum() / p.sum(), numbers.sum()
        spread = np.std(s - squared * p, ddof=1) * np.sqrt(len(s)) / p.sum()
        ratio = np.sqrt(squared)
        return cls(
            predicted=float(np.sqrt(p.sum() / number)),
            observed=float(np.sqrt(s.sum() / number)),
            ratio=float(ratio),
            ratio_error=float(spread / (2 * ratio)) if ratio > 0 else 0.0,
            realisations=len(s),
        )

    def agrees(self, tolerance: float) -> bool:
        """Whether the ratio is 1 within the tolerance, or within what chance may do, after Student."""
        from scipy.special import stdtrit

        chance = stdtrit(self.realisations - 1, 1 - CHANCE / 2) * self.ratio_error
        return bool(abs(self.ratio - 1) <= max(tolerance, chance))


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


def compare(realisations: list[Errors]) -> Comparison:
    """
    Errors made and errors predicted, over independent realisations.

    Parameters
    ----------
    realisations : list of (errors, variances)
        At least two.

    Raises
    ------
    ValueError
        If there are fewer than two, errors and variances of one differ in shape, or no error is predicted.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.validation.trial import compare
    >>> rng = np.random.default_rng(1)
    >>> found = compare([(rng.normal(0, 5, 100), np.full(100, 25.0)) for _ in range(400)])
    >>> found.agrees(0.02), round(found.predicted, 2)
    (True, 5.0)
    """
    return Comparison.of([Sums.of(errors, variances) for errors, variances in realisations])
