"""Whether an operation gives the same with this package, with ccdproc, and by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.nddata import CCDData
    from numpy.typing import NDArray

    import astro_calib as ac

__all__ = ["ROWS", "Expected", "Operation", "check"]

#: For what NumPy's formulas, which are slow, are worked out.
ROWS = np.s_[::16]


class Expected(NamedTuple):
    """
    What the values and variances of some rows are by NumPy, in double precision.

    ``sure`` is False where a value is so near to a threshold that rounding says whether it is rejected.
    """

    data: NDArray[np.float64]
    variance: NDArray[np.float64]
    sure: NDArray[np.bool_]


class Operation(Protocol):
    """
    An operation as this package and as ccdproc do it.

    Each side makes its inputs when it is asked for, the same numbers for all: a process holds those of one side only.
    """

    @property
    def traffic(self) -> int:
        """The bytes that have to be read and written."""

    @property
    def agreeing(self) -> float:
        """The part of the pixels in which ccdproc finds the same value."""

    def ours(self) -> Callable[[], ac.CCDFrame]:
        """The inputs made, and what this package does with them."""

    def theirs(self) -> Callable[[], CCDData]:
        """The inputs made, and what ccdproc does with them."""

    def expected(self) -> Expected:
        """By the formulas."""


def check(operation: Operation, ours: ac.CCDFrame, theirs: CCDData) -> None:
    """Compare, pixel by pixel: values with ccdproc and with NumPy, variances with NumPy."""
    expected = operation.expected()
    assert np.mean(expected.sure) > 0.999
    assert ours.variance is not None
    for name, found, formula, rtol in (
        ("values", ours.data, expected.data, 1e-6),
        ("variances", ours.variance, expected.variance, 2e-6),
    ):
        np.testing.assert_allclose(
            found[ROWS][expected.sure], formula[expected.sure], rtol=rtol, err_msg=f"{name} are not those of NumPy"
        )
    same = np.mean(np.isclose(ours.data, theirs.data, rtol=1e-6, atol=0))
    assert same >= operation.agreeing, f"{same:.2%} of the values are ccdproc's, expected {operation.agreeing:.0%}"
